//! A run of a plan on paper: which rows of each tensor are alive at every moment.

use std::ops::Range;

use ocelli::kernels::BLOCK_PIXELS;
use ocelli_image::{Body, Model, WeightPacking};

use crate::target;

/// What a network's ops read of each other, whatever the plan.
pub struct Flow<'m> {
    pub model: &'m Model,
    /// What each op ends at: rows made, or of a global pooling rows added. As many as something reads.
    pub totals: Vec<usize>,
    /// The ops that read each tensor.
    readers: Vec<Vec<usize>>,
    /// Tensors that have to last to the end.
    kept: Vec<bool>,
    /// Bytes that each op wants beside its tensors.
    scratch: Vec<usize>,
}

impl<'m> Flow<'m> {
    pub fn new(model: &'m Model) -> Self {
        Flow::with_blocks(model, BLOCK_PIXELS)
    }

    /// Of a planned model, with the scratch memory that the plan gives.
    pub fn planned(model: &'m Model) -> Self {
        let mut flow = Flow::new(model);
        flow.scratch = model.ops.iter().map(|op| op.scratch.1).collect();
        flow
    }

    /// With scratch memory for convolutions that multiply so many pixels at once; with less they are slower.
    pub fn with_blocks(model: &'m Model, pixels: usize) -> Self {
        let mut readers = vec![vec![]; model.tensors.len()];
        for (at, op) in model.ops.iter().enumerate() {
            for &input in &op.inputs {
                if readers[input].last() != Some(&at) {
                    readers[input].push(at);
                }
            }
        }
        let mut kept = vec![false; model.tensors.len()];
        kept[model.ops.len()] = true;
        if let Some(head) = model.head {
            kept[model.ops[head].inputs[0]] = true;
        }
        Flow {
            model,
            totals: totals(model),
            readers,
            kept,
            scratch: (0..model.ops.len())
                .map(|op| scratch_bytes(model, op, pixels))
                .collect(),
        }
    }

    pub fn is_sum(&self, op: usize) -> bool {
        matches!(self.model.ops[op].body, Body::GlobalAveragePool { .. })
    }

    /// Bytes that an op has beside its tensors: for all of its life the sums of a global pooling, for each step others'.
    pub fn scratch_bytes(&self, op: usize) -> usize {
        self.scratch[op]
    }

    /// Gives ops the largest blocks for which `room` of them has bytes beside what they have now.
    pub fn enlarge_blocks(&mut self, room: &[usize]) {
        for (op, &room) in room.iter().enumerate() {
            let sizes = [BLOCK_PIXELS, BLOCK_PIXELS / 2];
            let mut bytes = sizes
                .map(|pixels| scratch_bytes(self.model, op, pixels))
                .into_iter();
            let fitting = bytes.find(|&bytes| bytes <= self.scratch[op] + room);
            self.scratch[op] = fitting.unwrap_or(0).max(self.scratch[op]);
        }
    }

    /// Whether a tensor is read by an op from `end` on, or has to last to the end.
    pub fn crosses(&self, tensor: usize, end: usize) -> bool {
        self.kept[tensor] || self.readers[tensor].iter().any(|&reader| reader >= end)
    }

    /// The rows of an input that an op reads to make output rows `rows`.
    pub fn rows_read(&self, op: usize, input: usize, rows: Range<usize>) -> Range<usize> {
        let h = self.model.tensors[input].h;
        ocelli::input_rows(&self.model.ops[op].body, h, rows)
    }

    /// The most rows of a tensor that one step of `rows` rows may read.
    fn window(&self, op: usize, tensor: usize, rows: usize) -> usize {
        let h = self.model.tensors[tensor].h;
        let window = match &self.model.ops[op].body {
            Body::Conv2d { window, .. }
            | Body::Depthwise { window, .. }
            | Body::AveragePool { window, .. }
            | Body::MaxPool { window, .. } => {
                let span = (usize::from(window.filter_h) - 1) * usize::from(window.dilation_h) + 1;
                span + (rows - 1) * usize::from(window.stride_h)
            }
            Body::Dense { .. } | Body::Softmax { .. } => h,
            Body::GlobalAveragePool { .. } => 1,
            _ => rows,
        };
        window.min(h)
    }
}

