//! From an f32 graph and the codes of its numbers to int8: every number that a device needs, and nothing real but the scales.

use ocelli::learn;
use ocelli_image::{
    Body, Channels, Factor, Model, ModelOp, PaddingRecord, Tensor, WeightPacking, WindowRecord,
};

use crate::error::QuantizeError;
use crate::graph::{Clamp, Graph, Node, Op, Padding, TensorId, Window};
use crate::grid::{Grid, Quantization};

/// A real factor as the image stores it.
pub fn quantize_multiplier(factor: f64) -> Factor {
    let (multiplier, shift) = learn::quantize_multiplier(factor);
    Factor {
        multiplier,
        shift: shift.into(),
    }
}

/// Rounds a canonical graph to int8. The plan is still the simplest: everything whole, one op after another.
///
/// # Errors
/// [`QuantizeError`] for an op that has no int8 form, or numbers that do not fit, naming the node.
pub fn quantize(graph: &Graph, grid: &Grid) -> Result<Model, QuantizeError> {
    let mut quantizer = Quantizer {
        graph,
        grid,
        index: vec![usize::MAX; graph.tensors.len()],
        tensors: vec![],
        ops: vec![],
    };
    quantizer.add_tensor(graph.input);
    for at in 0..graph.nodes.len() {
        quantizer.add_node(at)?;
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
    let order = || {
        let made = graph.nodes.iter().map(|node| node.output);
        [graph.input].into_iter().chain(made)
    };
    let names = order().map(|id| graph.tensor(id).name.clone());
    Ok(Model {
        arena_bytes: 0,
        segments: vec![1; quantizer.ops.len()],
        head: graph.nodes.iter().position(reads_embedding),
        preprocess: None,
        labels: vec![],
        names: names
            .chain(graph.nodes.iter().map(|node| node.name.clone()))
            .collect(),
        tensor_scale: order().map(|id| grid.tensor(id).scale).collect(),
        regions: vec![],
        tensors: quantizer.tensors,
        ops: quantizer.ops,
    })
}

struct Quantizer<'g> {
    graph: &'g Graph,
    grid: &'g Grid,
    /// The model's tensor for each of the graph's.
    index: Vec<usize>,
    tensors: Vec<Tensor>,
    ops: Vec<ModelOp>,
}

