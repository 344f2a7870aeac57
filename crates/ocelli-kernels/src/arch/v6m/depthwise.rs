//! Depthwise convolutions: a list of where the codes of four pixels lie, then channel after channel.

use core::ops::Range;

use super::{LIMIT, ROUND, loops};
use crate::depthwise::DepthwiseParams;
use crate::filter::Packing;
use crate::rows::Rows;

/// Taps of a usual filter, up to 5 by 5, and of a large one, up to 7 by 7; both filled up to a multiple of 3.
const USUAL: usize = 27;
const LARGE: usize = 51;
/// Filter rows.
const MAX_ROWS: usize = 7;
/// Channels that one list serves: as many as there are codes to point at in the padding.
const CHANNELS: usize = 64;

/// The addresses of the first channel of a tap: of its weight, and of its code in each of four pixels.
type Tap = [usize; 5];

pub(crate) fn depthwise(
    params: &DepthwiseParams<'_>,
    input: &Rows<'_>,
    first_row: usize,
    _scratch: &mut [i8],
    output: &mut [i8],
) -> bool {
    let (window, channels) = (&params.window, params.output.c);
    let taps = window.filter_h.saturating_mul(window.filter_w);
    let fits = params.packing == Packing::Canonical
        && params.depth_multiplier == 1
        && taps <= LARGE
        && window.filter_h <= MAX_ROWS
        && params.weights.len() >= taps * channels
        && params.requant.bias.len() >= channels
        && params.requant.multiplier.len() >= channels
        && params.requant.shift.len() >= channels;
    if fits && channels > 0 {
        if taps <= USUAL {
            all_channels::<USUAL>(params, input, first_row, output);
        } else {
            all_channels::<LARGE>(params, input, first_row, output);
        }
    }
    fits
}

/// All channels, with a list on the stack that has room for so many taps.
#[inline(never)]
fn all_channels<const TAPS: usize>(
    params: &DepthwiseParams<'_>,
    input: &Rows<'_>,
    first_row: usize,
    output: &mut [i8],
) {
    let mut list: [Tap; TAPS] = [[0; 5]; TAPS];
    let channels = params.output.c;
    for from in (0..channels).step_by(CHANNELS) {
        let count = (channels - from).min(CHANNELS);
        some_channels(
            params,
            input,
            first_row,
            from..from + count,
            &mut list,
            output,
        );
    }
}

/// Some channels of all pixels.
#[inline(never)]
fn some_channels(
    params: &DepthwiseParams<'_>,
    input: &Rows<'_>,
    first_row: usize,
    some: Range<usize>,
    list: &mut [Tap],
    output: &mut [i8],
) {
    let (from, count) = (some.start, some.len());
    let (window, channels, requant) = (&params.window, params.output.c, &params.requant);
    let padding = [params.input_zero_point; CHANNELS];
    let no_weights = [0i8; CHANNELS];
    let (padding, no_weights) = (
        padding.as_ptr().expose_provenance(),
        no_weights.as_ptr().expose_provenance(),
    );
    let taps = window.filter_h * window.filter_w;
    list.fill([no_weights, padding, padding, padding, padding]);
    let weights = params.weights.as_ptr().expose_provenance() + from;
    for (tap, n) in list.iter_mut().zip(0..taps) {
        tap[0] = weights + n * channels;
    }
    let list_end = list.as_ptr().wrapping_add(taps.next_multiple_of(3));

    let (mut row, mut column) = (first_row, 0);
    let mut rows = rows_of(params, input, row);
    let mut output = output;
    while !output.is_empty() {
        let left = output.len().checked_div(channels).unwrap_or(0);
        let pixels = left.min(4);
        let Some((made, rest)) = output.split_at_mut_checked(pixels * channels) else {
            return;
        };
        if pixels == 0 {
            return;
        }
        for lane in 1..=pixels {
            if column == params.output.w {
                (row, column) = (row + 1, 0);
                rows = rows_of(params, input, row);
            }
            point(params, &rows, column, from, lane, padding, list);
            column += 1;
        }
        let run = if pixels > 2 {
            loops::ocelli_v6m_depthwise_4
        } else {
            loops::ocelli_v6m_depthwise_2
        };
        let offset = |pixel: usize| pixel.min(pixels - 1) * channels;
        // SAFETY: every address in the list has `count` codes or weights behind it: rows are of whole pixels of at least
        // `from + count` channels, and so are the weights of a tap; the rest are the two arrays above. Addresses of
        // pixels that there are not are those of an earlier block, and what comes of them is written over. Factors were
        // counted by the caller; the output has `pixels` pixels.
        unsafe {
            run(
                list.as_ptr(),
                list_end,
                made.as_mut_ptr().wrapping_add(from),
                requant.bias.as_ptr().wrapping_add(from),
                requant.multiplier.as_ptr().wrapping_add(from),
                requant.shift.as_ptr().wrapping_add(from),
                count * 4,
                offset(1),
                offset(2),
                offset(3),
                requant.output_zero_point.into(),
                requant.clamp.min.into(),
                requant.clamp.max.into(),
                LIMIT,
                ROUND,
            );
        }
        output = rest;
    }
}

/// The addresses of the input rows under the filter at an output row, 0 for padding.
fn rows_of(params: &DepthwiseParams<'_>, input: &Rows<'_>, row: usize) -> [usize; MAX_ROWS] {
    let row_elems = params.input.row_elems();
    let mut r = params.window.first_row(row);
    let mut rows = [0; MAX_ROWS];
    for address in rows.iter_mut().take(params.window.filter_h) {
        *address = match input.row(r) {
            Some(row) if row.len() >= row_elems => row.as_ptr().expose_provenance(),
            _ => 0,
        };
        r = r.wrapping_add(params.window.dilation_h as i32);
    }
    rows
}

/// Writes the addresses of the codes under the filter at one output pixel into its lane of the list.
#[inline(always)]
fn point(
    params: &DepthwiseParams<'_>,
    rows: &[usize; MAX_ROWS],
    column: usize,
    from: usize,
    lane: usize,
    padding: usize,
    list: &mut [Tap],
) {
    let (window, width, channels) = (&params.window, params.input.w, params.input.c);
    let left = (column * window.stride_w).wrapping_sub(window.padding.left);
    let first = left.wrapping_mul(channels).wrapping_add(from);
    let step = window.dilation_w * channels;
    let mut taps = list.iter_mut();
    for &row in rows.iter().take(window.filter_h) {
        let (mut at, mut address) = (left, row.wrapping_add(first));
        for tap in taps.by_ref().take(window.filter_w) {
            if let Some(place) = tap.get_mut(lane) {
                // A column left of the row is a huge number.
                let is_inside = row != 0 && at < width;
                *place = if is_inside { address } else { padding };
            }
            at = at.wrapping_add(window.dilation_w);
            address = address.wrapping_add(step);
        }
    }
}
