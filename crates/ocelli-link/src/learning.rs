//! What a device learns: samples, the training on them, and the int8 head that comes of it, all in borrowed memory.

use ocelli::Crc32;
use ocelli::learn::{
    EmbeddingScale, Event, HeadMut, Int8Head, LearnError, Optimizer, Samples, Stop, TrainConfig,
    TrainMemory, Trainer, quantize_head,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::message::{Codes, Ending, Refusal, Reply, Trained, Training};

/// The most classes of a trained head: its scores are one reply.
pub const MAX_CLASSES: u16 = 1024;

/// The extents of what is being learnt; the bytes lie where [`Learning::parts`] finds them each time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Learning {
    features: usize,
    classes: u16,
    capacity: usize,
    count: usize,
    trained: bool,
}

/// The memory of [`Learning`], cut up.
struct Parts<'m> {
    order: &'m mut [u32],
    labels: &'m mut [u16],
    embeddings: &'m mut [i8],
    scores: &'m mut [i8],
    head: HeadMut<'m>,
    zero_point: &'m mut i8,
    // All that is left: what training works in.
    floats: &'m mut [f32],
}

impl Learning {
    /// Makes room for `samples` of `features` codes in `memory`.
    pub fn new(
        features: usize,
        classes: u16,
        samples: u32,
        memory: &mut [u8],
    ) -> Result<Self, Refusal> {
        if !(2..=MAX_CLASSES).contains(&classes) {
            return Err(Refusal::Classes { got: classes });
        }
        let learning = Self {
            features,
            classes,
            capacity: samples as usize,
            count: 0,
            trained: false,
        };
        let got = memory.len();
        match learning.parts(memory) {
            Some(_) => Ok(learning),
            None => Err(Refusal::Memory {
                needed: learning.bytes(),
                got: saturate(got),
            }),
        }
    }

    /// Bytes of samples and head; training needs more.
    pub fn bytes(&self) -> u32 {
        let codes = (self.features as u64).saturating_add(4 + 2);
        let samples = (self.capacity as u64).saturating_mul(codes);
        let head = (self.features as u64).saturating_add(3 * 4 + 2);
        let head = u64::from(self.classes).saturating_mul(head);
        saturate(samples.saturating_add(head).saturating_add(1))
    }

    /// Keeps a sample; tells how many there are now.
    pub fn observe(
        &mut self,
        embedding: &[i8],
        label: u16,
        memory: &mut [u8],
    ) -> Result<u32, Refusal> {
        if label >= self.classes {
            return Err(Refusal::Label {
                classes: self.classes,
                got: label,
            });
        }
        if embedding.len() != self.features {
            return Err(Refusal::Length {
                needed: saturate(self.features),
                got: saturate(embedding.len()),
            });
        }
        let parts = self.parts(memory).ok_or(Refusal::Order)?;
        let mut places = parts.embeddings.chunks_exact_mut(self.features.max(1));
        let (Some(place), Some(slot)) = (places.nth(self.count), parts.labels.get_mut(self.count))
        else {
            return Err(Refusal::Full {
                count: saturate(self.count),
            });
        };
        for (place, &code) in place.iter_mut().zip(embedding) {
            *place = code;
        }
        *slot = label;
        self.count += 1;
        Ok(saturate(self.count))
    }

