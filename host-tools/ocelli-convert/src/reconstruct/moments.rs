//! First and second moments of what a layer reads and should make.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::Pair;
use crate::graph::{Graph, Node, Op};
use crate::interpreter::{Read, patch_row};

/// Longest filter whose second moments are taken: their number is its square.
const LONGEST_FILTER: usize = 2304;

/// Longest depthwise filter, likewise.
const MOST_TAPS: usize = 25;

/// Groups of images whose sums are taken at the same time. A fixed number, so that no result depends on the machine.
const GROUPS: usize = 8;

/// Which weights are solved for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All output channels read the same patches.
    Shared,
    /// Every channel reads its own.
    Depthwise,
}

impl Kind {
    /// How a node's weights are solved for; none if they are too many.
    pub(super) fn of(graph: &Graph, at: usize) -> Option<Kind> {
        match &graph.nodes[at].op {
            Op::Conv2d { weights, bias, .. } | Op::Dense { weights, bias, .. } => {
                (weights.len() / bias.len() <= LONGEST_FILTER).then_some(Kind::Shared)
            }
            Op::DepthwiseConv2d {
                window,
                depth_multiplier: 1,
                ..
            } => (window.taps() <= MOST_TAPS).then_some(Kind::Depthwise),
            _ => None,
        }
    }
}

/// Weighted sums over pixels of patches x and outputs z, K long and N long.
///
/// A depthwise layer has a patch for each channel, K taps long, and its sums have the channel innermost.
#[derive(Default)]
pub(super) struct Moments {
    pub(super) count: f64,
    /// Of x: `[K]`, or `[K][N]`.
    pub(super) x: Vec<f64>,
    /// Of z: `[N]`.
    pub(super) z: Vec<f64>,
    /// Of x x^T: `[K][K]`, or `[K][K][N]`.
    pub(super) xx: Vec<f64>,
    /// Of z x^T: `[N][K]`, or `[K][N]`.
    pub(super) zx: Vec<f64>,
}

/// The same of some images, in single precision.
#[derive(Default)]
struct F32Sums {
    count: f64,
    x: Vec<f32>,
    z: Vec<f32>,
    xx: Vec<f32>,
    zx: Vec<f32>,
}

impl F32Sums {
    fn add_shared(&mut self, samples: &Samples, outputs: usize) {
        let patch = samples.patches.len() / samples.count;
        self.count += samples.count as f64 * f64::from(samples.scale) * f64::from(samples.scale);
        sum_rows(&mut self.x, &samples.patches, patch, samples.scale);
        sum_rows(&mut self.z, &samples.outputs, outputs, samples.scale);
        let x = matrix(&samples.patches, samples.count, patch);
        let z = matrix(&samples.outputs, samples.count, outputs);
        add_product(&mut self.xx, x, x);
        add_product(&mut self.zx, z, x);
    }

    fn add_depthwise(&mut self, samples: &Samples, channels: usize) {
        let patch = samples.patches.len() / samples.count;
        let taps = patch / channels;
        self.count += samples.count as f64 * f64::from(samples.scale) * f64::from(samples.scale);
        sum_rows(&mut self.x, &samples.patches, patch, samples.scale);
        sum_rows(&mut self.z, &samples.outputs, channels, samples.scale);
        self.xx.resize(taps * patch, 0.0);
        self.zx.resize(patch, 0.0);
        let pixels = samples.patches.chunks_exact(patch);
        for (x, z) in pixels.zip(samples.outputs.chunks_exact(channels)) {
            let of_taps = x.chunks_exact(channels);
            for (x, xx) in of_taps.clone().zip(self.xx.chunks_exact_mut(patch)) {
                for (other, xx) in of_taps.clone().zip(xx.chunks_exact_mut(channels)) {
                    multiply_add(xx, x, other);
                }
            }
            for (x, zx) in of_taps.zip(self.zx.chunks_exact_mut(channels)) {
                multiply_add(zx, x, z);
            }
        }
    }
}

fn multiply_add(sums: &mut [f32], a: &[f32], b: &[f32]) {
    for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
        *sum += a * b;
    }
}

fn sum_rows(sums: &mut Vec<f32>, rows: &[f32], row: usize, scale: f32) {
    sums.resize(row, 0.0);
    for row in rows.chunks_exact(row) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value * scale;
        }
    }
}

fn matrix(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    match ArrayView2::from_shape((rows, columns), values) {
        Ok(matrix) => matrix,
        Err(_) => unreachable!("a verified graph's slices are as long as their shapes say"),
    }
}

