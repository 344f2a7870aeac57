//! What is asked of the board and of the same device in this process.

use std::fmt;
use std::io::{Read, Write};

use anyhow::{Result, anyhow, bail};
use indicatif::ProgressBar;
use ocelli_link::{
    Client, Codes, CompareError, Device, Ending, PROTOCOL, Place, Reply, Request, Trained, Training,
};
use serde::Serialize;
use zerocopy::IntoBytes;

use crate::inspect::op_names;
use crate::model::{KERNELS, Model};

/// An input of the network.
pub enum Input {
    /// Bytes for the model's table of codes.
    Pixels(Vec<u8>),
    /// The network's own codes.
    Codes(Vec<i8>),
}

impl Input {
    /// The same noise every time, over all values.
    pub fn pattern(model: &Model<'_>) -> Self {
        // Marsaglia's xorshift; any seed but zero.
        let mut state = 0x2545_f491_u32;
        let noise = (0..model.image.input().elems()).map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[3]
        });
        match model.image.preprocess() {
            Some(_) => Input::Pixels(noise.collect()),
            None => Input::Codes(noise.map(u8::cast_signed).collect()),
        }
    }

    /// The request that brings row `row`, of `elems` codes.
    fn row(&self, row: usize, elems: usize) -> Option<Request<'_>> {
        let range = row * elems..(row + 1) * elems;
        Some(match self {
            Input::Pixels(pixels) => Request::Row {
                pixels: pixels.get(range)?,
            },
            Input::Codes(codes) => Request::Codes {
                codes: Codes(codes.get(range)?),
            },
        })
    }
}

/// What is to be learnt.
pub struct Teaching {
    /// Inputs with the class of each.
    pub samples: Vec<(Input, u16)>,
    /// Classes.
    pub classes: u16,
    /// Training steps.
    pub steps: u32,
    /// Of each class, every so-many-th image is held out; 0 for none.
    pub held_out_every: u32,
}

/// What was learnt, the same on both sides.
#[derive(Serialize)]
pub struct Taught {
    samples: u32,
    classes: u16,
    steps: u32,
    held_out: u32,
    correct_before: u32,
    correct_after: u32,
    head_digest: String,
}

impl fmt::Display for Taught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} images of {} classes; of {} held-out images {} right before and {} after, as int8 (digest {})",
            self.samples,
            self.classes,
            self.held_out,
            self.correct_before,
            self.correct_after,
            self.head_digest
        )
    }
}

/// Where the two sides first said different things.
#[derive(Serialize)]
pub struct Difference {
    /// "op", "step" or "reply".
    about: &'static str,
    /// The op, from 0, or the step, from 1.
    number: Option<u32>,
    /// The op's name in the source.
    name: Option<String>,
    host: String,
    device: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, device, .. } = self;
        match (self.number, &self.name) {
            (Some(number), Some(name)) => write!(f, "{} {number} ({name})", self.about)?,
            (Some(number), None) => write!(f, "{} {number}", self.about)?,
            (None, _) => f.write_str("an answer")?,
        }
        write!(f, ": the device says {device}, the host {host}")
    }
}

/// Why the comparison ended early.
pub enum Broken {
    /// The two sides differ.
    Differs(Difference),
    /// There is nothing to compare with.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Broken {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// What is known of the board, and what was equal so far.
pub struct Facts {
    /// The inner loops of its kernels.
    pub backend: String,
    /// Memory for inference and learning.
    pub memory_bytes: u32,
    /// What inference takes of it.
    pub arena_bytes: u32,
    /// Digests of ops.
    pub equal_ops: u64,
    /// Vectors of scores.
    pub equal_scores: u64,
    /// Training steps.
    pub equal_steps: u64,
}

/// Talks to the board and to a device in this process at the same time.
pub struct Conversation<'a, R, W> {
    client: Client<R, W>,
    device: Device<'a>,
    row_elems: usize,
    op_names: Vec<&'a str>,
    facts: Facts,
}

/// What a final reply says that the conversation goes on with.
enum Answer {
    NeedsRow(usize),
    Trained(Trained),
    Refused(String),
    Other,
}

impl<'a, R: Read, W: Write> Conversation<'a, R, W> {
    /// Greets the board, and makes a device with as much memory in this process.
    pub fn start(model: &Model<'a>, line: (R, W), memory: &'a mut Vec<u128>) -> Result<Self> {
        let mut client = Client::new(line.0, line.1)?;
        let mut greeting = Err(anyhow!("it did not say what it is"));
        client.ask(&Request::Hello, |reply| {
            let Reply::Hello(hello) = reply else {
                return;
            };
            greeting = match hello.model {
                _ if hello.protocol != PROTOCOL => Err(anyhow!(
                    "the firmware speaks version {} of the link, this program version {PROTOCOL}: build both from the same sources",
                    hello.protocol
                )),
                Err(reason) => Err(anyhow!("{reason}")),
                Ok(facts) => Ok((hello.backend.to_string(), hello.memory_bytes, facts)),
            };
        })?;
        let (backend, memory_bytes, facts) = greeting?;
        if facts.image_crc != model.image.crc() {
            bail!("the board runs another model image");
        }
        let bytes = memory_bytes as usize;
        memory.resize(bytes.div_ceil(size_of::<u128>()), 0);
        let memory = &mut memory.as_mut_slice().as_mut_bytes()[..bytes];
        let image = model.image;
        Ok(Self {
            client,
            device: Device::new(Some(&image), &KERNELS, memory),
            row_elems: image.input().row_elems(),
            op_names: op_names(&image),
            facts: Facts {
                backend,
                memory_bytes,
                arena_bytes: facts.arena_bytes,
                equal_ops: 0,
                equal_scores: 0,
                equal_steps: 0,
            },
        })
    }

