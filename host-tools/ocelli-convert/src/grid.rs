//! The codes of a network's numbers: which real value each stands for.

use std::collections::BTreeMap;

use crate::calibrate::{Calibration, RangeMethod};
use crate::error::QuantizeError;
use crate::graph::{Clamp, Graph, Node, Op, TensorId};

/// real = scale * (code - zero_point).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    /// Real step of one code.
    pub scale: f32,
    /// Code of zero.
    pub zero_point: i8,
}

impl Quantization {
    /// What a softmax makes: from 0 to 255/256.
    pub const PROBABILITY: Self = Quantization {
        scale: 1.0 / 256.0,
        zero_point: -128,
    };

    /// A layer norm's values before its weights: fifteen bits behind the point.
    pub(crate) const NORMALIZED: Self = Quantization {
        scale: 1.0 / (1 << 15) as f32,
        zero_point: 0,
    };

    /// Codes for a range that contains zero; a range of nothing gets a step of 1/255.
    ///
    /// # Source
    /// TensorFlow Lite's asymmetric int8 scheme.
    pub fn of_range(low: f32, high: f32) -> Self {
        let width = f64::from(high) - f64::from(low);
        let scale = (if width > 0.0 { width } else { 1.0 } / 255.0) as f32;
        // A step below the smallest normal number could not be inverted.
        let scale = scale.max(f32::MIN_POSITIVE);
        let zero_point = (-128.0 - f64::from(low) / f64::from(scale)).round();
        Quantization {
            scale,
            zero_point: zero_point.clamp(-128.0, 127.0) as i8,
        }
    }

    /// The code nearest to a real value.
    pub fn code(&self, value: f32) -> i8 {
        let code = (f64::from(value) / f64::from(self.scale)).round() + f64::from(self.zero_point);
        code.clamp(-128.0, 127.0) as i8
    }

    /// The real value of a code.
    pub fn value(&self, code: i8) -> f32 {
        self.scale * (i32::from(code) - i32::from(self.zero_point)) as f32
    }

    /// The codes that a fused activation lets through.
    pub(crate) fn clamp(&self, clamp: Clamp) -> [i8; 2] {
        // Infinite ends become the ends of the code range.
        [self.code(clamp.min), self.code(clamp.max)]
    }
}

/// The codes of every tensor, and the steps of all weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    tensors: Vec<Quantization>,
    weights: Vec<Option<Vec<f32>>>,
}

/// How the codes of a network are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GridOptions {
    /// How ranges of activations are chosen.
    pub range: RangeMethod,
    /// Whether each output channel's weights have a step of their own.
    pub per_channel: bool,
}

impl Default for GridOptions {
    fn default() -> Self {
        GridOptions {
            range: RangeMethod::default(),
            per_channel: true,
        }
    }
}

impl Grid {
    /// Codes that fit what calibration saw.
    ///
    /// `input` is the range of values that can be fed.
    pub fn choose(
        graph: &Graph,
        calibration: &Calibration,
        input: (f32, f32),
        options: GridOptions,
    ) -> Self {
        let mut ranges: Vec<(f32, f32)> = (0..graph.tensors.len())
            .map(|id| calibration.tensor(TensorId(id)).range(options.range))
            .collect();
        ranges[graph.input.0] = (input.0.min(0.0), input.1.max(0.0));
        let scores = scores(graph);
        ranges[scores.0].1 = HEADROOM * calibration.tensor(scores).max.max(0.0);
        let tied = ties(graph);
        for (id, &root) in tied.iter().enumerate() {
            let (low, high) = ranges[id];
            let of_root = &mut ranges[root];
            *of_root = (of_root.0.min(low), of_root.1.max(high));
        }
        let mut tensors: Vec<Quantization> = tied
            .iter()
            .map(|&root| Quantization::of_range(ranges[root].0, ranges[root].1))
            .collect();
        for node in &graph.nodes {
            if matches!(node.op, Op::Softmax { .. }) {
                tensors[node.output.0] = Quantization::PROBABILITY;
            }
        }
        let steps = |node: &Node| {
            let input = tensors[node.inputs[0].0].scale;
            weight_steps(&node.op, input, options.per_channel)
        };
        let weights = graph.nodes.iter().map(steps).collect();
        Grid { tensors, weights }
    }

    /// The codes that a file prescribes, by the names of tensors and nodes.
    ///
    /// Tensors that ops only move codes to may be left out, and softmaxes' outputs.
    ///
    /// # Errors
    /// The first tensor or node whose scale is missing, or whose scales are too few or too many.
    pub fn prescribed(
        graph: &Graph,
        by_tensor: &BTreeMap<String, Quantization>,
        by_node: &BTreeMap<String, Vec<f32>>,
    ) -> Result<Self, QuantizeError> {
        let tied = ties(graph);
        let named = |id: usize| by_tensor.get(&graph.tensors[id].name).copied();
        let mut tensors = Vec::with_capacity(graph.tensors.len());
        for id in 0..graph.tensors.len() {
            let softmax = graph
                .nodes
                .iter()
                .any(|node| node.output.0 == id && matches!(node.op, Op::Softmax { .. }));
            let own = if softmax {
                Some(Quantization::PROBABILITY)
            } else {
                named(id)
            };
            let of_tied = || {
                (0..tied.len()).find_map(|other| named(other).filter(|_| tied[other] == tied[id]))
            };
            let missing = || QuantizeError::NoScale {
                what: "tensor",
                name: graph.tensors[id].name.clone(),
            };
            tensors.push(own.or_else(of_tied).ok_or_else(missing)?);
        }
        let steps = |node: &Node| {
            let input = tensors[node.inputs[0].0].scale;
            let Some(channels) = weight_steps(&node.op, input, true).map(|steps| steps.len())
            else {
                return Ok(None);
            };
            match by_node.get(&node.name) {
                Some(steps) if steps.len() == channels => Ok(Some(steps.clone())),
                Some(steps) if steps.len() == 1 => Ok(Some(vec![steps[0]; channels])),
                _ => Err(QuantizeError::NoScale {
                    what: "node",
                    name: node.name.clone(),
                }),
            }
        };
        let weights = graph.nodes.iter().map(steps).collect::<Result<_, _>>()?;
        Ok(Grid { tensors, weights })
    }

