//! Depthwise convolutions with filters of up to eight by eight.
//!
//! Up to 16 channels at a time, and as many columns as the strip has room for. The strip holds, column by column and channel
//! by channel, the codes of the rows under the filter: four bytes, which `vst4` makes of four rows. So what a filter sees
//! of a channel is up to four words, a column from each other. `vldrw` gathers them into one vector, and one `vmladava.s8`
//! multiplies them with the filter, which lies in a register in the same order, with zeros where it is smaller, and adds up.
//! Four channels at a time are brought to codes and stored.
//!
//! Larger filters are up to four such vectors, two to the right and two downwards; the lower ones have a strip of their own.

use core::arch::global_asm;
use core::mem::MaybeUninit;

use super::LANES;
use super::matrix::{Rounding, clamp};
use crate::arch::plain;
use crate::depthwise::DepthwiseParams;
use crate::filter::Packing;
use crate::rows::Rows;

// `ocelli_mve_columns(job)`: vst4, into the strip. `ocelli_mve_windows(job)`: vldrw (gathering) and vmladava.s8 for the sums,
// vqrdmulh.s32, vrshl.s32, vqmovn for the codes. They save r4-r11, lr and d8-d15.
global_asm!(include_str!("depthwise.s"), options(raw));

/// Columns that a strip has room for, and the words of one: four codes of each channel.
const COLUMNS: usize = 24;
const COLUMN_WORDS: usize = LANES;
const COLUMN_BYTES: usize = COLUMN_WORDS * 4;
/// The largest side of a filter that is one vector: the bytes of a word, and the words of a vector.
const SIDE: usize = 4;
/// Vectors that a larger filter may have.
const VECTORS: usize = 4;

/// Codes to be brought into a strip; the order of the fields is known in the assembly.
#[repr(C)]
struct Columns {
    /// The first column inside each row, and the bytes to the next one.
    rows: [*const i8; SIDE],
    steps: [usize; SIDE],
    strip: *mut u32,
    /// Columns of padding, of the rows, and of padding again.
    before: usize,
    inside: usize,
    behind: usize,
    /// The code of padding, four times.
    padding: u32,
    channels: usize,
    /// Three or four.
    row_count: usize,
}

/// Filters that slide over a strip; the order of the fields is known in the assembly.
#[repr(C)]
struct Windows {
    strip: *const u32,
    weights: *const u32,
    bias: *const i32,
    multiplier: *const i32,
    shift: *const i8,
    output: *mut i8,
    /// Bytes from an output pixel to the next.
    output_step: usize,
    zero_point: i32,
    /// Bytes of the strip from a window to the next.
    step: usize,
    /// Windows in a row.
    pixels: usize,
    /// Whether numbers below the zero point need not be right.
    is_relu: usize,
    channels: usize,
    /// Bytes from a window's start to each of its columns; those that it does not have are where its last one is.
    columns: [usize; SIDE],
    rows: usize,
    /// Bytes of the strip from the window behind the last one of a row to the first one of the next.
    to_next_row: usize,
    /// Vectors of a filter, and bytes of the strip from one to the next.
    vectors: usize,
    to_next_vector: [usize; VECTORS],
}

unsafe extern "C" {
    fn ocelli_mve_columns(job: *const Columns);
    fn ocelli_mve_windows(job: *const Windows);
    fn ocelli_mve_many_windows(job: *const Windows);
}

