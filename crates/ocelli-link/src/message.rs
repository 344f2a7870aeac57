//! What the host asks and what the board answers.
//!
//! Every request is answered by any number of progress replies and then by exactly one final reply
//! ([`Reply::is_final`]); the host sends the next request only after it. A board therefore needs no queue.
//!
//! The order of variants and fields is the wire format of [`PROTOCOL`]: a change to it is a new protocol version.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zerocopy::{FromBytes, IntoBytes};

/// The version of the messages, told by [`Reply::Hello`].
pub const PROTOCOL: u16 = 1;

/// Int8 codes, borrowed from the frame that carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codes<'a>(pub &'a [i8]);

impl Serialize for Codes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_bytes())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Codes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = &'de [i8];
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("borrowed bytes")
            }
            fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<&'de [i8], E> {
                <[i8]>::ref_from_bytes(bytes).map_err(|_| E::custom("not a row of bytes"))
            }
        }
        deserializer.deserialize_bytes(Visitor).map(Codes)
    }
}

/// What the host asks of a board.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// Who are you? Answered by [`Reply::Hello`], also where there is no model image.
    Hello,
    /// Starts an inference; answered by [`Reply::NeedsRow`]. With `digests`, each op's digest comes before the scores.
    Begin {
        /// Whether [`Reply::Op`] is wanted.
        digests: bool,
    },
    /// The next input row as pixels; answered by [`Reply::NeedsRow`], or after the last row by [`Reply::Scores`].
    Row {
        /// RGB888, or as many bytes a pixel as the input has channels.
        pixels: &'a [u8],
    },
    /// The next input row as the network's own codes; answered like [`Request::Row`].
    Codes {
        /// The row.
        #[serde(borrow)]
        codes: Codes<'a>,
    },
    /// Drops all samples and makes room for new ones; answered by [`Reply::Collecting`].
    Collect {
        /// How many samples will be shown at most.
        samples: u32,
        /// How many classes there are.
        classes: u16,
    },
    /// The image just seen is of this class; answered by [`Reply::Observed`].
    Observe {
        /// The class.
        label: u16,
    },
    /// A sample whose embedding the host has already; answered by [`Reply::Observed`].
    Sample {
        /// The class.
        label: u16,
        /// The embedding's codes.
        #[serde(borrow)]
        embedding: Codes<'a>,
    },
    /// Trains a head on the samples; answered by [`Reply::Step`]s, [`Reply::Epoch`]s and [`Reply::Trained`].
    Train(Training),
    /// Scores the embedding of the image just seen with the trained head; answered by [`Reply::Scores`].
    Classify,
    /// The last request; answered by [`Reply::Bye`]. An emulated board ends then, a real one waits for the next host.
    Bye,
}

/// How to train: the trainer's configuration, which the board checks like any other caller's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Learning rate of stochastic gradient descent.
    pub learning_rate: f32,
    /// Momentum.
    pub momentum: f32,
    /// L2 regularization, of weights only.
    pub l2: f32,
    /// Samples a step.
    pub batch: u16,
    /// The most epochs.
    pub epochs: u32,
    /// The most steps.
    pub max_steps: u32,
    /// Epochs without progress before training stops.
    pub patience: u32,
    /// Of each class, every so many samples one is held out; 0 for none.
    pub held_out_every: u32,
    /// Seed of the order of samples.
    pub seed: u64,
}

/// What a board answers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Reply<'a> {
    /// Who the board is and what it runs.
    Hello(#[serde(borrow)] Hello<'a>),
    /// Progress: the digest of an op's whole output, CRC-32 over its codes in row order.
    Op {
        /// The op, counted from 0 in the image's order.
        op: u32,
        /// The digest.
        digest: u32,
    },
    /// The row of the input that is wanted next.
    NeedsRow {
        /// Counted from 0.
        row: u32,
    },
    /// The network's output, or the trained head's.
    Scores {
        /// One code a class.
        #[serde(borrow)]
        codes: Codes<'a>,
    },
    /// There is room for the samples and for training on them.
    Collecting {
        /// Bytes of memory that this takes.
        memory_bytes: u32,
    },
    /// A sample was kept.
    Observed {
        /// Samples held now.
        count: u32,
    },
    /// Progress: one training step.
    Step {
        /// Counted from 1.
        step: u32,
        /// Bits of the batch's mean loss, an f32.
        loss_bits: u32,
        /// CRC-32 over the whole training state after the step.
        digest: u32,
    },
    /// Progress: an epoch ended and the held-out samples were scored.
    Epoch {
        /// Counted from 1.
        epoch: u32,
        /// Bits of the held-out samples' mean loss, an f32.
        loss_bits: u32,
        /// Held-out samples that were classified right.
        correct: u32,
        /// Held-out samples.
        count: u32,
    },
    /// Training ended.
    Trained(Trained),
    /// The answer to [`Request::Bye`].
    Bye,
    /// The request was refused, and what was before it still stands.
    Refused(Refusal),
}

impl Reply<'_> {
    /// Whether this reply ends the answer to a request.
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Op { .. } | Self::Step { .. } | Self::Epoch { .. }
        )
    }
}

