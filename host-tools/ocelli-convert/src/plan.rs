//! Memory planning: which ops stream row by row together, how many rows each tensor holds, and where.
//!
//! The op list is cut into segments. Inside a segment rows are pulled from its last op, so tensors between its ops need
//! only a few rows; a tensor that crosses from one segment to another is whole. [`plan`] runs every possible segment on
//! paper and writes down which bytes are alive at each moment. It looks for the cuts with the fewest (dynamic
//! programming over all cuts of the op list), packs the most promising ones, and goes on from the best by moving cuts.
//!
//! Two things may share bytes that are not alive at the same moment, row by row: a segment's whole output may follow
//! its whole input through memory. [`verify`] then runs the plan on shadow memory.

use ocelli::kernels::BLOCK_PIXELS;
use ocelli_image::Model;

use crate::error::PlanError;

mod cuts;
mod draft;
mod estimate;
mod live;
mod pack;
mod regions;
mod schedule;
mod search;
mod timeline;
mod verify;

use draft::Draft;
pub use regions::{Memory, RegionUse, regions};
use schedule::Flow;
pub use timeline::{Holder, Life, SegmentUse, Timeline};
pub use verify::verify;

/// What a plan is to be good at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlanKind {
    /// The smallest arena.
    #[default]
    Small,
    /// The fewest estimated instructions, and of such plans the smallest arena.
    Fast,
    /// The smallest arena with cuts only where a single tensor crosses.
    Blocks,
    /// Every tensor whole, one op after another: what other runtimes do.
    Layers,
    /// The fewest estimated instructions in so many bytes, the executor's state included.
    Within(usize),
}

/// The largest arena that is planned: a file of a few bytes can name tensors of gigabytes, and the verifier's shadow
/// memory is eight times as large.
const ARENA_BYTES: usize = 1 << 26;

/// The smallest plan may have a part of the least memory more, if its kernels are faster for it.
const MEMORY_FOR_SPEED: usize = 8;

/// Bytes of the executor's state for each op.
const STATE_BYTES: usize = 6;

/// Plans a model anew; whatever plan it has is forgotten.
///
/// # Errors
/// [`PlanError::TooLarge`] for more memory than any device has, [`PlanError::DoesNotFit`] if the smallest plan needs
/// more than [`PlanKind::Within`] allows; the others if the verifier finds a fault, which would be a bug of the planner.
pub fn plan(model: Model, kind: PlanKind) -> Result<Model, PlanError> {
    plan_in(model, kind, &[])
}

/// The same for several memories, the fastest first: what is read and written most for its size lies in it.
///
/// The image is for the memories that the plan needs, in their order; without any it is for a single one of any size.
///
/// # Errors
/// As [`plan`], and [`PlanError::MemoryTooSmall`] if the plan does not fit into the memories.
pub fn plan_in(mut model: Model, kind: PlanKind, memories: &[Memory]) -> Result<Model, PlanError> {
    let mut flow = Flow::new(&model);
    let state = STATE_BYTES * model.ops.len();
    let draft = match kind {
        PlanKind::Small => with_large_blocks(&model, &mut flow, search::smallest),
        PlanKind::Fast => search::fastest(&flow),
        PlanKind::Blocks => with_large_blocks(&model, &mut flow, |flow| {
            search::smallest_with(flow, |cut| search::crossing(flow, cut) == 1)
        }),
        PlanKind::Layers => Draft::layers(&flow),
        PlanKind::Within(bytes) => {
            let bytes_left = bytes.saturating_sub(state);
            let mut fastest = search::fastest_within(&flow, bytes_left);
            // Smaller blocks, down to none, where the largest do not fit.
            for pixels in [2, 1, 0] {
                if fastest.is_err() {
                    flow = Flow::with_blocks(&model, pixels);
                    fastest = search::fastest_within(&flow, bytes_left);
                }
            }
            fastest.map_err(|least| PlanError::DoesNotFit {
                bytes,
                least: least + state,
            })?
        }
    };
    if draft.packed.bytes > ARENA_BYTES {
        return Err(PlanError::TooLarge {
            bytes: draft.packed.bytes,
            limit: ARENA_BYTES,
        });
    }
    let draft = match (memories, kind) {
        ([], _) => draft,
        // Things lie as close as the steps allow that they were placed for.
        (_, PlanKind::Fast | PlanKind::Within(_)) => {
            let anew = Draft::new(&flow, draft.segments);
            regions::spread(&flow, anew, memories, state)?
        }
        _ => regions::spread(&flow, draft, memories, state)?,
    };
    let draft = match kind {
        PlanKind::Small | PlanKind::Blocks => draft.widened(&flow),
        _ => draft,
    };
    draft.write(&mut model);
    verify(&model)?;
    Ok(model)
}

/// The smallest plan, with blocks for the kernels as large as cost little memory.
fn with_large_blocks<'m>(
    model: &'m Model,
    flow: &mut Flow<'m>,
    smallest: impl Fn(&Flow<'_>) -> Draft,
) -> Draft {
    // From the fastest to the smallest: all blocks large; or of few pixels, larger wherever there is room; or of few.
    let large = Flow::new(model);
    let mut drafts = vec![(smallest(&large), large)];
    for pixels in [BLOCK_PIXELS / 2, 1] {
        let slim = Flow::with_blocks(model, pixels);
        let draft = smallest(&slim);
        let mut mixed = Flow::with_blocks(model, pixels);
        mixed.enlarge_blocks(&draft.room(&slim));
        let wider = Draft::new(&mixed, draft.segments.clone()).improved(&mixed);
        drafts.extend([(wider, mixed), (draft, slim)]);
    }
    let bytes = drafts.iter().map(|(draft, _)| draft.packed.bytes);
    let least = bytes.min().unwrap_or(0);
    let little = |draft: &Draft| draft.packed.bytes <= least + least / MEMORY_FOR_SPEED;
    match drafts.into_iter().find(|(draft, _)| little(draft)) {
        Some((draft, chosen)) => {
            *flow = chosen;
            draft
        }
        None => Draft::layers(flow),
    }
}

/// Bytes of memory that a session of a planned model needs, the executor's state included.
pub fn arena_bytes(model: &Model) -> usize {
    model.arena_bytes + STATE_BYTES * model.ops.len()
}

/// Instructions of a run, roughly: what plans are compared by, not what a device counts.
pub fn estimated_insns(model: &Model) -> u64 {
    let flow = Flow::planned(model);
    let ops = model.ops.iter().enumerate();
    ops.map(|(at, op)| estimate::instructions(&flow, at, op.rows_per_step))
        .sum()
}

/// How often the plan reads the weights, as a multiple of their bytes: once a step.
pub fn weight_reads(model: &Model) -> f64 {
    let (mut reads, mut bytes) = (0.0, 0.0);
    for (at, op) in model.ops.iter().enumerate() {
        let weights = estimate::weight_bytes(model, at) as f64;
        reads += weights * model.tensors[at + 1].h.div_ceil(op.rows_per_step) as f64;
        bytes += weights;
    }
    if bytes > 0.0 { reads / bytes } else { 1.0 }
}
