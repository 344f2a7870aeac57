//! Depthwise convolutions of four channels at a time, on pairs of rows.
#![allow(unsafe_code)] // The loops read and write by pointers, in ranges that `depthwise` has checked.

use core::arch::asm;

use super::depthwise_loops::{self as loops, Channel, Row};
use crate::depthwise::DepthwiseParams;
use crate::filter::{Packing, column_words};
use crate::rows::Rows;

/// Channels at a time.
const CHANNELS: usize = 4;
/// Words of a strip's column: two slots for each channel.
const COLUMN: usize = 2 * CHANNELS;
/// Input rows that a batch of output rows reads at most.
const ROWS: usize = 18;

/// Output rows `first_row..` of a depthwise convolution of 3x3 and stride 1 or 2, or `false`.
///
/// As many columns as the strip has room for, then as many rows as `ROWS` allows, then four channels; the last four
/// overlap those before where the number of channels is odd, and so do the last columns.
pub(crate) fn depthwise(
    p: &DepthwiseParams<'_>,
    input: &Rows<'_>,
    first_row: usize,
    scratch: &mut [i8],
    output: &mut [i8],
) -> bool {
    let window = &p.window;
    let (filter_h, filter_w) = (window.filter_h, window.filter_w);
    let stride = window.stride_h;
    let channels = p.input.c;
    let is_ours = p.packing == Packing::Paired
        && p.depth_multiplier == 1
        && channels >= CHANNELS
        && p.output.c == channels
        && (filter_h, filter_w) == (3, 3)
        && (stride, window.stride_w) == (window.stride_w, stride)
        && (stride == 1 || stride == 2)
        && (window.dilation_h, window.dilation_w) == (1, 1);
    // SAFETY: any four bytes are a word.
    let (_, strip, _) = unsafe { scratch.align_to_mut::<u32>() };
    // Output columns for which the strip has room.
    let fitting = match (strip.len() / COLUMN).checked_sub(filter_w) {
        Some(room) if is_ours => room.checked_div(stride).unwrap_or(0) + 1,
        _ => return false,
    };
    let requant = &p.requant;
    let channels_known = requant.bias.len().min(requant.multiplier.len());
    let channels_known = channels_known.min(requant.shift.len());
    let weights = p.packing.depthwise_len(filter_h, filter_w, channels);
    let at_once = fitting.min(p.output.w);
    if at_once < 2 || channels_known < channels || p.weights.len() < weights {
        return false;
    }
    let pass = Pass {
        p,
        input,
        zero: u32::from_ne_bytes([p.input_zero_point as u8; 4]),
        columns: at_once,
        strip_columns: (at_once - 1) * stride + filter_w,
    };
    let rows_at_once = (ROWS - filter_h) / stride + 1;
    let mut column = 0;
    loop {
        let batches = output.chunks_mut((rows_at_once * p.output.row_elems()).max(1));
        let mut row = first_row;
        for output in batches {
            pass.run(row, column, strip, output);
            row += rows_at_once;
        }
        if column + at_once >= p.output.w {
            break;
        }
        column = (column + at_once).min(p.output.w - at_once);
    }
    super::clamp(requant.clamp, output);
    true
}

/// Some columns of the output.
struct Pass<'a> {
    p: &'a DepthwiseParams<'a>,
    input: &'a Rows<'a>,
    /// Four codes of padding.
    zero: u32,
    /// Output columns.
    columns: usize,
    /// Columns of the strip, padding included.
    strip_columns: usize,
}

