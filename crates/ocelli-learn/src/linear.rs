//! The head's arithmetic: logits, cross-entropy, and the step on the weights.
//!
//! The order of every sum is written here and is part of the result:
//! - A dot product over features has four lanes. Lane `l` adds the products of features `l`,
//!   `l + 4`, `l + 8`, … one after another to 0, and the result is `(l0 + l1) + (l2 + l3)`.
//! - A gradient adds the samples of the batch in their order, to 0.
//! - Sums over classes go from the first to the last.
//!
//! How many features or classes are handled at a time (`CHUNK`, `BLOCK`) changes no bit.

use crate::Samples;
use crate::config::Optimizer;

/// Features converted to floats at a time; a multiple of the four lanes.
const CHUNK: usize = 16;
/// Classes that share a converted chunk.
const BLOCK: usize = 4;

/// A linear layer on centred int8 codes: `input_scale * weights . (codes - centre) + bias`.
///
/// # Shapes
/// `weights` is `[classes][features]`, `bias` is `[classes]`, `centre` is `[features]`.
#[derive(Clone, Copy)]
pub(crate) struct Linear<'a> {
    pub(crate) weights: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) centre: &'a [f32],
    pub(crate) input_scale: f32,
}

impl Linear<'_> {
    /// Writes a logit a class.
    pub(crate) fn forward(&self, codes: &[i8], logits: &mut [f32]) {
        // `max` tells the optimizer that there is a feature.
        let features = self.centre.len().max(1);
        let blocks = self
            .weights
            .chunks(BLOCK.saturating_mul(features))
            .zip(self.bias.chunks(BLOCK));
        for (logits, (rows, bias)) in logits.chunks_mut(BLOCK).zip(blocks) {
            let mut lanes = [[0.0; 4]; BLOCK];
            for start in (0..features).step_by(CHUNK) {
                let inputs = centred(codes, self.centre, start);
                for (lanes, row) in lanes.iter_mut().zip(rows.chunks(features)) {
                    add_products(lanes, &inputs, &chunk(row, start));
                }
            }
            for (logit, (lanes, bias)) in logits.iter_mut().zip(lanes.iter().zip(bias)) {
                *logit = self.input_scale * sum_lanes(lanes) + bias;
            }
        }
    }
}

/// Dot product in the written order.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; 4];
    for start in (0..a.len()).step_by(CHUNK) {
        add_products(&mut lanes, &chunk(a, start), &chunk(b, start));
    }
    sum_lanes(&lanes)
}

/// The squared length of a centred embedding.
pub(crate) fn squared_length(codes: &[i8], centre: &[f32]) -> f32 {
    let mut lanes = [0.0; 4];
    for start in (0..centre.len()).step_by(CHUNK) {
        let inputs = centred(codes, centre, start);
        add_products(&mut lanes, &inputs, &inputs);
    }
    sum_lanes(&lanes)
}

/// Turns logits into probabilities; returns the cross-entropy with `label`.
///
/// The largest logit is subtracted first, so that no exponential overflows.
pub(crate) fn cross_entropy(logits: &mut [f32], label: usize) -> f32 {
    let largest = logits.get(arg_max(logits)).copied().unwrap_or(0.0);
    let wanted = logits.get(label).copied().unwrap_or(0.0);
    let mut total = 0.0;
    for value in logits.iter_mut() {
        *value = libm::expf(*value - largest);
        total += *value;
    }
    for value in logits.iter_mut() {
        *value /= total;
    }
    libm::logf(total) - (wanted - largest)
}

/// Turns probabilities into the gradient of the mean cross-entropy over `count` samples.
pub(crate) fn cross_entropy_backward(probabilities: &mut [f32], label: usize, count: f32) {
    if let Some(value) = probabilities.get_mut(label) {
        *value -= 1.0;
    }
    for value in probabilities {
        *value /= count;
    }
}

/// The first of the largest values.
pub(crate) fn arg_max(values: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (at, &value) in values.iter().enumerate() {
        if value > best.1 {
            best = (at, value);
        }
    }
    best.0
}

/// Values that an optimizer moves, with its state for them.
pub(crate) struct Trained<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) moments: &'a mut [f32],
}

