//! What a plan costs in time: instructions on a Cortex-M4, and bytes of weights read.
//!
//! The same products are made in any plan; what differs is how often an op is started and how well blocks of pixels fill. The
//! constants are fitted to counts of the emulated M4, op by op: of its DSP loops for ops whose weights lie in pairs, of the
//! portable ones for others. `cargo xtask report` prints estimates beside counts.

use ocelli::kernels::{BLOCK_PIXELS, Packing, Taps};
use ocelli_image::{Body, Model, Tensor, WeightPacking, WindowRecord};

use super::schedule::Flow;

/// Instructions of a step beside its kernel's work: finding the op, its rows and its kernel.
const STEP_INSNS: u64 = 1500;
/// Instructions for each product of a code and a weight next to others of its dot product.
const PRODUCT_INSNS: u64 = 5;
/// Instructions for each dot product and its sum's way to a code.
const DOT_INSNS: u64 = 52;
/// Instructions for each row of a filter, for each output code.
const FILTER_ROW_INSNS: u64 = 78;
/// Channels of a depthwise convolution that are summed up together; the last ones of a pixel take a slower way.
const BLOCK: usize = 16;

/// Estimated instructions of an op that makes `rows_per_step` rows a step.
pub fn instructions(flow: &Flow<'_>, op: usize, rows_per_step: usize) -> u64 {
    let total = flow.totals[op];
    let rest = match total % rows_per_step {
        0 => 0,
        rows => step(flow, op, rows),
    };
    (total / rows_per_step) as u64 * step(flow, op, rows_per_step) + rest
}

fn step(flow: &Flow<'_>, op: usize, rows: usize) -> u64 {
    let paired = flow.model.ops[op].weight_packing == WeightPacking::Paired;
    if paired && let Some(work) = paired_work(flow, op, rows) {
        return STEP_INSNS + work;
    }
    let model = flow.model;
    let output = &model.tensors[op + 1];
    let weights = weight_bytes(model, op);
    // Of one output code.
    let products = (weights / output.c.max(1)) as u64;
    let code = match &model.ops[op].body {
        Body::Conv2d { window, .. } => {
            DOT_INSNS + u64::from(window.filter_h) * FILTER_ROW_INSNS + products * PRODUCT_INSNS
        }
        Body::Pointwise { .. } | Body::Dense { .. } => DOT_INSNS + products * PRODUCT_INSNS,
        Body::Depthwise { .. } => {
            let input = &model.tensors[model.ops[op].inputs[0]];
            let rest = output.c % BLOCK;
            let each = match input.c == output.c {
                true => (9 * (output.c - rest) + 18 * rest).div_ceil(output.c.max(1)),
                false => 37,
            };
            70 + products * each as u64
        }
        Body::AveragePool { window, .. } | Body::MaxPool { window, .. } => {
            16 * u64::from(window.filter_h) * u64::from(window.filter_w)
        }
        // Its rows are rows of the input.
        Body::GlobalAveragePool { .. } => 3,
        Body::Add { .. } => 14,
        Body::Multiply { .. } => 39,
        Body::Table { .. } => 15,
        Body::LayerNorm { .. } => 90,
        Body::Softmax { .. } => 220,
        Body::Pad { .. } | Body::Concat => 4,
    };
    let codes = match &model.ops[op].body {
        Body::GlobalAveragePool { .. } => rows * model.tensors[model.ops[op].inputs[0]].row_elems(),
        _ => rows * output.row_elems(),
    };
    let work = codes as u64 * code;
    STEP_INSNS + work
}

/// The work of the DSP loops on `rows` rows.
fn paired_work(flow: &Flow<'_>, op: usize, rows: usize) -> Option<u64> {
    let model = flow.model;
    let output = &model.tensors[op + 1];
    let input = &model.tensors[model.ops[op].inputs[0]];
    let (taps, each_code) = match &model.ops[op].body {
        Body::Depthwise { window, .. } => return Some(paired_depthwise(window, output, rows)),
        Body::Conv2d { window, .. } => (ocelli::window(window).taps(input.c), 3.5),
        Body::Pointwise { .. } => (Taps::one(input.c), 1.1),
        Body::Dense { .. } => (Taps::one(input.elems()), 1.1),
        _ => return None,
    };
    let pixels = rows * output.w;
    let words = taps.words() as f64;
    // Of a block of so many pixels: for each channel, what a word and what the codes cost.
    let block = |pixels: usize| {
        let (word, codes) = [(2.8, 25.0), (4.4, 30.0), (5.7, 38.0), (6.5, 45.0)][pixels - 1];
        let expanded = (pixels * taps.count()) as f64 * each_code;
        output.c as f64 * (word * words + codes) + expanded + 120.0
    };
    let room = Packing::Paired.block_bytes(taps, 1).max(1);
    let most = (flow.scratch_bytes(op) / room).clamp(1, BLOCK_PIXELS);
    let rest = match pixels % most {
        0 => 0.0,
        rest => block(rest),
    };
    Some(((pixels / most) as f64 * block(most) + rest) as u64)
}

/// Pairs of rows share the codes that they read, where the stride is one.
fn paired_depthwise(window: &WindowRecord, output: &Tensor, rows: usize) -> u64 {
    let taps = u64::from(window.filter_h) * u64::from(window.filter_w);
    // Filters other than 3x3 run in a loop for any size.
    let size = if taps == 9 { 2 } else { taps.div_ceil(3) };
    let strip = |pixel: u64| output.c as u64 * (100 + output.w as u64 * pixel * size / 2);
    let pairs = if window.stride_h == 1 { rows / 2 } else { 0 };
    pairs as u64 * strip(29) + (rows - 2 * pairs) as u64 * strip(22)
}

/// Rows a step, more than one, that an op without company may make: each halves the passes over its weights again.
pub fn rows_alone(flow: &Flow<'_>, op: usize) -> Vec<usize> {
    if flow.is_sum(op) {
        // It adds whatever rows are there.
        return vec![];
    }
    let total = flow.totals[op];
    let steps = std::iter::successors(Some(1), |steps| Some(steps * 2));
    let rows = steps.map(|steps| total.div_ceil(steps));
    let mut rows: Vec<usize> = rows.take_while(|&rows| rows > 1).collect();
    rows.dedup();
    rows
}

/// Bytes of an op's weights.
pub fn weight_bytes(model: &Model, op: usize) -> usize {
    let channels = model.ops[op].body.channels();
    channels.map_or(0, |channels| channels.weights.len())
}
