//! The executor: a resumable machine that makes one step of one op at a time.

use core::ops::Range;

use ocelli_image::{Image, Op, OpKind, Tensor};
use ocelli_kernels::Rows;
use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::apart::steps_lie_apart;
use crate::check::check_op;
use crate::error::{InputError, LoadError};
use crate::families::{KernelTable, OpContext, OpIo};
use crate::memory::Memory;
use crate::observer::Observer;
use crate::rings::{copy, input_rows, spans, step_rows};

/// What [`Session::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: the next input row, with this number, has to be pushed first.
    NeedsRow(usize),
    /// One step of the op with this number.
    Ran(usize),
    /// Nothing: the output is there.
    Done,
}

/// What a session waits for when it has run as far as it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// The input row with this number.
    NeedsRow(usize),
    /// Nothing: the output is there.
    Done,
}

/// A row of a network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputRow<'r> {
    /// Red, green and blue of each pixel, a byte each; the model says which codes they are.
    Pixels(&'r [u8]),
    /// Codes.
    Codes(&'r [i8]),
}

impl<'r> From<&'r [u8]> for InputRow<'r> {
    fn from(pixels: &'r [u8]) -> Self {
        InputRow::Pixels(pixels)
    }
}

impl<'r> From<&'r [i8]> for InputRow<'r> {
    fn from(codes: &'r [i8]) -> Self {
        InputRow::Codes(codes)
    }
}

/// How far an op is.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct OpState {
    /// Output rows made; of a global pooling, input rows added.
    done: U16,
    /// The op that asked for the row being made.
    asker: U16,
    /// What `done` ends at: rows that nothing reads are not made, in any plan.
    total: U16,
}

/// Bytes of the executor's state.
pub(crate) fn state_bytes(image: &Image<'_>) -> usize {
    image.op_count().saturating_mul(size_of::<OpState>())
}

/// A network in memory, ready to run.
///
/// Execution is pulled from the end of each segment: the op that is last runs as soon as its input rows are there, and
/// otherwise asks the op that makes them. Nothing is computed twice, and the row nearest to the end always goes first.
pub struct Session<'a> {
    image: Image<'a>,
    kernels: &'a KernelTable,
    memory: Memory<'a>,
    state: &'a mut [OpState],
    rows_fed: usize,
    /// Whether nothing can run before the next input row is there.
    is_waiting: bool,
    segment: usize,
    /// The ops of the current segment.
    ops: Range<usize>,
    /// The op that is looked at next.
    cursor: usize,
}

impl<'a> Session<'a> {
    /// Proves that a model can run with these kernels in this memory.
    ///
    /// `arena` is [`arena_bytes`](crate::arena_bytes) long or longer and starts at a multiple of sixteen. A model that
    /// was planned for several memories runs in it as well: it then counts as those memories one behind the other.
    ///
    /// # Errors
    /// [`LoadError`], naming the op.
    pub fn new(
        image: &Image<'a>,
        arena: &'a mut [u8],
        kernels: &'a KernelTable,
    ) -> Result<Self, LoadError> {
        Session::with(image, Memory::whole(image, arena)?, kernels)
    }

    /// Proves that a model can run with these kernels in several memories, the fastest first.
    ///
    /// The model was planned for them, in this order. Each is as long as [`region_bytes`](crate::region_bytes) says, or
    /// longer, and starts at a multiple of sixteen; those that the model does not use are left alone.
    ///
    /// # Errors
    /// [`LoadError`], naming the region or the op.
    pub fn in_regions(
        image: &Image<'a>,
        regions: impl IntoIterator<Item = &'a mut [u8]>,
        kernels: &'a KernelTable,
    ) -> Result<Self, LoadError> {
        Session::with(image, Memory::in_regions(image, regions)?, kernels)
    }

    fn with(
        image: &Image<'a>,
        (memory, rest): (Memory<'a>, &'a mut [u8]),
        kernels: &'a KernelTable,
    ) -> Result<Self, LoadError> {
        let error = LoadError::Arena {
            needed: state_bytes(image),
            got: rest.len(),
        };
        let state = <[OpState]>::mut_from_prefix_with_elems(rest, image.op_count());
        let (state, _) = state.map_err(|_| error)?;
        for at in 0..image.op_count() {
            check_op(image, at, kernels)?;
        }
        count_rows(image, state);
        for (at, state) in state.iter().enumerate() {
            let Some(record) = image.op(at) else {
                continue;
            };
            let op = context(image, &record, at);
            if !steps_lie_apart(&record, &op, state.total.get().into()) {
                return Err(LoadError::Overlap { at });
            }
        }
        let mut session = Session {
            image: *image,
            kernels,
            memory,
            state,
            rows_fed: 0,
            is_waiting: false,
            segment: 0,
            ops: 0..0,
            cursor: 0,
        };
        session.reset();
        Ok(session)
    }