impl Quantizer<'_> {
    fn add_tensor(&mut self, id: TensorId) {
        let shape = self.graph.shape(id);
        self.index[id.0] = self.tensors.len();
        self.tensors.push(Tensor {
            h: shape.h,
            w: shape.w,
            c: shape.c,
            zero_point: self.grid.tensor(id).zero_point,
            offset: 0,
            rows_held: shape.h,
        });
    }

    fn add_node(&mut self, at: usize) -> Result<(), QuantizeError> {
        let node = &self.graph.nodes[at];
        let body = self.body(at, node)?;
        let first = self.index[node.inputs[0].0];
        let second = node.inputs.get(1).map_or(first, |id| self.index[id.0]);
        self.ops.push(ModelOp {
            body,
            inputs: [first, second],
            weight_packing: WeightPacking::Canonical,
            rows_per_step: 1,
            scratch: (0, 0),
        });
        self.add_tensor(node.output);
        Ok(())
    }

    /// Refuses an op that only moves codes between tensors whose codes mean different things.
    fn same_codes(&self, node: &Node) -> Result<(), QuantizeError> {
        let output = self.grid.tensor(node.output);
        match node.inputs.iter().all(|&id| self.grid.tensor(id) == output) {
            true => Ok(()),
            false => Err(QuantizeError::OtherCodes {
                node: node.name.clone(),
                op: node.op.kind(),
            }),
        }
    }

    fn body(&self, at: usize, node: &Node) -> Result<Body<Channels>, QuantizeError> {
        let input = self.grid.tensor(node.inputs[0]);
        let output = self.grid.tensor(node.output);
        let shape = self.graph.shape(node.inputs[0]);
        let record = |window: &Window| window_record(&node.name, window);
        Ok(match &node.op {
            Op::Conv2d {
                window,
                weights,
                bias,
                clamp,
            } => {
                let channels = self.channels(at, Layout::Rows, weights, bias, *clamp)?;
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
                Body::Depthwise {
                    window: record(window)?,
                    depth_multiplier: fit(&node.name, "depth multiplier", multiplier)?,
                    channels: self.channels(at, Layout::Columns, weights, bias, *clamp)?,
                }
            }
            Op::Dense {
                weights,
                bias,
                clamp,
            } => Body::Dense {
                channels: self.channels(at, Layout::Rows, weights, bias, *clamp)?,
            },
            Op::Add { clamp } => {
                let second = self.grid.tensor(node.inputs[1]);
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
            Op::AveragePool { window, clamp } => {
                self.same_codes(node)?;
                Body::AveragePool {
                    window: record(window)?,
                    clamp: output.clamp(*clamp),
                }
            }
            Op::MaxPool { window, clamp } => {
                self.same_codes(node)?;
                Body::MaxPool {
                    window: record(window)?,
                    clamp: output.clamp(*clamp),
                }
            }
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
            Op::Pad { padding } => {
                self.same_codes(node)?;
                Body::Pad {
                    padding: padding_record(&node.name, padding)?,
                }
            }
            Op::Softmax { beta } if output == Quantization::PROBABILITY => {
                softmax(*beta, input.scale)
            }
            Op::Softmax { .. } => {
                return Err(QuantizeError::OtherCodes {
                    node: node.name.clone(),
                    op: node.op.kind(),
                });
            }
            Op::Multiply { clamp } => {
                let second = self.grid.tensor(node.inputs[1]);
                let [a, b, out] = [input, second, output].map(|q| f64::from(q.scale));
                Body::Multiply {
                    factor: quantize_multiplier(a * b / out),
                    clamp: output.clamp(*clamp),
                }
            }
            Op::Unary(function) => {
                let entry = |at: usize| {
                    let code = (at as i32 - 128) as i8;
                    output.code(function.apply(input.value(code)))
                };
                Body::Table {
                    table: Box::new(std::array::from_fn(entry)),
                }
            }
            Op::LayerNorm {
                scale,
                shift,
                epsilon,
            } => {
                // The variance that the kernel sees is in codes squared, times the channels squared.
                let unit = f64::from(input.scale) / shape.c as f64;
                let epsilon = (f64::from(*epsilon) / (unit * unit)).round();
                if epsilon >= (1u64 << 62) as f64 {
                    return Err(QuantizeError::DoesNotFit {
                        node: node.name.clone(),
                        what: "epsilon",
                        got: epsilon.to_string(),
                    });
                }
                Body::LayerNorm {
                    epsilon: epsilon as u64,
                    channels: self.channels(at, Layout::Columns, scale, shift, Clamp::NONE)?,
                }
            }
            Op::Concat => {
                self.same_codes(node)?;
                Body::Concat
            }
            Op::BatchNorm { .. } | Op::Clamp(_) => {
                return Err(QuantizeError::NotCanonical {
                    node: node.name.clone(),
                    op: node.op.kind(),
                });
            }
        })
    }

    /// Weights rounded to their steps, biases to the scale of the sums.
    fn channels(
        &self,
        at: usize,
        layout: Layout,
        weights: &[f32],
        bias: &[f32],
        clamp: Clamp,
    ) -> Result<Channels, QuantizeError> {
        let node = &self.graph.nodes[at];
        let input = match node.op {
            // Normalized values are what its weights multiply.
            Op::LayerNorm { .. } => Quantization::NORMALIZED,
            _ => self.grid.tensor(node.inputs[0]),
        };
        let output = self.grid.tensor(node.output);
        let steps = self.grid.weights(at).unwrap_or(&[]);
        let count = bias.len();
        let mut codes = vec![0i8; weights.len()];
        let mut channels = Channels {
            weights: vec![],
            bias: Vec::with_capacity(count),
            multiplier: Vec::with_capacity(count),
            shift: Vec::with_capacity(count),
            clamp: output.clamp(clamp),
            weight_scale: steps.to_vec(),
        };
        for (channel, (&bias, &step)) in bias.iter().zip(steps).enumerate() {
            let mut sum = 0i64;
            for at in layout.places(channel, count, weights.len()) {
                codes[at] = weight_code(weights[at], step);
                sum += i64::from(codes[at]);
            }
            let of_sums = f64::from(input.scale) * f64::from(step);
            let code =
                (f64::from(bias) / of_sums).round() as i64 - i64::from(input.zero_point) * sum;
            channels.bias.push(fit(&node.name, "bias", code)?);
            let factor = quantize_multiplier(of_sums / f64::from(output.scale));
            channels.multiplier.push(factor.multiplier);
            channels.shift.push(fit(&node.name, "shift", factor.shift)?);
        }
        channels.weights = codes;
        Ok(channels)
    }
}

/// The code of a weight, -127 to 127: -128 has no counterpart above zero.
pub(crate) fn weight_code(weight: f32, step: f32) -> i8 {
    let code = (f64::from(weight) / f64::from(step)).round();
    code.clamp(-127.0, 127.0) as i8
}

/// Where the weights of an output channel lie.
#[derive(Clone, Copy)]
pub(crate) enum Layout {
    /// `[out][…][in]`: next to each other.
    Rows,
    /// `[…][out]`: one in every `out`.
    Columns,
}

impl Layout {
    pub(crate) fn places(
        self,
        channel: usize,
        channels: usize,
        weights: usize,
    ) -> impl Iterator<Item = usize> + Clone {
        let (start, step, count) = match self {
            Layout::Rows => (channel * (weights / channels), 1, weights / channels),
            Layout::Columns => (channel, channels, weights / channels),
        };
        (0..count).map(move |k| start + k * step)
    }
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
