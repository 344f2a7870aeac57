//! Portable inner loops. The compiler makes SIMD of them where the target has it.

use crate::add::AddParams;
use crate::depthwise::DepthwiseParams;
use crate::filter::{Filters, Packing, Taps};
use crate::requantize::ChannelRequant;
use crate::rows::Rows;

#[cfg(not(any(ocelli_arch = "dsp", ocelli_arch = "mve")))]
pub(crate) const NAME: &str = "plain";

pub(crate) const IN_PAIRS: bool = false;
pub(crate) const LEAST_PIXELS: usize = 1;
pub(crate) const LEAST_CHANNELS: usize = 1;

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
        match filters.packing {
            Packing::Canonical => pixel(codes, filters.weights, requant, output),
            Packing::Paired => pixel_of_pairs(codes, filters, requant, output),
        }
    }
}

/// One pixel times filters in the order of the formulas, four at once.
fn pixel(codes: &[i8], weights: &[i8], requant: &ChannelRequant<'_>, output: &mut [i8]) {
    let each = codes.len().max(1);
    let mut factors = requant.channels();
    for (output, weights) in output.chunks_mut(4).zip(weights.chunks((each * 4).max(1))) {
        let filter = |n: usize| weights.get(n.min(output.len() - 1) * each..);
        let run = |n: usize| filter(n).and_then(|run| run.get(..each)).unwrap_or(&[]);
        let sums = dots(codes, [run(0), run(1), run(2), run(3)]);
        for ((code, sum), (bias, factor)) in output.iter_mut().zip(sums).zip(factors.by_ref()) {
            *code = requant.code(bias.wrapping_add(sum), factor);
        }
    }
}

#[cfg(ocelli_arch = "v6m")]
use super::v6m::dots;

/// Products of `codes` with four runs of weights.
#[cfg(all(
    target_arch = "arm",
    not(any(ocelli_arch = "v6m", ocelli_arch = "mve"))
))]
fn dots(codes: &[i8], [a, b, c, d]: [&[i8]; 4]) -> [i32; 4] {
    let weights = a.iter().zip(b).zip(c.iter().zip(d));
    let pairs = codes.iter().zip(weights);
    pairs.fold([0; 4], |[w, x, y, z], (&code, ((&a, &b), (&c, &d)))| {
        let times = |sum: i32, weight: i8| sum.wrapping_add(i32::from(code) * i32::from(weight));
        [times(w, a), times(x, b), times(y, c), times(z, d)]
    })
}

/// Products of `codes` with four runs of weights: one after another, each in wide registers.
#[cfg(any(not(target_arch = "arm"), ocelli_arch = "mve"))]
fn dots(codes: &[i8], filters: [&[i8]; 4]) -> [i32; 4] {
    filters.map(|weights| super::dot(0, codes, weights))
}

/// One pixel times filters in pairs of channels.
fn pixel_of_pairs(
    codes: &[i8],
    filters: &Filters<'_>,
    requant: &ChannelRequant<'_>,
    output: &mut [i8],
) {
    let mut factors = requant.channels();
    let run = filters.taps.run.max(1);
    let each = Packing::Paired.filters_len(filters.taps, 2).max(1);
    let pairs = filters.weights.chunks_exact(each);
    for (output, pair) in output.chunks_mut(2).zip(pairs) {
        let mut words = pair.chunks_exact(4);
        let runs = codes.chunks_exact(run);
        let sums = runs.fold([0; 2], |sums, run| run_of_pairs(sums, run, &mut words));
        for ((code, sum), (bias, factor)) in output.iter_mut().zip(sums).zip(factors.by_ref()) {
            *code = requant.code(bias.wrapping_add(sum), factor);
        }
    }
}

/// Adds the products of a run's codes with both filters' weights.
fn run_of_pairs<'w>(
    sums: [i32; 2],
    run: &[i8],
    words: &mut impl Iterator<Item = &'w [i8]>,
) -> [i32; 2] {
    let add = |[first, second]: [i32; 2], [k, l]: [i8; 2], word: Option<&[i8]>| match word {
        Some(&[a, b, c, d]) => {
            let [k, l, a, b, c, d] = [k, l, a, b, c, d].map(i32::from);
            [
                first.wrapping_add(k * a + l * c),
                second.wrapping_add(k * b + l * d),
            ]
        }
        _ => [first, second],
    };
    let fours = run.chunks_exact(4);
    let rest = fours.remainder();
    let mut sums = sums;
    for four in fours {
        if let &[a, b, c, d] = four {
            sums = add(sums, [a, c], words.next());
            sums = add(sums, [b, d], words.next());
        }
    }
    match *rest {
        [a, b, c] => {
            sums = add(sums, [a, c], words.next());
            add(sums, [b, 0], words.next())
        }
        [a, b] => add(sums, [a, b], words.next()),
        [a] => add(sums, [a, 0], words.next()),
        _ => sums,
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
