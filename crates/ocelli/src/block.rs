//! Blocks of convolutions for networks that are wired by hand, without a model image.
//!
//! A block takes input rows one after another and gives output rows as soon as they can be made. Of its wide inner tensors
//! it keeps only the rows that are still needed, and makes each of them once; the result is that of the kernels run layer by
//! layer, byte for byte. `examples/inverted_residual.rs` wires two of them.

use core::fmt;
use core::ops::Range;

use ocelli_image::Tensor;
use ocelli_kernels::{
    Add, AddParams, Depthwise, DepthwiseParams, Packing, Pointwise, PointwiseParams, Rows, Shape,
    ShapeError, Window,
};

use crate::error::InputError;
use crate::rings::{copy, spans};

/// The most rows of a tensor, and pixels in a row.
const MAX_SIDE: usize = u16::MAX as usize;

/// What an inverted residual block is made from.
///
/// # Shapes
/// Each layer's input is the output of the one before; the sum's is the block's input, which then has the shape of
/// its output.
#[derive(Clone, Copy, Debug)]
pub struct InvertedResidualParams<'a> {
    /// Pointwise convolution to more channels; MobileNetV2's first block has none.
    pub expand: Option<PointwiseParams<'a>>,
    /// Depthwise convolution.
    pub depthwise: DepthwiseParams<'a>,
    /// Pointwise convolution to fewer channels.
    pub project: PointwiseParams<'a>,
    /// Sum of the block's input (a) and of what was projected (b).
    pub skip: Option<AddParams>,
}

impl InvertedResidualParams<'_> {
    /// Extents of the block's input.
    pub const fn input(&self) -> Shape {
        match &self.expand {
            Some(expand) => expand.input,
            None => self.depthwise.input,
        }
    }

    /// Extents of its output.
    pub const fn output(&self) -> Shape {
        self.project.output
    }

    /// Bytes of memory that an [`InvertedResidual`] needs.
    pub const fn buffer_bytes(&self) -> usize {
        self.layout().bytes
    }

    const fn layout(&self) -> Layout {
        let window = &self.depthwise.window;
        let span = window.span_h();
        let has_ring = self.expand.is_some() && self.skip.is_some();
        let ring = if has_ring {
            // Output row r reads input row r, and is made when the rows below that the depthwise window reads are there.
            span.saturating_sub(window.padding.top)
        } else {
            0
        };
        let (wide, at) = place(self.depthwise.input, span, 0);
        let (deep, at) = place(self.depthwise.output, 1, at);
        let (narrow, at) = place(self.project.output, 1, at);
        let (input, at) = place(self.input(), ring, at);
        let (sum, at) = place(self.output(), self.skip.is_some() as usize, at);
        Layout {
            scratch: at,
            wide,
            deep,
            narrow,
            // Without expansion the depthwise convolution's rows are the block's input.
            input: if self.expand.is_some() { input } else { wide },
            sum,
            bytes: at.saturating_add(self.scratch_bytes()),
        }
    }

    /// Scratch memory of the layer that wants the most.
    const fn scratch_bytes(&self) -> usize {
        let expand = match &self.expand {
            Some(expand) => packed_scratch_bytes(expand),
            None => 0,
        };
        let depthwise = Depthwise::scratch_bytes(&self.depthwise);
        let project = packed_scratch_bytes(&self.project);
        let most = if expand > depthwise {
            expand
        } else {
            depthwise
        };
        if most > project { most } else { project }
    }
}

/// What a depthwise separable convolution is made from.
///
/// # Shapes
/// The pointwise convolution's input is the output of the depthwise one.
#[derive(Clone, Copy, Debug)]
pub struct SeparableConvParams<'a> {
    /// Depthwise convolution.
    pub depthwise: DepthwiseParams<'a>,
    /// Pointwise convolution.
    pub pointwise: PointwiseParams<'a>,
}

