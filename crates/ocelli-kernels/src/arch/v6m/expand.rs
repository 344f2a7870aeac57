//! Blocks of pixels, two pixels a word.

use core::ops::Range;

use super::super::plain;
use super::loops;
use crate::filter::{Packing, Taps};

/// Filters in the order of the formulas are multiplied with words of two pixels.
pub(crate) const fn is_expanded(packing: Packing) -> bool {
    matches!(packing, Packing::Canonical)
}

/// A single pixel's codes stay as they are.
pub(crate) const fn block_bytes(taps: Taps, packing: Packing, pixels: usize) -> usize {
    match packing {
        Packing::Canonical if pixels > 1 => packing.block_bytes(taps, pixels),
        _ => taps.count().saturating_mul(pixels),
    }
}

/// Where the words of a tap lie: of two taps the words of each pair of pixels next to each other, of a last tap alone
/// each pair's one.
struct Places {
    taps: usize,
    pairs: usize,
}

impl Places {
    fn of(taps: Taps, pixels: usize) -> Self {
        Places {
            taps: taps.runs.wrapping_mul(taps.run),
            pairs: pixels.div_ceil(2),
        }
    }

    fn at(&self, tap: usize, pair: usize) -> usize {
        let first = (tap & !1) * self.pairs;
        if tap & 1 == 0 && tap + 1 == self.taps {
            first + pair
        } else {
            first + pair * 2 + (tap & 1)
        }
    }
}

/// The words of a block that begins at a multiple of 4.
pub(super) fn words(block: &mut [i8]) -> &mut [i32] {
    // SAFETY: four codes are a number, and any four are.
    unsafe { block.align_to_mut().1 }
}

/// Writes one code into its half of a word. The upper pixel counts 2^16, the lower one 1, both with their signs.
fn set(word: &mut i32, is_upper: bool, code: i8) {
    let lower = i32::from(*word as i16);
    *word = if is_upper {
        lower.wrapping_sub(i32::from(code) << 16)
    } else {
        word.wrapping_sub(lower).wrapping_sub(code.into())
    };
}

#[allow(clippy::too_many_arguments)]
pub(crate) fn fill_block(
    block: &mut [i8],
    taps: Taps,
    packing: Packing,
    pixels: usize,
    first: usize,
    run: usize,
    codes: &[i8],
    step: usize,
    count: usize,
) {
    if pixels < 2 || packing != Packing::Canonical {
        return plain::fill_block(block, taps, packing, pixels, first, run, codes, step, count);
    }
    let (all, tap) = (taps.runs.wrapping_mul(taps.run), run * taps.run);
    let is_even = (tap | taps.run) & 1 == 0 && taps.run > 0;
    let reach = (pixels - 1) * step + taps.run;
    // The usual case: whole pairs of taps of whole pairs of pixels, which lie in their block and in the row.
    if is_even && first == 0 && count == pixels && pixels & 1 == 0 && codes.len() >= reach {
        let pairs = pixels / 2;
        if block.len() >= all * pairs * 4
            && tap + taps.run <= all
            && block.as_ptr().align_offset(4) == 0
        {
            let (codes, words) = (codes.as_ptr(), block.as_mut_ptr().cast::<i32>());
            for pair in 0..pairs {
                let lower = codes.wrapping_add(pair * 2 * step);
                // SAFETY: the codes of the last pixel end within `codes`, the words of the last tap within the block,
                // whose words begin at multiples of 4.
                unsafe {
                    loops::ocelli_v6m_expand(
                        lower,
                        lower.wrapping_add(step),
                        words.wrapping_add(tap * pairs + pair * 2),
                        taps.run / 2,
                        pairs * 8,
                    );
                }
            }
            return;
        }
    }
    let words = words(block);
    let places = Places::of(taps, pixels);
    let of = |pixel: usize| {
        let codes = codes.get((pixel - first) * step..);
        codes.and_then(|codes| codes.get(..taps.run)).unwrap_or(&[])
    };
    let (mut pixel, end) = (first, first + count);
    while pixel < end {
        let is_pair = pixel & 1 == 0 && pixel + 1 < end;
        if is_pair {
            fill_pair(words, &places, pixel / 2, tap, of(pixel), of(pixel + 1));
        } else {
            fill_single(words, &places, pixel, tap..tap + taps.run, of(pixel), 0);
        }
        pixel += 1 + usize::from(is_pair);
    }
}

