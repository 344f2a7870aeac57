//! Where the image's records meet the kernels: one family per kind of op.

use core::ops::Range;

use ocelli_image::{Body, ChannelsRef, OpKind, PaddingRecord, Tensor, WeightPacking, WindowRecord};
use ocelli_kernels::*;

/// An op with the tensors around it.
#[derive(Clone, Copy)]
pub struct OpContext<'a> {
    /// What the op does.
    pub body: Body<ChannelsRef<'a>>,
    /// The order in which its weights lie.
    pub weight_packing: WeightPacking,
    /// The tensors it reads; for one input both are the same.
    pub inputs: [Tensor; 2],
    /// The tensor it makes.
    pub output: Tensor,
}

/// The memory of one step of an op.
pub struct OpIo<'m> {
    /// Rows of its inputs.
    pub inputs: [Rows<'m>; 2],
    /// Rows of the output that are made; of a global pooling, rows of the input that are added.
    pub rows: Range<usize>,
    /// The output rows, next to each other.
    pub output: &'m mut [i8],
    /// Its scratch memory.
    pub scratch: &'m mut [i8],
}

/// The kernels of one kind of op.
#[derive(Clone, Copy)]
pub struct Family {
    kind: OpKind,
    /// Everything that `run` relies on.
    pub(crate) check: fn(&OpContext<'_>) -> Result<(), ShapeError>,
    pub(crate) run: fn(&OpContext<'_>, OpIo<'_>),
}

/// The families that a firmware links. A model that needs another one is refused when its session is made.
///
/// # Example
/// ```
/// use ocelli::{Family, KernelTable};
/// let dense_only = KernelTable::new().with(Family::DENSE);
/// ```
#[derive(Clone, Copy)]
pub struct KernelTable([Option<Family>; OpKind::ALL.len()]);

impl KernelTable {
    /// No family.
    pub const fn new() -> Self {
        KernelTable([None; OpKind::ALL.len()])
    }

    /// This table and one family more.
    #[must_use]
    pub const fn with(mut self, family: Family) -> Self {
        self.0[family.kind as usize] = Some(family);
        self
    }

    /// Every family.
    pub const fn all() -> Self {
        KernelTable::new()
            .with(Family::CONV_2D)
            .with(Family::DEPTHWISE)
            .with(Family::POINTWISE)
            .with(Family::DENSE)
            .with(Family::ADD)
            .with(Family::AVERAGE_POOL)
            .with(Family::MAX_POOL)
            .with(Family::GLOBAL_AVERAGE_POOL)
            .with(Family::PAD)
            .with(Family::SOFTMAX)
            .with(Family::MULTIPLY)
            .with(Family::TABLE)
            .with(Family::LAYER_NORM)
            .with(Family::CONCAT)
    }

    /// The family of a kind of op, if this table has it.
    pub fn get(&self, kind: OpKind) -> Option<&Family> {
        self.0.get(kind as usize)?.as_ref()
    }
}

impl Default for KernelTable {
    fn default() -> Self {
        Self::new()
    }
}

/// A family from a function that makes the kernel's parameters out of an op, and the kernel's own functions.
macro_rules! family {
    ($kind:ident, $kernel:ident, $params:ident, |$made:ident, $io:ident| $run:expr) => {
        Family {
            kind: OpKind::$kind,
            check: |op| {
                check_extents(op)?;
                $kernel::new($params(op).ok_or(ShapeError::Zero)?).map(|_| ())
            },
            run: |op, $io| {
                if let Some(params) = $params(op) {
                    let $made = $kernel::assume_checked(params);
                    $run
                }
            },
        }
    };
}

impl Family {
    /// Runs a kernel on rows that the caller has laid out; what [`Session`](crate::Session) does for every step.
    ///
    /// Of an op and rows that do not belong together, the output is meaningless.
    pub fn run(&self, op: &OpContext<'_>, io: OpIo<'_>) {
        (self.run)(op, io);
    }

