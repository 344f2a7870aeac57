//! The codes with the least squared error of a layer's output.

use rayon::prelude::*;

use super::moments::{Kind, Moments};
use crate::graph::Op;
use crate::quantize::weight_code;

/// How strongly weights are held to the pretrained ones, in powers of a mean input.
///
/// So strongly that only what is large in the inputs of all images moves them: the images are few.
const HOLD_FITTING: f64 = 30.0;

/// The same while rounding, where it only keeps the decomposition well conditioned.
const HOLD_ROUNDING: f64 = 0.01;

/// Replaces a layer's weights by multiples of its steps.
pub(super) fn round_weights(op: &mut Op, kind: Kind, steps: &[f32], moments: &Moments) {
    match (kind, op) {
        (Kind::Shared, Op::Conv2d { weights, .. } | Op::Dense { weights, .. }) => {
            let patch = weights.len() / steps.len();
            let mean = |sum: &f64| sum / moments.count;
            let x: Vec<f64> = moments.x.iter().map(mean).collect();
            let problem = Problem::new(patch, |i, j| {
                moments.xx[i * patch + j] - moments.count * x[i] * x[j]
            });
            weights
                .par_chunks_mut(patch)
                .zip(steps)
                .enumerate()
                .for_each(|(channel, (filter, &step))| {
                    let z = moments.z[channel];
                    let of_filter = &moments.zx[channel * patch..(channel + 1) * patch];
                    let zx: Vec<f64> = of_filter.iter().zip(&x).map(|(zx, x)| zx - z * x).collect();
                    problem.solve(filter, &zx, step);
                });
        }
        (Kind::Depthwise, Op::DepthwiseConv2d { weights, .. }) => {
            let channels = steps.len();
            let taps = weights.len() / channels;
            for (channel, &step) in steps.iter().enumerate() {
                let at = |row: usize| row * channels + channel;
                let x = |tap: usize| moments.x[at(tap)] / moments.count;
                let problem = Problem::new(taps, |i, j| {
                    moments.xx[at(i * taps + j)] - moments.count * x(i) * x(j)
                });
                let z = moments.z[channel];
                let zx: Vec<f64> = (0..taps)
                    .map(|tap| moments.zx[at(tap)] - z * x(tap))
                    .collect();
                let mut filter: Vec<f32> = (0..taps).map(|tap| weights[at(tap)]).collect();
                problem.solve(&mut filter, &zx, step);
                for (tap, weight) in filter.into_iter().enumerate() {
                    weights[at(tap)] = weight;
                }
            }
        }
        _ => {}
    }
}

/// Gives the biases that make the mean of each channel that of the float network.
pub(super) fn correct_biases(op: &mut Op, kind: Kind, moments: &Moments) {
    let (weights, bias) = match op {
        Op::Conv2d { weights, bias, .. }
        | Op::Dense { weights, bias, .. }
        | Op::DepthwiseConv2d { weights, bias, .. } => (weights, bias),
        _ => return,
    };
    let (count, channels) = (moments.count, bias.len());
    let patch = weights.len() / channels;
    for (channel, bias) in bias.iter_mut().enumerate() {
        let products: f64 = match kind {
            Kind::Shared => {
                let filter = &weights[channel * patch..(channel + 1) * patch];
                let terms = filter.iter().zip(&moments.x);
                terms.map(|(&weight, x)| f64::from(weight) * x).sum()
            }
            Kind::Depthwise => {
                let weights = weights.iter().skip(channel).step_by(channels);
                let terms = weights.zip(moments.x.iter().skip(channel).step_by(channels));
                terms.map(|(&weight, x)| f64::from(weight) * x).sum()
            }
        };
        *bias = ((moments.z[channel] - products) / count) as f32;
    }
}

/// One layer's, or one channel's, weights to be chosen.
struct Problem {
    fitting: Decomposed,
    rounding: Decomposed,
}