    /// What is known so far.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Shows an input, and compares every op and the scores.
    pub fn see(&mut self, input: &Input) -> Result<(), Broken> {
        let mut answer = self.ask(&Request::Begin { digests: true })?;
        while let Answer::NeedsRow(row) = answer {
            let request = input
                .row(row, self.row_elems)
                .ok_or_else(|| anyhow!("row {row} is wanted, which the input has not"))?;
            answer = self.ask(&request)?;
        }
        accepted(answer)
    }

    /// Shows labelled inputs and trains on them, and compares every step.
    pub fn teach(&mut self, teaching: &Teaching, bar: &ProgressBar) -> Result<Taught, Broken> {
        let samples = u32::try_from(teaching.samples.len()).map_err(anyhow::Error::from)?;
        let collect = Request::Collect {
            samples,
            classes: teaching.classes,
        };
        accepted(self.ask(&collect)?)?;
        for (input, label) in &teaching.samples {
            self.see(input)?;
            accepted(self.ask(&Request::Observe { label: *label })?)?;
            bar.inc(1);
        }
        let training = Training {
            learning_rate: 0.05,
            momentum: 0.9,
            l2: 1e-4,
            batch: 8,
            epochs: u32::MAX,
            max_steps: teaching.steps,
            patience: u32::MAX,
            held_out_every: teaching.held_out_every,
            seed: 1,
        };
        let before = bar.position();
        let answer = self.ask_and(&Request::Train(training), |reply| {
            if let Reply::Step { step, .. } = reply {
                bar.set_position(before + u64::from(*step));
            }
        })?;
        let Answer::Trained(trained) = answer else {
            accepted(answer)?;
            return Err(anyhow!("training has no result").into());
        };
        if trained.ending != Ending::MaxSteps {
            let ending = trained.ending;
            return Err(anyhow!(
                "training ended by {ending:?} on both sides, before all steps were done"
            )
            .into());
        }
        Ok(Taught {
            samples,
            classes: teaching.classes,
            steps: trained.steps,
            held_out: trained.held_out,
            correct_before: trained.correct_before,
            correct_after: trained.correct_after,
            head_digest: format!("{:08x}", trained.head_digest),
        })
    }

    /// Scores the input just seen by the trained classifier.
    pub fn classify(&mut self) -> Result<(), Broken> {
        let answer = self.ask(&Request::Classify)?;
        accepted(answer)
    }

    /// Says goodbye: the board ends.
    pub fn end(&mut self) -> Result<(), Broken> {
        let answer = self.ask(&Request::Bye)?;
        accepted(answer)
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<Answer, Broken> {
        self.ask_and(request, |_| ())
    }

    fn ask_and(
        &mut self,
        request: &Request<'_>,
        mut on_reply: impl FnMut(&Reply<'_>),
    ) -> Result<Answer, Broken> {
        let mut answer = Answer::Other;
        let facts = &mut self.facts;
        let compared = self.client.ask_both(&mut self.device, request, |reply| {
            match *reply {
                Reply::Op { .. } => facts.equal_ops += 1,
                Reply::Step { .. } => facts.equal_steps += 1,
                Reply::Scores { .. } => facts.equal_scores += 1,
                Reply::NeedsRow { row } => answer = Answer::NeedsRow(row as usize),
                Reply::Trained(trained) => answer = Answer::Trained(trained),
                Reply::Refused(refusal) => answer = Answer::Refused(refusal.to_string()),
                _ => {}
            }
            on_reply(reply);
        });
        match compared {
            Ok(()) => Ok(answer),
            Err(CompareError::Differs { place, host, board }) => {
                let (about, number) = match place {
                    Place::Op(op) => ("op", Some(op)),
                    Place::Step(step) => ("step", Some(step)),
                    _ => ("reply", None),
                };
                let op = number.filter(|_| about == "op");
                let name = op.and_then(|op| self.op_names.get(op as usize));
                Err(Broken::Differs(Difference {
                    about,
                    number,
                    name: name.map(|name| name.to_string()),
                    host,
                    device: board,
                }))
            }
            Err(error) => Err(Broken::Failed(error.into())),
        }
    }
}

/// That an answer is no refusal.
fn accepted(answer: Answer) -> Result<(), Broken> {
    match answer {
        Answer::Refused(why) => Err(anyhow!("host and device refuse alike: {why}").into()),
        _ => Ok(()),
    }
}
