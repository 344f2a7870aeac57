//! Portable inner loops. The compiler makes SIMD of them where the target has it.

use crate::add::AddParams;
use crate::depthwise::DepthwiseParams;
use crate::filter::{Filters, Packing, Taps};
use crate::requantize::ChannelRequant;
use crate::rows::Rows;

pub(crate) const NAME: &str = "plain";

/// Codes are read as they lie.
pub(crate) const fn is_expanded(_packing: Packing) -> bool {
    false
}

pub(crate) const fn block_bytes(taps: Taps, _packing: Packing, pixels: usize) -> usize {
    taps.count().saturating_mul(pixels)
}

/// `acc` plus the products of two runs of codes; the shorter one ends it.
#[inline(always)]
pub(crate) fn dot(acc: i32, a: &[i8], b: &[i8]) -> i32 {
    // Integer sums may be taken in any order: this is what lets the compiler use wide registers.
    a.iter().zip(b).fold(acc, |acc, (&a, &b)| {
        acc.wrapping_add(i32::from(a) * i32::from(b))
    })
}

/// The codes of run `run` of pixel `pixel` of a block.
fn place<'b>(block: &'b mut [i8], taps: &Taps, pixel: usize, run: usize) -> &'b mut [i8] {
    let first = pixel * taps.count() + run * taps.run;
    block
        .get_mut(first..)
        .and_then(|codes| codes.get_mut(..taps.run))
        .unwrap_or_default()
}

#[allow(clippy::too_many_arguments)]
pub(crate) fn fill_block(
    block: &mut [i8],
    taps: Taps,
    _packing: Packing,
    _pixels: usize,
    first: usize,
    run: usize,
    codes: &[i8],
    step: usize,
    count: usize,
) {
    for pixel in 0..count {
        let codes = codes.get(pixel * step..).unwrap_or(&[]);
        for (place, &code) in place(block, &taps, first + pixel, run)
            .iter_mut()
            .zip(codes)
        {
            *place = code;
        }
    }
}

#[allow(clippy::too_many_arguments)]
pub(crate) fn fill_block_edge(
    block: &mut [i8],
    taps: Taps,
    _packing: Packing,
    _pixels: usize,
    pixel: usize,
    run: usize,
    before: usize,
    codes: &[i8],
    zero_point: i8,
) {
    let place = place(block, &taps, pixel, run);
    place.fill(zero_point);
    for (place, &code) in place.iter_mut().skip(before).zip(codes) {
        *place = code;
    }
}

pub(crate) fn multiply_block(
    block: &[i8],
    pixels: usize,
    filters: &Filters<'_>,
    requant: &ChannelRequant<'_>,
    output: &mut [i8],
) {
    let channels = requant.bias.len().max(1);
    let codes = block.chunks_exact(filters.taps.count().max(1));
    let pixels = codes.take(pixels).zip(output.chunks_exact_mut(channels));
    for (codes, output) in pixels {
        for (out, ((bias, factor), code)) in requant.channels().zip(output).enumerate() {
            let runs = codes.chunks_exact(filters.taps.run.max(1)).enumerate();
            let acc = runs.fold(bias, |acc, (run, codes)| {
                acc.wrapping_add(filters.dot(out, run, 0, codes))
            });
            *code = requant.code(acc, factor);
        }
    }
}

pub(crate) fn depthwise(
    _params: &DepthwiseParams<'_>,
    _input: &Rows<'_>,
    _first_row: usize,
    _scratch: &mut [i8],
    _output: &mut [i8],
) -> bool {
    false
}

pub(crate) fn add(_params: &AddParams, _a: &[i8], _b: &[i8], _output: &mut [i8]) -> bool {
    false
}

#[inline(always)]
pub(crate) fn sum_pixels(codes: &[i8], step: usize, sums: &mut [i32; 4]) {
    for pixel in codes.chunks(step.max(1)) {
        for (sum, &code) in sums.iter_mut().zip(pixel) {
            *sum = sum.wrapping_add(code.into());
        }
    }
}
