//! Weights and biases chosen layer by layer so that int8 makes of int8 what float makes of float.
//!
//! Rounding each weight to its nearest code is not the best that codes can do. What counts is the layer's output on the
//! values that really come in, which carry the rounding of all layers before. So each layer, from the first to the last,
//! gets the weights and biases with the least squared error between its output on dequantized inputs and the float
//! network's own output, kept near the pretrained weights, and rounded one after another such that later weights make up
//! for the rounding of earlier ones. The biases then make the means equal.
//!
//! Source: Frantar et al. 2023, "GPTQ", section 3 (rounding by the inputs' second moments; here as Babai's nearest plane,
//! which is the same in reverse order); Nagel et al. 2019, "Data-Free Quantization", section 4.2 (empirical biases).

use rayon::prelude::*;

use crate::error::InputError;
use crate::graph::{Clamp, Graph, Op, TensorId};
use crate::grid::{Grid, Quantization};
use crate::interpreter::{last_readers, run_node};
use crate::quantize::weight_code;

mod moments;
mod rounding;

use moments::{Kind, Moments};

/// What may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReconstructOptions {
    /// Whether weights are rounded for the least error of their layer's output, or each to its nearest code.
    pub weights: bool,
    /// Whether biases make the mean of each channel that of the float network.
    pub biases: bool,
}

impl Default for ReconstructOptions {
    fn default() -> Self {
        ReconstructOptions {
            weights: true,
            biases: true,
        }
    }
}

/// Memory for the values of all images at a time; fewer images are looked at where they would need more.
const MEMORY_BYTES: usize = 1 << 30;

/// A tensor as the float network makes it, and as the int8 network does.
#[derive(Default, Clone)]
struct Pair {
    float: Vec<f32>,
    int8: Vec<f32>,
}

/// Changes weights and biases of the graph; weights are multiples of the grid's steps afterwards.
///
/// `progress` is called once per node.
///
/// # Errors
/// If an image has not the size of the graph's input.
pub fn reconstruct<I>(
    graph: &mut Graph,
    grid: &Grid,
    images: &[I],
    options: ReconstructOptions,
    progress: impl Fn(),
) -> Result<(), InputError>
where
    I: Fn() -> Vec<f32> + Sync,
{
    let images = &images[..images.len().min(images_that_fit(graph))];
    let last_reader = last_readers(graph);
    let mut values: Vec<Vec<Pair>> = images
        .par_iter()
        .map(|image| {
            let float = image();
            let needed = graph.input_shape().elems();
            if float.len() != needed {
                let got = float.len();
                return Err(InputError { needed, got });
            }
            let int8 = rounded(&float, grid.tensor(graph.input));
            let mut tensors = vec![Pair::default(); graph.tensors.len()];
            tensors[graph.input.0] = Pair { float, int8 };
            Ok(tensors)
        })
        .collect::<Result<_, _>>()?;
    for at in 0..graph.nodes.len() {
        let output = graph.nodes[at].output;
        let run = |graph: &Graph, tensors: &[Pair], of: fn(&Pair) -> &[f32]| {
            let reads = |id: TensorId| of(&tensors[id.0]);
            run_node(graph, &graph.nodes[at], reads)
        };
        let clamp = take_clamp(graph, at);
        values
            .par_iter_mut()
            .for_each(|tensors| tensors[output.0].float = run(graph, tensors, |pair| &pair.float));
        if let Some(steps) = grid.weights(at)
            && let Some(kind) = Kind::of(graph, at)
        {
            let moments = Moments::of(graph, at, kind, &values);
            let op = &mut graph.nodes[at].op;
            if options.weights {
                rounding::round_weights(op, kind, steps, &moments);
            } else {
                round_to_nearest(op, steps);
            }
            if options.biases {
                rounding::correct_biases(op, kind, &moments);
            }
        } else if let Some(steps) = grid.weights(at) {
            round_to_nearest(&mut graph.nodes[at].op, steps);
        }
        let codes = grid.tensor(output);
        values.par_iter_mut().for_each(|tensors| {
            let mut int8 = run(graph, tensors, |pair| &pair.int8);
            let float = &mut tensors[output.0].float;
            for value in int8.iter_mut().chain(float) {
                *value = clamp.apply(*value);
            }
            tensors[output.0].int8 = rounded(&int8, codes);
            for (id, &last) in last_reader.iter().enumerate() {
                if last == Some(at) {
                    tensors[id] = Pair::default();
                }
            }
        });
        if let Some(place) = graph.nodes[at].op.clamp_mut() {
            *place = clamp;
        }
        progress();
    }
    Ok(())
}

/// Takes the fused activation off a node, so that sums can be seen.
fn take_clamp(graph: &mut Graph, at: usize) -> Clamp {
    match graph.nodes[at].op.clamp_mut() {
        Some(clamp) => std::mem::replace(clamp, Clamp::NONE),
        None => Clamp::NONE,
    }
}

/// How many images' tensors fit into memory at the widest place.
fn images_that_fit(graph: &Graph) -> usize {
    let last_reader = last_readers(graph);
    let mut live = graph.input_shape().elems();
    let mut widest = live;
    for (at, node) in graph.nodes.iter().enumerate() {
        live += graph.shape(node.output).elems();
        widest = widest.max(live);
        for (id, &last) in last_reader.iter().enumerate() {
            if last == Some(at) {
                live -= graph.shape(TensorId(id)).elems();
            }
        }
    }
    (MEMORY_BYTES / (widest * 2 * size_of::<f32>())).max(1)
}

/// What is left of values when they are codes.
fn rounded(values: &[f32], codes: Quantization) -> Vec<f32> {
    let round = |&value: &f32| codes.value(codes.code(value));
    values.iter().map(round).collect()
}

/// Each weight becomes the nearest multiple of its channel's step.
fn round_to_nearest(op: &mut Op, steps: &[f32]) {
    let nearest =
        |weight: &mut f32, step: f32| *weight = f32::from(weight_code(*weight, step)) * step;
    match op {
        Op::Conv2d { weights, .. } | Op::Dense { weights, .. } => {
            let filter = weights.len() / steps.len();
            for (filter, &step) in weights.chunks_mut(filter).zip(steps) {
                filter.iter_mut().for_each(|weight| nearest(weight, step));
            }
        }
        Op::DepthwiseConv2d { weights, .. } => {
            for (weight, &step) in weights.iter_mut().zip(steps.iter().cycle()) {
                nearest(weight, step);
            }
        }
        _ => {}
    }
}
