//! A plan in the making: segments first, then rows held, then places.

use super::cuts::Segment;
use super::estimate::{instructions, weight_bytes};
use super::live::{Item, Owner, bytes_alive, clashes, items};
use super::pack::{Packed, Puzzle};
use super::schedule::{Flow, Pull};
use ocelli_image::{Model, ModelRegion};

/// Orders in which the items of a promising plan are placed.
const TRIES: usize = 400;

/// Segments with all that follows from them.
#[derive(Clone)]
pub struct Draft {
    pub segments: Vec<Segment>,
    rows_held: Vec<usize>,
    pub items: Vec<Item>,
    /// Bytes alive at the worst moment: the arena cannot be smaller.
    pub bound: usize,
    /// The segment of that moment.
    pub worst: usize,
    pub packed: Packed,
    /// The memories that the items are spread over; none if there is a single one.
    pub regions: Vec<ModelRegion>,
    /// Bytes of weights read.
    pub reads: u64,
}

impl Draft {
    /// Rows held and lives that go with segments, packed quickly.
    pub fn new(flow: &Flow<'_>, segments: Vec<Segment>) -> Self {
        Draft::with(flow, segments, false)
    }

    /// Every tensor whole for all its life, one op after another.
    pub fn layers(flow: &Flow<'_>) -> Self {
        let rows = |op: usize| flow.model.tensors[op + 1].h;
        let segments = (0..flow.totals.len()).map(|op| Segment::alone(op, rows(op)));
        Draft::with(flow, segments.collect(), true)
    }

    fn with(flow: &Flow<'_>, segments: Vec<Segment>, plain: bool) -> Self {
        let rows_per_step = rows_per_step(&segments);
        let mut rows_held: Vec<usize> = flow.model.tensors.iter().map(|t| t.h).collect();
        let mut pull = Pull::new(flow, &rows_per_step, None, 0);
        for segment in &segments {
            pull.segment(segment.ops());
            let first = if segment.start == 0 {
                0
            } else {
                segment.start + 1
            };
            let made = rows_held.iter_mut().enumerate();
            for (tensor, rows) in made.take(segment.end + 1).skip(first) {
                if !plain && !flow.crosses(tensor, segment.end) {
                    *rows = pull.rows_needed(tensor, &segment.ops());
                }
            }
        }
        let trace = pull.finish();
        let mut items = items(flow, &trace, &rows_held);
        if plain {
            items = items.into_iter().map(Item::plain).collect();
        }
        let alive = bytes_alive(&items, 0..trace.steps.len());
        let moment = (0..alive.len()).rev().max_by_key(|&at| alive[at]);
        let bound = moment.map_or(0, |moment| alive[moment]);
        let op = moment.and_then(|moment| trace.steps[moment]).unwrap_or(0);
        let worst = segments.partition_point(|segment| segment.end <= op);
        let passes = |op: usize| flow.totals[op].div_ceil(rows_per_step[op]);
        let reads =
            (0..flow.totals.len()).map(|op| (weight_bytes(flow.model, op) * passes(op)) as u64);
        Draft {
            packed: Puzzle::new(flow, &items, bound).quick(),
            regions: vec![],
            reads: reads.sum(),
            segments,
            rows_held,
            items,
            bound,
            worst,
        }
    }

    /// The same, its items placed with more patience.
    pub fn improved(mut self, flow: &Flow<'_>) -> Self {
        let puzzle = Puzzle::new(flow, &self.items, self.bound);
        self.packed = puzzle.improve(self.packed, TRIES);
        self
    }

    /// Bytes of the arena that are free in every step of each op.
    pub fn room(&self, flow: &Flow<'_>) -> Vec<usize> {
        let ends = self.items.iter().filter_map(Item::life);
        let end = ends.map(|(_, end)| end).max().unwrap_or(0);
        let alive = bytes_alive(&self.items, 0..end);
        let mut room = vec![0; flow.totals.len()];
        for item in &self.items {
            if let Owner::Scratch(op) = item.owner {
                let moments = item
                    .spans
                    .iter()
                    .flat_map(|span| span.moments.0..span.moments.1);
                let most = moments.map(|moment| alive[moment]).max().unwrap_or(0);
                room[op] = self.packed.bytes.saturating_sub(most);
            }
        }
        room
    }

