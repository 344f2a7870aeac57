//! What can be wrong before training or quantizing starts.

use core::fmt;

/// Why samples, a configuration, memory or a head was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LearnError {
    /// An embedding of no features, or a head without any.
    NoFeatures,
    /// More features than an i32 accumulator is proven to hold.
    TooManyFeatures {
        /// The most that are allowed.
        max: usize,
        /// How many there are.
        got: usize,
    },
    /// There is nothing to learn from.
    NoSamples,
    /// More samples than a u32 index can name.
    TooManySamples,
    /// A slice of embeddings that does not match its features and labels.
    EmbeddingElems {
        /// Codes that were expected.
        needed: usize,
        /// Codes that were given.
        got: usize,
    },
    /// The sample buffer holds as many samples as it can.
    Full {
        /// How many samples fit.
        capacity: usize,
    },
    /// A classifier needs at least two classes.
    TooFewClasses {
        /// Classes that were asked for.
        got: usize,
    },
    /// A label that names no class.
    LabelOutOfRange {
        /// The sample that has it.
        at: usize,
        /// The label.
        label: u16,
        /// Labels must be below this.
        classes: usize,
    },
    /// A setting that makes no sense.
    Config(ConfigField),
    /// Too few floats for the training state.
    FloatMemory {
        /// Floats needed, see [`TrainConfig::memory_elems`](crate::TrainConfig::memory_elems).
        needed: usize,
        /// Floats given.
        got: usize,
    },
    /// Too few indices for the order of the samples.
    OrderMemory {
        /// Indices needed: one a sample.
        needed: usize,
        /// Indices given.
        got: usize,
    },
    /// A scale that is not a finite number above zero.
    EmbeddingScale,
    /// The FPU flushes subnormals or does not round to nearest.
    FloatingPoint,
    /// A slice of a head that does not match its classes and features.
    HeadElems {
        /// Elements that were expected.
        needed: usize,
        /// Elements that were given.
        got: usize,
    },
    /// A head with an infinite weight, or one that is not a number.
    NotFinite,
}

/// The setting of a [`TrainConfig`](crate::TrainConfig) that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigField {
    /// Must be finite and above zero.
    LearningRate,
    /// Must be in `0.0..1.0`.
    Momentum,
    /// Must be finite and not negative.
    L2,
    /// Must not be zero.
    Batch,
    /// Must not be zero.
    Epochs,
    /// Must not be zero.
    MaxSteps,
    /// Must not be zero; as large as `epochs` it never ends a run.
    Patience,
    /// Must not be 1, which leaves nothing to train on. 0 holds nothing out.
    HeldOutEvery,
}

impl fmt::Display for LearnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoFeatures => f.write_str("an embedding has no features"),
            Self::TooManyFeatures { max, got } => {
                write!(f, "{got} features, at most {max} are supported")
            }
            Self::NoSamples => f.write_str("no samples to learn from"),
            Self::TooManySamples => f.write_str("more samples than a 32-bit index can name"),
            Self::EmbeddingElems { needed, got } => {
                write!(f, "{got} embedding codes, {needed} expected")
            }
            Self::Full { capacity } => write!(f, "the buffer is full with {capacity} samples"),
            Self::TooFewClasses { got } => {
                write!(f, "{got} classes, a classifier needs at least 2")
            }
            Self::LabelOutOfRange { at, label, classes } => {
                write!(
                    f,
                    "sample {at} has label {label}, but there are {classes} classes"
                )
            }
            Self::Config(field) => write!(f, "{field}"),
            Self::FloatMemory { needed, got } => {
                write!(f, "training needs {needed} floats of memory, got {got}")
            }
            Self::OrderMemory { needed, got } => {
                write!(f, "training needs {needed} sample indices, got {got}")
            }
            Self::EmbeddingScale => f.write_str("the embedding's scale is not above zero"),
            Self::FloatingPoint => {
                f.write_str("the FPU flushes subnormals or does not round to nearest")
            }
            Self::HeadElems { needed, got } => {
                write!(f, "{got} elements of a head, {needed} expected")
            }
            Self::NotFinite => f.write_str("a weight or bias of the head is not finite"),
        }
    }
}

impl fmt::Display for ConfigField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LearningRate => "the learning rate must be finite and above zero",
            Self::Momentum => "momentum must be at least 0 and below 1",
            Self::L2 => "l2 must be finite and not negative",
            Self::Batch => "the batch must not be empty",
            Self::Epochs => "epochs must not be zero",
            Self::MaxSteps => "max_steps must not be zero",
            Self::Patience => "patience must not be zero",
            Self::HeldOutEvery => "held_out_every must be 0 (none) or at least 2",
        })
    }
}

impl core::error::Error for LearnError {}