/// Scratch memory for blocks of so many pixels, of what an op wants for the largest ones.
fn scratch_bytes(model: &Model, op: usize, pixels: usize) -> usize {
    let most = ocelli::scratch_bytes(&target::context(model, op));
    let canonical = model.ops[op].weight_packing == WeightPacking::Canonical;
    match model.ops[op].body {
        // Canonical filters are multiplied with blocks of two pixels or more; a single one's codes are read as they lie,
        // gathered where they do not lie together.
        Body::Pointwise { .. } if canonical && pixels == 1 => 0,
        Body::Conv2d { .. } if canonical && pixels == 1 => most / BLOCK_PIXELS / 2,
        Body::Conv2d { .. } | Body::Pointwise { .. } => most / BLOCK_PIXELS * pixels,
        Body::Depthwise { .. } | Body::Dense { .. } if pixels == 0 => 0,
        _ => most,
    }
}

/// The steps of one row that each op takes.
fn totals(model: &Model) -> Vec<usize> {
    let mut totals = vec![0; model.ops.len()];
    let last = model.ops.len() - 1;
    totals[last] = model.tensors[last + 1].h;
    for op in (0..=last).rev() {
        if totals[op] == 0 {
            continue;
        }
        for input in model.ops[op].inputs {
            let h = model.tensors[input].h;
            if matches!(model.ops[op].body, Body::GlobalAveragePool { .. }) {
                totals[op] = h;
            }
            let read = ocelli::input_rows(&model.ops[op].body, h, 0..totals[op]).end;
            if let Some(maker) = input.checked_sub(1) {
                totals[maker] = totals[maker].max(read);
            }
        }
    }
    totals
}

/// Rows `rows` of a tensor are alive during moments `moments`.
#[derive(Clone, Copy)]
pub struct Run {
    pub moments: (usize, usize),
    pub rows: (usize, usize),
}

/// What a run has shown.
pub struct Trace {
    /// By tensor, in order of time.
    pub runs: Vec<Vec<Run>>,
    /// From the first to the last moment of each global pooling's sums.
    pub sums: Vec<Option<(usize, usize)>>,
    /// The moments of each op's steps.
    pub moments: Vec<Vec<usize>>,
    /// The op that made a step at each moment; none where a row of the input came.
    pub steps: Vec<Option<usize>>,
}

impl Trace {
    /// The most rows of a tensor that were alive at once.
    pub fn most_rows(&self, tensor: usize) -> usize {
        let rows = self.runs[tensor].iter().map(|run| run.rows.1 - run.rows.0);
        rows.max().unwrap_or(0)
    }
}

/// A run in the making. A moment is one step of one op, or the coming of one input row.
pub struct Pull<'f> {
    flow: &'f Flow<'f>,
    rows_per_step: &'f [usize],
    /// Rows that each tensor's ring has; what is unknown yet counts as endless.
    rows_held: Option<&'f [usize]>,
    /// Rows made by each op, or added by a global pooling.
    done: Vec<usize>,
    /// Rows of the network's input that have come.
    fed: usize,
    /// Since when, and which rows of each tensor are alive.
    alive: Vec<(usize, (usize, usize))>,
    trace: Trace,
}

impl<'f> Pull<'f> {
    /// At the start of op `start`, all before it having run.
    pub fn new(
        flow: &'f Flow<'f>,
        rows_per_step: &'f [usize],
        rows_held: Option<&'f [usize]>,
        start: usize,
    ) -> Self {
        let tensors = flow.model.tensors.len();
        let mut done = vec![0; flow.totals.len()];
        done[..start].copy_from_slice(&flow.totals[..start]);
        let fed = if start > 0 {
            flow.model.tensors[0].h
        } else {
            0
        };
        let mut pull = Pull {
            flow,
            rows_per_step,
            rows_held,
            done,
            fed,
            alive: vec![(0, (0, 0)); tensors],
            trace: Trace {
                runs: vec![vec![]; tensors],
                sums: vec![None; flow.totals.len()],
                moments: vec![vec![]; flow.totals.len()],
                steps: vec![],
            },
        };
        if start > 0 {
            for tensor in 0..start + 1 {
                pull.note(tensor, 0);
            }
        }
        pull
    }

    /// Runs one segment: its last op first, then rows that only later segments read, nearest to the end first.
    pub fn segment(&mut self, ops: Range<usize>) {
        while let Some(op) = ops.clone().rev().find(|&op| !self.is_complete(op)) {
            self.pull(op);
        }
    }

    /// Moments that have passed.
    pub fn moments(&self) -> usize {
        self.trace.steps.len()
    }

    /// What was seen, all lives ending now.
    pub fn finish(mut self) -> Trace {
        let now = self.trace.steps.len();
        for tensor in 0..self.alive.len() {
            self.close(tensor, now);
        }
        self.trace
    }

