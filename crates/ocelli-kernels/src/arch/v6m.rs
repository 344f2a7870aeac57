//! Loops for Armv6-M, the Cortex-M0, M0+ and M1: no SIMD, eight registers that most instructions reach, a multiplier of
//! 32 by 32 to 32 bits. The M3, which has no SIMD either, runs them with better instructions in some places (`v7m.s`).

#![allow(unsafe_code)] // The loops are assembly: the compiler has too few registers for them.

mod depthwise;
mod expand;
mod loops;
mod matrix;

pub(crate) use super::plain::{add, dot, sum_pixels};
pub(crate) use depthwise::depthwise;
pub(crate) use expand::{block_bytes, fill_block, fill_block_edge, is_expanded};
pub(super) use matrix::dots;
pub(crate) use matrix::{multiply_block, multiply_codes};

pub(crate) const NAME: &str = if cfg!(ocelli_long_multiply) {
    "v7m"
} else {
    "v6m"
};

/// A single pixel's block is its codes.
pub(crate) const LEAST_PIXELS: usize = 2;

pub(crate) const IN_PAIRS: bool = true;

/// With fewer, filling a block costs more than it saves.
pub(crate) const LEAST_CHANNELS: usize = 4;

/// How the fast requantization of [`loops`] is told that a sum is in range.
///
/// It multiplies `a = sum >> (e - 7)` by the multiplier's upper 15 bits `m`: the code is `a * m >> 22`, and with `a` below
/// this the product stays in 32 bits; above, the code is beyond all codes.
const LIMIT: u32 = 255 << 8;

/// What it adds to the product: the half that rounds, and the largest error of what was left out of both factors.
const ROUND: i32 = (1 << 21) + 5 * (1 << 14);