    /// The codes of a tensor of the graph that the grid was made for.
    ///
    /// # Panics
    /// If the id is another graph's.
    pub fn tensor(&self, id: TensorId) -> Quantization {
        self.tensors[id.0]
    }

    /// The steps of a node's weights, one for each output channel; none for a node without weights.
    ///
    /// # Panics
    /// If the node is another graph's.
    pub fn weights(&self, node: usize) -> Option<&[f32]> {
        self.weights[node].as_deref()
    }
}

/// How much larger than on the calibration images a score may become before it is cut off.
const HEADROOM: f32 = 1.1;

/// What is compared when a class is chosen: the largest must not be cut off. It is what a last softmax reads.
fn scores(graph: &Graph) -> TensorId {
    let last = graph.nodes.iter().find(|node| node.output == graph.output);
    match last {
        Some(node) if matches!(node.op, Op::Softmax { .. }) => node.inputs[0],
        _ => graph.output,
    }
}

/// For each tensor the first of those that have the same codes, since ops only move codes between them.
fn ties(graph: &Graph) -> Vec<usize> {
    let mut root: Vec<usize> = (0..graph.tensors.len()).collect();
    for node in &graph.nodes {
        let keeps_codes = matches!(
            node.op,
            Op::MaxPool { .. } | Op::AveragePool { .. } | Op::Pad { .. } | Op::Concat
        );
        if !keeps_codes {
            continue;
        }
        for input in &node.inputs {
            let (a, b) = (root[input.0], root[node.output.0]);
            let (first, other) = (a.min(b), a.max(b));
            root.iter_mut()
                .filter(|root| **root == other)
                .for_each(|root| *root = first);
        }
    }
    root
}

/// Symmetric steps: the largest weight of a channel, or of all, is 127.
fn weight_steps(op: &Op, input_scale: f32, per_channel: bool) -> Option<Vec<f32>> {
    let (of_channels, bias, input_scale) = match op {
        Op::Conv2d { weights, bias, .. } | Op::Dense { weights, bias, .. } => {
            let filter = weights.len() / bias.len();
            let largest = |filter: &[f32]| largest(filter.iter());
            (
                weights.chunks(filter).map(largest).collect::<Vec<_>>(),
                bias,
                input_scale,
            )
        }
        Op::DepthwiseConv2d { weights, bias, .. } => {
            let channels = bias.len();
            let of_channel =
                |channel: usize| largest(weights.iter().skip(channel).step_by(channels));
            ((0..channels).map(of_channel).collect(), bias, input_scale)
        }
        Op::LayerNorm { scale, shift, .. } => (
            scale.iter().map(|scale| scale.abs()).collect(),
            shift,
            Quantization::NORMALIZED.scale,
        ),
        _ => return None,
    };
    let all = largest(of_channels.iter());
    let step = |(&channel, &bias): (&f32, &f32)| {
        let largest = if per_channel { channel } else { all };
        weight_step(largest, bias, input_scale)
    };
    let steps: Vec<f32> = of_channels.iter().zip(bias).map(step).collect();
    if per_channel {
        return Some(steps);
    }
    let widest = steps.iter().copied().fold(0.0, f32::max);
    Some(vec![widest; steps.len()])
}

fn largest<'a>(values: impl Iterator<Item = &'a f32>) -> f32 {
    values.fold(0.0, |largest, value| largest.max(value.abs()))
}

/// The step of a channel's weights: the largest is 127, unless the bias would not fit beside it.
fn weight_step(largest: f32, bias: f32, input_scale: f32) -> f32 {
    let for_bias = bias.abs() / input_scale / (1u32 << 28) as f32;
    (largest / 127.0).max(for_bias).max(1e-20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_becomes_codes_whose_ends_are_its_ends() {
        let q = Quantization::of_range(-1.0, 3.0);
        assert_eq!(q.zero_point, -64); // -128 + 255 / 4 = -64.25, rounded
        assert_eq!((q.code(-1.0), q.code(3.0), q.code(0.0)), (-128, 127, -64));
        assert_eq!(q.code(100.0), 127);
        assert_eq!(
            Quantization::of_range(0.0, 6.0).clamp(Clamp::RELU6),
            [-128, 127]
        );
    }

    #[test]
    fn a_bias_that_is_large_beside_its_weights_widens_their_step() {
        let step = weight_step(1e-6, 1000.0, 0.02);
        assert!(1000.0 / (0.02 * step) <= (1u32 << 28) as f32 * 1.001);
        assert_eq!(weight_step(1.27, 0.1, 0.02), 0.01);
    }
}
