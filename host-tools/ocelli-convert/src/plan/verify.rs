//! The independent verifier: runs a plan on shadow memory that knows of every byte which row it belongs to.
//!
//! It follows the format's words on execution (`FORMAT.md`), not the planner: it shares no code with it.

use ocelli_image::{Body, Model, Storage};

use crate::error::PlanError;

/// Nobody's byte.
const NOBODY: (u32, u32) = (u32::MAX, 0);

/// Runs the plan and checks that every row read is the row meant.
///
/// # Errors
/// [`PlanError::LostRow`] at the first wrong read, [`PlanError::Unsound`] for memory outside the arena or an op whose
/// scratch memory is disturbed.
pub fn verify(model: &Model) -> Result<(), PlanError> {
    sums_lie_apart(model)?;
    nothing_crosses(model)?;
    let mut shadow = Shadow {
        model,
        bytes: vec![NOBODY; model.arena_bytes],
        made: vec![0; model.tensors.len()],
        wanted: wanted(model),
        sums: vec![0; model.ops.len()],
    };
    let mut start = 0;
    for &count in &model.segments {
        let end = start + count;
        // The last op first; then rows that only later segments read, nearest to the end first.
        while let Some(op) = (start..end)
            .rev()
            .find(|&op| shadow.made[op + 1] < shadow.wanted[op + 1])
        {
            shadow.demand(op)?;
        }
        start = end;
    }
    if start != model.ops.len() {
        return Err(unsound("the segments are not the ops"));
    }
    // At the end the output and the embedding are whole.
    let embedding = model.head.map(|head| model.ops[head].inputs[0]);
    for tensor in [Some(model.ops.len()), embedding].into_iter().flatten() {
        for row in 0..model.tensors[tensor].h {
            shadow.read(model.ops.len(), tensor, row)?;
        }
    }
    Ok(())
}

/// A global pooling's sums stay while rows come and go: its input, output and sums share no byte at any time.
fn sums_lie_apart(model: &Model) -> Result<(), PlanError> {
    for (at, op) in model.ops.iter().enumerate() {
        if !matches!(op.body, Body::GlobalAveragePool { .. }) {
            continue;
        }
        let held = |tensor: usize| {
            let t = &model.tensors[tensor];
            (t.offset, t.offset + t.rows_held * t.w * t.c)
        };
        let sums = (op.scratch.0, op.scratch.0 + op.scratch.1);
        let [input, output] = [held(op.inputs[0]), held(at + 1)];
        for (a, b) in [(input, output), (input, sums), (output, sums)] {
            if a.0 < b.1 && b.0 < a.1 {
                return Err(unsound(format!("the memory of op {at} overlaps")));
            }
        }
    }
    Ok(())
}

/// Of several memories, each is a range of addresses of its own: tensors and scratch memory lie in one.
fn nothing_crosses(model: &Model) -> Result<(), PlanError> {
    let mut border = 0;
    for region in &model.regions {
        border += region.bytes;
        let crosses = |first: usize, bytes: usize| first < border && border < first + bytes;
        for (at, tensor) in model.tensors.iter().enumerate() {
            if crosses(tensor.offset, tensor.rows_held * tensor.w * tensor.c) {
                return Err(unsound(format!("tensor {at} lies in two memories")));
            }
        }
        for (at, op) in model.ops.iter().enumerate() {
            if crosses(op.scratch.0, op.scratch.1) {
                return Err(unsound(format!(
                    "op {at} has scratch memory in two memories"
                )));
            }
        }
    }
    if !model.regions.is_empty() && border != model.arena_bytes {
        return Err(unsound("the memories are not the arena"));
    }
    Ok(())
}

fn unsound(why: impl Into<String>) -> PlanError {
    PlanError::Unsound { why: why.into() }
}

struct Shadow<'m> {
    model: &'m Model,
    /// Tensor and row that own each byte; a global pooling's sums count as rows of a tensor behind the last.
    bytes: Vec<(u32, u32)>,
    /// Rows made of each tensor.
    made: Vec<usize>,
    /// Rows of each tensor that something reads: no others are made.
    wanted: Vec<usize>,
    /// Rows that each global pooling has added.
    sums: Vec<usize>,
}