    /// Standard convolution.
    pub const CONV_2D: Family = family!(Conv2d, Conv2d, conv, |conv, io| conv.run(
        &io.inputs[0],
        io.rows.start,
        io.scratch,
        io.output
    ));
    /// Depthwise convolution.
    pub const DEPTHWISE: Family = family!(Depthwise, Depthwise, depthwise, |conv, io| conv.run(
        &io.inputs[0],
        io.rows.start,
        io.scratch,
        io.output
    ));
    /// Pointwise convolution.
    pub const POINTWISE: Family = family!(Pointwise, Pointwise, pointwise, |conv, io| conv.run(
        &io.inputs[0],
        io.rows.start,
        io.scratch,
        io.output
    ));
    /// Dense layer.
    pub const DENSE: Family = family!(Dense, Dense, dense, |dense, io| dense.run(
        io.inputs[0].runs(0, usize::MAX)[0],
        io.scratch,
        io.output
    ));
    /// Sum of two tensors.
    pub const ADD: Family = family!(Add, Add, add, |add, io| run_add(&add, io));
    /// Mean over a window.
    pub const AVERAGE_POOL: Family = family!(AveragePool, AveragePool, pool, |pool, io| pool.run(
        &io.inputs[0],
        io.rows.start,
        io.output
    ));
    /// Maximum over a window.
    pub const MAX_POOL: Family = family!(MaxPool, MaxPool, pool, |pool, io| pool.run(
        &io.inputs[0],
        io.rows.start,
        io.output
    ));
    /// Mean over the whole map.
    pub const GLOBAL_AVERAGE_POOL: Family = family!(
        GlobalAveragePool,
        GlobalAveragePool,
        global_average_pool,
        |pool, io| {
            for (k, rows) in io.inputs[0]
                .runs(io.rows.start, io.rows.len())
                .into_iter()
                .enumerate()
            {
                pool.add_rows(rows, io.rows.start == 0 && k == 0, io.scratch);
            }
            // The output is there when the last row is in: the session gives it then and not before.
            pool.finish(io.scratch, io.output);
        }
    );
    /// Rows and columns around a tensor.
    pub const PAD: Family = family!(Pad, Pad, pad, |pad, io| pad.run(
        &io.inputs[0],
        io.rows.start,
        io.output
    ));
    /// Softmax.
    pub const SOFTMAX: Family = family!(Softmax, Softmax, softmax, |softmax, io| softmax
        .run(io.inputs[0].runs(0, usize::MAX)[0], io.output));
    /// Product of two tensors.
    pub const MULTIPLY: Family = family!(Multiply, Multiply, multiply, |multiply, io| multiply
        .run([&io.inputs[0], &io.inputs[1]], io.rows.start, io.output));
    /// A function of single codes.
    pub const TABLE: Family = family!(Table, Table, table, |table, io| table.run(
        &io.inputs[0],
        io.rows.start,
        io.output
    ));
    /// Layer normalization over channels.
    pub const LAYER_NORM: Family = family!(LayerNorm, LayerNorm, layer_norm, |norm, io| norm.run(
        &io.inputs[0],
        io.rows.start,
        io.output
    ));
    /// Channels of two tensors.
    pub const CONCAT: Family = family!(Concat, Concat, concat, |concat, io| concat.run(
        [&io.inputs[0], &io.inputs[1]],
        io.rows.start,
        io.output
    ));
}

/// Adds rows that may lie in two runs each, cut at different places: row by row then.
fn run_add(add: &Add, io: OpIo<'_>) {
    let rows = io.rows.len();
    let [a, b] = [
        io.inputs[0].runs(io.rows.start, rows),
        io.inputs[1].runs(io.rows.start, rows),
    ];
    if a[1].is_empty() && b[1].is_empty() {
        return add.run(a[0], b[0], io.output);
    }
    let row_elems = io.output.len().checked_div(rows).unwrap_or(0).max(1);
    for (r, output) in io.rows.zip(io.output.chunks_mut(row_elems)) {
        let [a, b] = [&io.inputs[0], &io.inputs[1]].map(|input| input.row(r as i32).unwrap_or(&[]));
        add.run(a, b, output);
    }
}

/// The extents that a kernel is not told: it sees slices, or one tensor of several.
fn check_extents(op: &OpContext<'_>) -> Result<(), ShapeError> {
    let [a, b] = op.inputs.map(|input| shape(&input));
    let output = shape(&op.output);
    match op.body.kind() {
        OpKind::Add => a.expect(output).and(b.expect(output)),
        OpKind::GlobalAveragePool => Shape::new(1, 1, a.c).expect(output),
        // One step makes all that there is.
        OpKind::Dense => Shape::new(1, output.w, output.c).expect(output),
        OpKind::Softmax => {
            Shape::new(1, 1, a.c).expect(a)?;
            a.expect(output)?;
            // The sum of exponentials has room for this many.
            if a.c > 4096 {
                return Err(ShapeError::Accumulator { at: 0 });
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

pub(crate) const fn shape(tensor: &Tensor) -> Shape {
    Shape::new(tensor.h, tensor.w, tensor.c)
}

/// The window of a record.
pub fn window(record: &WindowRecord) -> Window {
    Window {
        filter_h: record.filter_h.into(),
        filter_w: record.filter_w.into(),
        stride_h: record.stride_h.into(),
        stride_w: record.stride_w.into(),
        dilation_h: record.dilation_h.into(),
        dilation_w: record.dilation_w.into(),
        padding: padding(&record.padding),
    }
}

fn padding(record: &PaddingRecord) -> Padding {
    Padding {
        top: record.top.into(),
        bottom: record.bottom.into(),
        left: record.left.into(),
        right: record.right.into(),
    }
}

const fn clamp([min, max]: [i8; 2]) -> Clamp {
    Clamp { min, max }
}

/// Scratch memory that the kernel of an op makes good use of; of a global pooling, what it needs.
pub fn scratch_bytes(op: &OpContext<'_>) -> usize {
    match &op.body {
        Body::Conv2d { .. } => conv(op).map_or(0, |params| Conv2d::scratch_bytes(&params)),
        Body::Depthwise { .. } => {
            depthwise(op).map_or(0, |params| Depthwise::scratch_bytes(&params))
        }
        Body::Pointwise { .. } => {
            pointwise(op).map_or(0, |params| Pointwise::scratch_bytes(&params))
        }
        Body::Dense { .. } => dense(op).map_or(0, |params| Dense::scratch_bytes(&params)),
        Body::GlobalAveragePool { .. } => GlobalAveragePool::sums_bytes(shape(&op.inputs[0])),
        _ => 0,
    }
}

const fn factor(factor: ocelli_image::Factor) -> Requant {
    Requant {
        multiplier: factor.multiplier,
        shift: factor.shift,
    }
}

fn requant<'a>(channels: &ChannelsRef<'a>, output: &Tensor) -> ChannelRequant<'a> {
    ChannelRequant {
        bias: channels.bias,
        multiplier: channels.multiplier,
        shift: channels.shift,
        output_zero_point: output.zero_point,
        clamp: clamp(channels.clamp),
    }
}

/// The kernels' word for an order of weights.
pub const fn packing(packing: WeightPacking) -> Packing {
    match packing {
        WeightPacking::Canonical => Packing::Canonical,
        WeightPacking::Paired => Packing::Paired,
    }
}

fn conv<'a>(op: &OpContext<'a>) -> Option<Conv2dParams<'a>> {
    let Body::Conv2d {
        window: w,
        channels,
    } = &op.body
    else {
        return None;
    };
    Some(Conv2dParams {
        input: shape(&op.inputs[0]),
        output: shape(&op.output),
        window: window(w),
        input_zero_point: op.inputs[0].zero_point,
        weights: channels.weights,
        packing: packing(op.weight_packing),
        requant: requant(channels, &op.output),
    })
}

fn depthwise<'a>(op: &OpContext<'a>) -> Option<DepthwiseParams<'a>> {
    let Body::Depthwise {
        window: w,
        depth_multiplier,
        channels,
    } = &op.body
    else {
        return None;
    };
    Some(DepthwiseParams {
        input: shape(&op.inputs[0]),
        output: shape(&op.output),
        window: window(w),
        depth_multiplier: (*depth_multiplier).into(),
        input_zero_point: op.inputs[0].zero_point,
        weights: channels.weights,
        packing: packing(op.weight_packing),
        requant: requant(channels, &op.output),
    })
}

