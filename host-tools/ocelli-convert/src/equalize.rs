//! Channel equalization: scales channels that pass from linear ops to linear ops, so that one step fits all of them.
//!
//! Int8 activations share one scale per tensor. Where a few channels are many times larger than the rest (the residual
//! stream of a MobileNetV2), the rest is left with a few codes. Between a convolution without activation and the
//! convolutions that read it nothing but sums happens, so a channel may be divided by a factor where it is made and
//! multiplied where it is read: the network computes the same, and its int8 form loses less.
//!
//! Source: Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1,
//! with activation ranges and a strength as in Xiao et al. 2022, "SmoothQuant", section 4.

use crate::graph::{Clamp, Graph, Op, TensorId};

/// Exponent of the channel ranges: 0 leaves everything, 1 makes all channels equally large.
///
/// Between the two, since what activations gain the weights that read them lose.
const STRENGTH: f32 = 0.6;

/// How much larger than on the calibration images a channel may become before its activation cuts it off.
const HEADROOM: f32 = 1.25;

/// Channels are made at most this many times larger.
const LARGEST_FACTOR: f32 = 64.0;

/// Equalizes every group of tensors for which that is exact; returns how many there were.
///
/// `channel_peak` gives the largest magnitude of each channel of a tensor on real images.
pub fn equalize(graph: &mut Graph, channel_peak: impl Fn(TensorId) -> Vec<f32>) -> usize {
    let groups = groups(graph);
    for group in &groups {
        let factors = factors(group, &channel_peak);
        scale_channels(graph, &group.tensors, &factors);
    }
    groups.len()
}

/// Tensors whose channels have to be scaled together.
struct Group {
    tensors: Vec<TensorId>,
    /// The smallest upper end of the activations that make them.
    limit: f32,
}

/// Sets of tensors that additions tie together, all made and read by ops through which a factor passes.
fn groups(graph: &Graph) -> Vec<Group> {
    let count = graph.tensors.len();
    let mut root: Vec<usize> = (0..count).collect();
    fn find(root: &[usize], mut at: usize) -> usize {
        while root[at] != at {
            at = root[at];
        }
        at
    }
    for node in graph
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Add { .. }))
    {
        for input in &node.inputs {
            let (a, b) = (find(&root, input.0), find(&root, node.output.0));
            root[a.max(b)] = a.min(b);
        }
    }
    let mut members: Vec<Vec<TensorId>> = vec![vec![]; count];
    let mut limits = vec![Some(f32::INFINITY); count];
    let ends = [Some(graph.input), Some(graph.output), graph.embedding];
    for at in 0..count {
        let group = find(&root, at);
        members[group].push(TensorId(at));
        if ends.contains(&Some(TensorId(at))) {
            limits[group] = None;
        }
    }
    for node in &graph.nodes {
        let limit = &mut limits[find(&root, node.output.0)];
        *limit = limit.zip(limit_of_maker(&node.op)).map(|(a, b)| a.min(b));
        for input in &node.inputs {
            if !reads_linearly(&node.op) {
                limits[find(&root, input.0)] = None;
            }
        }
    }
    let groups = members
        .into_iter()
        .zip(limits)
        .filter(|(tensors, _)| !tensors.is_empty());
    groups
        .filter_map(|(tensors, limit)| {
            Some(Group {
                tensors,
                limit: limit?,
            })
        })
        .collect()
}

/// Up to where an op is linear in what it makes, or below zero nothing: positive factors pass through both.
fn limit_of_maker(op: &Op) -> Option<f32> {
    let weighted = matches!(
        op,
        Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::Add { .. }
    );
    let Clamp { min, max } = op.clamp().filter(|_| weighted)?;
    (min == 0.0 || min == f32::NEG_INFINITY).then_some(max)
}

fn reads_linearly(op: &Op) -> bool {
    matches!(
        op,
        Op::Conv2d { .. } | Op::DepthwiseConv2d { .. } | Op::Add { .. }
    )
}

/// By how much each channel is divided: below one for channels smaller than the largest.
fn factors(group: &Group, channel_peak: &impl Fn(TensorId) -> Vec<f32>) -> Vec<f32> {
    let mut peaks: Vec<f32> = vec![];
    for &tensor in &group.tensors {
        let of_tensor = channel_peak(tensor);
        peaks.resize(of_tensor.len(), 0.0);
        for (peak, of_tensor) in peaks.iter_mut().zip(of_tensor) {
            *peak = peak.max(of_tensor);
        }
    }
    let largest = peaks.iter().copied().fold(0.0, f32::max);
    let factor = |&peak: &f32| {
        if peak <= 0.0 {
            return 1.0;
        }
        // A channel must stay below the upper end of its activation, which is the same for all.
        let least = (HEADROOM * peak / group.limit).max(1.0 / LARGEST_FACTOR);
        (peak / largest).powf(STRENGTH).max(least).min(1.0)
    };
    peaks.iter().map(factor).collect()
}

/// Divides the channels where they are made and multiplies them where they are read.
fn scale_channels(graph: &mut Graph, group: &[TensorId], factors: &[f32]) {
    for node in &mut graph.nodes {
        if group.contains(&node.output) {
            match &mut node.op {
                Op::Conv2d { weights, bias, .. } => {
                    let filter = weights.len() / bias.len();
                    for (weights, factor) in weights.chunks_exact_mut(filter).zip(factors) {
                        weights.iter_mut().for_each(|weight| *weight /= factor);
                    }
                    bias.iter_mut()
                        .zip(factors)
                        .for_each(|(bias, factor)| *bias /= factor);
                }
                Op::DepthwiseConv2d { weights, bias, .. } => {
                    for (weight, factor) in weights.iter_mut().zip(factors.iter().cycle()) {
                        *weight /= factor;
                    }
                    bias.iter_mut()
                        .zip(factors)
                        .for_each(|(bias, factor)| *bias /= factor);
                }
                // A sum's inputs are of the group as well, so it is scaled already.
                _ => {}
            }
        }
        if node.inputs.iter().any(|input| group.contains(input)) {
            match &mut node.op {
                Op::Conv2d { weights, .. } => {
                    for (weight, factor) in weights.iter_mut().zip(factors.iter().cycle()) {
                        *weight *= factor;
                    }
                }
                Op::DepthwiseConv2d {
                    weights,
                    depth_multiplier,
                    ..
                } => {
                    let channels = factors.len() * *depth_multiplier;
                    for (at, weight) in weights.iter_mut().enumerate() {
                        *weight *= factors[at % channels / *depth_multiplier];
                    }
                }
                _ => {}
            }
        }
    }
}
