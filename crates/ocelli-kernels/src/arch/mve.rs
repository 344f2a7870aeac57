//! Loops for Helium, the vectors of Armv8.1-M.

pub(crate) use super::plain::{add, sum_pixels};
pub(crate) use super::plain::{
    block_bytes, depthwise, fill_block, fill_block_edge, is_expanded, multiply_block,
};

pub(crate) const NAME: &str = "mve";