    /// Rows that each op makes in a step.
    pub fn rows_per_step(&self) -> Vec<usize> {
        rows_per_step(&self.segments)
    }

    /// Estimated instructions.
    pub fn instructions(&self, flow: &Flow<'_>) -> u64 {
        let rows = rows_per_step(&self.segments);
        let each = rows.iter().enumerate();
        each.map(|(op, &rows)| instructions(flow, op, rows)).sum()
    }

    /// Lets ops that are alone make as many rows a step as fit where everything lies.
    pub fn widened(mut self, flow: &Flow<'_>) -> Self {
        for at in 0..self.segments.len() {
            let op = self.segments[at].start;
            if self.segments[at].end != op + 1 || flow.is_sum(op) {
                continue;
            }
            let total = flow.totals[op];
            let wider = std::iter::successors(Some(total), |rows| Some(rows / 2));
            let wider = wider.take_while(|&rows| rows > self.segments[at].rows);
            let fitting = wider.into_iter().find(|&rows| self.fits(flow, op, rows));
            if let Some(rows) = fitting {
                self.segments[at].rows = rows;
            }
        }
        self
    }

    /// Whether an op that is alone can make so many rows a step without writing on rows that it still reads.
    fn fits(&self, flow: &Flow<'_>, op: usize, rows: usize) -> bool {
        let tensors = &flow.model.tensors;
        let inputs = flow.model.ops[op].inputs;
        if inputs
            .iter()
            .any(|&input| self.rows_held[input] < tensors[input].h)
        {
            return false;
        }
        let mut rows_per_step = rows_per_step(&self.segments);
        rows_per_step[op] = rows;
        let mut pull = Pull::new(flow, &rows_per_step, None, op);
        pull.segment(op..op + 1);
        let items = items(flow, &pull.finish(), &self.rows_held);
        // All that the op touches at once: what it reads, what it makes, and its scratch memory.
        let scratch = items
            .iter()
            .position(|item| item.owner == Owner::Scratch(op));
        let touched: Vec<usize> = inputs.into_iter().chain([op + 1]).chain(scratch).collect();
        let apart = |&first: &usize, &second: &usize| {
            let distance = self.packed.offsets[second] as i64 - self.packed.offsets[first] as i64;
            let forbidden = clashes(&items[first], &items[second]);
            let meets = |&(low, high): &(i64, i64)| low <= distance && distance <= high;
            first == second || !forbidden.iter().any(meets)
        };
        let pairs = touched.iter().enumerate();
        let mut pairs = pairs.flat_map(|(at, a)| touched[at + 1..].iter().map(move |b| (a, b)));
        pairs.all(|(first, second)| apart(first, second))
    }

    /// Writes the plan into the model that it was made for.
    pub fn write(self, model: &mut Model) {
        for (op, rows) in model.ops.iter_mut().zip(rows_per_step(&self.segments)) {
            op.rows_per_step = rows;
            op.scratch = (0, 0);
        }
        for (tensor, rows) in model.tensors.iter_mut().zip(self.rows_held) {
            tensor.rows_held = rows;
        }
        for (item, offset) in self.items.iter().zip(self.packed.offsets) {
            match item.owner {
                Owner::Tensor(tensor) => model.tensors[tensor].offset = offset,
                Owner::Scratch(op) => model.ops[op].scratch = (offset, item.bytes),
            }
        }
        let ops = self.segments.iter().map(|segment| segment.ops().len());
        model.segments = ops.collect();
        model.arena_bytes = self.packed.bytes;
        model.regions = self.regions;
    }
}

fn rows_per_step(segments: &[Segment]) -> Vec<usize> {
    let rows = segments
        .iter()
        .flat_map(|segment| segment.ops().map(|_| segment.rows.max(1)));
    rows.collect()
}
