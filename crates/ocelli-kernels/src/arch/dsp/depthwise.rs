//! Depthwise convolutions of four channels at a time, on pairs of rows.
#![allow(unsafe_code)] // The loops read and write by pointers, in ranges that `depthwise` has checked.

use core::arch::asm;
use core::mem::MaybeUninit;

use super::depthwise_any as any;
use super::depthwise_loops::{self as loops, Channel, Rounding, Row};
use crate::depthwise::DepthwiseParams;
use crate::filter::{Packing, column_words};
use crate::rows::Rows;

/// Channels at a time.
pub(super) const CHANNELS: usize = 4;
/// Words of a strip's column: two slots for each channel.
pub(super) const COLUMN: usize = 2 * CHANNELS;
/// Input rows that a batch of output rows reads at most.
pub(super) const ROWS: usize = 18;

/// Output rows `first_row..` of a depthwise convolution of strides 1 and 2, or `false`.
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
    let channels = p.input.c;
    let is_ours = p.packing == Packing::Paired
        && p.depth_multiplier == 1
        && channels >= CHANNELS
        && p.output.c == channels
        && (1..ROWS).contains(&filter_h)
        && (1..=2).contains(&window.stride_h)
        && (1..=2).contains(&window.stride_w)
        && (window.dilation_h, window.dilation_w) == (1, 1);
    let requant = &p.requant;
    let described = requant.bias.len().min(requant.multiplier.len());
    let described = described.min(requant.shift.len());
    let weights = p.packing.depthwise_len(filter_h, filter_w, channels);
    if !is_ours || described < channels || p.weights.len() < weights {
        return false;
    }
    // SAFETY: any four bytes are a word.
    let (_, words, _) = unsafe { scratch.align_to_mut::<u32>() };
    let planes = p.strip_planes();
    let Some((table, strip)) = words.split_at_mut_checked(p.table_words()) else {
        return false;
    };
    // Output columns for which the strip has room.
    let room = strip.len() / COLUMN / planes.max(1);
    let Some(room) = room.checked_sub(filter_w) else {
        return false;
    };
    let fitting = room / window.stride_w.max(1) + 1;
    let at_once = fitting.min(p.output.w);
    let at_least = p.strip_outputs(at_once);
    if fitting < at_least {
        return false;
    }
    let mut pass = Pass {
        p,
        input,
        zero: [p.input_zero_point; CHANNELS],
        columns: at_once,
        strip_columns: (at_least - 1) * window.stride_w + filter_w,
        planes,
        table,
        strip,
    };
    let rows_at_once = (ROWS - filter_h) / window.stride_h.max(1) + 1;
    let mut column = 0;
    loop {
        let batches = output.chunks_mut((rows_at_once * p.output.row_elems()).max(1));
        for (batch, output) in batches.enumerate() {
            pass.run(first_row + batch * rows_at_once, column, output);
        }
        if column + at_once >= p.output.w {
            break;
        }
        column = (column + at_once).min(p.output.w - at_once);
    }
    super::small::clamp(requant.clamp, output);
    true
}

/// Some columns of the output.
struct Pass<'a> {
    p: &'a DepthwiseParams<'a>,
    input: &'a Rows<'a>,
    /// Four codes of padding.
    zero: [i8; CHANNELS],
    /// Output columns.
    columns: usize,
    /// Columns of the strip, padding included.
    strip_columns: usize,
    /// Planes of the strip.
    planes: usize,
    /// Weights of four channels; empty for the loops of 3x3.
    table: &'a mut [u32],
    /// See [`loops`]; more than two pairs are in planes, one behind the other.
    strip: &'a mut [u32],
}