/// One step on the bias. Returns whether it is still finite.
///
/// `d_logits` is `[batch][classes]`.
pub(crate) fn step_bias(optimizer: &Optimizer, bias: Trained<'_>, d_logits: &[f32]) -> bool {
    let classes = bias.values.len().max(1);
    let mut finite = true;
    for (class, (value, moments)) in bias
        .values
        .iter_mut()
        .zip(bias.moments.chunks_mut(optimizer.moments().max(1)))
        .enumerate()
    {
        // forward: logits[class] = … + bias[class]
        let mut d_bias = 0.0;
        for d in d_logits.chunks(classes) {
            d_bias += d.get(class).copied().unwrap_or(0.0);
        }
        finite &= optimizer.update(core::slice::from_mut(value), moments, &[d_bias], false);
    }
    finite
}

/// One step on the weights. Returns whether they are still finite.
///
/// The gradient is never held whole: that of a few classes and features is added up over the batch,
/// used, and forgotten. `d_logits` is `[batch][classes]` and already times the input's scale.
pub(crate) fn step_weights(
    optimizer: &Optimizer,
    weights: Trained<'_>,
    d_logits: &[f32],
    classes: usize,
    batch: &[u32],
    samples: &Samples<'_>,
    centre: &[f32],
) -> bool {
    let features = centre.len().max(1);
    let block = BLOCK.saturating_mul(features);
    let mut finite = true;
    for (at, (rows, moments)) in weights
        .values
        .chunks_mut(block)
        .zip(weights.moments.chunks_mut(block))
        .enumerate()
    {
        for start in (0..features).step_by(CHUNK) {
            // forward: logits[class] = input_scale * weights[class] . (codes - centre) + …
            let mut d_weights = [[0.0; CHUNK]; BLOCK];
            for (&index, d) in batch.iter().zip(d_logits.chunks(classes.max(1))) {
                let Some((codes, _)) = samples.get(index as usize) else {
                    continue;
                };
                let inputs = centred(codes, centre, start);
                let d = d.get(at * BLOCK..).unwrap_or_default();
                for (d_weights, d) in d_weights.iter_mut().zip(d) {
                    for (d_weight, input) in d_weights.iter_mut().zip(&inputs) {
                        *d_weight += d * input;
                    }
                }
            }
            let rows = rows.chunks_mut(features).zip(moments.chunks_mut(features));
            for ((row, moments), d_weights) in rows.zip(&d_weights) {
                if let (Some(row), Some(moments)) = (row.get_mut(start..), moments.get_mut(start..))
                {
                    finite &= optimizer.update(row, moments, d_weights, true);
                }
            }
        }
    }
    finite
}

/// `codes - centre` from feature `start` on; 0 beyond the last.
#[inline(always)]
fn centred(codes: &[i8], centre: &[f32], start: usize) -> [f32; CHUNK] {
    let codes = codes.get(start..).unwrap_or_default();
    let centre = centre.get(start..).unwrap_or_default();
    let mut inputs = [0.0; CHUNK];
    // The same loop twice: a whole chunk has a length that the compiler knows.
    if let (Some(codes), Some(centre)) =
        (codes.first_chunk::<CHUNK>(), centre.first_chunk::<CHUNK>())
    {
        for (input, (&code, centre)) in inputs.iter_mut().zip(codes.iter().zip(centre)) {
            *input = f32::from(code) - centre;
        }
    } else {
        for (input, (&code, centre)) in inputs.iter_mut().zip(codes.iter().zip(centre)) {
            *input = f32::from(code) - centre;
        }
    }
    inputs
}

/// `values` from `start` on; 0 beyond the last.
#[inline(always)]
fn chunk(values: &[f32], start: usize) -> [f32; CHUNK] {
    let values = values.get(start..).unwrap_or_default();
    if let Some(values) = values.first_chunk::<CHUNK>() {
        return *values;
    }
    let mut padded = [0.0; CHUNK];
    for (to, &from) in padded.iter_mut().zip(values) {
        *to = from;
    }
    padded
}

/// Adds the products of four features at a time to the lanes.
///
/// The zeros beyond the last feature change nothing: a lane begins as +0, so it is never -0.
#[inline(always)]
fn add_products(lanes: &mut [f32; 4], a: &[f32; CHUNK], b: &[f32; CHUNK]) {
    for (a, b) in a.chunks_exact(4).zip(b.chunks_exact(4)) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
}

fn sum_lanes(lanes: &[f32; 4]) -> f32 {
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}