/// Who a board is and what it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// The board's [`PROTOCOL`].
    pub protocol: u16,
    /// The instruction set its kernels use.
    pub backend: &'a str,
    /// Memory that the device was given, arena included.
    pub memory_bytes: u32,
    /// The model image, or why there is none.
    pub model: Result<Model, NoModel>,
}

/// The model image of a board.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The image's own CRC-32.
    pub image_crc: u32,
    /// Memory that inference takes.
    pub arena_bytes: u32,
    /// Ops.
    pub ops: u32,
    /// Rows of the input.
    pub input_rows: u32,
    /// Codes in a row of the input.
    pub input_row_elems: u32,
    /// Codes of the output.
    pub outputs: u32,
    /// Codes of the embedding.
    pub features: u32,
}

/// Why a board runs no model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoModel {
    /// There is no valid model image.
    Image,
    /// The image needs more memory than the board gave.
    Memory {
        /// Bytes needed.
        needed: u32,
        /// Bytes given.
        got: u32,
    },
    /// The firmware lacks a kernel that an op needs.
    Kernel {
        /// The op.
        op: u32,
    },
    /// The image is intact, but an op of it cannot run: its numbers contradict each other.
    Op {
        /// The op.
        op: u32,
    },
    /// The memory does not start at a multiple of 16 bytes.
    Misaligned,
}

/// What training came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trained {
    /// Steps done.
    pub steps: u32,
    /// Why it ended.
    pub ending: Ending,
    /// CRC-32 over the int8 head: weights, biases, multipliers, shifts, weight scales, output scale and zero point.
    pub head_digest: u32,
    /// Held-out samples.
    pub held_out: u32,
    /// Of those, classified right by the head before the first step.
    pub correct_before: u32,
    /// Of those, classified right by the int8 head.
    pub correct_after: u32,
}

/// Why training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// All epochs are done.
    Epochs,
    /// All steps are done.
    MaxSteps,
    /// The held-out loss stopped falling.
    Patience,
    /// A weight was no longer finite; the head is the best one before that.
    Diverged,
}

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The frame was none, or no request.
    Frame(FrameError),
    /// The request does not fit what came before: a row before the begin, training before samples.
    Order,
    /// There is no model to do this with.
    NoModel(NoModel),
    /// The model does not say how pixels become codes.
    NoPreprocess,
    /// The model has no classifier, or its image carries no scales: there is nothing to train.
    NoEmbedding,
    /// A row or an embedding has the wrong length.
    Length {
        /// Elements needed.
        needed: u32,
        /// Elements given.
        got: u32,
    },
    /// Not enough memory.
    Memory {
        /// Bytes needed.
        needed: u32,
        /// Bytes there are.
        got: u32,
    },
    /// Fewer than two classes, or more than a reply can score.
    Classes {
        /// How many were asked for.
        got: u16,
    },
    /// A label that names no class.
    Label {
        /// Labels must be below this.
        classes: u16,
        /// The label.
        got: u16,
    },
    /// As many samples as there is room for are held already.
    Full {
        /// Samples held.
        count: u32,
    },
    /// The trainer refused its configuration.
    Setting,
    /// The trainer refused the samples, or the head that came of them.
    Samples,
    /// The board's floating-point unit does not follow the rules that training relies on.
    FloatingPoint,
}

/// What can be wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameError {
    /// It is longer than the board's buffer.
    TooLong {
        /// Bytes that fit.
        limit: u32,
    },
    /// Its byte stuffing is wrong.
    Stuffing,
    /// It holds no message of this protocol, or more than one.
    Message,
}

impl fmt::Display for NoModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Image => f.write_str("there is no valid model image"),
            Self::Memory { needed, got } => {
                write!(
                    f,
                    "the model needs {needed} bytes of memory, there are {got}"
                )
            }
            Self::Kernel { op } => write!(f, "the firmware lacks the kernel that op {op} needs"),
            Self::Op { op } => write!(f, "the numbers of op {op} contradict each other"),
            Self::Misaligned => f.write_str("the memory does not start at a multiple of 16 bytes"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Frame(error) => error.fmt(f),
            Self::Order => f.write_str("the request does not fit what came before"),
            Self::NoModel(reason) => reason.fmt(f),
            Self::NoPreprocess => f.write_str("the model does not say how pixels become codes"),
            Self::NoEmbedding => f.write_str("the model has no classifier or carries no scales"),
            Self::Length { needed, got } => write!(f, "{got} elements, {needed} expected"),
            Self::Memory { needed, got } => {
                write!(f, "{needed} bytes of memory needed, there are {got}")
            }
            Self::Classes { got } => write!(f, "a head of {got} classes"),
            Self::Label { classes, got } => write!(f, "label {got} of {classes} classes"),
            Self::Full { count } => write!(f, "full with {count} samples"),
            Self::Setting => f.write_str("the trainer refused its configuration"),
            Self::Samples => f.write_str("the trainer refused the samples"),
            Self::FloatingPoint => {
                f.write_str("the FPU flushes subnormals or does not round to nearest")
            }
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLong { limit } => write!(f, "a frame of more than {limit} bytes"),
            Self::Stuffing => f.write_str("a frame with wrong byte stuffing"),
            Self::Message => f.write_str("a frame that is no message of this protocol"),
        }
    }
}

impl core::error::Error for NoModel {}
impl core::error::Error for Refusal {}
impl core::error::Error for FrameError {}