impl Pass<'_> {
    /// The output rows from `row` on, from column `column` on.
    #[inline(never)]
    fn run(&self, row: usize, column: usize, strip: &mut [u32], output: &mut [i8]) {
        let p = self.p;
        let (channels, stride) = (p.input.c, p.window.stride_h);
        let row_elems = p.output.row_elems();
        let output_rows = output.len().checked_div(row_elems).unwrap_or(0);
        // The columns of the strip that lie inside of the input, and the first of them in the input.
        let left = (column * stride) as i32 - p.window.padding.left as i32;
        let before = left.saturating_neg().max(0) as usize;
        let left = left.max(0) as usize;
        let inside = p.input.w.saturating_sub(left);
        let inside = inside.min(self.strip_columns.saturating_sub(before));
        if inside == 0 {
            return;
        }
        let zero = pair(self.zero);
        for (at, words) in strip.chunks_exact_mut(COLUMN).enumerate() {
            if at < before || (before + inside..self.strip_columns).contains(&at) {
                words.fill(zero);
            }
        }
        let mut rows = [Row {
            codes: (&raw const self.zero).cast(),
            step: 0,
        }; ROWS];
        let top = p.window.first_row(row);
        let reading = (output_rows.saturating_sub(1)) * stride + p.window.filter_h;
        for (row, r) in rows.iter_mut().take(reading).zip(top..) {
            if let Some(codes) = self
                .input
                .row(r)
                .and_then(|codes| codes.get(left * channels..))
            {
                if codes.len() >= inside * channels {
                    *row = Row {
                        codes: codes.as_ptr(),
                        step: channels,
                    };
                }
            }
        }
        let end = strip.as_mut_ptr();
        // SAFETY: `strip_columns` columns are in the strip.
        let interior = unsafe { end.add(before * COLUMN) };
        let strip = strip.as_mut_ptr();
        let output = &raw mut *output;
        let mut channel = 0;
        loop {
            let mut table = [Channel::default(); CHANNELS];
            self.describe(channel, &mut table);
            // SAFETY: see `depthwise`.
            unsafe {
                let fill = |slot: usize, row: usize| {
                    loops::ocelli_dsp_depthwise_fill(
                        interior.add(slot),
                        rows.as_ptr().add(row),
                        channel,
                        inside,
                    );
                };
                let mut output = output.cast::<i8>().add(column * channels + channel);
                fill(0, 0);
                let (mut slot, mut row) = (0, 0);
                if stride == 2 {
                    while row < output_rows {
                        fill(1 - slot, 2 * row + 2);
                        let make = if slot == 0 {
                            loops::ocelli_dsp_depthwise_stride_2_0
                        } else {
                            loops::ocelli_dsp_depthwise_stride_2_1
                        };
                        make(
                            strip,
                            table.as_ptr(),
                            output,
                            (self.columns - 1) * 64,
                            channels,
                        );
                        output = output.add(row_elems);
                        row += 1;
                        slot = 1 - slot;
                    }
                } else {
                    while row + 1 < output_rows {
                        fill(1 - slot, row + 2);
                        let make = if slot == 0 {
                            loops::ocelli_dsp_depthwise_two_rows_0
                        } else {
                            loops::ocelli_dsp_depthwise_two_rows_1
                        };
                        make(
                            strip,
                            table.as_ptr(),
                            output,
                            (self.columns - 1) * 32,
                            channels,
                            row_elems,
                        );
                        output = output.add(2 * row_elems);
                        row += 2;
                        slot = 1 - slot;
                    }
                    if row < output_rows {
                        fill(1 - slot, row + 2);
                        let make = if slot == 0 {
                            loops::ocelli_dsp_depthwise_row_0
                        } else {
                            loops::ocelli_dsp_depthwise_row_1
                        };
                        make(
                            strip,
                            table.as_ptr(),
                            output,
                            (self.columns - 1) * 32,
                            channels,
                        );
                    }
                }
            }
            if channel + CHANNELS >= channels {
                break;
            }
            channel = (channel + CHANNELS).min(channels - CHANNELS);
        }
    }

    /// What the loops need to know about four channels.
    fn describe(&self, first: usize, table: &mut [Channel; CHANNELS]) {
        let p = self.p;
        let words = column_words(p.window.filter_h) * p.window.filter_w;
        let weights = p.weights.get(first * words * 4..).unwrap_or(&[]);
        let requant = &p.requant;
        let numbers = requant
            .bias
            .iter()
            .zip(requant.multiplier)
            .zip(requant.shift);
        let one = 1 + 2 * i32::from(requant.output_zero_point);
        for ((channel, weights), ((&bias, &multiplier), &shift)) in table
            .iter_mut()
            .zip(weights.chunks_exact(words * 4))
            .zip(numbers.skip(first))
        {
            for (pairs, word) in channel
                .weights
                .chunks_exact_mut(2)
                .zip(weights.chunks_exact(4))
            {
                let word = match word {
                    &[a, b, c, d] => u32::from_le_bytes([a, b, c, d].map(|byte| byte as u8)),
                    _ => 0,
                };
                for (pair, word) in pairs.iter_mut().zip([word, word.rotate_right(8)]) {
                    *pair = doubled_pair(word);
                }
            }
            let e = -i32::from(shift);
            channel.multiplier = multiplier;
            channel.half = one.wrapping_shl((e - 1) as u32);
            channel.bias = bias.wrapping_mul(2);
            channel.shift = e;
        }
    }
}

/// Bytes 0 and 2 as numbers of 16 bits.
#[inline(always)]
fn pair(word: u32) -> u32 {
    let pair;
    // SAFETY: an instruction of the DSP extension on registers, which has no number from the compiler: sxtb16.
    unsafe {
        asm!("sxtb16 {pair}, {word}", pair = out(reg) pair, word = in(reg) word,
            options(pure, nomem, nostack, preserves_flags));
    }
    pair
}

/// Bytes 0 and 2, each twice, as numbers of 16 bits.
#[inline(always)]
fn doubled_pair(word: u32) -> u32 {
    let doubled;
    // SAFETY: as above, sxtab16: adds bytes 0 and 2 to two numbers.
    unsafe {
        asm!("sxtab16 {doubled}, {pair}, {word}", doubled = out(reg) doubled, pair = in(reg) pair(word),
            word = in(reg) word, options(pure, nomem, nostack, preserves_flags));
    }
    doubled
}
