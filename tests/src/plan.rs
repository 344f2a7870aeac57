//! Random valid plans for a model: an own reading of how an executor pulls rows, on rings that know their rows.

use std::ops::Range;

use ocelli_image::{Body, Model};

use crate::random::Random;

/// Gives a model a random plan that works: segments, rows a step, rows held, places.
pub fn plan(model: &mut Model, random: &mut Random) {
    model.segments = cuts(model.ops.len(), random);
    let whole = whole_tensors(model);
    for (at, op) in model.ops.iter_mut().enumerate() {
        let h = model.tensors[at + 1].h;
        op.rows_per_step = random.pick(&[1, 1, 2, 3, h]);
    }
    for (tensor, &whole) in model.tensors.iter_mut().zip(&whole) {
        tensor.rows_held = if whole { tensor.h } else { 1 };
    }
    for at in 0..model.ops.len() {
        let rows = model.ops[at].rows_per_step.min(model.tensors[at + 1].h);
        for input in model.ops[at].inputs {
            let needed = rows_in_a_step(model, at, input, rows);
            let tensor = &mut model.tensors[input];
            tensor.rows_held = tensor.rows_held.max(needed);
        }
    }
    // Rings grow until no row is lost before it has been read.
    while let Err(tensor) = Pull::new(model).run() {
        let tensor = &mut model.tensors[tensor];
        assert!(tensor.rows_held < tensor.h, "a whole tensor loses no row");
        tensor.rows_held += 1;
    }
    // Larger rings than needed are as good, where they are.
    let snug: Vec<usize> = model
        .tensors
        .iter()
        .map(|tensor| tensor.rows_held)
        .collect();
    if random.once_in(3) {
        for tensor in &mut model.tensors {
            tensor.rows_held = random.size(tensor.rows_held..=tensor.h);
        }
        if !keeps_all_rows(model) {
            for (tensor, rows) in model.tensors.iter_mut().zip(snug) {
                tensor.rows_held = rows;
            }
        }
    }
    place(model, random);
}

/// Whether no row is lost before it is read, under the plan that a model has.
pub fn keeps_all_rows(model: &Model) -> bool {
    Pull::new(model).run().is_ok()
}

/// The rows of each tensor that something reads, and that a run therefore makes.
pub fn rows_read(model: &Model) -> Vec<usize> {
    let mut read = vec![0; model.tensors.len()];
    read[model.ops.len()] = model.tensors[model.ops.len()].h;
    for at in (0..model.ops.len()).rev() {
        for input in model.ops[at].inputs {
            for row in 0..read[at + 1] {
                let rows = match model.ops[at].body {
                    Body::GlobalAveragePool { .. } => 0..model.tensors[input].h,
                    _ => rows_for(model, at, input, row),
                };
                read[input] = read[input].max(rows.end);
            }
        }
    }
    read
}

/// Number of ops of each segment.
fn cuts(ops: usize, random: &mut Random) -> Vec<usize> {
    let most = random.pick(&[1, 2, 4, ops]);
    let mut segments = vec![];
    let mut left = ops;
    while left > 0 {
        let count = random.size(1..=most.clamp(1, left));
        segments.push(count);
        left -= count;
    }
    segments
}

/// The segment of each op.
fn segment_of(model: &Model) -> Vec<usize> {
    let segments = model.segments.iter().enumerate();
    segments.flat_map(|(at, &ops)| vec![at; ops]).collect()
}

/// First and last segment in which each tensor is alive.
fn lives(model: &Model) -> Vec<Range<usize>> {
    let segment = segment_of(model);
    let made = |tensor: usize| tensor.checked_sub(1).map_or(0, |op| segment[op]);
    let mut lives: Vec<Range<usize>> = (0..model.tensors.len())
        .map(|tensor| made(tensor)..made(tensor) + 1)
        .collect();
    for (at, op) in model.ops.iter().enumerate() {
        for input in op.inputs {
            lives[input].end = lives[input].end.max(segment[at] + 1);
        }
    }
    let embedding = model.head.map(|head| model.ops[head].inputs[0]);
    for kept in embedding.into_iter().chain([model.ops.len()]) {
        lives[kept].end = model.segments.len();
    }
    lives
}

