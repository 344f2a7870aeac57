//! Which rows an op needs, and where they lie.

use core::ops::Range;

use ocelli_image::{Body, ChannelsRef, Storage, Tensor};

use crate::families::window;

/// Copies a row into its place, which is as long.
pub(crate) fn copy(row: &[i8], place: &mut [i8]) {
    // Slices of one length, as the compiler can see: it calls `memcpy` then, and has nothing to panic about.
    let codes = place.len().min(row.len());
    if let (Some(place), Some(row)) = (place.get_mut(..codes), row.get(..codes)) {
        place.copy_from_slice(row);
    }
}

/// The rows of its input that an op reads to make output rows `rows`.
///
/// Of a global pooling, `rows` are rows of the input itself. Planner and executor both rely on this.
pub fn input_rows<C: Storage>(body: &Body<C>, input_h: usize, rows: Range<usize>) -> Range<usize> {
    match body {
        Body::Conv2d { window: w, .. }
        | Body::Depthwise { window: w, .. }
        | Body::AveragePool { window: w, .. }
        | Body::MaxPool { window: w, .. } => window(w).input_rows(rows.start, rows.len(), input_h),
        // One pixel for all rows, or a tensor that has no other row.
        Body::Multiply { .. } if input_h == 1 => 0..1,
        Body::Pointwise { .. }
        | Body::Add { .. }
        | Body::Multiply { .. }
        | Body::Table { .. }
        | Body::LayerNorm { .. }
        | Body::Concat
        | Body::GlobalAveragePool { .. } => rows,
        Body::Pad { padding } => {
            let top = usize::from(padding.top);
            rows.start.saturating_sub(top).min(input_h)..rows.end.saturating_sub(top).min(input_h)
        }
        Body::Dense { .. } | Body::Softmax { .. } => 0..input_h,
    }
}

/// The most rows of its input that an op reads in one step.
pub(crate) fn rows_at_once(body: &Body<ChannelsRef<'_>>, input: &Tensor, rows: usize) -> usize {
    let rows = match body {
        Body::Conv2d { window: w, .. }
        | Body::Depthwise { window: w, .. }
        | Body::AveragePool { window: w, .. }
        | Body::MaxPool { window: w, .. } => {
            let w = window(w);
            w.span_h()
                .saturating_add(rows.saturating_sub(1).saturating_mul(w.stride_h))
        }
        Body::Pointwise { .. }
        | Body::Add { .. }
        | Body::Multiply { .. }
        | Body::Table { .. }
        | Body::LayerNorm { .. }
        | Body::Concat
        | Body::Pad { .. } => rows,
        Body::GlobalAveragePool { .. } => 1,
        Body::Dense { .. } | Body::Softmax { .. } => input.h,
    };
    rows.min(input.h)
}

/// The rows of a step after `done` ones: as many as it may make, up to the last one and the end of the ring.
pub(crate) fn step_rows(
    done: usize,
    total: usize,
    rows_per_step: usize,
    rows_held: usize,
) -> Range<usize> {
    let room = rows_held - done.checked_rem(rows_held).unwrap_or(0);
    let left = total.saturating_sub(done);
    done..done + rows_per_step.min(left).min(room)
}

/// The byte ranges of rows `rows` in a ring: up to its end, and from its start on. No rows lie nowhere, at 0.
pub(crate) fn spans(tensor: &Tensor, rows: &Range<usize>) -> [Range<usize>; 2] {
    let row = tensor.row_elems();
    let slot = rows.start.checked_rem(tensor.rows_held).unwrap_or(0);
    let head = rows.len().min(tensor.rows_held.saturating_sub(slot));
    let tail = rows.len().saturating_sub(head).min(slot);
    let at = |slot: usize, rows: usize| match rows {
        0 => 0..0,
        _ => {
            let start = tensor.offset + slot * row;
            start..start + rows * row
        }
    };
    [at(slot, head), at(0, tail)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_wrap_around_a_ring_lie_in_two_places() {
        let ring = Tensor {
            h: 10,
            w: 2,
            c: 1,
            zero_point: 0,
            offset: 100,
            rows_held: 3,
        };
        assert_eq!(spans(&ring, &(0..3)), [100..106, 0..0]);
        assert_eq!(spans(&ring, &(4..6)), [102..106, 0..0]); // slots 1 and 2
        assert_eq!(spans(&ring, &(5..7)), [104..106, 100..102]); // slots 2 and 0
        assert_eq!(spans(&ring, &(7..7)), [0..0, 0..0]);
    }
}
