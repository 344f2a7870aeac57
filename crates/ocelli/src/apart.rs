//! Whether what an op reads and writes lies apart, step by step.

use core::ops::Range;

use ocelli_image::{Op, OpKind, Tensor};

use crate::families::OpContext;
use crate::rings::{input_rows, spans, step_rows};

/// Whether inputs, output and scratch memory of an op share no byte in any of its steps, `total` rows being made.
///
/// Tensors may lie on each other: rows that have been read may give their bytes to rows that are made later.
pub(crate) fn steps_lie_apart(record: &Op<'_>, op: &OpContext<'_>, total: usize) -> bool {
    let [a, b] = &op.inputs;
    let same_input = record.inputs[0] == record.inputs[1];
    let scratch = record.scratch.0..record.scratch.0.saturating_add(record.scratch.1);
    let held = |tensor: &Tensor| tensor.offset..tensor.offset + tensor.held_bytes();
    let second = if same_input { 0..0 } else { held(b) };
    if lie_apart(&[held(a), second, held(&op.output), scratch.clone()]) {
        return true;
    }
    if op.body.kind() == OpKind::GlobalAveragePool {
        // Its sums stay from step to step.
        return false;
    }
    let mut done = 0;
    while done < total {
        let rows = step_rows(done, total, record.rows_per_step, op.output.rows_held);
        let read = |input: &Tensor| spans(input, &input_rows(&op.body, input.h, rows.clone()));
        let [a0, a1] = read(a);
        let [b0, b1] = if same_input { [0..0, 0..0] } else { read(b) };
        let [output, _] = spans(&op.output, &rows);
        if rows.is_empty() || !lie_apart(&[a0, a1, b0, b1, output, scratch.clone()]) {
            return false;
        }
        done = rows.end;
    }
    true
}

fn lie_apart(ranges: &[Range<usize>]) -> bool {
    let meet = |a: &Range<usize>, b: &Range<usize>| {
        !a.is_empty() && !b.is_empty() && a.start < b.end && b.start < a.end
    };
    let mut others = ranges.iter();
    while let Some(range) = others.next() {
        if others.clone().any(|other| meet(range, other)) {
            return false;
        }
    }
    true
}