/// The tensors that must hold all their rows.
fn whole_tensors(model: &Model) -> Vec<bool> {
    let embedding = model.head.map(|head| model.ops[head].inputs[0]);
    let kept = |tensor: usize| tensor == model.ops.len() || Some(tensor) == embedding;
    let crosses = lives(model).into_iter().map(|life| life.len() > 1);
    crosses
        .enumerate()
        .map(|(tensor, crosses)| crosses || kept(tensor))
        .collect()
}

/// The input rows for one output row of an op that is no global pooling.
fn rows_for(model: &Model, op: usize, input: usize, row: usize) -> Range<usize> {
    let h = model.tensors[input].h as i64;
    let row = row as i64;
    let (first, end) = match &model.ops[op].body {
        Body::Conv2d { window, .. }
        | Body::Depthwise { window, .. }
        | Body::AveragePool { window, .. }
        | Body::MaxPool { window, .. } => {
            let first = row * i64::from(window.stride_h) - i64::from(window.padding.top);
            let span = i64::from(window.filter_h - 1) * i64::from(window.dilation_h) + 1;
            (first, first + span)
        }
        Body::Pad { padding } => {
            let row = row - i64::from(padding.top);
            (row, row + 1)
        }
        Body::Dense { .. } | Body::Softmax { .. } => (0, h),
        Body::Multiply { .. } if h == 1 => (0, 1),
        Body::Pointwise { .. }
        | Body::Add { .. }
        | Body::Multiply { .. }
        | Body::Table { .. }
        | Body::LayerNorm { .. }
        | Body::Concat
        | Body::GlobalAveragePool { .. } => (row, row + 1),
    };
    let inside = |row: i64| row.clamp(0, h) as usize;
    inside(first)..inside(end)
}

/// The most input rows that a step of `rows` output rows reads.
fn rows_in_a_step(model: &Model, op: usize, input: usize, rows: usize) -> usize {
    let h = model.tensors[input].h;
    let needed = match &model.ops[op].body {
        Body::GlobalAveragePool { .. } => 1,
        Body::Conv2d { window, .. }
        | Body::Depthwise { window, .. }
        | Body::AveragePool { window, .. }
        | Body::MaxPool { window, .. } => {
            let span = usize::from(window.filter_h - 1) * usize::from(window.dilation_h) + 1;
            span + (rows - 1) * usize::from(window.stride_h)
        }
        Body::Dense { .. } | Body::Softmax { .. } => h,
        Body::Pointwise { .. }
        | Body::Add { .. }
        | Body::Multiply { .. }
        | Body::Table { .. }
        | Body::LayerNorm { .. }
        | Body::Concat
        | Body::Pad { .. } => rows,
    };
    needed.min(h)
}

/// A run of the plan on rings that remember which row is in which slot.
struct Pull<'m> {
    model: &'m Model,
    /// Rows of each tensor that are made at all.
    wanted: Vec<usize>,
    made: Vec<usize>,
    /// Input rows that each global pooling has added.
    added: Vec<usize>,
    slots: Vec<Vec<Option<usize>>>,
}

impl<'m> Pull<'m> {
    fn new(model: &'m Model) -> Self {
        let slots = |tensor: &ocelli_image::Tensor| vec![None; tensor.rows_held];
        Pull {
            model,
            wanted: rows_read(model),
            made: vec![0; model.tensors.len()],
            added: vec![0; model.ops.len()],
            slots: model.tensors.iter().map(slots).collect(),
        }
    }

    /// `Err` with the tensor that lost a row before it was read.
    fn run(mut self) -> Result<(), usize> {
        let mut start = 0;
        for &count in &self.model.segments {
            let end = start + count;
            // First the last op; then what only later segments read, nearest to the end first.
            while let Some(op) = (start..end)
                .rev()
                .find(|&op| self.made[op + 1] < self.wanted[op + 1])
            {
                self.step(op)?;
            }
            start = end;
        }
        Ok(())
    }