impl Shadow<'_> {
    /// Runs one step of an op; first, one after another, the steps that its missing rows ask for.
    fn demand(&mut self, op: usize) -> Result<(), PlanError> {
        let record = &self.model.ops[op];
        if matches!(record.body, Body::GlobalAveragePool { .. }) {
            return self.demand_sum(op);
        }
        let output = &self.model.tensors[op + 1];
        let first = self.made[op + 1];
        let room = output.rows_held - first % output.rows_held;
        let rows = record
            .rows_per_step
            .min(self.wanted[op + 1] - first)
            .min(room);
        let inputs: &[usize] = if record.inputs[0] == record.inputs[1] {
            &record.inputs[..1]
        } else {
            &record.inputs
        };
        for &input in inputs {
            let last = (first..first + rows)
                .flat_map(|row| needs(&record.body, self.model.tensors[input].h, row))
                .max();
            while last.is_some_and(|last| self.made[input] <= last) {
                self.supply(input)?;
            }
        }
        // What a kernel leaves in its scratch memory is nobody's.
        let scratch = record.scratch.0..record.scratch.0 + record.scratch.1;
        let bytes = self.bytes.get_mut(scratch.clone());
        let outside = || {
            unsound(format!(
                "the scratch memory of op {op} lies outside the arena"
            ))
        };
        bytes.ok_or_else(outside)?.fill(NOBODY);
        for row in first..first + rows {
            self.write(op + 1, row)?;
        }
        // A kernel reads while it writes: what it reads has to be there when all is written.
        let mut slices = vec![self.places(op + 1, first..first + rows)];
        if !scratch.is_empty() {
            slices.push(vec![scratch]);
        }
        for &input in inputs {
            let h = self.model.tensors[input].h;
            let needed = (first..first + rows).flat_map(|row| needs(&record.body, h, row));
            let mut ends: Option<(usize, usize)> = None;
            for row in needed {
                self.read(op, input, row)?;
                ends = Some(ends.map_or((row, row), |(low, high)| (low.min(row), high.max(row))));
            }
            let all = ends.map_or(0..0, |(low, high)| low..high + 1);
            slices.push(self.places(input, all));
        }
        // It is given slices, with whatever rows lie between those that it reads.
        if slices_meet(slices) {
            return Err(unsound(format!("the memory of op {op} overlaps")));
        }
        self.made[op + 1] += rows;
        Ok(())
    }

    /// A global pooling adds one row or more a step; its sums must stay untouched in between.
    fn demand_sum(&mut self, op: usize) -> Result<(), PlanError> {
        let input = self.model.ops[op].inputs[0];
        if self.made[input] <= self.sums[op] {
            self.supply(input)?;
        }
        let (offset, bytes) = self.model.ops[op].scratch;
        let owner = ((self.model.tensors.len() + op) as u32, 0);
        let sums = self.bytes.get_mut(offset..offset + bytes);
        let sums =
            sums.ok_or_else(|| unsound(format!("the sums of op {op} lie outside the arena")))?;
        if self.sums[op] == 0 {
            sums.fill(owner);
        } else if sums.iter().any(|&byte| byte != owner) {
            return Err(unsound(format!("the sums of op {op} are overwritten")));
        }
        for row in self.sums[op]..self.made[input] {
            self.read(op, input, row)?;
        }
        self.sums[op] = self.made[input];
        if self.sums[op] == self.model.tensors[input].h {
            self.write(op + 1, 0)?;
            self.made[op + 1] = 1;
        }
        Ok(())
    }

    /// One more row, or step's worth of rows, of a tensor.
    fn supply(&mut self, tensor: usize) -> Result<(), PlanError> {
        match tensor {
            0 => {
                let row = self.made[0];
                self.made[0] += 1;
                self.write(0, row)
            }
            _ => self.demand(tensor - 1),
        }
    }

    fn place(&self, tensor: usize, row: usize) -> std::ops::Range<usize> {
        let t = &self.model.tensors[tensor];
        let start = t.offset + (row % t.rows_held) * t.w * t.c;
        start..start + t.w * t.c
    }

    fn places(&self, tensor: usize, rows: std::ops::Range<usize>) -> Vec<std::ops::Range<usize>> {
        rows.map(|row| self.place(tensor, row)).collect()
    }

    fn write(&mut self, tensor: usize, row: usize) -> Result<(), PlanError> {
        let place = self.place(tensor, row);
        let bytes = self.bytes.get_mut(place);
        let bytes =
            bytes.ok_or_else(|| unsound(format!("tensor {tensor} lies outside the arena")))?;
        bytes.fill((tensor as u32, row as u32));
        Ok(())
    }

    fn read(&self, op: usize, tensor: usize, row: usize) -> Result<(), PlanError> {
        let bytes = self.bytes.get(self.place(tensor, row)).unwrap_or(&[]);
        let meant = (tensor as u32, row as u32);
        if !bytes.is_empty() && bytes.iter().all(|&byte| byte == meant) {
            Ok(())
        } else {
            Err(PlanError::LostRow { op, tensor, row })
        }
    }
}