pub(crate) fn depthwise(
    params: &DepthwiseParams<'_>,
    input: &Rows<'_>,
    first_row: usize,
    scratch: &mut [i8],
    output: &mut [i8],
) -> bool {
    let (p, window) = (params, &params.window);
    let (c, out_w) = (p.output.c, p.output.w);
    let (filter_h, filter_w) = (window.filter_h, window.filter_w);
    let span = window.span_w();
    let (down, across) = (
        filter_h.div_ceil(SIDE).max(1),
        filter_w.div_ceil(SIDE).max(1),
    );
    // Columns that a window reads: those that the filter does not have are multiplied by zero.
    let reach = match across {
        2 => window
            .dilation_w
            .saturating_mul(2 * SIDE - 1)
            .saturating_add(1),
        _ => span,
    };
    let room = COLUMNS / down;
    let fits = p.packing == Packing::Canonical
        && p.depth_multiplier == 1
        && c >= 4
        && p.input.c == c
        && (1..=2 * SIDE).contains(&filter_h)
        && (1..=2 * SIDE).contains(&filter_w)
        && reach <= room
        && p.weights.len() >= (filter_h * filter_w).saturating_mul(c)
        && c <= p.requant.bias.len().min(p.requant.multiplier.len())
        && c <= p.requant.shift.len();
    if !fits {
        return plain::depthwise(params, input, first_row, scratch, output);
    }
    let stride = window.stride_w.max(1);
    let columns = |pixels: usize| (pixels - 1) * stride + span;
    // Not zero: nothing below may panic, not even where the compiler cannot see why it does not.
    let at_once = ((room - reach) / stride + 1).min(out_w).max(1);
    let rounding = Rounding::of(&p.requant);
    let is_simple = down * across == 1 && rounding != Rounding::Any;
    // Whole rows of narrow maps, as many as fit.
    let rows_at_once = if at_once < out_w || !is_simple {
        1
    } else {
        (COLUMNS / columns(at_once).max(1)).max(1)
    };
    let rows = output.len().checked_div(p.output.row_elems()).unwrap_or(0);
    let padding = [p.input_zero_point; LANES];
    let nothing = [0; LANES];
    let mut strip = MaybeUninit::<[u32; COLUMNS * COLUMN_WORDS]>::uninit();
    let mut weights = MaybeUninit::<[u32; VECTORS * SIDE * COLUMN_WORDS]>::uninit();
    let strip = strip.as_mut_ptr().cast::<u32>();
    let weights = weights.as_mut_ptr().cast::<u32>();
    let channels = c.min(LANES);
    let row_count = filter_h.clamp(3, SIDE);
    let right = SIDE * window.dilation_w * COLUMN_BYTES;
    let below = room * COLUMN_BYTES;
    let back = below.wrapping_sub(right);
    let to_next_vector = match across {
        2 => [right, back, right, 0],
        _ => [below, 0, 0, 0],
    };
    let mut windows = Windows {
        strip,
        weights,
        bias: p.requant.bias.as_ptr(),
        multiplier: p.requant.multiplier.as_ptr(),
        shift: p.requant.shift.as_ptr(),
        output: output.as_mut_ptr(),
        output_step: c,
        zero_point: p.requant.output_zero_point.into(),
        step: stride * COLUMN_BYTES,
        pixels: 0,
        is_relu: usize::from(rounding == Rounding::Relu),
        channels,
        columns: [0, 1, 2, 3]
            .map(|k: usize| k.min(filter_w - 1) * window.dilation_w * COLUMN_BYTES),
        rows: 0,
        to_next_row: 0,
        vectors: down * across,
        to_next_vector,
    };
    for first in (0..c).step_by(LANES) {
        // The last channels may be some that were there already.
        let first = first.min(c - channels);
        windows.bias = p.requant.bias.as_ptr().wrapping_add(first);
        windows.multiplier = p.requant.multiplier.as_ptr().wrapping_add(first);
        windows.shift = p.requant.shift.as_ptr().wrapping_add(first);
        let mut job = Columns {
            rows: [nothing.as_ptr(); SIDE],
            steps: [0; SIDE],
            strip: weights,
            before: 0,
            inside: 0,
            behind: 0,
            padding: 0,
            channels,
            row_count,
        };
        for vector in 0..down * across {
            let (r, column) = match across {
                2 => (vector / 2 * SIDE, vector % 2 * SIDE),
                _ => (vector * SIDE, 0),
            };
            job.inside = (filter_w - column).min(SIDE);
            job.behind = SIDE - job.inside;
            let places = job.rows.iter_mut().zip(&mut job.steps);
            for (r, (row, step)) in (r..).zip(places) {
                (*row, *step) = if r < filter_h {
                    let at = (r * filter_w + column) * c + first;
                    (p.weights.as_ptr().wrapping_add(at), c)
                } else {
                    (nothing.as_ptr(), 0)
                };
            }
            job.strip = weights.wrapping_add(vector * SIDE * COLUMN_WORDS);
            // SAFETY: `inside` weights of each row from `column` on are there, and `SIDE` columns fit for each vector.
            unsafe { ocelli_mve_columns(&job) };
        }
        job.padding = u32::from_ne_bytes([p.input_zero_point as u8; 4]);
        for top in (0..rows).step_by(rows_at_once) {
            let rows = rows_at_once.min(rows - top);
            for left in (0..out_w).step_by(at_once) {
                let pixels = at_once.min(out_w - left);
                let in_columns = columns(pixels);
                let in_left = (left * stride) as i32 - window.padding.left as i32;
                job.before = (in_left.min(0).unsigned_abs() as usize).min(in_columns);
                let in_left = in_left.max(0) as usize;
                job.inside = p
                    .input
                    .w
                    .saturating_sub(in_left)
                    .min(in_columns - job.before);
                job.behind = in_columns - job.before - job.inside;
                for (row, part) in (0..rows).flat_map(|row| (0..down).map(move |part| (row, part)))
                {
                    let top = window.first_row(first_row + top + row);
                    let places = job.rows.iter_mut().zip(&mut job.steps);
                    for (r, (place, step)) in (part * SIDE..).zip(places) {
                        let at = top.wrapping_add((r * window.dilation_h) as i32);
                        let row = if r < filter_h { input.row(at) } else { None };
                        (*place, *step) = match row {
                            Some(row) if row.len() >= p.input.w * c && job.inside > 0 => {
                                (row.as_ptr().wrapping_add(in_left * c + first), c)
                            }
                            _ => (padding.as_ptr(), 0),
                        };
                    }
                    job.strip = strip.wrapping_add((row * in_columns + part * room) * COLUMN_WORDS);
                    // SAFETY: the columns `in_left..in_left + inside` lie inside the rows, with `channels` channels from
                    // `first` on, and the strip has room for `rows` times `in_columns`, or `down` times `room`.
                    unsafe { ocelli_mve_columns(&job) };
                }
                windows.output = output
                    .as_mut_ptr()
                    .wrapping_add((top * out_w + left) * c + first);
                windows.pixels = pixels;
                windows.rows = rows;
                windows.to_next_row = in_columns
                    .wrapping_sub(pixels * stride)
                    .wrapping_mul(COLUMN_BYTES);
                // SAFETY: each window ends inside the strip, and `rows` rows of `pixels` pixels inside the output: more than
                // one row only where they are whole.
                unsafe {
                    if is_simple {
                        ocelli_mve_windows(&windows);
                    } else {
                        ocelli_mve_many_windows(&windows);
                    }
                }
            }
        }
    }
    clamp(p.requant.clamp, output);
    true
}