impl Pass<'_> {
    /// The output rows from `row` on, from column `column` on.
    #[inline(never)]
    fn run(&mut self, row: usize, column: usize, output: &mut [i8]) {
        let p = self.p;
        let (window, channels) = (&p.window, p.input.c);
        // The columns of the strip that lie inside of the input, and the first of them in the input.
        let left = (column * window.stride_w) as i32 - window.padding.left as i32;
        let before = left.saturating_neg().max(0) as usize;
        let left = left.max(0) as usize;
        let inside = p.input.w.saturating_sub(left);
        let inside = inside.min(self.strip_columns.saturating_sub(before));
        if inside == 0 {
            return;
        }
        let padding = pair(u32::from_ne_bytes(self.zero.map(|code| code as u8)));
        let plane = self.strip_columns * COLUMN;
        for plane in self.strip.chunks_exact_mut(plane.max(1)).take(self.planes) {
            let ends = [0..before, before + inside..self.strip_columns];
            for columns in ends {
                let words = plane.get_mut(columns.start * COLUMN..columns.end * COLUMN);
                words.unwrap_or_default().fill(padding);
            }
        }
        let row_elems = p.output.row_elems();
        let output_rows = output.len().checked_div(row_elems).unwrap_or(0);
        let reading = output_rows.saturating_sub(1) * window.stride_h + window.filter_h;
        let zero = self.zero;
        let padding = Row {
            codes: zero.as_ptr(),
            step: 0,
        };
        let mut rows = [padding; ROWS];
        for (row, r) in rows.iter_mut().take(reading).zip(window.first_row(row)..) {
            let codes = self.input.row(r).unwrap_or(&[]);
            let codes = codes.get(left * channels..).unwrap_or(&[]);
            if codes.len() >= inside * channels {
                *row = Row {
                    codes: codes.as_ptr(),
                    step: channels,
                };
            }
        }
        let strip = Strip {
            rows: &rows,
            words: self.strip.as_mut_ptr(),
            plane,
            before,
            inside,
        };
        let output = output.as_mut_ptr();
        let mut channel = 0;
        loop {
            // SAFETY: `depthwise` has seen that all channels are described, and that the strip has room for all columns;
            // the rows of the output have `columns` pixels from `column` on, with four channels from `channel` on.
            unsafe {
                let output = output.add(column * channels + channel);
                if self.table.is_empty() {
                    self.three_by_three(&strip, channel, output, output_rows);
                } else {
                    any::rows(
                        p,
                        &strip,
                        self.table,
                        channel,
                        output,
                        output_rows,
                        self.columns,
                    );
                }
            }
            if channel + CHANNELS >= channels {
                break;
            }
            channel = (channel + CHANNELS).min(channels - CHANNELS);
        }
    }

    /// Output rows of four channels, with the loops for 3x3.
    ///
    /// # Safety
    /// There are four channels from `channel` on, and `columns` pixels of `output_rows` rows from `output` on.
    #[inline(always)]
    unsafe fn three_by_three(
        &self,
        strip: &Strip<'_>,
        channel: usize,
        mut output: *mut i8,
        output_rows: usize,
    ) {
        let p = self.p;
        let (stride, next_pixel, next_row) = (p.window.stride_h, p.input.c, p.output.row_elems());
        let requant = &p.requant;
        let mut described = MaybeUninit::<[Channel; CHANNELS]>::uninit();
        // SAFETY: `depthwise` has seen that all channels have weights, biases, multipliers and shifts.
        unsafe {
            loops::ocelli_dsp_depthwise_describe(
                described.as_mut_ptr().cast(),
                p.weights.as_ptr().add(channel * 12),
                requant.bias.as_ptr().add(channel),
                requant.multiplier.as_ptr().add(channel),
                requant.shift.as_ptr().add(channel),
                1 + 2 * i32::from(requant.output_zero_point),
            );
        }
        let described = described.as_ptr().cast();
        let span = (self.columns - 1) * stride * COLUMN * 4;
        let words = strip.words;
        // Pair after pair, each in the slot that the one before the last had; a step begins with the last one.
        let (mut row, mut last) = (0, 0);
        // SAFETY: the caller's.
        unsafe {
            strip.fill(0, 0, channel);
            while row < output_rows {
                let slot = last % 2;
                last += 1;
                strip.fill(last, last % 2, channel);
                if stride == 1 && row + 1 < output_rows {
                    let make = [
                        loops::ocelli_dsp_depthwise_two_rows_0,
                        loops::ocelli_dsp_depthwise_two_rows_1,
                    ];
                    make[slot](words, described, output, span, next_pixel, next_row);
                    row += 2;
                    output = output.add(2 * next_row);
                } else {
                    let make = match (stride, slot) {
                        (1, 0) => loops::ocelli_dsp_depthwise_row_0,
                        (1, _) => loops::ocelli_dsp_depthwise_row_1,
                        (_, 0) => loops::ocelli_dsp_depthwise_stride_2_0,
                        _ => loops::ocelli_dsp_depthwise_stride_2_1,
                    };
                    make(words, described, output, span, next_pixel);
                    row += 1;
                    output = output.add(next_row);
                }
            }
        }
    }
}