impl<'a> SeparableConvParams<'a> {
    /// Bytes of memory that a [`SeparableConv`] needs.
    pub const fn buffer_bytes(&self) -> usize {
        self.block().buffer_bytes()
    }

    /// A block that neither expands nor adds.
    const fn block(&self) -> InvertedResidualParams<'a> {
        InvertedResidualParams {
            expand: None,
            depthwise: self.depthwise,
            project: self.pointwise,
            skip: None,
        }
    }
}

/// A layer of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layer {
    /// The first pointwise convolution of an inverted residual.
    Expand,
    /// The depthwise convolution.
    Depthwise,
    /// The last pointwise convolution.
    Project,
    /// The sum with the input.
    Skip,
}

/// Why a block cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum BlockError {
    /// A layer's numbers contradict each other.
    Layer {
        /// Which one.
        layer: Layer,
        /// What is wrong.
        error: ShapeError,
    },
    /// What a layer reads has not the extents of what the one before it makes.
    Extents {
        /// The layer that reads.
        layer: Layer,
    },
    /// A layer takes another code for zero than the one before it makes.
    ZeroPoint {
        /// The layer that reads.
        layer: Layer,
    },
    /// A tensor has more than 65,535 rows, or pixels in a row.
    Side,
    /// The buffer is too small.
    Buffer {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        got: usize,
    },
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            BlockError::Layer { layer, error } => write!(f, "{layer:?}: {error}"),
            BlockError::Extents { layer } => {
                write!(f, "{layer:?}: its input is not what the layer before makes")
            }
            BlockError::ZeroPoint { layer } => {
                write!(
                    f,
                    "{layer:?}: its zero point is not that of the layer before"
                )
            }
            BlockError::Side => f.write_str("a tensor has more than 65535 rows or columns"),
            BlockError::Buffer { needed, got } => {
                write!(f, "buffer: {needed} bytes needed, {got} given")
            }
        }
    }
}

impl core::error::Error for BlockError {}

/// Where the rows lie.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// What the depthwise convolution reads.
    wide: Tensor,
    /// A row that it makes.
    deep: Tensor,
    /// A row of the projection.
    narrow: Tensor,
    /// Rows of the block's input.
    input: Tensor,
    /// A row of the sum.
    sum: Tensor,
    /// Where scratch memory begins; it goes to the end.
    scratch: usize,
    bytes: usize,
}

/// Scratch memory of a layer of a block. Filters in the order of the formulas go without, so that a block's memory is rows.
const fn packed_scratch_bytes(params: &PointwiseParams<'_>) -> usize {
    match params.packing {
        Packing::Canonical => 0,
        Packing::Paired => Pointwise::scratch_bytes(params),
    }
}

/// Room for some rows of a tensor, but not more than it has; and where it ends.
const fn place(shape: Shape, rows: usize, offset: usize) -> (Tensor, usize) {
    let Shape { h, w, c } = shape;
    let rows_held = if rows < h { rows } else { h };
    let tensor = Tensor {
        h,
        w,
        c,
        zero_point: 0,
        offset,
        rows_held,
    };
    let bytes = shape.row_elems().saturating_mul(rows_held);
    (tensor, offset.saturating_add(bytes))
}

/// MobileNetV2's block, streaming: expand, depthwise, project, and the input added.
///
/// # Source
/// Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, section 3.3. The codes are those of the kernels.
#[derive(Debug)]
pub struct InvertedResidual<'a, 'm> {
    expand: Option<Pointwise<'a>>,
    depthwise: Depthwise<'a>,
    project: Pointwise<'a>,
    skip: Option<Add>,
    window: Window,
    layout: Layout,
    memory: &'m mut [i8],
    rows_pushed: usize,
    rows_taken: usize,
    /// Input rows that are read; a stride may leave some over at the bottom.
    rows_read: usize,
}

