//! Trains a classifier head on int8 embeddings, on a microcontroller or on the host, with the same bits.
//!
//! The backbone is frozen: a sample is its embedding (one code a feature) and its label. The head is a
//! linear layer with softmax cross-entropy, trained in f32 and turned into int8 at the end. This
//! crate knows slices: no images, no kernels, no files. All memory is the caller's.
//!
//! # The same bits everywhere
//!
//! Training gives the same bits on every target, since
//! - each sum has one written order (see the source of `linear.rs`), without fused multiply-add;
//! - functions come from one version of `libm`, in its portable form; none from `std` or `core`;
//! - [`Trainer::new`] refuses an FPU that flushes subnormals or does not round to nearest;
//! - infinities, and what is not a number, end the training before their bits are seen.
//!
//! [`Trainer::digest`] makes that testable after every step.
//!
//! # Shuffling
//!
//! At the start of each epoch the samples to train on are shuffled, from the order of the epoch before
//! (at first: by class, then by arrival), by Fisher and Yates's method from the last to the first
//! with `j = (upper 32 bits of SplitMix64 * (i + 1)) >> 32`.
//!
//! # Example
//!
//! ```
//! use ocelli_learn::{
//!     EmbeddingScale, Event, HeadMut, Samples, TrainConfig, TrainMemory, Trainer, quantize_head,
//! };
//!
//! // Two classes of three features: the first feature tells them apart.
//! let embeddings = [90, -100, -60, 80, -90, -70, -100, -95, -60, -90, -99, -65];
//! let samples = Samples::new(&embeddings, &[0, 0, 1, 1], 3)?;
//! let embedding = EmbeddingScale { scale: 0.02, zero_point: -128 };
//!
//! let config = TrainConfig { epochs: 20, ..TrainConfig::default() };
//! let mut floats = [0.0; 64];
//! assert!(config.memory_elems(3, 2) <= floats.len());
//! let mut order = [0; 4];
//! let memory = TrainMemory { floats: &mut floats, order: &mut order };
//! let mut trainer = Trainer::new(samples, 2, embedding, config, memory)?;
//! while !matches!(trainer.step(), Event::Done { .. }) {}
//!
//! let head = trainer.finish();
//! let (mut weights, mut bias) = ([0; 6], [0; 2]);
//! let (mut multiplier, mut shift, mut weight_scale) = ([0; 2], [0; 2], [0.0; 2]);
//! let mut int8 = HeadMut {
//!     weights: &mut weights,
//!     bias: &mut bias,
//!     multiplier: &mut multiplier,
//!     shift: &mut shift,
//!     weight_scale: &mut weight_scale,
//! };
//! let output = quantize_head(&head, embedding, &samples, &mut int8)?;
//! assert!(output.scale > 0.0);
//! assert!(weights[0] > 0 && weights[3] < 0);
//! # Ok::<(), ocelli_learn::LearnError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod config;
mod digest;
mod error;
mod float;
mod head;
mod linear;
mod quantize;
mod random;
mod rows;
mod samples;
mod trainer;

pub use config::{Optimizer, TrainConfig};
pub use error::{ConfigField, LearnError};
pub use head::{EmbeddingScale, Head};
pub use quantize::{HeadMut, MAX_FEATURES, OutputScale, quantize_head, quantize_multiplier};
pub use samples::{SampleBuffer, Samples};
pub use trainer::{Event, Score, Stop, TrainMemory, Trainer};
