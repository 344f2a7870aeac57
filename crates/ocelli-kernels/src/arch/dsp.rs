//! Loops for the DSP extension of Armv7E-M and Armv8-M: products of pairs of 16-bit numbers.

pub(crate) use super::plain::{
    block_bytes, depthwise, fill_block, fill_block_edge, is_expanded, multiply_block,
};

pub(crate) const NAME: &str = "dsp";