/// Writes the words of two pixels for taps from `tap` on.
fn fill_pair(
    words: &mut [i32],
    places: &Places,
    pair: usize,
    tap: usize,
    lower: &[i8],
    upper: &[i8],
) {
    let mut one = |at: usize| {
        let place = words.get_mut(places.at(tap + at, pair));
        if let (Some(word), Some(&lower), Some(&upper)) = (place, lower.get(at), upper.get(at)) {
            *word = -(i32::from(lower) + (i32::from(upper) << 16));
        }
    };
    let count = lower.len();
    // Pairs of taps begin at even ones.
    let skip = (tap & 1).min(count);
    if skip > 0 {
        one(0);
    }
    if (count - skip) & 1 != 0 {
        one(count - 1);
    }
    let pairs = (count - skip) / 2;
    let (Some(lower), Some(upper)) = (lower.get(skip..), upper.get(skip..)) else {
        return;
    };
    let step = places.pairs * 2;
    let rest = words
        .get_mut(places.at(tap + skip, pair)..)
        .unwrap_or_default();
    if pairs > 0 && upper.len() >= pairs * 2 && rest.len() >= (pairs - 1) * step + 2 {
        // SAFETY: both have two codes for each pair of taps, and the words reach to the last pair's second.
        unsafe {
            loops::ocelli_v6m_expand(
                lower.as_ptr(),
                upper.as_ptr(),
                rest.as_mut_ptr(),
                pairs,
                step * 4,
            );
        }
    }
}

#[allow(clippy::too_many_arguments)]
pub(crate) fn fill_block_edge(
    block: &mut [i8],
    taps: Taps,
    packing: Packing,
    pixels: usize,
    pixel: usize,
    run: usize,
    before: usize,
    codes: &[i8],
    zero_point: i8,
) {
    if pixels < 2 || packing != Packing::Canonical {
        return plain::fill_block_edge(
            block, taps, packing, pixels, pixel, run, before, codes, zero_point,
        );
    }
    let words = words(block);
    let places = Places::of(taps, pixels);
    let first = run * taps.run;
    let inside = first + before.min(taps.run);
    let behind = inside + codes.len();
    let end = first + taps.run;
    fill_single(words, &places, pixel, first..inside, &[], zero_point);
    fill_single(words, &places, pixel, inside..behind, codes, zero_point);
    fill_single(words, &places, pixel, behind..end, &[], zero_point);
}

/// Writes one pixel's half of the words of some taps: `codes`, and then padding.
#[inline(never)]
fn fill_single(
    words: &mut [i32],
    places: &Places,
    pixel: usize,
    taps: Range<usize>,
    codes: &[i8],
    zero_point: i8,
) {
    let (pair, is_upper, step) = (pixel / 2, pixel & 1 != 0, places.pairs * 2);
    let mut codes = codes.iter();
    let mut next = || codes.next().copied().unwrap_or(zero_point);
    let (mut tap, end) = (taps.start, taps.end);
    let one = |words: &mut [i32], tap: usize, code: i8| {
        if let Some(word) = words.get_mut(places.at(tap, pair)) {
            set(word, is_upper, code);
        }
    };
    // Pairs of taps begin at even ones.
    if tap & 1 != 0 && tap < end {
        one(words, tap, next());
        tap += 1;
    }
    let pairs = end.saturating_sub(tap) / 2;
    let rest = words.get_mut(places.at(tap, pair)..).unwrap_or_default();
    for words in rest.chunks_mut(step.max(1)).take(pairs) {
        if let [first, second, ..] = words {
            set(first, is_upper, next());
            set(second, is_upper, next());
        }
    }
    if tap + pairs * 2 < end {
        one(words, end - 1, next());
    }
}