fn pointwise<'a>(op: &OpContext<'a>) -> Option<PointwiseParams<'a>> {
    let Body::Pointwise { channels } = &op.body else {
        return None;
    };
    Some(PointwiseParams {
        input: shape(&op.inputs[0]),
        output: shape(&op.output),
        weights: channels.weights,
        packing: packing(op.weight_packing),
        requant: requant(channels, &op.output),
    })
}

fn dense<'a>(op: &OpContext<'a>) -> Option<DenseParams<'a>> {
    let Body::Dense { channels } = &op.body else {
        return None;
    };
    Some(DenseParams {
        inputs: op.inputs[0].elems(),
        outputs: op.output.elems(),
        weights: channels.weights,
        packing: packing(op.weight_packing),
        requant: requant(channels, &op.output),
    })
}

fn add(op: &OpContext<'_>) -> Option<AddParams> {
    let Body::Add {
        factors,
        output_factor,
        clamp: c,
    } = op.body
    else {
        return None;
    };
    Some(AddParams {
        zero_points: op.inputs.map(|input| input.zero_point),
        factors: factors.map(factor),
        output_factor: factor(output_factor),
        output_zero_point: op.output.zero_point,
        clamp: clamp(c),
    })
}

fn pool(op: &OpContext<'_>) -> Option<PoolParams> {
    let (Body::AveragePool {
        window: w,
        clamp: c,
    }
    | Body::MaxPool {
        window: w,
        clamp: c,
    }) = &op.body
    else {
        return None;
    };
    Some(PoolParams {
        input: shape(&op.inputs[0]),
        output: shape(&op.output),
        window: window(w),
        clamp: clamp(*c),
    })
}

