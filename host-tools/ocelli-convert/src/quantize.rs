//! From an f32 graph and its calibration to int8: every number that a device needs, and nothing real but the scales.

use ocelli::learn;
use ocelli_image::{
    Body, Channels, Factor, Model, ModelOp, PaddingRecord, Tensor, WeightPacking, WindowRecord,
};

use crate::calibrate::{Calibration, RangeMethod};
use crate::error::QuantizeError;
use crate::graph::{Clamp, Graph, Node, Op, Padding, TensorId, Window};

/// What can be chosen about quantization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuantizeOptions {
    /// How ranges of activations are chosen.
    pub range: RangeMethod,
    /// Whether biases make up for what rounding the weights does to the mean of each channel.
    pub bias_correction: bool,
}

impl Default for QuantizeOptions {
    fn default() -> Self {
        QuantizeOptions {
            range: RangeMethod::default(),
            bias_correction: true,
        }
    }
}

/// real = scale * (code - zero_point).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    /// Real step of one code.
    pub scale: f32,
    /// Code of zero.
    pub zero_point: i8,
}

impl Quantization {
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
    fn clamp(&self, clamp: Clamp) -> [i8; 2] {
        // Infinite ends become the ends of the code range.
        [self.code(clamp.min), self.code(clamp.max)]
    }
}

/// A real factor as the image stores it.
pub fn quantize_multiplier(factor: f64) -> Factor {
    let (multiplier, shift) = learn::quantize_multiplier(factor);
    Factor {
        multiplier,
        shift: shift.into(),
    }
}

/// Turns a canonical graph into int8. The plan is still the simplest: everything whole, one op after another.
///
/// # Errors
/// [`QuantizeError`] for an op that has no int8 form, or numbers that do not fit, naming the node.
pub fn quantize(
    graph: &Graph,
    calibration: &Calibration,
    input: Quantization,
    options: QuantizeOptions,
) -> Result<Model, QuantizeError> {
    let mut quantizer = Quantizer {
        graph,
        calibration,
        options,
        index: vec![usize::MAX; graph.tensors.len()],
        quantizations: vec![],
        tensors: vec![],
        ops: vec![],
    };
    quantizer.add_tensor(graph.input, input);
    for node in &graph.nodes {
        quantizer.add_node(node)?;
    }
    let last = graph.nodes.last().map(|node| node.output);
    if last != Some(graph.output) {
        return Err(QuantizeError::OutputNotLast {
            output: graph.tensor(graph.output).name.clone(),
        });
    }
    let reads_embedding = |node: &Node| {
        matches!(node.op, Op::Dense { .. }) && node.inputs.first().copied() == graph.embedding
    };
    let names = quantizer.order().map(|id| graph.tensor(id).name.clone());
    Ok(Model {
        arena_bytes: 0,
        segments: vec![1; quantizer.ops.len()],
        head: graph.nodes.iter().position(reads_embedding),
        preprocess: None,
        labels: vec![],
        names: names
            .chain(graph.nodes.iter().map(|node| node.name.clone()))
            .collect(),
        tensor_scale: quantizer.quantizations.iter().map(|q| q.scale).collect(),
        tensors: quantizer.tensors,
        ops: quantizer.ops,
    })
}

struct Quantizer<'g> {
    graph: &'g Graph,
    calibration: &'g Calibration,
    options: QuantizeOptions,
    /// The model's tensor for each of the graph's.
    index: Vec<usize>,
    quantizations: Vec<Quantization>,
    tensors: Vec<Tensor>,
    ops: Vec<ModelOp>,
}

