//! How many rows of each tensor are alive while a segment streams.

use std::ops::Range;

use ocelli_image::{Body, Model};

/// The steps of one row that each op takes: as many as there are rows that something reads.
///
/// A global pooling takes one for each row of its input.
pub fn steps(model: &Model) -> Vec<usize> {
    let mut steps = vec![0; model.ops.len()];
    let last = model.ops.len() - 1;
    steps[last] = model.tensors[last + 1].h;
    for op in (0..=last).rev() {
        if steps[op] == 0 {
            continue;
        }
        for input in model.ops[op].inputs {
            let h = model.tensors[input].h;
            if matches!(model.ops[op].body, Body::GlobalAveragePool { .. }) {
                steps[op] = h;
            }
            let read = ocelli::input_rows(&model.ops[op].body, h, 0..steps[op]).end;
            if let Some(maker) = input.checked_sub(1) {
                steps[maker] = steps[maker].max(read);
            }
        }
    }
    steps
}

/// The rows that each tensor made in the segment holds when its last op pulls row by row.
///
/// `steps` is what [`steps`] gives. In order: the network's input if the segment is the first, then the output of each
/// op.
pub fn held_rows(model: &Model, steps: &[usize], ops: &Range<usize>) -> Vec<usize> {
    let mut pull = Pull::new(model, steps, ops.clone());
    // The last op first; then rows that only later segments read, nearest to the end first.
    while let Some(op) = ops.clone().rev().find(|&op| !pull.is_complete(op)) {
        pull.make_row(op);
        pull.note_row(op + 1);
    }
    let window = (pull.first_tensor..ops.end + 1).map(|tensor| pull.largest_window(tensor));
    pull.held
        .iter()
        .zip(window)
        .map(|(&held, window)| held.max(window))
        .collect()
}

struct Pull<'m> {
    model: &'m Model,
    /// Steps that each op of the model takes.
    steps: &'m [usize],
    ops: Range<usize>,
    /// The first tensor that is made here.
    first_tensor: usize,
    /// Steps run by each op of the segment: rows made, or rows added by a global pooling.
    done: Vec<usize>,
    /// Rows of the network's input that have come.
    fed: usize,
    /// Most rows alive at once, by tensor from `first_tensor` on.
    held: Vec<usize>,
    /// Ops of the segment that read each tensor, by tensor from `first_tensor` on.
    readers: Vec<Vec<usize>>,
}

impl<'m> Pull<'m> {
    fn new(model: &'m Model, steps: &'m [usize], ops: Range<usize>) -> Self {
        let first_tensor = if ops.start == 0 { 0 } else { ops.start + 1 };
        let tensors = ops.end + 1 - first_tensor;
        let mut readers = vec![vec![]; tensors];
        for op in ops.clone() {
            for &input in &model.ops[op].inputs {
                if let Some(readers) = input
                    .checked_sub(first_tensor)
                    .and_then(|at| readers.get_mut(at))
                {
                    readers.push(op);
                }
            }
        }
        Pull {
            model,
            steps,
            first_tensor,
            done: vec![0; ops.len()],
            fed: 0,
            held: vec![0; tensors],
            readers,
            ops,
        }
    }

    fn done(&self, op: usize) -> usize {
        self.done[op - self.ops.start]
    }

    fn is_sum(&self, op: usize) -> bool {
        matches!(self.model.ops[op].body, Body::GlobalAveragePool { .. })
    }

    fn is_complete(&self, op: usize) -> bool {
        self.done(op) >= self.steps[op]
    }

    /// Rows of a tensor that exist; one from an earlier segment exists as a whole.
    fn made(&self, tensor: usize) -> usize {
        match tensor.checked_sub(1) {
            _ if tensor < self.first_tensor => self.model.tensors[tensor].h,
            None => self.fed,
            Some(op) if self.is_sum(op) => usize::from(self.is_complete(op)),
            Some(op) => self.done(op),
        }
    }

    fn rows_read(&self, op: usize, tensor: usize, row: usize) -> Range<usize> {
        ocelli::input_rows(
            &self.model.ops[op].body,
            self.model.tensors[tensor].h,
            row..row + 1,
        )
    }

    /// Runs the next step of an op, after whatever it needs.
    fn make_row(&mut self, op: usize) {
        let row = self.done(op);
        for input in self.model.ops[op].inputs {
            let needed = self.rows_read(op, input, row).end;
            while self.made(input) < needed {
                match input.checked_sub(1) {
                    None => self.fed += 1,
                    Some(maker) => self.make_row(maker),
                }
                self.note_row(input);
            }
        }
        self.done[op - self.ops.start] += 1;
    }

    /// Counts the rows of a tensor that are alive now that one more exists.
    fn note_row(&mut self, tensor: usize) {
        let at = tensor - self.first_tensor;
        let made = self.made(tensor);
        if made == 0 {
            return;
        }
        let waiting = self.readers[at]
            .iter()
            .filter(|&&reader| !self.is_complete(reader));
        let oldest = waiting
            .map(|&reader| self.rows_read(reader, tensor, self.done(reader)).start)
            .min();
        let oldest = oldest.unwrap_or(made).min(made - 1);
        self.held[at] = self.held[at].max(made - oldest);
    }

    /// The most rows of a tensor that one step reads.
    fn largest_window(&self, tensor: usize) -> usize {
        let h = self.model.tensors[tensor].h;
        let window = |&op: &usize| match &self.model.ops[op].body {
            Body::Conv2d { window, .. }
            | Body::Depthwise { window, .. }
            | Body::AveragePool { window, .. }
            | Body::MaxPool { window, .. } => {
                (usize::from(window.filter_h) - 1) * usize::from(window.dilation_h) + 1
            }
            Body::Dense { .. } | Body::Softmax { .. } => h,
            _ => 1,
        };
        self.readers[tensor - self.first_tensor]
            .iter()
            .map(window)
            .max()
            .unwrap_or(1)
            .min(h)
    }
}