impl Problem {
    /// From the second moments of a patch.
    fn new(size: usize, xx: impl Fn(usize, usize) -> f64) -> Self {
        Problem {
            fitting: Decomposed::new(size, &xx, HOLD_FITTING),
            rounding: Decomposed::new(size, &xx, HOLD_ROUNDING),
        }
    }

    /// Replaces one channel's weights; `zx` is the second moment of its output with the patch.
    fn solve(&self, weights: &mut [f32], zx: &[f64], step: f32) {
        let best = self.fitting.ridge(weights, zx);
        self.rounding.nearest_plane(&best, weights, step);
    }
}

/// Second moments with something added to their diagonal, as `lower lower^T`.
struct Decomposed {
    size: usize,
    /// What was added.
    hold: f64,
    /// Row by row.
    lower: Vec<f64>,
    /// `lower`'s columns, row by row.
    upper: Vec<f64>,
}

impl Decomposed {
    fn new(size: usize, xx: &impl Fn(usize, usize) -> f64, hold: f64) -> Self {
        let power = (0..size).map(|i| xx(i, i).max(0.0)).sum::<f64>() / size as f64;
        // An input that is always the same leaves nothing to choose, but the decomposition needs a number.
        let hold = (hold * power).max(1e-150);
        let mut lower = vec![0.0; size * size];
        for i in 0..size {
            for j in 0..=i {
                lower[i * size + j] = xx(i, j);
            }
            lower[i * size + i] += hold;
        }
        decompose(&mut lower, size);
        let mut upper = vec![0.0; size * size];
        for i in 0..size {
            for j in 0..=i {
                upper[j * size + i] = lower[i * size + j];
            }
        }
        Decomposed {
            size,
            hold,
            lower,
            upper,
        }
    }

    /// The row of `upper` from its diagonal on.
    fn upper_row(&self, i: usize) -> &[f64] {
        &self.upper[i * self.size + i..(i + 1) * self.size]
    }

    /// The weights with the least squared error, held to those given.
    fn ridge(&self, weights: &[f32], zx: &[f64]) -> Vec<f64> {
        let size = self.size;
        let held = weights.iter().zip(zx);
        let mut best: Vec<f64> = held
            .map(|(&weight, zx)| zx + self.hold * f64::from(weight))
            .collect();
        for i in 0..size {
            let row = &self.lower[i * size..i * size + i + 1];
            best[i] = (best[i] - dot(&row[..i], &best[..i])) / row[i];
        }
        for i in (0..size).rev() {
            let row = self.upper_row(i);
            best[i] = (best[i] - dot(&row[1..], &best[i + 1..])) / row[0];
        }
        best
    }

    /// Babai's nearest plane: each weight is rounded with what rounding those behind it has left to make up for.
    fn nearest_plane(&self, best: &[f64], weights: &mut [f32], step: f32) {
        let mut off = vec![0.0; self.size];
        for i in (0..self.size).rev() {
            let row = self.upper_row(i);
            let wanted = best[i] + dot(&row[1..], &off[i + 1..]) / row[0];
            weights[i] = f32::from(weight_code(wanted as f32, step)) * step;
            off[i] = best[i] - f64::from(weights[i]);
        }
    }
}

/// Cholesky's decomposition in place, of a positive definite matrix's lower half.
fn decompose(matrix: &mut [f64], size: usize) {
    for j in 0..size {
        let (above, below) = matrix.split_at_mut((j + 1) * size);
        let row = &mut above[j * size..j * size + j + 1];
        let pivot = row[j] - dot(&row[..j], &row[..j]);
        row[j] = pivot.max(f64::MIN_POSITIVE).sqrt();
        let row = &*row;
        below
            .par_chunks_exact_mut(size)
            .with_min_len(16)
            .for_each(|other| {
                other[j] = (other[j] - dot(&row[..j], &other[..j])) / row[j];
            });
    }
}

/// In eight sums, which the processor adds at the same time.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (a, b) in a8.iter().zip(b8) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}
