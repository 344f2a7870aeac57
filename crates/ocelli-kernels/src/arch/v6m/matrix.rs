//! Blocks of pixels times filters.

use super::super::plain;
use super::{LIMIT, ROUND, loops};
use crate::filter::{Filters, Packing};
use crate::requantize::ChannelRequant;

/// Sums of products of `codes` with each of four runs of as many weights; of fewer where one is shorter.
pub(crate) fn dots(codes: &[i8], filters: [&[i8]; 4]) -> [i32; 4] {
    let shortest = filters
        .iter()
        .map(|run| run.len())
        .fold(codes.len(), usize::min);
    let mut sums = [0; 4];
    if shortest > 0 {
        let filters = filters.map(<[i8]>::as_ptr);
        // SAFETY: all five have that many codes, and the sums are four words.
        unsafe { loops::ocelli_v6m_dots(codes.as_ptr(), &filters, shortest, &mut sums) };
    }
    sums
}

/// Codes as they lie, four pixels at once; single ones four channels at once.
pub(crate) fn multiply_codes(
    codes: &[i8],
    pixels: usize,
    filters: &Filters<'_>,
    requant: &ChannelRequant<'_>,
    output: &mut [i8],
) {
    let (count, channels) = (filters.taps.count(), requant.bias.len());
    let enough = codes.len() >= count * pixels
        && filters.weights.len() >= count * channels
        && requant.multiplier.len() >= channels
        && requant.shift.len() >= channels
        && output.len() >= pixels * channels;
    if filters.packing != Packing::Canonical || !enough || count == 0 || channels == 0 {
        return plain::multiply_block(codes, pixels, filters, requant, output);
    }
    let inputs = codes.chunks((count * 4).max(1));
    let blocks = inputs.zip(output.chunks_mut((channels * 4).max(1)));
    for (codes, output) in blocks {
        let pixels = output.len().checked_div(channels).unwrap_or(0);
        if pixels < 2 {
            return plain::multiply_block(codes, pixels, filters, requant, output);
        }
        let last = pixels - 1;
        let offset = |pixel: usize| pixel.min(last) * channels;
        let end = |pixel: usize| codes.as_ptr().wrapping_add((pixel.min(last) + 1) * count);
        // SAFETY: `enough` says that all are as long as the loops go; pixels that there are not are the last once more.
        unsafe {
            loops::ocelli_v6m_codes_4(
                &[end(0), end(1), end(2), end(3)],
                filters.weights.as_ptr(),
                output.as_mut_ptr(),
                requant.bias.as_ptr(),
                requant.multiplier.as_ptr(),
                requant.shift.as_ptr(),
                channels * 4,
                offset(1),
                offset(2),
                offset(3),
                requant.output_zero_point.into(),
                requant.clamp.min.into(),
                requant.clamp.max.into(),
                LIMIT,
                ROUND,
                -(count as isize),
            );
        }
    }
}

pub(crate) fn multiply_block(
    block: &[i8],
    pixels: usize,
    filters: &Filters<'_>,
    requant: &ChannelRequant<'_>,
    output: &mut [i8],
) {
    let Filters {
        weights,
        packing,
        taps,
    } = *filters;
    if pixels < 2 || packing != Packing::Canonical {
        return plain::multiply_block(block, pixels, filters, requant, output);
    }
    let (count, channels) = (taps.runs.wrapping_mul(taps.run), requant.bias.len());
    let pairs = pixels.div_ceil(2);
    let enough = block.len() >= count * pairs * 4
        && weights.len() >= count * channels
        && requant.multiplier.len() >= channels
        && requant.shift.len() >= channels
        && output.len() >= pixels * channels
        && pixels <= 4
        && block.as_ptr().align_offset(4) == 0;
    if !enough || channels == 0 || count == 0 {
        return;
    }
    let words = block.as_ptr().cast::<i32>();
    // The last pixel is written first: without a fourth one, the third is written over what came of it.
    let offset = |pixel: usize| pixel.min(pixels - 1) * channels;
    let run = if pairs == 2 {
        loops::ocelli_v6m_matrix_4
    } else {
        loops::ocelli_v6m_matrix_2
    };
    // SAFETY: `enough` says that words, weights, factors and output are as long as the loops go: `count` words of each
    // pair of pixels, `count` weights of each channel, one code of each pixel and channel.
    unsafe {
        run(
            words,
            weights.as_ptr(),
            output.as_mut_ptr(),
            requant.bias.as_ptr(),
            requant.multiplier.as_ptr(),
            requant.shift.as_ptr(),
            channels * 4,
            offset(1),
            offset(2),
            offset(3),
            requant.output_zero_point.into(),
            requant.clamp.min.into(),
            requant.clamp.max.into(),
            LIMIT,
            ROUND,
            words.wrapping_add((count & !7) * pairs).cast(),
            words.wrapping_add((count & !1) * pairs).cast(),
            count & 1,
            -((count / 2) as isize),
        );
    }
}