/// Whether two of some slices, given row by row, share a byte.
fn slices_meet(slices: Vec<Vec<std::ops::Range<usize>>>) -> bool {
    let rows = slices
        .into_iter()
        .enumerate()
        .flat_map(|(slice, rows)| rows.into_iter().map(move |row| (row.start, row.end, slice)));
    let mut rows: Vec<(usize, usize, usize)> = rows.collect();
    rows.sort_unstable();
    // Rows of one slice are as long as each other, so that only neighbours can meet.
    rows.windows(2)
        .any(|pair| pair[1].0 < pair[0].1 && pair[0].2 != pair[1].2)
}

/// The rows of each tensor that something reads.
fn wanted(model: &Model) -> Vec<usize> {
    let mut wanted = vec![0; model.tensors.len()];
    wanted[model.ops.len()] = model.tensors[model.ops.len()].h;
    for (at, op) in model.ops.iter().enumerate().rev() {
        for &input in &op.inputs {
            let h = model.tensors[input].h;
            let rows = match op.body {
                Body::GlobalAveragePool { .. } if wanted[at + 1] > 0 => h,
                _ => {
                    let needed = (0..wanted[at + 1]).flat_map(|row| needs(&op.body, h, row));
                    needed.max().map_or(0, |last| last + 1)
                }
            };
            wanted[input] = wanted[input].max(rows);
        }
    }
    wanted
}

/// The input rows that make one output row, written down from each op's definition.
fn needs<C: Storage>(body: &Body<C>, h: usize, row: usize) -> Vec<usize> {
    match body {
        Body::Conv2d { window, .. }
        | Body::Depthwise { window, .. }
        | Body::AveragePool { window, .. }
        | Body::MaxPool { window, .. } => {
            // From the first row under the filter to the last, the rows in a dilated filter's gaps included.
            let first = row as i64 * i64::from(window.stride_h) - i64::from(window.padding.top);
            let span = (i64::from(window.filter_h) - 1) * i64::from(window.dilation_h) + 1;
            let inside = |row: i64| row.clamp(0, h as i64) as usize;
            (inside(first)..inside(first + span)).collect()
        }
        Body::Pointwise { .. }
        | Body::Add { .. }
        | Body::Table { .. }
        | Body::LayerNorm { .. }
        | Body::Concat
        | Body::GlobalAveragePool { .. } => vec![row],
        // A second input of one pixel serves every row.
        Body::Multiply { .. } => vec![if h == 1 { 0 } else { row }],
        Body::Pad { padding } => row
            .checked_sub(padding.top.into())
            .filter(|&at| at < h)
            .into_iter()
            .collect(),
        Body::Dense { .. } | Body::Softmax { .. } => (0..h).collect(),
    }
}
