//! Loops for the DSP extension of Armv7E-M and Armv8-M: products of pairs of 16-bit numbers.

mod depthwise;
mod depthwise_any;
mod depthwise_loops;
mod expand;
mod matrix;

pub(crate) use depthwise::depthwise;
pub(crate) use expand::{block_bytes, dot, fill_block, fill_block_edge, is_expanded};
pub(crate) use matrix::multiply_block;

pub(crate) const NAME: &str = "dsp";

/// Brings codes into the range of a fused activation.
fn clamp(clamp: crate::requantize::Clamp, codes: &mut [i8]) {
    if clamp != crate::requantize::Clamp::NONE {
        for code in codes {
            *code = clamp.apply((*code).into());
        }
    }
}