    /// The model.
    pub fn image(&self) -> &Image<'a> {
        &self.image
    }

    /// Forgets what has run: the next row pushed is the first of a new input.
    pub fn reset(&mut self) {
        self.state
            .iter_mut()
            .for_each(|state| state.done = U16::ZERO);
        self.rows_fed = 0;
        self.is_waiting = false;
        self.enter_segment(0);
    }

    /// Runs one step of one op, or says why none can run.
    pub fn step(&mut self, observer: &mut impl Observer) -> Step {
        loop {
            if self.segment >= self.image.segment_count() {
                return Step::Done;
            }
            let at = self.cursor;
            let Some(record) = self.image.op(at) else {
                return Step::Done;
            };
            let op = context(&self.image, &record, at);
            let done = self.done(at);
            if self.is_complete(at) {
                // Only the last op of a segment is looked at again when it is complete. What others still lack is
                // read by later segments only; the segment makes it before it is left.
                let last = self.ops.end.saturating_sub(1);
                match self.ops.clone().rev().find(|&op| !self.is_complete(op)) {
                    Some(op) => self.ask(op, last),
                    None => self.enter_segment(self.segment + 1),
                }
                continue;
            }
            let rows = self.next_rows(at, &record, &op, done);
            match self.missing(&record, &op, &rows) {
                None => {
                    self.run(at, &record, &op, rows, observer);
                    if at + 1 != self.ops.end {
                        self.cursor = self
                            .state
                            .get(at)
                            .map_or(0, |state| state.asker.get().into());
                    }
                    return Step::Ran(at);
                }
                Some(0) => return Step::NeedsRow(self.rows_fed),
                // Tensor k + 1 is made by op k.
                Some(tensor) => self.ask(tensor - 1, at),
            }
        }
    }

    /// Runs until a row is needed or the output is there.
    pub fn advance(&mut self, observer: &mut impl Observer) -> Progress {
        loop {
            match self.step(observer) {
                Step::Ran(_) => {}
                Step::NeedsRow(row) => return Progress::NeedsRow(row),
                Step::Done => return Progress::Done,
            }
        }
    }

    /// Takes the next row of the input, from top to bottom, and runs as far as it goes.
    ///
    /// With the last row that the network reads, the output is there. Bytes are pixels, signed bytes are codes.
    ///
    /// # Errors
    /// [`InputError`]; nothing has changed then.
    ///
    /// # Example
    /// ```
    /// # use ocelli_image::{Body, Factor, Model, ModelOp, Tensor, WeightPacking};
    /// # let tensor = |h, w, offset, rows_held| Tensor { h, w, c: 1, zero_point: 0, offset, rows_held };
    /// # let model = Model {
    /// #     arena_bytes: 32,
    /// #     tensors: vec![tensor(2, 2, 0, 1), tensor(1, 1, 16, 1)],
    /// #     ops: vec![ModelOp {
    /// #         body: Body::GlobalAveragePool { bias: 0, factor: Factor { multiplier: 1 << 30, shift: -1 }, clamp: [-128, 127] },
    /// #         inputs: [0, 0],
    /// #         weight_packing: WeightPacking::Canonical,
    /// #         rows_per_step: 1,
    /// #         scratch: (20, 4),
    /// #     }],
    /// #     segments: vec![1],
    /// #     head: None,
    /// #     preprocess: None,
    /// #     labels: vec![],
    /// #     names: vec![],
    /// #     tensor_scale: vec![],
    /// #     regions: vec![],
    /// # };
    /// # let buffer = model.encode()?;
    /// # let mut memory = [0u128; 4];
    /// # let arena = zerocopy::IntoBytes::as_mut_bytes(&mut memory);
    /// use ocelli::{Image, KernelTable, Progress, Session};
    ///
    /// let image = Image::parse(buffer.bytes())?; // the mean of 2 x 2 codes
    /// let kernels = KernelTable::all();
    /// let mut session = Session::new(&image, arena, &kernels)?;
    /// let rows: [&[i8]; 2] = [&[10, 20], &[30, 40]];
    /// assert_eq!(session.push_row(rows[0], &mut ())?, Progress::NeedsRow(1));
    /// assert_eq!(session.push_row(rows[1], &mut ())?, Progress::Done);
    /// assert_eq!(session.output(), [25]);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn push_row<'r>(
        &mut self,
        row: impl Into<InputRow<'r>>,
        observer: &mut impl Observer,
    ) -> Result<Progress, InputError> {
        let image = self.image;
        match row.into() {
            InputRow::Codes(row) => self.push(row.len(), observer, |place| copy(row, place)),
            InputRow::Pixels(row) => {
                let preprocess = image.preprocess().ok_or(InputError::NoPreprocess)?;
                self.push(row.len(), observer, |place| {
                    for (codes, pixel) in place.chunks_exact_mut(3).zip(row.chunks_exact(3)) {
                        let values = pixel.iter().zip(&preprocess.table);
                        for (code, (&value, table)) in codes.iter_mut().zip(values) {
                            *code = table.get(usize::from(value)).copied().unwrap_or(0);
                        }
                    }
                })
            }
        }
    }

    /// Runs the network on a whole image of pixels, `[h, w, 3]`.
    ///
    /// # Errors
    /// [`InputError`]; nothing has run then.
    pub fn run_pixels(
        &mut self,
        pixels: &[u8],
        observer: &mut impl Observer,
    ) -> Result<(), InputError> {
        self.image.preprocess().ok_or(InputError::NoPreprocess)?;
        self.whole(pixels, |session, row| session.push_row(row, observer))
    }

    /// Runs the network on a whole input of codes, `[h, w, c]`.
    ///
    /// # Errors
    /// [`InputError`]; nothing has run then.
    pub fn run_codes(
        &mut self,
        codes: &[i8],
        observer: &mut impl Observer,
    ) -> Result<(), InputError> {
        self.whole(codes, |session, row| session.push_row(row, observer))
    }

    /// The network's output; meaningful after [`Progress::Done`].
    pub fn output(&self) -> &[i8] {
        self.tensor(self.image.op_count())
    }

    /// What the classifier reads; empty if the model has no classifier. Meaningful after [`Progress::Done`].
    pub fn embedding(&self) -> &[i8] {
        let head = self.image.head().and_then(|head| self.image.op(head));
        head.map_or(&[], |head| self.tensor(head.inputs[0]))
    }

    /// The class with the largest output code, the first of equals, and the code.
    pub fn top(&self) -> Option<(usize, i8)> {
        let mut top = None;
        for (class, &code) in self.output().iter().enumerate() {
            if top.is_none_or(|(_, best)| code > best) {
                top = Some((class, code));
            }
        }
        top
    }

    fn whole<T>(
        &mut self,
        input: &[T],
        mut push: impl FnMut(&mut Self, &[T]) -> Result<Progress, InputError>,
    ) -> Result<(), InputError> {
        let tensor = self.image.input();
        if input.len() != tensor.elems() {
            return Err(InputError::Length {
                needed: tensor.elems(),
                got: input.len(),
            });
        }
        self.reset();
        for row in input.chunks_exact(tensor.row_elems().max(1)) {
            push(self, row)?;
        }
        Ok(())
    }

    fn push(
        &mut self,
        elems: usize,
        observer: &mut impl Observer,
        write: impl FnOnce(&mut [i8]),
    ) -> Result<Progress, InputError> {
        let input = self.image.input();
        if elems != input.row_elems() {
            return Err(InputError::Length {
                needed: input.row_elems(),
                got: elems,
            });
        }
        if self.rows_fed >= input.h {
            return Err(InputError::NotNeeded);
        }
        let before = match self.is_waiting {
            true => Progress::NeedsRow(self.rows_fed),
            false => self.advance(observer),
        };
        match before {
            Progress::NeedsRow(row) => {
                let [place, _] = spans(&input, &(row..row + 1));
                write(self.memory.get_mut(place));
            }
            // Rows that no op reads: a stride may leave some over at the bottom.
            Progress::Done => {}
        }
        self.rows_fed += 1;
        let after = self.advance(observer);
        self.is_waiting = after != Progress::Done;
        Ok(after)
    }

    fn tensor(&self, at: usize) -> &[i8] {
        let tensor = self.image.tensor(at);
        let end = tensor.offset + tensor.held_bytes();
        self.memory.get(tensor.offset..end)
    }

    fn enter_segment(&mut self, segment: usize) {
        self.segment = segment;
        self.ops = self
            .image
            .segments()
            .nth(segment)
            .map_or(0..0, |segment| segment.ops);
        self.cursor = self.ops.end.saturating_sub(1);
    }

    /// Looks at `maker` next, and at `asker` again when it has made something.
    fn ask(&mut self, maker: usize, asker: usize) {
        if let Some(state) = self.state.get_mut(maker) {
            state.asker = U16::new(asker as u16);
        }
        self.cursor = maker;
    }

    fn is_complete(&self, at: usize) -> bool {
        self.state
            .get(at)
            .is_none_or(|state| state.done.get() >= state.total.get())
    }

    fn done(&self, at: usize) -> usize {
        self.state
            .get(at)
            .map_or(0, |state| state.done.get().into())
    }

    /// Rows of tensor `at` that have been made.
    fn rows_made(&self, at: usize) -> usize {
        let Some(maker) = at.checked_sub(1) else {
            return self.rows_fed;
        };
        let done = self.done(maker);
        if self.image.op_kind(maker) != Some(OpKind::GlobalAveragePool) {
            return done;
        }
        let input = self.image.op(maker).map_or(0, |op| op.inputs[0]);
        usize::from(done >= self.image.tensor(input).h)
    }

    /// The rows that the next step of an op makes: as many as it may, up to its last one and the end of its ring.
    fn next_rows(
        &self,
        at: usize,
        record: &Op<'_>,
        op: &OpContext<'_>,
        done: usize,
    ) -> Range<usize> {
        if op.body.kind() == OpKind::GlobalAveragePool {
            // Rows are added as they come: those that are there, but one at least.
            return done..self.rows_made(record.inputs[0]).max(done + 1);
        }
        let total = self
            .state
            .get(at)
            .map_or(0, |state| state.total.get().into());
        step_rows(done, total, record.rows_per_step, op.output.rows_held)
    }

    /// The first tensor that has too few rows for a step.
    fn missing(&self, record: &Op<'_>, op: &OpContext<'_>, rows: &Range<usize>) -> Option<usize> {
        let lacks = |(input, tensor): (usize, &Tensor)| {
            (self.rows_made(input) < input_rows(&op.body, tensor.h, rows.clone()).end)
                .then_some(input)
        };
        record.inputs.into_iter().zip(&op.inputs).find_map(lacks)
    }

    /// One step: finds the rows and calls the kernel.
    fn run(
        &mut self,
        at: usize,
        record: &Op<'_>,
        op: &OpContext<'_>,
        rows: Range<usize>,
        observer: &mut impl Observer,
    ) {
        let [a, b] = &op.inputs;
        let is_sum = op.body.kind() == OpKind::GlobalAveragePool;
        let made = match (is_sum, rows.end >= a.h) {
            (false, _) => rows.clone(),
            (true, true) => 0..1,
            (true, false) => 0..0,
        };
        let [read_a, read_b] = [a, b].map(|input| input_rows(&op.body, input.h, rows.clone()));
        let [a0, a1] = spans(a, &read_a);
        let same_input = record.inputs[0] == record.inputs[1];
        let [b0, b1] = if same_input {
            [0..0, 0..0]
        } else {
            spans(b, &read_b)
        };
        let [output, _] = spans(&op.output, &made);
        let scratch = match record.scratch {
            (_, 0) => 0..0,
            (offset, bytes) => offset..offset + bytes,
        };
        // Checked when the session was made: these never overlap.
        let memory = self
            .memory
            .get_disjoint_mut([a0, a1, b0, b1, output, scratch]);
        let family = self.kernels.get(op.body.kind());
        if let (Some([a0, a1, b0, b1, output, scratch]), Some(family)) = (memory, family) {
            let first = Rows::new(read_a.start, a.row_elems(), [&*a0, &*a1]);
            let second = Rows::new(read_b.start, b.row_elems(), [&*b0, &*b1]);
            let inputs = [first, if same_input { first } else { second }];
            let io = OpIo {
                inputs,
                rows: rows.clone(),
                output: &mut *output,
                scratch,
            };
            observer.starts(at);
            (family.run)(op, io);
            observer.ends(at);
            if !made.is_empty() {
                observer.rows(at, made.start, output);
            }
        }
        if let Some(state) = self.state.get_mut(at) {
            state.done = U16::new(rows.end as u16);
        }
    }
}

