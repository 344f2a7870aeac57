//! Memory planning: which ops stream row by row together, how many rows each tensor holds, and where.
//!
//! The op list is cut into segments. Inside a segment rows are pulled from its last op, so tensors between its ops need
//! only a few rows; a tensor that crosses from one segment to another is whole. [`plan`] finds the cuts with the
//! smallest peak exactly (by dynamic programming over all cuts of the op list), and among those the ones that read
//! weights least often; offsets are packed greedily. [`verify`] then runs the plan on shadow memory.

use std::ops::Range;

use ocelli_image::{Body, Model};

use crate::error::PlanError;

mod pack;
mod schedule;
mod verify;

pub use verify::verify;

/// What a plan is to be good at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlanKind {
    /// The smallest arena.
    #[default]
    Small,
    /// Every tensor whole, one op after another: what other runtimes do.
    Layers,
}

/// The largest arena that is planned: a file of a few bytes can name tensors of gigabytes, and the verifier's shadow
/// memory is eight times as large.
const ARENA_BYTES: usize = 1 << 26;

/// Plans a model anew; whatever plan it has is forgotten.
///
/// # Errors
/// [`PlanError::TooLarge`] for more memory than any device has; the others if the verifier finds a fault, which would
/// be a bug of the planner.
pub fn plan(mut model: Model, kind: PlanKind) -> Result<Model, PlanError> {
    let segments = match kind {
        PlanKind::Layers => (0..model.ops.len()).map(|op| op..op + 1).collect(),
        PlanKind::Small => Cuts::new(&model).smallest(),
    };
    let lives = Lives::new(&model);
    let mut items = vec![];
    for (at, ops) in segments.iter().enumerate() {
        let held = held_rows(&model, &lives, ops, kind);
        for (tensor, rows) in held {
            model.tensors[tensor].rows_held = rows;
            let last = segments.partition_point(|segment| segment.end <= lives.last_reader(tensor));
            let last = last.clamp(at, segments.len() - 1);
            let bytes = model.tensors[tensor].held_bytes();
            items.push(pack::Item {
                owner: pack::Owner::Tensor(tensor),
                bytes,
                segments: at..last + 1,
            });
        }
        for op in ops.clone() {
            let bytes = scratch_bytes(&model, op);
            model.ops[op].rows_per_step = match (kind, ops.len()) {
                // Alone, an op makes all its rows in one step, unless its input streams in.
                (PlanKind::Layers, _) | (_, 1) if held_whole(&model, op) => model.tensors[op + 1].h,
                _ => 1,
            };
            if bytes > 0 {
                items.push(pack::Item {
                    owner: pack::Owner::Scratch(op),
                    bytes,
                    segments: at..at + 1,
                });
            }
        }
    }
    let (places, arena_bytes) = pack::pack(&items);
    if arena_bytes > ARENA_BYTES {
        return Err(PlanError::TooLarge {
            bytes: arena_bytes,
            limit: ARENA_BYTES,
        });
    }
    for (item, offset) in items.iter().zip(places) {
        match item.owner {
            pack::Owner::Tensor(tensor) => model.tensors[tensor].offset = offset,
            pack::Owner::Scratch(op) => model.ops[op].scratch = (offset, item.bytes),
        }
    }
    model.segments = segments.into_iter().map(|ops| ops.len()).collect();
    model.arena_bytes = arena_bytes;
    verify(&model)?;
    Ok(model)
}

/// How often the plan reads the weights, as a multiple of their bytes: once a step.
pub fn weight_reads(model: &Model) -> f64 {
    let (mut reads, mut bytes) = (0.0, 0.0);
    for (at, op) in model.ops.iter().enumerate() {
        let weights = weight_bytes(model, at) as f64;
        reads += weights * model.tensors[at + 1].h.div_ceil(op.rows_per_step) as f64;
        bytes += weights;
    }
    if bytes > 0.0 { reads / bytes } else { 1.0 }
}

fn weight_bytes(model: &Model, op: usize) -> usize {
    model.ops[op]
        .body
        .channels()
        .map_or(0, |channels| channels.weights.len())
}

/// Bytes that a step of an op needs beside its tensors.
fn scratch_bytes(model: &Model, op: usize) -> usize {
    match model.ops[op].body {
        // The sums of all channels.
        Body::GlobalAveragePool { .. } => 4 * model.tensors[op + 1].c,
        _ => 0,
    }
}

fn held_whole(model: &Model, op: usize) -> bool {
    let whole = |tensor: &usize| model.tensors[*tensor].rows_held == model.tensors[*tensor].h;
    model.ops[op].inputs.iter().all(whole)
}

/// Who reads each tensor last.
struct Lives {
    /// By tensor; the number of ops where it has to last to the end.
    last: Vec<usize>,
    /// Steps that each op takes.
    steps: Vec<usize>,
}