impl Quantizer<'_> {
    /// The graph's tensors in the model's order.
    fn order(&self) -> impl Iterator<Item = TensorId> {
        [self.graph.input]
            .into_iter()
            .chain(self.graph.nodes.iter().map(|node| node.output))
    }

    fn add_tensor(&mut self, id: TensorId, quantization: Quantization) {
        let shape = self.graph.shape(id);
        self.index[id.0] = self.tensors.len();
        self.quantizations.push(quantization);
        self.tensors.push(Tensor {
            h: shape.h,
            w: shape.w,
            c: shape.c,
            zero_point: quantization.zero_point,
            offset: 0,
            rows_held: shape.h,
        });
    }

    fn quantization(&self, id: TensorId) -> Quantization {
        self.quantizations[self.index[id.0]]
    }

    /// The codes of a node's output: those of its input where the op only moves codes about, else by calibration.
    fn output_quantization(&self, node: &Node) -> Quantization {
        match node.op {
            Op::MaxPool { .. } | Op::AveragePool { .. } | Op::Pad { .. } => {
                self.quantization(node.inputs[0])
            }
            Op::Softmax { .. } => Quantization {
                scale: 1.0 / 256.0,
                zero_point: -128,
            },
            _ => {
                let (low, high) = self
                    .calibration
                    .tensor(node.output)
                    .range(self.options.range);
                Quantization::of_range(low, high)
            }
        }
    }

    fn add_node(&mut self, node: &Node) -> Result<(), QuantizeError> {
        let output = self.output_quantization(node);
        let body = self.body(node, output)?;
        let first = self.index[node.inputs[0].0];
        let second = node.inputs.get(1).map_or(first, |id| self.index[id.0]);
        self.ops.push(ModelOp {
            body,
            inputs: [first, second],
            weight_packing: WeightPacking::Canonical,
            rows_per_step: 1,
            scratch: (0, 0),
        });
        self.add_tensor(node.output, output);
        Ok(())
    }

    fn body(&self, node: &Node, output: Quantization) -> Result<Body<Channels>, QuantizeError> {
        let input = self.quantization(node.inputs[0]);
        let shape = self.graph.shape(node.inputs[0]);
        let record = |window: &Window| window_record(&node.name, window);
        Ok(match &node.op {
            Op::Conv2d {
                window,
                weights,
                bias,
                clamp,
            } => {
                let channels = self.channels(node, Layout::Rows, weights, bias, *clamp, output)?;
                if *window == Window::POINT {
                    Body::Pointwise { channels }
                } else {
                    Body::Conv2d {
                        window: record(window)?,
                        channels,
                    }
                }
            }
            Op::DepthwiseConv2d {
                window,
                depth_multiplier,
                weights,
                bias,
                clamp,
            } => {
                let multiplier = *depth_multiplier;
                let layout = Layout::Columns {
                    depth_multiplier: multiplier,
                };
                Body::Depthwise {
                    window: record(window)?,
                    depth_multiplier: fit(&node.name, "depth multiplier", multiplier)?,
                    channels: self.channels(node, layout, weights, bias, *clamp, output)?,
                }
            }
            Op::Dense {
                weights,
                bias,
                clamp,
            } => Body::Dense {
                channels: self.channels(node, Layout::Rows, weights, bias, *clamp, output)?,
            },
            Op::Add { clamp } => {
                let second = self.quantization(node.inputs[1]);
                let [a, b, out] = [input, second, output].map(|q| f64::from(q.scale));
                let twice = 2.0 * a.max(b);
                Body::Add {
                    factors: [
                        quantize_multiplier(a / twice),
                        quantize_multiplier(b / twice),
                    ],
                    output_factor: quantize_multiplier(twice / (f64::from(1 << 20) * out)),
                    clamp: output.clamp(*clamp),
                }
            }
            Op::AveragePool { window, clamp } => Body::AveragePool {
                window: record(window)?,
                clamp: output.clamp(*clamp),
            },
            Op::MaxPool { window, clamp } => Body::MaxPool {
                window: record(window)?,
                clamp: output.clamp(*clamp),
            },
            Op::GlobalAveragePool => {
                let pixels = shape.h * shape.w;
                let factor = f64::from(input.scale) / (f64::from(output.scale) * pixels as f64);
                let bias = -i64::from(input.zero_point) * pixels as i64;
                Body::GlobalAveragePool {
                    bias: fit(&node.name, "sum of zero points", bias)?,
                    factor: quantize_multiplier(factor),
                    clamp: [-128, 127],
                }
            }
            Op::Pad { padding } => Body::Pad {
                padding: padding_record(&node.name, padding)?,
            },
            Op::Softmax { beta } => softmax(*beta, input.scale),
            Op::BatchNorm { .. }
            | Op::Clamp(_)
            | Op::Multiply { .. }
            | Op::Unary(_)
            | Op::LayerNorm { .. }
            | Op::Concat => {
                return Err(QuantizeError::NotCanonical {
                    node: node.name.clone(),
                    op: node.op.kind(),
                });
            }
        })
    }

    /// Weights symmetric with a scale per output channel, biases at the scale of the sums.
    fn channels(
        &self,
        node: &Node,
        layout: Layout,
        weights: &[f32],
        bias: &[f32],
        clamp: Clamp,
        output: Quantization,
    ) -> Result<Channels, QuantizeError> {
        let input = self.quantization(node.inputs[0]);
        let means = &self.calibration.tensor(node.inputs[0]).channel_mean;
        let count = bias.len();
        let mut codes = vec![0i8; weights.len()];
        let mut channels = Channels {
            weights: vec![],
            bias: Vec::with_capacity(count),
            multiplier: Vec::with_capacity(count),
            shift: Vec::with_capacity(count),
            clamp: output.clamp(clamp),
            weight_scale: Vec::with_capacity(count),
        };
        for (channel, &bias) in bias.iter().enumerate() {
            let places = layout.places(channel, count, weights.len());
            let largest = places
                .clone()
                .map(|at| weights[at].abs())
                .fold(0.0, f32::max);
            let scale = weight_scale(largest, bias, input.scale);
            let mut sum = 0i64;
            // What rounding the weights adds to the sum in the mean, as a real number.
            let mut drift = 0.0;
            for at in places {
                let code = (f64::from(weights[at]) / f64::from(scale))
                    .round()
                    .clamp(-127.0, 127.0);
                codes[at] = code as i8;
                sum += code as i64;
                let mean = means[layout.input_channel(at, channel, means.len())];
                drift += (code * f64::from(scale) - f64::from(weights[at])) * f64::from(mean);
            }
            let bias = f64::from(bias)
                - if self.options.bias_correction {
                    drift
                } else {
                    0.0
                };
            let of_sums = f64::from(input.scale) * f64::from(scale);
            let code = (bias / of_sums).round() as i64 - i64::from(input.zero_point) * sum;
            channels.bias.push(fit(&node.name, "bias", code)?);
            let factor = quantize_multiplier(of_sums / f64::from(output.scale));
            channels.multiplier.push(factor.multiplier);
            channels.shift.push(fit(&node.name, "shift", factor.shift)?);
            channels.weight_scale.push(scale);
        }
        channels.weights = codes;
        Ok(channels)
    }
}