fn global_average_pool(op: &OpContext<'_>) -> Option<GlobalAveragePoolParams> {
    let Body::GlobalAveragePool {
        bias,
        factor: f,
        clamp: c,
    } = op.body
    else {
        return None;
    };
    Some(GlobalAveragePoolParams {
        input: shape(&op.inputs[0]),
        bias,
        factor: factor(f),
        output_zero_point: op.output.zero_point,
        clamp: clamp(c),
    })
}

fn pad(op: &OpContext<'_>) -> Option<PadParams> {
    let Body::Pad { padding: p } = &op.body else {
        return None;
    };
    Some(PadParams {
        input: shape(&op.inputs[0]),
        output: shape(&op.output),
        padding: padding(p),
        value: op.inputs[0].zero_point,
    })
}

fn softmax(op: &OpContext<'_>) -> Option<SoftmaxParams> {
    let Body::Softmax {
        multiplier,
        left_shift,
        difference_min,
    } = op.body
    else {
        return None;
    };
    Some(SoftmaxParams {
        multiplier,
        left_shift,
        difference_min,
    })
}

fn multiply(op: &OpContext<'_>) -> Option<MultiplyParams> {
    let Body::Multiply {
        factor: f,
        clamp: c,
    } = op.body
    else {
        return None;
    };
    Some(MultiplyParams {
        inputs: op.inputs.map(|input| shape(&input)),
        output: shape(&op.output),
        zero_points: op.inputs.map(|input| input.zero_point),
        factor: factor(f),
        output_zero_point: op.output.zero_point,
        clamp: clamp(c),
    })
}

fn table<'a>(op: &OpContext<'a>) -> Option<TableParams<'a>> {
    let Body::Table { table } = op.body else {
        return None;
    };
    Some(TableParams {
        input: shape(&op.inputs[0]),
        output: shape(&op.output),
        table,
    })
}

fn layer_norm<'a>(op: &OpContext<'a>) -> Option<LayerNormParams<'a>> {
    let Body::LayerNorm { epsilon, channels } = &op.body else {
        return None;
    };
    Some(LayerNormParams {
        input: shape(&op.inputs[0]),
        output: shape(&op.output),
        weights: channels.weights,
        epsilon: *epsilon,
        requant: requant(channels, &op.output),
    })
}

fn concat(op: &OpContext<'_>) -> Option<ConcatParams> {
    matches!(op.body, Body::Concat).then_some(ConcatParams {
        inputs: op.inputs.map(|input| shape(&input)),
        output: shape(&op.output),
    })
}