/// Where pairs of input rows are made, and from what.
pub(super) struct Strip<'a> {
    rows: &'a [Row; ROWS],
    pub words: *mut u32,
    /// Words from one plane to the next.
    pub plane: usize,
    /// Columns of padding on the left.
    before: usize,
    /// Columns of the input.
    inside: usize,
}

impl Strip<'_> {
    /// Makes pair `pair` of four channels in slot `slot`.
    ///
    /// # Safety
    /// The pair's rows are in `rows`, the channels in the input and the slot in the strip.
    #[inline(always)]
    pub unsafe fn fill(&self, pair: usize, slot: usize, channel: usize) {
        let first = slot / 2 * self.plane + self.before * COLUMN + slot % 2;
        // SAFETY: the caller's; `inside` columns are in the strip and in each row.
        unsafe {
            loops::ocelli_dsp_depthwise_fill(
                self.words.add(first),
                self.rows.as_ptr().add(2 * pair),
                channel,
                self.inside,
            );
        }
    }
}

/// The packed weights of a channel, a word after the other.
#[inline(always)]
pub(super) fn words<'a>(p: &DepthwiseParams<'a>, channel: usize) -> impl Iterator<Item = u32> + 'a {
    let bytes = column_words(p.window.filter_h) * p.window.filter_w * 4;
    let words = p.weights.get(channel * bytes..).unwrap_or(&[]);
    words.chunks_exact(4).map(|word| match word {
        &[a, b, c, d] => u32::from_le_bytes([a, b, c, d].map(|byte| byte as u8)),
        _ => 0,
    })
}

/// How the sums of a channel become codes.
#[inline(always)]
pub(super) fn rounding(p: &DepthwiseParams<'_>, channel: usize) -> Rounding {
    let requant = &p.requant;
    let bias = requant.bias.get(channel).copied().unwrap_or(0);
    let multiplier = requant.multiplier.get(channel).copied().unwrap_or(0);
    let shift = -i32::from(requant.shift.get(channel).copied().unwrap_or(-1));
    let one = 1 + 2 * i32::from(requant.output_zero_point);
    Rounding {
        multiplier,
        half: one.wrapping_shl((shift - 1) as u32),
        bias: bias.wrapping_mul(2),
        shift,
    }
}

/// Bytes 0 and 2 as numbers of 16 bits.
#[inline(always)]
fn pair(word: u32) -> u32 {
    let pair;
    // SAFETY: sxtb16, for which there is no function in stable Rust, reads and writes registers only.
    unsafe {
        asm!("sxtb16 {pair}, {word}", pair = out(reg) pair, word = in(reg) word,
            options(pure, nomem, nostack, preserves_flags));
    }
    pair
}

/// Bytes 0 and 2, doubled, as numbers of 16 bits.
#[inline(always)]
pub(super) fn doubled_pair(word: u32) -> u32 {
    let doubled;
    // SAFETY: sxtab16, which adds bytes 0 and 2 to two numbers, reads and writes registers only.
    unsafe {
        asm!("sxtab16 {doubled}, {pair}, {word}", doubled = out(reg) doubled, pair = in(reg) pair(word),
            word = in(reg) word, options(pure, nomem, nostack, preserves_flags));
    }
    doubled
}
