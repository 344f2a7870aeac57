//! Several memories: what is read and written most for its size lies in the fastest one.

use std::cmp::Reverse;

use ocelli::kernels::BLOCK_PIXELS;
use ocelli_image::{ALIGNMENT, Model, ModelRegion};
use serde::Serialize;

use super::draft::Draft;
use super::live::{Item, Owner};
use super::pack::{Packed, Puzzle};
use super::schedule::Flow;
use crate::error::PlanError;

/// A memory of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Its name, one to twelve printable ASCII characters.
    pub name: String,
    /// Its bytes.
    pub bytes: usize,
}

/// What lies in one memory of a planned model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegionUse {
    /// The memory's name.
    pub name: String,
    /// Its first address in the arena.
    pub start: usize,
    /// Bytes that the plan uses of it, the executor's state not included.
    pub bytes: usize,
    /// Tensors in it; a tensor's scratch memory is that of the op that makes it.
    pub tensors: Vec<usize>,
    /// Ops whose scratch memory is in it.
    pub scratch: Vec<usize>,
    /// Bytes read and written in it during a run.
    pub traffic: u64,
}

/// Memory by memory, what lies where; nothing for a model of a single memory.
pub fn regions(model: &Model) -> Vec<RegionUse> {
    let flow = Flow::planned(model);
    let rows_per_step: Vec<usize> = model.ops.iter().map(|op| op.rows_per_step).collect();
    let traffic = Traffic::new(&flow, &rows_per_step);
    let mut start = 0;
    let mut found = vec![];
    for region in &model.regions {
        let addresses = start..start + region.bytes;
        let tensors = (0..model.tensors.len())
            .filter(|&tensor| addresses.contains(&model.tensors[tensor].offset));
        let scratch = (0..model.ops.len()).filter(|&op| {
            let (offset, bytes) = model.ops[op].scratch;
            bytes > 0 && addresses.contains(&offset)
        });
        let (tensors, scratch): (Vec<usize>, Vec<usize>) = (tensors.collect(), scratch.collect());
        let of_tensors = tensors.iter().map(|&tensor| traffic.tensors[tensor]);
        let of_scratch = scratch.iter().map(|&op| traffic.scratch[op]);
        found.push(RegionUse {
            name: region.name.clone(),
            start,
            bytes: region.bytes,
            traffic: of_tensors.chain(of_scratch).sum(),
            tensors,
            scratch,
        });
        start = addresses.end;
    }
    found
}

/// Bytes read and written during a run.
struct Traffic {
    /// By tensor.
    tensors: Vec<u64>,
    /// By op.
    scratch: Vec<u64>,
}

impl Traffic {
    /// Each step reads all rows that it looks at and writes those that it makes.
    fn new(flow: &Flow<'_>, rows_per_step: &[usize]) -> Self {
        let model = flow.model;
        let row = |tensor: usize| model.tensors[tensor].row_elems();
        let mut tensors = vec![0; model.tensors.len()];
        let mut scratch = vec![0; model.ops.len()];
        tensors[0] = model.tensors[0].elems() as u64;
        for (op, &total) in flow.totals.iter().enumerate() {
            let [first, second] = model.ops[op].inputs;
            if flow.is_sum(op) {
                // Sums are read and written with each row that is added.
                scratch[op] = (2 * flow.scratch_bytes(op) * total) as u64;
                tensors[first] += (total * row(first)) as u64;
                tensors[op + 1] += row(op + 1) as u64;
                continue;
            }
            tensors[op + 1] += (total * row(op + 1)) as u64;
            // A block of pixels is written and read once.
            let blocks = (total * model.tensors[op + 1].w).div_ceil(BLOCK_PIXELS);
            scratch[op] = (2 * flow.scratch_bytes(op) * blocks) as u64;
            for start in (0..total).step_by(rows_per_step[op]) {
                let rows = start..(start + rows_per_step[op]).min(total);
                let inputs = [Some(first), Some(second).filter(|&second| second != first)];
                for input in inputs.into_iter().flatten() {
                    let read = flow.rows_read(op, input, rows.clone()).len();
                    tensors[input] += (read * row(input)) as u64;
                }
            }
        }
        Traffic { tensors, scratch }
    }

    fn of(&self, item: &Item) -> u64 {
        match item.owner {
            Owner::Tensor(tensor) => self.tensors[tensor],
            Owner::Scratch(op) => self.scratch[op],
        }
    }
}

/// Spreads a draft's items over memories, the first being the fastest. `state` bytes go behind the last one used.
pub fn spread(
    flow: &Flow<'_>,
    mut draft: Draft,
    memories: &[Memory],
    state: usize,
) -> Result<Draft, PlanError> {
    let traffic = Traffic::new(flow, &draft.rows_per_step());
    let heat = |at: usize| {
        let item = &draft.items[at];
        // A thousandth of a byte moved for each byte held is fine enough.
        traffic.of(item) * 1000 / item.bytes.max(1) as u64
    };
    let mut by_heat: Vec<usize> = (0..draft.items.len()).collect();
    by_heat.sort_by_key(|&at| (Reverse(heat(at)), at));
    // Where that leaves too little room for what is large, what is large goes first.
    let mut by_bytes = by_heat.clone();
    by_bytes.sort_by_key(|&at| Reverse(draft.items[at].bytes));
    let puzzle = Puzzle::new(flow, &draft.items, draft.bound);
    let hot = fill(&puzzle, &by_heat, memories, state);
    let filled = hot.or_else(|error| fill(&puzzle, &by_bytes, memories, state).map_err(|_| error));
    (draft.packed, draft.regions) = filled?;
    Ok(draft)
}

/// Gives each memory in turn the first items that fit beside those it has.
fn fill(
    puzzle: &Puzzle<'_>,
    order: &[usize],
    memories: &[Memory],
    state: usize,
) -> Result<(Packed, Vec<ModelRegion>), PlanError> {
    let mut offsets = vec![0; order.len()];
    let mut regions: Vec<ModelRegion> = vec![];
    let mut start = 0;
    let mut left = order.to_vec();
    for (at, memory) in memories.iter().enumerate() {
        let whole = |bytes: usize| bytes - bytes % ALIGNMENT;
        // All that is left, if it fits with the executor's state; it must in the last memory.
        let all = puzzle.within(&left, whole(memory.bytes.saturating_sub(state)));
        let needed = all.bytes.next_multiple_of(ALIGNMENT) + state;
        let fits = needed <= memory.bytes;
        let is_last = at + 1 == memories.len();
        let packed = match (fits, is_last) {
            (true, _) => all,
            (false, true) => {
                return Err(PlanError::MemoryTooSmall {
                    memory: memory.name.clone(),
                    bytes: memory.bytes,
                    missing: needed - memory.bytes,
                });
            }
            (false, false) => {
                let mut chosen = vec![];
                for &item in &left {
                    chosen.push(item);
                    if puzzle.pack(&chosen).bytes > whole(memory.bytes) {
                        chosen.pop();
                    }
                }
                puzzle.pack(&chosen)
            }
        };
        for &item in &packed.order {
            offsets[item] = start + packed.offsets[item];
        }
        left.retain(|item| !packed.order.contains(item));
        let bytes = packed.bytes.next_multiple_of(ALIGNMENT);
        start += bytes;
        regions.push(ModelRegion {
            name: memory.name.clone(),
            bytes,
        });
        if fits {
            break;
        }
    }
    if regions.len() == 1 {
        // A single memory is what an image is made for when it names none.
        regions.clear();
    }
    let packed = Packed {
        offsets,
        bytes: start,
        order: order.to_vec(),
    };
    Ok((packed, regions))
}
