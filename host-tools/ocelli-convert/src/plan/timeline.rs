//! What a plan's memory holds over time.

use std::ops::Range;

use ocelli_image::Model;

use super::estimate::weight_bytes;
use super::live::{Item, Owner, bytes_alive, items};
use super::schedule::{Flow, Pull};

/// A planned model's memory over time, for people.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// Segments in running order.
    pub segments: Vec<SegmentUse>,
    /// Most bytes alive at once.
    pub peak_bytes: usize,
    /// What is alive then, by falling bytes.
    pub peak: Vec<Holder>,
    /// The segment of that moment.
    pub peak_segment: usize,
    /// That moment, of all those of the segments.
    pub peak_moment: usize,
    /// Everything that is ever in memory.
    pub lives: Vec<Life>,
}

/// When which bytes of a tensor or of scratch memory are alive.
#[derive(Clone, Debug)]
pub struct Life {
    /// The tensor; of scratch memory, the op's output.
    pub tensor: usize,
    /// Whether it is the op's scratch memory.
    pub is_scratch: bool,
    /// Moments, and the bytes of the arena that are alive then; in order of time.
    pub spans: Vec<(Range<usize>, Range<usize>)>,
}

/// What a segment uses.
#[derive(Clone, Debug)]
pub struct SegmentUse {
    /// Its first op.
    pub first_op: usize,
    /// Its number of ops.
    pub ops: usize,
    /// Steps of ops and input rows.
    pub moments: usize,
    /// Bytes alive at its worst moment.
    pub peak_bytes: usize,
    /// Bytes of weights that it reads.
    pub weight_bytes_read: u64,
}

/// Something in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The tensor; of scratch memory, the op's output.
    pub tensor: usize,
    /// Whether it is the op's scratch memory.
    pub is_scratch: bool,
    /// Bytes alive.
    pub bytes: usize,
}

impl Timeline {
    /// Runs a model's plan on paper.
    pub fn new(model: &Model) -> Self {
        let flow = Flow::planned(model);
        let rows_per_step: Vec<usize> = model.ops.iter().map(|op| op.rows_per_step).collect();
        let rows_held: Vec<usize> = model.tensors.iter().map(|t| t.rows_held).collect();
        let mut pull = Pull::new(&flow, &rows_per_step, Some(&rows_held), 0);
        let mut ends = vec![];
        let mut start = 0;
        for &ops in &model.segments {
            pull.segment(start..start + ops);
            start += ops;
            ends.push(pull.moments());
        }
        let trace = pull.finish();
        let items = items(&flow, &trace, &rows_held);
        let alive = bytes_alive(&items, 0..trace.steps.len());
        let mut segments: Vec<SegmentUse> = vec![];
        let (mut first_op, mut from) = (0, 0);
        for (&ops, &end) in model.segments.iter().zip(&ends) {
            let steps = trace.steps[from..end].iter().flatten();
            let reads = steps.map(|&op| weight_bytes(model, op) as u64);
            segments.push(SegmentUse {
                first_op,
                ops,
                moments: end - from,
                peak_bytes: alive[from..end].iter().copied().max().unwrap_or(0),
                weight_bytes_read: reads.sum(),
            });
            (first_op, from) = (first_op + ops, end);
        }
        let moment = (0..alive.len()).rev().max_by_key(|&at| alive[at]);
        let moment = moment.unwrap_or(0);
        let mut peak: Vec<Holder> = items
            .iter()
            .filter_map(|item| holder(item, moment))
            .collect();
        peak.sort_by_key(|holder| (usize::MAX - holder.bytes, holder.tensor));
        Timeline {
            segments,
            peak_bytes: alive.get(moment).copied().unwrap_or(0),
            peak,
            peak_segment: ends.partition_point(|&end| end <= moment),
            peak_moment: moment,
            lives: items.iter().map(|item| life(model, item)).collect(),
        }
    }
}

fn life(model: &Model, item: &Item) -> Life {
    let (tensor, is_scratch, offset) = match item.owner {
        Owner::Tensor(tensor) => (tensor, false, model.tensors[tensor].offset),
        Owner::Scratch(op) => (op + 1, true, model.ops[op].scratch.0),
    };
    let spans = item.spans.iter().map(|span| {
        let bytes = offset + span.bytes.0..offset + span.bytes.1;
        (span.moments.0..span.moments.1, bytes)
    });
    Life {
        tensor,
        is_scratch,
        spans: spans.collect(),
    }
}

/// What an item holds at a moment.
fn holder(item: &Item, moment: usize) -> Option<Holder> {
    let now = |moments: (usize, usize)| moments.0 <= moment && moment < moments.1;
    let span = item.spans.iter().find(|span| now(span.moments))?;
    let (tensor, is_scratch) = match item.owner {
        Owner::Tensor(tensor) => (tensor, false),
        Owner::Scratch(op) => (op + 1, true),
    };
    Some(Holder {
        tensor,
        is_scratch,
        bytes: span.bytes.1 - span.bytes.0,
    })
}