/// `sums += a^T b`.
fn add_product(sums: &mut Vec<f32>, a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) {
    let shape = (a.ncols(), b.ncols());
    sums.resize(shape.0 * shape.1, 0.0);
    let Ok(mut sums) = ArrayViewMut2::from_shape(shape, sums) else {
        unreachable!("resized to its shape");
    };
    general_mat_mul(1.0, &a.t(), &b, 1.0, &mut sums);
}

fn add(total: &mut Vec<f64>, part: &[f32]) {
    total.resize(part.len(), 0.0);
    for (total, part) in total.iter_mut().zip(part) {
        *total += f64::from(*part);
    }
}

/// Pixels of an image that are looked at, about: every so many rows where there are more.
const PIXELS: usize = 1024;

/// What one image adds: patches and outputs of some of its pixels, row by row.
///
/// Scaled so that all images' outputs have the same power: an image in which a layer is quiet counts as one in which it
/// is loud.
struct Samples {
    /// Pixels.
    count: usize,
    /// The factor of all values.
    scale: f32,
    patches: Vec<f32>,
    outputs: Vec<f32>,
}

impl Samples {
    /// `patches` is `[pixel][filter_h * filter_w * in_channels]`, also of a depthwise convolution.
    fn of(graph: &Graph, node: &Node, tensors: &[Pair]) -> Self {
        let mut samples = Self::unscaled(graph, node, tensors);
        let squares = samples
            .outputs
            .iter()
            .map(|z| f64::from(*z) * f64::from(*z));
        let power = squares.sum::<f64>() / samples.outputs.len() as f64;
        if power > 0.0 {
            samples.scale = power.sqrt().recip() as f32;
        }
        let values = samples.patches.iter_mut().chain(&mut samples.outputs);
        values.for_each(|value| *value *= samples.scale);
        samples
    }

    fn unscaled(graph: &Graph, node: &Node, tensors: &[Pair]) -> Self {
        let Pair { float, .. } = &tensors[node.output.0];
        let Pair { int8, .. } = &tensors[node.inputs[0].0];
        let window = match &node.op {
            Op::Conv2d { window, .. } | Op::DepthwiseConv2d { window, .. } => window,
            // A dense layer reads everything as one patch.
            _ => {
                return Samples {
                    count: 1,
                    scale: 1.0,
                    patches: int8.clone(),
                    outputs: float.clone(),
                };
            }
        };
        let input = Read {
            shape: graph.shape(node.inputs[0]),
            values: int8,
        };
        let output = graph.shape(node.output);
        let every = (output.h * output.w).div_ceil(PIXELS);
        let rows: Vec<usize> = (every / 2..output.h).step_by(every).collect();
        let patch_row_elems = output.w * window.taps() * input.shape.c;
        let mut patches = vec![0.0; rows.len() * patch_row_elems];
        let mut outputs = Vec::with_capacity(rows.len() * output.w * output.c);
        for (&row, patches) in rows.iter().zip(patches.chunks_exact_mut(patch_row_elems)) {
            patch_row(window, row, input, patches);
            let elems = output.w * output.c;
            outputs.extend_from_slice(&float[row * elems..(row + 1) * elems]);
        }
        Samples {
            count: rows.len() * output.w,
            scale: 1.0,
            patches,
            outputs,
        }
    }
}

impl Moments {
    /// Of the layer's dequantized inputs and the float network's outputs, no activation applied.
    pub(super) fn of(graph: &Graph, at: usize, kind: Kind, values: &[Vec<Pair>]) -> Self {
        let node = &graph.nodes[at];
        let outputs = graph.shape(node.output).c;
        let group = |images: &[Vec<Pair>]| {
            let mut sums = F32Sums::default();
            for tensors in images {
                let samples = Samples::of(graph, node, tensors);
                match kind {
                    Kind::Shared => sums.add_shared(&samples, outputs),
                    Kind::Depthwise => sums.add_depthwise(&samples, outputs),
                }
            }
            sums
        };
        let groups: Vec<F32Sums> = values
            .par_chunks(values.len().div_ceil(GROUPS).max(1))
            .map(group)
            .collect();
        let mut total = Moments::default();
        for sums in groups {
            total.count += sums.count;
            add(&mut total.x, &sums.x);
            add(&mut total.z, &sums.z);
            add(&mut total.xx, &sums.xx);
            add(&mut total.zx, &sums.zx);
        }
        total
    }
}
