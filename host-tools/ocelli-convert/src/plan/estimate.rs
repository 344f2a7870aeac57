//! What a plan costs in time: instructions, roughly, and bytes of weights read.
//!
//! The same products are made in any plan. What differs is how often an op is started, and how many of the last pixels
//! of a step fill only a part of a block.

use ocelli_image::Body;

use super::schedule::Flow;

/// Instructions of a step beside its kernel's work: finding the op, its rows and its kernel.
const STEP_INSNS: u64 = 500;
/// Pixels that a convolution takes at a time, at most; fewer take as long.
const BLOCK_PIXELS: usize = 4;
/// Instructions for each product of a code and a weight.
const PRODUCT_INSNS: u64 = 3;
/// Instructions for each output code of an op without weights, or for each code under a pooling's window.
const CODE_INSNS: u64 = 8;

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
    let model = flow.model;
    let output = &model.tensors[op + 1];
    let codes = rows * output.row_elems();
    let weights = weight_bytes(flow, op) as u64;
    let work = match &model.ops[op].body {
        Body::Conv2d { .. } | Body::Pointwise { .. } => {
            let pixels = (rows * output.w).next_multiple_of(BLOCK_PIXELS);
            weights * pixels as u64 * PRODUCT_INSNS
        }
        Body::Dense { .. } => weights * PRODUCT_INSNS,
        Body::Depthwise { .. } => weights * (rows * output.w) as u64 * PRODUCT_INSNS,
        Body::AveragePool { window, .. } | Body::MaxPool { window, .. } => {
            let window = u64::from(window.filter_h) * u64::from(window.filter_w);
            window * codes as u64 * CODE_INSNS
        }
        Body::GlobalAveragePool { .. } => {
            let input = &model.tensors[model.ops[op].inputs[0]];
            (rows * input.row_elems()) as u64 * CODE_INSNS
        }
        _ => codes as u64 * CODE_INSNS,
    };
    STEP_INSNS + work
}

/// The fewest rows a step that keep an op within one percent of its fastest.
pub fn rows_for_speed(flow: &Flow<'_>, op: usize) -> usize {
    if flow.is_sum(op) {
        // It adds whatever rows are there.
        return 1;
    }
    let total = flow.totals[op].max(1);
    let rows = |steps: usize| total.div_ceil(steps);
    let choices = (1..=total).map(rows);
    let least = choices
        .clone()
        .map(|rows| instructions(flow, op, rows))
        .min();
    let enough = least.unwrap_or(0) + least.unwrap_or(0) / 100;
    choices
        .filter(|&rows| instructions(flow, op, rows) <= enough)
        .min()
        .unwrap_or(total)
}

/// Bytes of an op's weights.
pub fn weight_bytes(flow: &Flow<'_>, op: usize) -> usize {
    let channels = flow.model.ops[op].body.channels();
    channels.map_or(0, |channels| channels.weights.len())
}
