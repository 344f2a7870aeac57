//! Depthwise convolutions with filters of any size.
//!
//! Pairs of rows are in the strip as for 3x3, in as many slots as a filter needs. An output row that begins with the upper
//! row of a pair multiplies by the pairs of weights `(w0, w1)`, `(w2, w3)`, ...; one that begins with the lower row by
//! `(0, w0)`, `(w1, w2)`, .... So two output rows of stride 1 read the same pairs.
#![allow(unsafe_code)] // Reads and writes by pointers, in ranges that `depthwise` has checked.

use super::depthwise::{CHANNELS, COLUMN, ROWS, Strip, doubled_pair, rounding, words};
use super::depthwise_loops::{Rounding, function};
use crate::depthwise::DepthwiseParams;
use crate::filter::column_words;

/// Pairs that a filter has at most.
const PAIRS: usize = ROWS / 2 + 1;

/// What is the same in all columns of a channel's output row.
#[repr(C)]
struct Block {
    /// Where the slot of each pair begins, in bytes.
    offsets: *const usize,
    /// Pairs of weights, pair by pair and column by column.
    weights: *const u32,
    pairs: usize,
    filter_w: usize,
    rounding: Rounding,
    next_pixel: usize,
}

unsafe extern "C" {
    /// Makes four output columns of a channel, or writes `count` of them; stride 1.
    ///
    /// # Safety
    /// The strip has the columns of four outputs in every slot; there are as many offsets and weights as `block` says.
    fn ocelli_dsp_depthwise_block_1(
        strip: *const u32,
        block: *const Block,
        output: *mut i8,
        count: usize,
    );

    /// The same with stride 2.
    ///
    /// # Safety
    /// As above.
    fn ocelli_dsp_depthwise_block_2(
        strip: *const u32,
        block: *const Block,
        output: *mut i8,
        count: usize,
    );
}

// Four sums share the loads of weights, pair by pair and column by column.
// r0 strip, r1 offsets, r2 weights, r3 pairs left, r4 filter columns, r5 scratch, r6-r9 sums, r10 place in the strip,
// r11 columns left, r12 pair of codes, lr pair of weights. Then r1 block, r2 output, r3 columns to write, r4 multiplier,
// r5 half, r10 shift, r11 bytes to the next pixel, r12 scratch.
macro_rules! block {
    ($name:literal, $second:literal, $third:literal, $fourth:literal) => {
        function!(
            $name,
            "push {r1-r11, lr}",
            "ldr r6, [r1, #24]",
            "mov r7, r6",
            "mov r8, r6",
            "mov r9, r6",
            "ldm r1, {r1-r4}",
            "1: ldr r10, [r1], #4",
            "mov r11, r4",
            "add r10, r0",
            "2: ldr lr, [r2], #4",
            concat!("ldr r12, [r10, #", $second, "]"),
            "ldr r5, [r10], #32",
            "smlad r7, r12, lr, r7",
            "smlad r6, r5, lr, r6",
            concat!("ldr r12, [r10, #", $third, " - 32]"),
            concat!("ldr r5, [r10, #", $fourth, " - 32]"),
            "smlad r8, r12, lr, r8",
            "smlad r9, r5, lr, r9",
            "subs r11, #1",
            "bne 2b",
            "subs r3, #1",
            "bne 1b",
            "pop {r1-r3}",
            "ldrd r4, r5, [r1, #16]",
            "ldrd r10, r11, [r1, #28]",
            "add r12, r5, r6, asr #31",
            "smmlar r6, r6, r4, r12",
            "add r12, r5, r7, asr #31",
            "smmlar r7, r7, r4, r12",
            "add r12, r5, r8, asr #31",
            "smmlar r8, r8, r4, r12",
            "add r12, r5, r9, asr #31",
            "smmlar r9, r9, r4, r12",
            "asr r6, r6, r10",
            "asr r7, r7, r10",
            "asr r8, r8, r10",
            "asr r9, r9, r10",
            "ssat r6, #8, r6",
            "ssat r7, #8, r7",
            "ssat r8, #8, r8",
            "ssat r9, #8, r9",
            "strb r6, [r2]",
            "subs r3, #1",
            "beq 3f",
            "strb r7, [r2, r11]",
            "add r2, r2, r11, lsl #1",
            "subs r3, #1",
            "beq 3f",
            "strb r8, [r2]",
            "subs r3, #1",
            "beq 3f",
            "strb r9, [r2, r11]",
            "3: pop {r4-r11, pc}",
        );
    };
}
block!("ocelli_dsp_depthwise_block_1", "32", "64", "96");
block!("ocelli_dsp_depthwise_block_2", "64", "128", "192");

/// Output rows of four channels.
///
/// # Safety
/// There are four channels from `channel` on, and `columns` pixels of `output_rows` rows from `output` on; the strip has all
/// columns that they read, and those of four pixels, and the rows that it is made from all rows.
#[inline(never)]
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
    let make = if window.stride_w == 1 {
        ocelli_dsp_depthwise_block_1
    } else {
        ocelli_dsp_depthwise_block_2
    };
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
        let mut slots_of_pairs = [0; PAIRS];
        let mut slot = first_slot;
        for offset in slots_of_pairs.iter_mut().take(pairs) {
            *offset = (slot / 2 * strip.plane + slot % 2) * 4;
            slot = after(slot, slots);
        }
        let mut sets = table.chunks_exact(set.max(1)).skip(lower).step_by(2);
        for at in 0..CHANNELS {
            let block = Block {
                offsets: slots_of_pairs.as_ptr(),
                weights: sets.next().unwrap_or(&[]).as_ptr(),
                pairs,
                filter_w: window.filter_w,
                rounding: rounding(p, channel + at),
                next_pixel: p.output.c,
            };
            let mut column = 0;
            while column < columns {
                // The last columns are made again where their number is not a multiple of four.
                let first = column.min(columns.saturating_sub(4));
                // SAFETY: the caller's; there is a set of weights for each channel.
                unsafe {
                    let strip = strip.words.add(first * window.stride_w * COLUMN + 2 * at);
                    let output = output.add(first * p.output.c + at);
                    make(strip, &block, output, columns.min(4));
                }
                column += 4;
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
#[inline(never)]
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
