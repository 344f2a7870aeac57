//! The inner loops, one file per instruction set with the same names in each. `unsafe` is allowed here only.
//!
//! # What a file has
//! - `NAME`: what `backend()` reports.
//! - `is_expanded(packing)`: whether the loops for filters of that packing read a *block*: a few pixels' codes under the
//!   filter, brought into the form that the loops want. Otherwise they read codes as they lie, `taps.count()` a pixel.
//! - `block_bytes(taps, packing, pixels)`: the memory for a block, never more than `Packing::block_bytes` says.
//! - `fill_block(block, taps, packing, pixels, first, run, codes, step, count)`: brings run `run` of the pixels
//!   `first..first + count` of a block of `pixels` pixels into it; pixel `first + i` has its codes at `i * step`.
//! - `fill_block_rows(block, taps, packing, pixels, codes, step, row_step)`: all runs of all pixels; run `r` of pixel `i`
//!   has its codes at `r * row_step + i * step`.
//! - `fill_block_edge(.., pixel, run, before, codes, zero_point)`: the same for one pixel whose run reaches over an end of
//!   the row: `before` codes and those behind `codes` are padding.
//! - `multiply_block(block, pixels, filters, requant, output)`: all channels of these pixels, `[pixel][channel]`.
//! - `LEAST_PIXELS`, `LEAST_CHANNELS`: the smallest block, and the fewest filters, for which a block is worth filling with
//!   codes that lie together as it is.
//! - `IN_PAIRS`: whether pixels are multiplied two at a time, so that three cost as much as four.
//! - `multiply_codes(codes, pixels, ..)`: the same from codes as they lie, however many pixels.
//! - `depthwise(params, input, first_row, scratch, output)`: output rows of a depthwise convolution, or `false`, and then
//!   nothing was done.
//! - `add(params, a, b, output)`: sums of codes, or `false`, and then nothing was done.
//! - `sum_pixels(codes, step, sums)`: adds the first four codes of every `step` to four sums; there are four in the last
//!   piece too.
//! - `dot`, `sum`: of runs of codes, wherever there is nothing better.
//!
//! The choice is made here and nowhere else.

#[cfg(ocelli_arch = "dsp")]
mod dsp;
#[cfg(ocelli_arch = "mve")]
mod mve;
// Other sets have better ones for some of these.
#[cfg_attr(
    any(ocelli_arch = "dsp", ocelli_arch = "mve", ocelli_arch = "v6m"),
    allow(dead_code)
)]
pub(crate) mod plain;

#[cfg(ocelli_arch = "v6m")]
mod v6m;

#[cfg(ocelli_arch = "dsp")]
pub(crate) use dsp::*;
#[cfg(ocelli_arch = "mve")]
pub(crate) use mve::*;
#[cfg(not(any(ocelli_arch = "dsp", ocelli_arch = "mve", ocelli_arch = "v6m")))]
pub(crate) use plain::*;
#[cfg(not(ocelli_arch = "v6m"))]
pub(crate) use plain::{IN_PAIRS, LEAST_CHANNELS, LEAST_PIXELS, multiply_block as multiply_codes};
#[cfg(ocelli_arch = "v6m")]
pub(crate) use v6m::*;

/// All runs of all pixels of a block, run by run.
#[cfg(not(ocelli_arch = "dsp"))]
pub(crate) fn fill_block_rows(
    block: &mut [i8],
    taps: crate::filter::Taps,
    packing: crate::filter::Packing,
    pixels: usize,
    codes: &[i8],
    step: usize,
    row_step: usize,
) {
    for run in 0..taps.runs {
        let codes = codes.get(run * row_step..).unwrap_or(&[]);
        fill_block(block, taps, packing, pixels, 0, run, codes, step, pixels);
    }
}
