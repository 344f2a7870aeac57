//! Loops for the DSP extension of Armv7E-M and Armv8-M: products of pairs of 16-bit numbers.

mod depthwise;
mod depthwise_any;
mod depthwise_loops;
mod expand;
mod matrix;
mod small;

pub(crate) use depthwise::depthwise;
pub(crate) use expand::{
    block_bytes, dot, fill_block, fill_block_edge, fill_block_rows, is_expanded,
};
pub(crate) use matrix::multiply_block;
pub(crate) use small::{add, sum_pixels};

pub(crate) const NAME: &str = "dsp";