    /// Trains a head on the samples and turns it into int8, telling every step.
    pub fn train(
        &mut self,
        training: &Training,
        embedding: EmbeddingScale,
        memory: &mut [u8],
        reply: &mut impl FnMut(&Reply<'_>),
    ) -> Result<Trained, Refusal> {
        let classes = usize::from(self.classes);
        let (features, count) = (self.features, self.count);
        let Parts {
            order,
            labels,
            embeddings,
            scores,
            mut head,
            zero_point,
            floats,
        } = self.parts(memory).ok_or(Refusal::Order)?;
        let labels = labels.get(..count).unwrap_or_default();
        let embeddings = embeddings.get(..count.saturating_mul(features));
        let samples = Samples::new(embeddings.unwrap_or_default(), labels, features)?;

        let train_memory = TrainMemory {
            floats,
            order: &mut *order,
        };
        let mut trainer =
            Trainer::new(samples, classes, embedding, config(training), train_memory)?;
        let (trained_on, _) = trainer.split();
        let (mut correct_before, mut steps) = (0, 0);
        let stop = loop {
            match trainer.step() {
                Event::Stepped { step, loss, .. } => {
                    steps = step;
                    reply(&Reply::Step {
                        step,
                        loss_bits: loss.to_bits(),
                        digest: trainer.digest(),
                    });
                }
                Event::Scoring { .. } => {}
                Event::EpochScored {
                    epoch, held_out, ..
                } => {
                    if epoch == 0 {
                        correct_before = held_out.correct;
                    }
                    reply(&Reply::Epoch {
                        epoch,
                        loss_bits: held_out.loss.to_bits(),
                        correct: held_out.correct,
                        count: held_out.count,
                    });
                }
                Event::Done { stop, .. } => break stop,
            }
        };
        let float_head = trainer.finish();
        // Up to here the head of an earlier training still stands.
        self.trained = false;
        let output = quantize_head(&float_head, embedding, &samples, &mut head)?;
        *zero_point = output.zero_point;

        let mut trained = Trained {
            steps,
            ending: ending(stop),
            head_digest: digest(&head, output.scale, output.zero_point),
            held_out: 0,
            correct_before,
            correct_after: 0,
        };
        let int8 = int8_head(&head, output.zero_point);
        // The trainer leaves the held-out samples' indices behind those it trained on.
        for &index in order.get(trained_on..count).unwrap_or_default() {
            let Some((embedding, label)) = samples.get(index as usize) else {
                continue;
            };
            int8.run(embedding, scores).map_err(|_| Refusal::Samples)?;
            trained.held_out += 1;
            trained.correct_after += u32::from(arg_max(scores) == Some(usize::from(label)));
        }
        self.trained = true;
        Ok(trained)
    }

    /// The scores of an embedding by the trained head.
    pub fn classify<'m>(
        &self,
        embedding: &[i8],
        memory: &'m mut [u8],
    ) -> Result<Codes<'m>, Refusal> {
        if !self.trained {
            return Err(Refusal::Order);
        }
        let parts = self.parts(memory).ok_or(Refusal::Order)?;
        let head = int8_head(&parts.head, *parts.zero_point);
        head.run(embedding, parts.scores)
            .map_err(|_| Refusal::Samples)?;
        Ok(Codes(parts.scores))
    }

    // Parts with the larger alignment come first, so that none needs padding before it.
    fn parts<'m>(&self, memory: &'m mut [u8]) -> Option<Parts<'m>> {
        let classes = usize::from(self.classes);
        let mut left = Left(memory);
        let order = left.take(self.capacity)?;
        let bias = left.take(classes)?;
        let multiplier = left.take(classes)?;
        let weight_scale = left.take(classes)?;
        let labels = left.take(self.capacity)?;
        let shift = left.take(classes)?;
        let scores = left.take(classes)?;
        let zero_point = left.take(1)?.first_mut()?;
        let weights = left.take(classes.checked_mul(self.features)?)?;
        let embeddings = left.take(self.capacity.checked_mul(self.features)?)?;
        Some(Parts {
            order,
            labels,
            embeddings,
            scores,
            head: HeadMut {
                weights,
                bias,
                multiplier,
                shift,
                weight_scale,
            },
            zero_point,
            floats: left.floats()?,
        })
    }
}

/// Memory that is handed out from its start.
struct Left<'m>(&'m mut [u8]);

impl<'m> Left<'m> {
    fn take<T>(&mut self, elems: usize) -> Option<&'m mut [T]>
    where
        T: FromBytes + IntoBytes + Immutable + KnownLayout,
    {
        let bytes = core::mem::take(&mut self.0);
        let (part, left) = <[T]>::mut_from_prefix_with_elems(bytes, elems).ok()?;
        self.0 = left;
        Some(part)
    }

    fn floats(self) -> Option<&'m mut [f32]> {
        let padding = self.0.as_ptr().align_offset(align_of::<f32>());
        let aligned = self.0.get_mut(padding..).unwrap_or_default();
        let elems = aligned.len() / size_of::<f32>();
        Left(aligned).take(elems)
    }
}

impl From<LearnError> for Refusal {
    fn from(error: LearnError) -> Self {
        let bytes = |elems: usize| saturate(elems.saturating_mul(size_of::<f32>()));
        match error {
            LearnError::FloatMemory { needed, got } | LearnError::OrderMemory { needed, got } => {
                Self::Memory {
                    needed: bytes(needed),
                    got: bytes(got),
                }
            }
            LearnError::Config(_) => Self::Setting,
            LearnError::FloatingPoint => Self::FloatingPoint,
            _ => Self::Samples,
        }
    }
}

fn config(training: &Training) -> TrainConfig {
    TrainConfig {
        optimizer: Optimizer::Sgd {
            learning_rate: training.learning_rate,
            momentum: training.momentum,
            l2: training.l2,
        },
        batch: training.batch,
        epochs: training.epochs,
        max_steps: training.max_steps,
        patience: training.patience,
        held_out_every: training.held_out_every,
        seed: training.seed,
    }
}

fn ending(stop: Stop) -> Ending {
    match stop {
        Stop::Epochs => Ending::Epochs,
        Stop::MaxSteps => Ending::MaxSteps,
        Stop::Patience => Ending::Patience,
        Stop::Diverged => Ending::Diverged,
    }
}

fn int8_head<'h>(head: &'h HeadMut<'_>, zero_point: i8) -> Int8Head<'h> {
    Int8Head {
        weights: head.weights,
        bias: head.bias,
        multiplier: head.multiplier,
        shift: head.shift,
        zero_point,
    }
}

fn digest(head: &HeadMut<'_>, scale: f32, zero_point: i8) -> u32 {
    let mut crc = Crc32::new();
    crc.update(head.weights.as_bytes());
    crc.update(head.bias.as_bytes());
    crc.update(head.multiplier.as_bytes());
    crc.update(head.shift.as_bytes());
    crc.update(head.weight_scale.as_bytes());
    crc.update(&scale.to_bits().to_le_bytes());
    crc.update(&zero_point.to_le_bytes());
    crc.value()
}

/// The first of the largest codes.
fn arg_max(codes: &[i8]) -> Option<usize> {
    let mut best: Option<(usize, i8)> = None;
    for (at, &code) in codes.iter().enumerate() {
        if best.is_none_or(|(_, largest)| code > largest) {
            best = Some((at, code));
        }
    }
    best.map(|(at, _)| at)
}

pub(crate) fn saturate(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}
