//! Int8 kernels of convolutional networks, working on rows.
//!
//! Every op is one file and has the same three parts: `Params` (plain, public, named fields), `new(params)`, which
//! checks everything once, and `run`, which cannot fail, allocate, panic or touch a float. `assume_checked(params)`
//! makes the same kernel again from parameters that `new` has accepted before, for callers that have no memory to
//! keep it in.
//!
//! # Shapes
//! Activations are `[h, w, c]` codes, row after row. A kernel reads input rows through [`Rows`], which knows where the
//! rows of a ring lie, and writes whole output rows that lie next to each other.
//!
//! # Source
//! Arithmetic: the reference kernels of TensorFlow Lite for Microcontrollers, with double rounding.
#![no_std]
#![deny(unsafe_code)]

mod add;
mod arch;
mod concat;
mod conv;
mod dense;
mod depthwise;
mod error;
mod filter;
mod geometry;
mod layer_norm;
mod multiply;
mod pad;
mod pointwise;
mod pool;
mod requantize;
mod rows;
mod softmax;
mod table;

pub use add::{Add, AddParams};
pub use concat::{Concat, ConcatParams};
pub use conv::{Conv2d, Conv2dParams};
pub use dense::{Dense, DenseParams};
pub use depthwise::{Depthwise, DepthwiseParams};
pub use error::{Operand, ShapeError};
pub use filter::{BLOCK_PIXELS, Packing, Taps};
pub use geometry::{Padding, Shape, Window};
pub use layer_norm::{LayerNorm, LayerNormParams};
pub use multiply::{Multiply, MultiplyParams};
pub use pad::{Pad, PadParams};
pub use pointwise::{Pointwise, PointwiseParams};
pub use pool::{AveragePool, GlobalAveragePool, GlobalAveragePoolParams, MaxPool, PoolParams};
pub use requantize::{
    ChannelRequant, Clamp, PAIRED_SHIFTS, Requant, rounding_divide_by_power_of_two,
    saturating_rounding_doubling_high_mul,
};
pub use rows::Rows;
pub use softmax::{Softmax, SoftmaxParams};
pub use table::{Table, TableParams};

/// The name of the inner loops that this build uses.
pub const fn backend() -> &'static str {
    arch::NAME
}