impl Lives {
    fn new(model: &Model) -> Self {
        let mut last: Vec<usize> = (0..model.tensors.len())
            .map(|tensor| tensor.saturating_sub(1))
            .collect();
        for (at, op) in model.ops.iter().enumerate() {
            for &input in &op.inputs {
                last[input] = at;
            }
        }
        let kept = model.head.map(|head| model.ops[head].inputs[0]);
        for tensor in [Some(model.ops.len()), kept].into_iter().flatten() {
            last[tensor] = model.ops.len();
        }
        Lives {
            last,
            steps: schedule::steps(model),
        }
    }

    fn last_reader(&self, tensor: usize) -> usize {
        self.last[tensor]
    }

    /// Whether a tensor is read by an op outside `ops`, or has to last to the end.
    fn crosses(&self, tensor: usize, ops: &Range<usize>) -> bool {
        self.last[tensor] >= ops.end
    }
}

/// The rows that each tensor made in a segment has to hold, the network's input being made in the first.
fn held_rows(
    model: &Model,
    lives: &Lives,
    ops: &Range<usize>,
    kind: PlanKind,
) -> Vec<(usize, usize)> {
    let first = if ops.start == 0 { 0 } else { ops.start + 1 };
    let made = first..ops.end + 1;
    let streamed = match kind {
        PlanKind::Small => schedule::held_rows(model, &lives.steps, ops),
        PlanKind::Layers => vec![usize::MAX; made.len()],
    };
    made.zip(streamed)
        .map(|(tensor, rows)| {
            let whole = model.tensors[tensor].h;
            (
                tensor,
                if lives.crosses(tensor, ops) {
                    whole
                } else {
                    rows.min(whole)
                },
            )
        })
        .collect()
}

/// The costs of all possible segments.
struct Cuts<'m> {
    model: &'m Model,
    /// Peak bytes of segment `start..end` at `[start][end - start - 1]`.
    peaks: Vec<Vec<usize>>,
}

impl<'m> Cuts<'m> {
    fn new(model: &'m Model) -> Self {
        let lives = Lives::new(model);
        let count = model.ops.len();
        let peak = |ops: Range<usize>| {
            let made = held_rows(model, &lives, &ops, PlanKind::Small);
            let made = made
                .iter()
                .map(|&(tensor, rows)| rows * model.tensors[tensor].row_elems());
            let earlier = if ops.start == 0 {
                0..0
            } else {
                0..ops.start + 1
            };
            let alive = earlier.filter(|&tensor| lives.last_reader(tensor) >= ops.start);
            let alive = alive.map(|tensor| model.tensors[tensor].elems());
            made.chain(alive)
                .chain(ops.clone().map(|op| scratch_bytes(model, op)))
                .sum()
        };
        let peaks = (0..count)
            .map(|start| (start + 1..=count).map(|end| peak(start..end)).collect())
            .collect();
        Cuts { model, peaks }
    }

    fn peak(&self, ops: &Range<usize>) -> usize {
        self.peaks[ops.start][ops.len() - 1]
    }

    /// Bytes of weights read in a segment: once for an op by itself, once a row in company.
    fn reads(&self, ops: &Range<usize>) -> u64 {
        let passes = |op: usize| {
            if ops.len() == 1 && op > 0 {
                1
            } else {
                self.model.tensors[op + 1].h
            }
        };
        ops.clone()
            .map(|op| (weight_bytes(self.model, op) * passes(op)) as u64)
            .sum()
    }

    /// The least cost of cutting `0..end` for every `end`, where `cost` adds a segment to what is before it.
    fn best<C: Ord + Copy>(
        &self,
        start: C,
        cost: impl Fn(C, &Range<usize>) -> Option<C>,
    ) -> Vec<Range<usize>> {
        let count = self.model.ops.len();
        let mut best: Vec<Option<(C, usize)>> = vec![Some((start, 0))];
        for end in 1..=count {
            // The longest segment wins among equals: fewest segments.
            let least = (0..end)
                .filter_map(|from| Some((cost(best[from]?.0, &(from..end))?, from)))
                .min();
            best.push(least);
        }
        let mut segments = vec![];
        let mut end = count;
        while end > 0 {
            let from = best[end].map_or(end - 1, |(_, from)| from);
            segments.push(from..end);
            end = from;
        }
        segments.reverse();
        segments
    }

    /// The cuts with the smallest peak, and of those the ones with the fewest reads of weights.
    fn smallest(&self) -> Vec<Range<usize>> {
        let lowest = self.best(0, |before: usize, ops| Some(before.max(self.peak(ops))));
        let peak = lowest.iter().map(|ops| self.peak(ops)).max().unwrap_or(0);
        self.best(0, |before: u64, ops| {
            (self.peak(ops) <= peak).then(|| before + self.reads(ops))
        })
    }
}