impl<'a, 'm> InvertedResidual<'a, 'm> {
    /// Checks the layers and takes a buffer of [`InvertedResidualParams::buffer_bytes`] bytes or more.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn new(
        params: InvertedResidualParams<'a>,
        buffer: &'m mut [i8],
    ) -> Result<Self, BlockError> {
        let layer = |layer| move |error| BlockError::Layer { layer, error };
        let expand = params.expand.map(Pointwise::new).transpose();
        let expand = expand.map_err(layer(Layer::Expand))?;
        let depthwise = Depthwise::new(params.depthwise).map_err(layer(Layer::Depthwise))?;
        let project = Pointwise::new(params.project).map_err(layer(Layer::Project))?;
        let skip = params.skip.map(Add::new).transpose();
        let skip = skip.map_err(layer(Layer::Skip))?;
        check(&params)?;

        let (needed, got) = (params.buffer_bytes(), buffer.len());
        let error = BlockError::Buffer { needed, got };
        let memory = buffer.get_mut(..needed).ok_or(error)?;
        let window = params.depthwise.window;
        let last = params.output().h.saturating_sub(1);
        Ok(InvertedResidual {
            expand,
            depthwise,
            project,
            skip,
            window,
            layout: params.layout(),
            memory,
            rows_pushed: 0,
            rows_taken: 0,
            rows_read: window.input_rows(last, 1, params.input().h).end,
        })
    }

    /// Forgets what has come: the next row is the first of a new input.
    pub fn reset(&mut self) {
        self.rows_pushed = 0;
        self.rows_taken = 0;
    }

    /// Takes the next input row, `[w, c]` codes, from top to bottom.
    ///
    /// # Errors
    /// [`InputError::Length`]; [`InputError::NotNeeded`] behind the last row, and while a row waits to be taken. Nothing
    /// has changed then.
    pub fn push_row(&mut self, row: &[i8]) -> Result<(), InputError> {
        let Layout {
            wide,
            input,
            scratch,
            bytes,
            ..
        } = self.layout;
        let (needed, got) = (input.row_elems(), row.len());
        if needed != got {
            return Err(InputError::Length { needed, got });
        }
        if self.rows_pushed >= input.h || self.needs().is_none() {
            return Err(InputError::NotNeeded);
        }
        let at = self.rows_pushed;
        self.rows_pushed += 1;
        if at >= self.rows_read {
            return Ok(());
        }
        if self.skip.is_some() || self.expand.is_none() {
            copy(row, self.row_mut(&input, at));
        }
        if let Some(expand) = self.expand {
            let rows = Rows::new(at, needed, [row, &[]]);
            let [place, _] = spans(&wide, &(at..at + 1));
            if let Ok([scratch, output]) = self.memory.get_disjoint_mut([scratch..bytes, place]) {
                expand.run(&rows, at, scratch, output);
            }
        }
        Ok(())
    }

    /// The next output row, `[w, c]` codes, if the rows pushed are enough for it.
    pub fn next_row(&mut self) -> Option<&[i8]> {
        let at = self.rows_taken;
        if at >= self.layout.narrow.h || self.needs().is_some() {
            return None;
        }
        self.rows_taken += 1;
        let Layout {
            wide,
            deep,
            narrow,
            input,
            sum,
            scratch,
            bytes,
            ..
        } = self.layout;
        let scratch = scratch..bytes;
        let read = self.window.input_rows(at, 1, wide.h);
        let [a, b] = spans(&wide, &read);
        let [deep_at, narrow_at] = [only(&deep), only(&narrow)];
        let memory = self
            .memory
            .get_disjoint_mut([a, b, deep_at.clone(), scratch.clone()]);
        if let Ok([a, b, output, scratch]) = memory {
            let rows = Rows::new(read.start, wide.row_elems(), [&*a, &*b]);
            self.depthwise.run(&rows, at, scratch, output);
        }
        let memory = self
            .memory
            .get_disjoint_mut([deep_at, narrow_at.clone(), scratch]);
        if let Ok([row, output, scratch]) = memory {
            let rows = Rows::new(at, deep.row_elems(), [&*row, &[]]);
            self.project.run(&rows, at, scratch, output);
        }
        let Some(skip) = self.skip else {
            return self.memory.get(narrow_at);
        };
        let [input_at, _] = spans(&input, &(at..at + 1));
        let sum_at = only(&sum);
        let memory = self
            .memory
            .get_disjoint_mut([input_at, narrow_at, sum_at.clone()]);
        if let Ok([a, b, output]) = memory {
            skip.run(a, b, output);
        }
        self.memory.get(sum_at)
    }

    /// The input row that the next output row waits for; behind the last output row, whatever comes.
    fn needs(&self) -> Option<usize> {
        let Layout { wide, narrow, .. } = self.layout;
        let is_over = self.rows_taken >= narrow.h;
        let end = self.window.input_rows(self.rows_taken, 1, wide.h).end;
        (is_over || self.rows_pushed < end).then_some(self.rows_pushed)
    }

    /// The place of a row in its ring.
    fn row_mut(&mut self, ring: &Tensor, at: usize) -> &mut [i8] {
        let [place, _] = spans(ring, &(at..at + 1));
        self.memory.get_mut(place).unwrap_or_default()
    }
}