    /// One step of an op, after the steps that it waits for.
    fn step(&mut self, op: usize) -> Result<(), usize> {
        let inputs = self.model.ops[op].inputs;
        let is_sum = matches!(self.model.ops[op].body, Body::GlobalAveragePool { .. });
        let (rows, read) = loop {
            let (rows, read) = if is_sum {
                let rows = self.added[op]..self.made[inputs[0]].max(self.added[op] + 1);
                (rows.clone(), [rows.clone(), rows])
            } else {
                let rows = self.next_rows(op);
                let read = inputs.map(|input| {
                    let of = |row| rows_for(self.model, op, input, row);
                    of(rows.start).start..of(rows.end - 1).end
                });
                (rows, read)
            };
            let lacking = (0..2).find(|&k| self.made[inputs[k]] < read[k].end);
            match lacking.map(|k| inputs[k]) {
                None => break (rows, read),
                Some(0) => {
                    let row = self.made[0];
                    self.write(0, row..row + 1);
                }
                Some(tensor) => self.step(tensor - 1)?,
            }
        };
        for (input, rows) in inputs.into_iter().zip(read) {
            for row in rows {
                let slots = &self.slots[input];
                if slots[row % slots.len()] != Some(row) {
                    return Err(input);
                }
            }
        }
        if is_sum {
            self.added[op] = rows.end;
            if rows.end == self.model.tensors[inputs[0]].h {
                self.write(op + 1, 0..1);
            }
        } else {
            self.write(op + 1, rows);
        }
        Ok(())
    }

    /// As many rows as a step may make: adjoining ones in the ring, and only rows that are read.
    fn next_rows(&self, op: usize) -> Range<usize> {
        let first = self.made[op + 1];
        let held = self.model.tensors[op + 1].rows_held;
        let end = (first + self.model.ops[op].rows_per_step)
            .min(self.wanted[op + 1])
            .min((first / held + 1) * held);
        first..end
    }

    fn write(&mut self, tensor: usize, rows: Range<usize>) {
        self.made[tensor] = rows.end;
        for row in rows {
            let slots = &mut self.slots[tensor];
            let held = slots.len();
            slots[row % held] = Some(row);
        }
    }
}

/// Random places: what is alive in the same segment shares no byte.
fn place(model: &mut Model, random: &mut Random) {
    #[derive(Clone, Copy)]
    enum Owner {
        Tensor(usize),
        Scratch(usize),
    }
    let segment = segment_of(model);
    let lives = lives(model);
    let tensors = lives
        .into_iter()
        .zip(&model.tensors)
        .enumerate()
        .map(|(at, (life, tensor))| (Owner::Tensor(at), life, tensor.held_bytes()));
    let scratch = model
        .ops
        .iter()
        .enumerate()
        .filter(|(_, op)| op.scratch.1 > 0)
        .map(|(at, op)| {
            (
                Owner::Scratch(at),
                segment[at]..segment[at] + 1,
                op.scratch.1,
            )
        });
    let mut items: Vec<(Owner, Range<usize>, usize)> = tensors.chain(scratch).collect();
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at + 1));
    }
    let mut taken: Vec<(Range<usize>, Range<usize>)> = vec![];
    let gaps = random.once_in(2);
    for (owner, life, bytes) in items {
        let mut offset = if gaps { random.below(20) } else { 0 };
        let meets = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
        while let Some((_, other)) = taken
            .iter()
            .find(|(l, other)| meets(l, &life) && meets(other, &(offset..offset + bytes)))
        {
            offset = other.end;
        }
        taken.push((life, offset..offset + bytes));
        match owner {
            Owner::Tensor(at) => model.tensors[at].offset = offset,
            Owner::Scratch(at) => model.ops[at].scratch.0 = offset,
        }
    }
    let end = taken.iter().map(|(_, bytes)| bytes.end).max().unwrap_or(0);
    model.arena_bytes = end + if gaps { random.below(40) } else { 0 };
}
