//! Depthwise convolutions with filters of any size.
//!
//! Pairs of rows are in the strip as for 3x3, in as many slots as a filter needs. An output row that begins with the upper
//! row of a pair multiplies by the pairs of weights `(w0, w1)`, `(w2, w3)`, ...; one that begins with the lower row by
//! `(0, w0)`, `(w1, w2)`, .... So two output rows of stride 1 read the same pairs.
#![allow(unsafe_code)] // Reads and writes by pointers, in ranges that `depthwise` has checked.

use core::arch::asm;

use super::depthwise::{CHANNELS, COLUMN, Strip, doubled_pair, rounding, words};
use super::depthwise_loops::Rounding;
use crate::depthwise::DepthwiseParams;
use crate::filter::column_words;

/// Output rows of four channels.
///
/// # Safety
/// There are four channels from `channel` on, and `columns` pixels of `output_rows` rows from `output` on; the strip has all
/// columns that they read, and the rows that it is made from all rows.
pub(super) unsafe fn rows(
    p: &DepthwiseParams<'_>,
    strip: &Strip<'_>,
    table: &mut [u32],
    channel: usize,
    mut output: *mut i8,
    output_rows: usize,
    columns: usize,
) {
    let window = &p.window;
    let slots = p.strip_slots();
    let set = slots * window.filter_w;
    for (at, sets) in (channel..).zip(table.chunks_exact_mut((2 * set).max(1))) {
        let (upper, lower) = sets.split_at_mut_checked(set).unwrap_or_default();
        expand(p, at, upper, lower);
    }
    // Pairs that were made, the slot of the next one, and that of the first one of this row.
    let (mut made, mut next_slot, mut first_slot) = (0, 0, 0);
    for row in 0..output_rows {
        let (first, lower) = if window.stride_h == 1 {
            (row / 2, row % 2)
        } else {
            (row, 0)
        };
        let pairs = (window.filter_h + lower).div_ceil(2);
        while made < first + pairs {
            // SAFETY: the caller's; a slot that is in use is not made anew, as there are as many as pairs at most.
            unsafe { strip.fill(made, next_slot, channel) };
            made += 1;
            next_slot = after(next_slot, slots);
        }
        let mut sets = table.chunks_exact(set.max(1)).skip(lower).step_by(2);
        for at in 0..CHANNELS {
            let filter = Filter {
                weights: sets.next().unwrap_or(&[]),
                columns: window.filter_w,
                pairs,
                slots,
                first_slot,
                plane: strip.plane,
                rounding: rounding(p, channel + at),
            };
            // SAFETY: the caller's.
            unsafe {
                let (strip, output) = (strip.words.add(2 * at), output.add(at));
                if window.stride_w == 1 {
                    filter.row::<1>(strip, output, columns, p.output.c);
                } else {
                    filter.row::<2>(strip, output, columns, p.output.c);
                }
            }
        }
        // SAFETY: the next row, if there is one, is in the output too.
        output = output.wrapping_add(p.output.row_elems());
        if window.stride_h == 2 || lower == 1 {
            first_slot = after(first_slot, slots);
        }
    }
}

/// The slot behind another one.
fn after(slot: usize, slots: usize) -> usize {
    if slot + 1 < slots { slot + 1 } else { 0 }
}

/// Brings the packed weights of a channel into pairs, pair by pair and column by column.
fn expand(p: &DepthwiseParams<'_>, channel: usize, upper: &mut [u32], lower: &mut [u32]) {
    let (filter_h, filter_w) = (p.window.filter_h, p.window.filter_w);
    let put = |pairs: &mut [u32], pair: usize, column: usize, value: u32| {
        if let Some(place) = pairs.get_mut(pair * filter_w + column) {
            *place = value;
        }
    };
    let in_column = column_words(filter_h);
    let mut words = words(p, channel);
    for column in 0..filter_w {
        for (at, word) in words.by_ref().take(in_column).enumerate() {
            let (even, odd) = (doubled_pair(word), doubled_pair(word.rotate_right(8)));
            if at == 0 {
                put(lower, 0, column, even << 16);
            }
            put(upper, at, column, even);
            put(lower, at + 1, column, odd);
            // The last row of an odd number; with an even one, the next word is put over it or nothing reads it.
            put(upper, at + 1, column, odd >> 16);
        }
    }
}

/// One output row of a channel.
struct Filter<'a> {
    /// Pairs of weights, pair by pair and column by column.
    weights: &'a [u32],
    columns: usize,
    pairs: usize,
    slots: usize,
    first_slot: usize,
    plane: usize,
    rounding: Rounding,
}

impl Filter<'_> {
    /// # Safety
    /// The strip and the output, both of this channel, have as many columns.
    unsafe fn row<const STRIDE: usize>(
        &self,
        strip: *const u32,
        output: *mut i8,
        columns: usize,
        next_pixel: usize,
    ) {
        // SAFETY: the caller's.
        unsafe {
            if columns < 4 {
                for at in 0..columns {
                    self.block::<STRIDE, 1>(strip, output, at, next_pixel);
                }
                return;
            }
            let mut at = 0;
            while at + 4 <= columns {
                self.block::<STRIDE, 4>(strip, output, at, next_pixel);
                at += 4;
            }
            if at < columns {
                // Columns that the block before has made are made again.
                self.block::<STRIDE, 4>(strip, output, columns - 4, next_pixel);
            }
        }
    }

    /// `N` output columns from column `at` on, which share the loads of weights.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn block<const STRIDE: usize, const N: usize>(
        &self,
        strip: *const u32,
        output: *mut i8,
        at: usize,
        next_pixel: usize,
    ) {
        let mut sums = [self.rounding.bias; N];
        let mut slot = self.first_slot;
        let pairs = self.weights.chunks_exact(self.columns.max(1));
        for weights in pairs.take(self.pairs) {
            let first = slot / 2 * self.plane + at * STRIDE * COLUMN + slot % 2;
            // SAFETY: the caller's.
            let mut words = unsafe { strip.add(first) };
            for &weights in weights {
                for (i, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller's.
                    *sum = multiply(unsafe { *words.add(i * STRIDE * COLUMN) }, weights, *sum);
                }
                words = words.wrapping_add(COLUMN);
            }
            slot = after(slot, self.slots);
        }
        for (i, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller's.
            unsafe { *output.add((at + i) * next_pixel) = code(sum, &self.rounding) };
        }
    }
}

/// `sum` and two products of 16 bits.
#[inline(always)]
fn multiply(codes: u32, weights: u32, mut sum: i32) -> i32 {
    // SAFETY: smlad, for which there is no function in stable Rust, reads and writes registers only.
    unsafe {
        asm!("smlad {sum}, {codes}, {weights}, {sum}", sum = inout(reg) sum, codes = in(reg) codes,
            weights = in(reg) weights, options(pure, nomem, nostack));
    }
    sum
}

/// The code of a doubled sum; see [`super::depthwise_loops`].
#[inline(always)]
fn code(sum: i32, rounding: &Rounding) -> i8 {
    let code: i32;
    // SAFETY: smmlar, shifts and ssat read and write registers only.
    unsafe {
        asm!(
            "add {code}, {half}, {sum}, asr #31",
            "smmlar {code}, {sum}, {multiplier}, {code}",
            "asr {code}, {code}, {shift}",
            "ssat {code}, #8, {code}",
            code = out(reg) code, sum = in(reg) sum, half = in(reg) rounding.half,
            multiplier = in(reg) rounding.multiplier, shift = in(reg) rounding.shift,
            options(pure, nomem, nostack),
        );
    }
    code as i8
}