    /// Rows that the ring of a tensor made in segment `ops` needs.
    pub fn rows_needed(&self, tensor: usize, ops: &Range<usize>) -> usize {
        let readers = self.flow.readers[tensor].iter();
        let windows = readers
            .filter(|reader| ops.contains(reader))
            .map(|&reader| {
                let rows = self.rows_per_step[reader].min(self.flow.model.tensors[reader + 1].h);
                self.flow.window(reader, tensor, rows)
            });
        let (_, alive) = self.alive[tensor];
        let seen = self.trace.most_rows(tensor).max(alive.1 - alive.0);
        windows.max().unwrap_or(1).max(seen).max(1)
    }

    fn is_complete(&self, op: usize) -> bool {
        self.done[op] >= self.flow.totals[op]
    }

    fn made(&self, tensor: usize) -> usize {
        match tensor.checked_sub(1) {
            None => self.fed,
            Some(op) if self.flow.is_sum(op) => {
                usize::from(self.is_complete(op) && self.done[op] > 0)
            }
            Some(op) => self.done[op],
        }
    }

    /// The rows of an op's next step; of a global pooling, rows of its input.
    fn next_rows(&self, op: usize) -> Range<usize> {
        let done = self.done[op];
        if self.flow.is_sum(op) {
            let made = self.made(self.flow.model.ops[op].inputs[0]);
            return done..made.max(done + 1);
        }
        let room = self.rows_held.map_or(usize::MAX, |held| {
            let held = held[op + 1];
            held - done % held
        });
        let rows = self.rows_per_step[op].min(self.flow.totals[op] - done);
        done..done + rows.min(room)
    }

    /// Runs the next step of an op, after whatever it needs.
    fn pull(&mut self, op: usize) {
        let mut asked = vec![op];
        while let Some(&op) = asked.last() {
            let rows = self.next_rows(op);
            let inputs = self.flow.model.ops[op].inputs;
            let lacks = |&input: &usize| {
                self.made(input) < self.flow.rows_read(op, input, rows.clone()).end
            };
            match inputs.into_iter().find(lacks) {
                Some(0) => {
                    self.fed += 1;
                    self.note_made(0, self.trace.steps.len());
                    self.trace.steps.push(None);
                    self.note(0, self.trace.steps.len());
                }
                Some(tensor) => asked.push(tensor - 1),
                None => {
                    self.step(op, rows);
                    asked.pop();
                }
            }
        }
    }

    fn step(&mut self, op: usize, rows: Range<usize>) {
        let now = self.trace.steps.len();
        let inputs = self.flow.model.ops[op].inputs;
        self.done[op] = rows.end;
        self.note_made(op + 1, now);
        if self.flow.is_sum(op) {
            let sums = self.trace.sums[op].get_or_insert((now, now));
            sums.1 = now + 1;
        }
        self.trace.moments[op].push(now);
        self.trace.steps.push(Some(op));
        // What was read for the last time is free from the next moment on.
        for input in inputs {
            self.note(input, now + 1);
        }
        self.note(op + 1, now + 1);
    }

    /// More rows of a tensor exist: what nothing reads is alive while it is made.
    fn note_made(&mut self, tensor: usize, now: usize) {
        let (_, (oldest, _)) = self.alive[tensor];
        self.set(tensor, now, (oldest, self.made(tensor)));
    }

    /// The rows of a tensor that are alive from `now` on.
    fn note(&mut self, tensor: usize, now: usize) {
        let made = self.made(tensor);
        self.set(tensor, now, (self.oldest(tensor).min(made), made));
    }

    /// The oldest row that is still to be read.
    fn oldest(&self, tensor: usize) -> usize {
        if self.flow.kept[tensor] {
            return 0;
        }
        let waiting = self.flow.readers[tensor]
            .iter()
            .filter(|&&reader| !self.is_complete(reader));
        let next = waiting.map(|&reader| {
            let row = self.done[reader];
            self.flow.rows_read(reader, tensor, row..row + 1).start
        });
        next.min().unwrap_or(usize::MAX)
    }

    fn set(&mut self, tensor: usize, now: usize, rows: (usize, usize)) {
        if self.alive[tensor].1 != rows {
            self.close(tensor, now);
            self.alive[tensor] = (now, rows);
        }
    }

    fn close(&mut self, tensor: usize, now: usize) {
        let (since, rows) = self.alive[tensor];
        if since < now && rows.0 < rows.1 {
            self.trace.runs[tensor].push(Run {
                moments: (since, now),
                rows,
            });
        }
    }
}