pub(crate) fn context<'a>(image: &Image<'a>, record: &Op<'a>, at: usize) -> OpContext<'a> {
    OpContext {
        body: record.body,
        weight_packing: record.weight_packing,
        inputs: record.inputs.map(|input| image.tensor(input)),
        output: image.tensor(at + 1),
    }
}

/// Writes down how many rows each op makes, from the last op to the first: as many as are read.
fn count_rows(image: &Image<'_>, state: &mut [OpState]) {
    state.fill(OpState {
        done: U16::ZERO,
        asker: U16::ZERO,
        total: U16::ZERO,
    });
    let Some(last) = state.len().checked_sub(1) else {
        return;
    };
    raise_total(state, last, image.output().h);
    for at in (0..=last).rev() {
        let total = state.get(at).map_or(0, |state| state.total.get().into());
        let Some(op) = image.op(at).filter(|_| total > 0) else {
            continue;
        };
        for input in op.inputs {
            let h = image.tensor(input).h;
            let rows = match op.body.kind() {
                OpKind::GlobalAveragePool => {
                    raise_total(state, at, h);
                    0..h
                }
                _ => 0..total,
            };
            if let Some(maker) = input.checked_sub(1) {
                raise_total(state, maker, input_rows(&op.body, h, rows).end);
            }
        }
    }
}

fn raise_total(state: &mut [OpState], at: usize, total: usize) {
    if let Some(state) = state.get_mut(at) {
        state.total = U16::new(state.total.get().max(total as u16));
    }
}
