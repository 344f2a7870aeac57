//! Loops for Helium, the vectors of Armv8.1-M.
//!
//! `unsafe` is needed to call functions in assembly: whole functions, since their loops use all registers, among them those
//! that inline assembly may not have.
#![allow(unsafe_code)]

mod codes;
mod depthwise;
mod matrix;

pub(crate) use super::plain::{block_bytes, fill_block_edge, is_expanded};
pub(crate) use codes::{add, dot, fill_block, sum_pixels};
pub(crate) use depthwise::depthwise;
pub(crate) use matrix::multiply_block;

pub(crate) const NAME: &str = "mve";

/// Codes in a vector.
const LANES: usize = 16;