/// Where the weights of an output channel lie.
#[derive(Clone, Copy)]
enum Layout {
    /// `[out][…][in]`: next to each other.
    Rows,
    /// `[…][out]`: one in every `out`.
    Columns { depth_multiplier: usize },
}

impl Layout {
    fn places(
        self,
        channel: usize,
        channels: usize,
        weights: usize,
    ) -> impl Iterator<Item = usize> + Clone {
        let (start, step, count) = match self {
            Layout::Rows => (channel * (weights / channels), 1, weights / channels),
            Layout::Columns { .. } => (channel, channels, weights / channels),
        };
        (0..count).map(move |k| start + k * step)
    }

    /// The input channel that a weight multiplies. A dense layer may read several pixels; all have the same means.
    fn input_channel(self, at: usize, channel: usize, in_channels: usize) -> usize {
        match self {
            Layout::Rows => at % in_channels,
            Layout::Columns { depth_multiplier } => channel / depth_multiplier,
        }
    }
}

/// The step of a channel's weights: the largest is 127, unless the bias would not fit beside it.
fn weight_scale(largest: f32, bias: f32, input_scale: f32) -> f32 {
    let for_bias = bias.abs() / input_scale / (1u32 << 28) as f32;
    (largest / 127.0).max(for_bias).max(1e-20)
}

/// Fixed-point parameters of a softmax.
///
/// # Source
/// TensorFlow Lite `PreprocessSoftmaxScaling` and `CalculateInputRadius`, five integer bits.
pub fn softmax(beta: f32, input_scale: f32) -> Body<Channels> {
    let real = f64::from(beta) * f64::from(input_scale) * f64::from(1u32 << 26);
    let factor = quantize_multiplier(real.min(f64::from(i32::MAX)));
    let left_shift = factor.shift.clamp(0, 30) as u32;
    let radius = f64::from((1 << 5) - 1) * f64::from(1u32 << 26) / f64::from(1u32 << left_shift);
    Body::Softmax {
        multiplier: factor.multiplier,
        left_shift,
        difference_min: -(radius.floor() as i32),
    }
}

fn window_record(node: &str, window: &Window) -> Result<WindowRecord, QuantizeError> {
    Ok(WindowRecord {
        filter_h: fit(node, "filter height", window.filter_h)?,
        filter_w: fit(node, "filter width", window.filter_w)?,
        stride_h: fit(node, "stride", window.stride_h)?,
        stride_w: fit(node, "stride", window.stride_w)?,
        dilation_h: fit(node, "dilation", window.dilation_h)?,
        dilation_w: fit(node, "dilation", window.dilation_w)?,
        padding: padding_record(node, &window.padding)?,
    })
}

fn padding_record(node: &str, padding: &Padding) -> Result<PaddingRecord, QuantizeError> {
    Ok(PaddingRecord {
        top: fit(node, "padding", padding.top)?,
        bottom: fit(node, "padding", padding.bottom)?,
        left: fit(node, "padding", padding.left)?,
        right: fit(node, "padding", padding.right)?,
    })
}

/// A number in the type of its field.
fn fit<T, F>(node: &str, what: &'static str, number: F) -> Result<T, QuantizeError>
where
    F: TryInto<T> + Copy + std::fmt::Display,
{
    number.try_into().map_err(|_| QuantizeError::DoesNotFit {
        node: node.to_string(),
        what,
        got: number.to_string(),
    })
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
        let scale = weight_scale(1e-6, 1000.0, 0.02);
        assert!(1000.0 / (0.02 * scale) <= (1u32 << 28) as f32 * 1.001);
        assert_eq!(weight_scale(1.27, 0.1, 0.02), 0.01);
    }
}
