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
use crate::rows::{rows, rows_mut};

/// Features converted to floats at a time; a multiple of the four lanes.
const CHUNK: usize = 16;
/// Classes that share a converted chunk; `BLOCK * CHUNK` floats are on the stack.
const BLOCK: usize = 12;

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
        let features = self.centre.len();
        let block = BLOCK.saturating_mul(features);
        let blocks = rows(self.weights, block).zip(rows(self.bias, BLOCK));
        for (logits, (block, bias)) in rows_mut(logits, BLOCK).zip(blocks) {
            let mut lanes = [[0.0; 4]; BLOCK];
            for start in (0..features).step_by(CHUNK) {
                let inputs = centred(codes, self.centre, start);
                for (lanes, row) in lanes.iter_mut().zip(rows(block, features)) {
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
    let classes = bias.values.len();
    let moments = rows_mut(bias.moments, optimizer.moments());
    let mut finite = true;
    for (class, (value, moments)) in bias.values.iter_mut().zip(moments).enumerate() {
        // forward: logits[class] = … + bias[class]
        let mut d_bias = 0.0;
        for d in rows(d_logits, classes) {
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
    let features = centre.len();
    let block = BLOCK.saturating_mul(features);
    let blocks = rows_mut(weights.values, block).zip(rows_mut(weights.moments, block));
    let mut finite = true;
    for (at, (weights, moments)) in blocks.enumerate() {
        for start in (0..features).step_by(CHUNK) {
            // forward: logits[class] = input_scale * weights[class] . (codes - centre) + …
            let mut d_weights = [[0.0; CHUNK]; BLOCK];
            for (&index, d) in batch.iter().zip(rows(d_logits, classes)) {
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
            let rows = rows_mut(weights, features).zip(rows_mut(moments, features));
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
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        lanes[at % 4] += a * b;
    }
}

fn sum_lanes(lanes: &[f32; 4]) -> f32 {
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::*;

    fn made_up(count: usize, seed: usize) -> Vec<f32> {
        let value = |at: usize| ((at * 7919 + seed * 104_729) % 2003) as f32 / 1000.0 - 1.0;
        (0..count).map(value).collect()
    }

    /// The order of additions as the module's documentation has it, literally.
    fn dot_in_written_order(a: &[f32], b: &[f32]) -> f32 {
        let mut lanes = [0.0; 4];
        for (lane, sum) in lanes.iter_mut().enumerate() {
            for at in (lane..a.len()).step_by(4) {
                *sum += a[at] * b[at];
            }
        }
        (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
    }

    #[test]
    fn logits_are_added_in_the_written_order_for_every_count_of_features_and_classes() {
        for features in 1..=37 {
            for classes in 1..=9 {
                let (weights, bias) = (made_up(classes * features, 1), made_up(classes, 2));
                let centre = made_up(features, 3);
                let codes: Vec<i8> = (0..features).map(|f| (f * 83 % 256) as u8 as i8).collect();
                let inputs: Vec<f32> = codes
                    .iter()
                    .zip(&centre)
                    .map(|(&code, centre)| f32::from(code) - centre)
                    .collect();
                let mut logits = std::vec![f32::NAN; classes];
                let linear = Linear {
                    weights: &weights,
                    bias: &bias,
                    centre: &centre,
                    input_scale: 0.37,
                };
                linear.forward(&codes, &mut logits);
                for (class, logit) in logits.iter().enumerate() {
                    let row = &weights[class * features..][..features];
                    let expected = 0.37 * dot_in_written_order(row, &inputs) + bias[class];
                    assert_eq!(logit.to_bits(), expected.to_bits());
                }
                let expected = dot_in_written_order(&inputs, &inputs);
                assert_eq!(
                    squared_length(&codes, &centre).to_bits(),
                    expected.to_bits()
                );
                assert_eq!(dot(&inputs, &inputs).to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn cross_entropy_of_logits_far_apart_does_not_overflow() {
        let mut logits = [200.0, -200.0, 199.0];
        // -log(e / (e + 1)) = log(1 + 1 / e) = 0.31326169
        let loss = cross_entropy(&mut logits, 0);
        assert!((loss - 0.313_261_7).abs() < 1e-6);
        // e / (e + 1) = 0.73105858; its gradient for two samples is (0.731 - 1) / 2.
        cross_entropy_backward(&mut logits, 0, 2.0);
        assert!((logits[0] + 0.134_470_7).abs() < 1e-6);
        assert_eq!(logits[1], 0.0);
    }

    #[test]
    fn the_first_of_equal_logits_wins() {
        assert_eq!(arg_max(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(arg_max(&[0.0, 0.0]), 0);
    }
}