/// A depthwise convolution and a pointwise one, streaming: MobileNetV1's layer.
///
/// # Source
/// Howard et al., MobileNets, section 3.1. The codes are those of the kernels.
#[derive(Debug)]
pub struct SeparableConv<'a, 'm>(InvertedResidual<'a, 'm>);

impl<'a, 'm> SeparableConv<'a, 'm> {
    /// Checks the layers and takes a buffer of [`SeparableConvParams::buffer_bytes`] bytes or more.
    ///
    /// # Errors
    /// [`BlockError`]; [`Layer::Project`] is the pointwise convolution.
    pub fn new(params: SeparableConvParams<'a>, buffer: &'m mut [i8]) -> Result<Self, BlockError> {
        InvertedResidual::new(params.block(), buffer).map(SeparableConv)
    }

    /// As [`InvertedResidual::reset`].
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// As [`InvertedResidual::push_row`].
    ///
    /// # Errors
    /// As there.
    pub fn push_row(&mut self, row: &[i8]) -> Result<(), InputError> {
        self.0.push_row(row)
    }

    /// As [`InvertedResidual::next_row`].
    pub fn next_row(&mut self) -> Option<&[i8]> {
        self.0.next_row()
    }
}

/// The place of a tensor of which one row is held.
fn only(row: &Tensor) -> Range<usize> {
    row.offset..row.offset.saturating_add(row.held_bytes())
}

/// That the layers follow each other.
fn check(params: &InvertedResidualParams<'_>) -> Result<(), BlockError> {
    let InvertedResidualParams {
        expand,
        depthwise,
        project,
        skip,
    } = params;
    for shape in [params.input(), params.output()] {
        if shape.h.max(shape.w) > MAX_SIDE {
            return Err(BlockError::Side);
        }
    }
    let same = |layer, made: Shape, read: Shape| {
        let error = BlockError::Extents { layer };
        (made == read).then_some(()).ok_or(error)
    };
    let zero = |layer, made: i8, read: i8| {
        let error = BlockError::ZeroPoint { layer };
        (made == read).then_some(()).ok_or(error)
    };
    if let Some(expand) = expand {
        let made = expand.requant.output_zero_point;
        same(Layer::Depthwise, expand.output, depthwise.input)?;
        zero(Layer::Depthwise, made, depthwise.input_zero_point)?;
    }
    same(Layer::Project, depthwise.output, project.input)?;
    if let Some(skip) = skip {
        let [a, b] = skip.zero_points;
        same(Layer::Skip, params.input(), params.output())?;
        zero(Layer::Skip, project.requant.output_zero_point, b)?;
        if expand.is_none() {
            zero(Layer::Skip, depthwise.input_zero_point, a)?;
        }
    }
    Ok(())
}
