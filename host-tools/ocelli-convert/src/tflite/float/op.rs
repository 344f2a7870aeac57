//! Operators as nodes of the graph.

use super::super::options::{expect_global_mean, padding, pooling, sliding};
use super::super::schema::{Operator, builtin};
use super::super::shape::{expect_shape, map_shape};
use super::super::{Refusal, refuse, refuse_tensor};
use super::constant::Constant;
use super::{Flow, Importer, SUPPORTED};
use crate::graph::{Clamp, Op, Shape, TensorId, Unary, Window};

impl Importer<'_> {
    /// Adds the node of this name, and those before it that it needs.
    pub(super) fn op(
        &mut self,
        operator: &Operator<'_>,
        name: &str,
        output: usize,
    ) -> Result<TensorId, Refusal> {
        match operator.builtin {
            builtin::CONV_2D => self.conv2d(operator, name, output),
            builtin::DEPTHWISE_CONV_2D => self.depthwise(operator, name, output),
            builtin::FULLY_CONNECTED => self.fully_connected(operator, name, output),
            builtin::ADD | builtin::SUB | builtin::MUL | builtin::DIV => {
                self.arithmetic(operator, name)
            }
            builtin::MAXIMUM | builtin::MINIMUM => self.limit(operator, name),
            builtin::AVERAGE_POOL_2D | builtin::MAX_POOL_2D => self.pool(operator, name, output),
            builtin::MEAN => self.mean(operator, name, output),
            builtin::PAD | builtin::PADV2 => self.pad(operator, name, output),
            builtin::MIRROR_PAD => {
                refuse("is padded with mirrored pixels; only zeros are supported: use PAD")
            }
            builtin::SOFTMAX => self.softmax(operator, name),
            builtin::CONCATENATION => self.concatenation(operator, name, output),
            builtin::DEQUANTIZE | builtin::QUANTIZE => {
                refuse("makes the network int8 in parts; quantize the whole of it, or nothing")
            }
            _ => match function(operator)? {
                Some(op) => {
                    let input = self.read(operator, 0)?;
                    self.push(name, op, &[input.id])
                }
                None => refuse(format!(
                    "comes from an operator that is not supported; {SUPPORTED}: export the network without it"
                )),
            },
        }
    }

    fn made(&self, output: usize) -> Result<[usize; 3], Refusal> {
        map_shape(&self.file.tensors[output], output)
    }

    fn conv2d(
        &mut self,
        operator: &Operator<'_>,
        name: &str,
        output: usize,
    ) -> Result<TensorId, Refusal> {
        let input = self.read_map(operator, 0)?;
        let id = self.file.input(operator, 1)?;
        let weights = self.weights(id)?;
        let &[count, filter_h, filter_w, in_channels] = &weights.shape[..] else {
            return refuse_tensor(
                id,
                format!("is {:?}; weights have 4 dimensions here", weights.shape),
            );
        };
        if in_channels != input.shape[2] {
            return refuse_tensor(
                id,
                format!(
                    "has {in_channels} input channels, and the map {}; convolution in groups is not supported",
                    input.shape[2]
                ),
            );
        }
        let filter = [filter_h, filter_w];
        let (window, [h, w]) = sliding(operator, input.shape, filter, [2, 1], Some([5, 4]))?;
        expect_shape(self.made(output)?, [h, w, count])?;
        let bias = self.bias(operator, count)?;
        let clamp = operator.fused(3)?;
        let weights = weights.values;
        let [in_h, in_w, in_c] = input.shape;
        let op = Op::convolution(Shape::new(in_h, in_w, in_c), window, weights, bias, clamp);
        self.push(name, op, &[input.id])
    }

    fn depthwise(
        &mut self,
        operator: &Operator<'_>,
        name: &str,
        output: usize,
    ) -> Result<TensorId, Refusal> {
        let input = self.read_map(operator, 0)?;
        let id = self.file.input(operator, 1)?;
        let weights = self.weights(id)?;
        let depth_multiplier = operator.side("depth multiplier", 3, 0)?;
        let count = input.shape[2] * depth_multiplier;
        let filter = match weights.shape[..] {
            [1, h, w, channels] if channels == count => [h, w],
            _ => {
                return refuse_tensor(
                    id,
                    format!(
                        "is {:?}; for {} channels and depth multiplier {depth_multiplier} it has to be [1, height, width, {count}]",
                        weights.shape, input.shape[2]
                    ),
                );
            }
        };
        let (window, [h, w]) = sliding(operator, input.shape, filter, [2, 1], Some([6, 5]))?;
        expect_shape(self.made(output)?, [h, w, count])?;
        let op = Op::DepthwiseConv2d {
            window,
            depth_multiplier,
            weights: weights.values,
            bias: self.bias(operator, count)?,
            clamp: operator.fused(4)?,
        };
        self.push(name, op, &[input.id])
    }

    /// Over the whole input, or over the channels of each pixel, which is a convolution of single pixels.
    fn fully_connected(
        &mut self,
        operator: &Operator<'_>,
        name: &str,
        output: usize,
    ) -> Result<TensorId, Refusal> {
        let input = self.read(operator, 0)?;
        if operator.option(1, 0i8)? != 0 {
            return refuse("has shuffled weights; only the default weights format is supported");
        }
        let id = self.file.input(operator, 1)?;
        let weights = self.weights(id)?;
        let &[count, inputs] = &weights.shape[..] else {
            return refuse_tensor(
                id,
                format!("is {:?}; weights have 2 dimensions here", weights.shape),
            );
        };
        let bias = self.bias(operator, count)?;
        let clamp = operator.fused(0)?;
        let weights = weights.values;
        let [h, w, c] = input.shape;
        let op = if inputs == h * w * c {
            expect_shape(self.made(output)?, [1, 1, count])?;
            Op::Dense {
                weights,
                bias,
                clamp,
            }
        } else if inputs == c {
            self.expect_map(self.file.input(operator, 0)?, input)?;
            expect_shape(self.made(output)?, [h, w, count])?;
            Op::Conv2d {
                window: Window::POINT,
                weights,
                bias,
                clamp,
            }
        } else {
            return refuse_tensor(
                id,
                format!(
                    "takes {inputs} inputs, and there are {h}x{w}x{c}; a dense layer has to read its whole input at once, or the channels of each pixel"
                ),
            );
        };
        self.push(name, op, &[input.id])
    }

    /// Weights, which an operator of the file has to have as a constant.
    fn weights(&mut self, id: usize) -> Result<Constant, Refusal> {
        if self.is_constant(id) {
            return self.numbers(id);
        }
        refuse_tensor(id, "has to be a constant here, and is computed")
    }

    fn bias(&mut self, operator: &Operator<'_>, count: usize) -> Result<Vec<f32>, Refusal> {
        let Some(id) = self.file.optional(operator, 2)? else {
            return Ok(vec![0.0; count]);
        };
        let bias = self.weights(id)?.values;
        if bias.len() == count {
            return Ok(bias);
        }
        refuse_tensor(
            id,
            format!(
                "has {} biases for {count} channels; there has to be one for each",
                bias.len()
            ),
        )
    }

    /// ADD, SUB, MUL and DIV, of two tensors or of one and a constant.
    fn arithmetic(&mut self, operator: &Operator<'_>, name: &str) -> Result<TensorId, Refusal> {
        let clamp = operator.fused(0)?;
        for at in 0..2 {
            if self.gates.contains(&self.file.input(operator, at)?) {
                let input = self.read(operator, 1 - at)?;
                return self.clamped(name, Op::Unary(Unary::Silu), input.id, clamp);
            }
        }
        let first = self.flow(operator, 0)?;
        let second = self.flow(operator, 1)?;
        match (first, second) {
            (Some(a), Some(b)) => self.of_tensors(operator, name, [a, b], clamp),
            (Some(a), None) => {
                let k = self.per_channel(operator, 1, a)?;
                let one = vec![1.0; k.len()];
                let zero = vec![0.0; k.len()];
                let (scale, shift) = match operator.builtin {
                    builtin::ADD => (one, k),
                    builtin::SUB => (one, k.into_iter().map(|k| -k).collect()),
                    builtin::MUL => (k, zero),
                    _ => (self.inverse(operator, k)?, zero),
                };
                self.affine(name, scale, shift, a, clamp)
            }
            (None, Some(b)) => {
                let k = self.per_channel(operator, 0, b)?;
                let count = k.len();
                let (scale, shift) = match operator.builtin {
                    builtin::ADD => (vec![1.0; count], k),
                    builtin::SUB => (vec![-1.0; count], k),
                    builtin::MUL => (k, vec![0.0; count]),
                    _ => {
                        return refuse(
                            "divides by what flows through the network; only division by a constant is supported",
                        );
                    }
                };
                self.affine(name, scale, shift, b, clamp)
            }
            (None, None) => refuse(
                "is computed from constants alone; let the converter fold constants, or export the network anew",
            ),
        }
    }

    /// Sums, differences and products of two tensors that flow.
    fn of_tensors(
        &mut self,
        operator: &Operator<'_>,
        name: &str,
        [a, b]: [Flow; 2],
        clamp: Clamp,
    ) -> Result<TensorId, Refusal> {
        let alike = a.shape == b.shape && self.graph.shape(a.id) == self.graph.shape(b.id);
        if !alike {
            self.expect_map(self.file.input(operator, 0)?, a)?;
            self.expect_map(self.file.input(operator, 1)?, b)?;
        }
        match operator.builtin {
            builtin::ADD if alike => self.push(name, Op::Add { clamp }, &[a.id, b.id]),
            builtin::SUB if alike => {
                let c = self.graph.shape(b.id).c;
                self.count(self.file.input(operator, 1)?, 2 * c)?;
                let negative = Op::BatchNorm {
                    scale: vec![-1.0; c],
                    shift: vec![0.0; c],
                };
                let unlike = self.unique(&format!("{name}/negative"));
                let negative = self.push(&unlike, negative, &[b.id])?;
                self.push(name, Op::Add { clamp }, &[a.id, negative])
            }
            builtin::MUL if alike || b.shape == [1, 1, a.shape[2]] => {
                self.push(name, Op::Multiply { clamp }, &[a.id, b.id])
            }
            builtin::MUL if a.shape == [1, 1, b.shape[2]] => {
                self.push(name, Op::Multiply { clamp }, &[b.id, a.id])
            }
            builtin::DIV => refuse(
                "divides by what flows through the network; only division by a constant is supported",
            ),
            _ => refuse(format!(
                "is made from maps of {:?} and {:?}; they have to have one shape, or for MUL one of them a single pixel",
                a.shape, b.shape
            )),
        }
    }

    /// A constant that is one number, or one for each channel of what it meets.
    fn per_channel(
        &mut self,
        operator: &Operator<'_>,
        at: usize,
        flow: Flow,
    ) -> Result<Vec<f32>, Refusal> {
        let id = self.file.input(operator, at)?;
        let Constant { shape, values } = self.numbers(id)?;
        let c = self.graph.shape(flow.id).c;
        // A batch norm has two numbers for each channel, whatever it is made from.
        self.count(id, 2 * c)?;
        if let [value] = values[..] {
            return Ok(vec![value; c]);
        }
        if values.len() == flow.shape[2] && shape.last() == Some(&values.len()) {
            self.expect_map(self.file.input(operator, 1 - at)?, flow)?;
            return Ok(values);
        }
        refuse_tensor(
            id,
            format!(
                "is a constant of {shape:?} beside a map of {:?}; one number, or one for each channel, are supported",
                flow.shape
            ),
        )
    }

    fn inverse(&self, operator: &Operator<'_>, k: Vec<f32>) -> Result<Vec<f32>, Refusal> {
        let inverse: Vec<f32> = k.into_iter().map(|k| 1.0 / k).collect();
        if inverse.iter().all(|factor| factor.is_finite()) {
            return Ok(inverse);
        }
        refuse_tensor(self.file.input(operator, 1)?, "divides by zero")
    }

    fn affine(
        &mut self,
        name: &str,
        scale: Vec<f32>,
        shift: Vec<f32>,
        input: Flow,
        clamp: Clamp,
    ) -> Result<TensorId, Refusal> {
        let op = Op::BatchNorm { scale, shift };
        self.clamped(name, op, input.id, clamp)
    }

    /// An op that has no clamp of its own, and one behind it if there has to be.
    fn clamped(
        &mut self,
        name: &str,
        op: Op,
        input: TensorId,
        clamp: Clamp,
    ) -> Result<TensorId, Refusal> {
        if clamp == Clamp::NONE {
            return self.push(name, op, &[input]);
        }
        let before = self.unique(&format!("{name}/{}", op.kind()));
        let made = self.push(&before, op, &[input])?;
        self.push(name, Op::Clamp(clamp), &[made])
    }

    /// MAXIMUM and MINIMUM with one number.
    fn limit(&mut self, operator: &Operator<'_>, name: &str) -> Result<TensorId, Refusal> {
        let (flow, at) = match (self.flow(operator, 0)?, self.flow(operator, 1)?) {
            (Some(flow), None) => (flow, 1),
            (None, Some(flow)) => (flow, 0),
            _ => return refuse("is limited by no constant; only one number is supported"),
        };
        let id = self.file.input(operator, at)?;
        let &[limit] = &self.numbers(id)?.values[..] else {
            return refuse_tensor(id, "is a list of limits; only one number is supported");
        };
        let clamp = if operator.builtin == builtin::MAXIMUM {
            Clamp {
                min: limit,
                ..Clamp::NONE
            }
        } else {
            Clamp {
                max: limit,
                ..Clamp::NONE
            }
        };
        self.push(name, Op::Clamp(clamp), &[flow.id])
    }

    fn pool(
        &mut self,
        operator: &Operator<'_>,
        name: &str,
        output: usize,
    ) -> Result<TensorId, Refusal> {
        let input = self.read_map(operator, 0)?;
        let (window, [h, w]) = pooling(operator, input.shape)?;
        expect_shape(self.made(output)?, [h, w, input.shape[2]])?;
        let clamp = operator.fused(5)?;
        let op = if operator.builtin == builtin::MAX_POOL_2D {
            Op::MaxPool { window, clamp }
        } else {
            Op::AveragePool { window, clamp }
        };
        self.push(name, op, &[input.id])
    }

    fn mean(
        &mut self,
        operator: &Operator<'_>,
        name: &str,
        output: usize,
    ) -> Result<TensorId, Refusal> {
        let input = self.read_map(operator, 0)?;
        expect_global_mean(self.file, operator)?;
        expect_shape(self.made(output)?, [1, 1, input.shape[2]])?;
        self.push(name, Op::GlobalAveragePool, &[input.id])
    }

    fn pad(
        &mut self,
        operator: &Operator<'_>,
        name: &str,
        output: usize,
    ) -> Result<TensorId, Refusal> {
        let input = self.read_map(operator, 0)?;
        let padding = padding(self.file, operator)?;
        if operator.builtin == builtin::PADV2 {
            let id = self.file.input(operator, 2)?;
            if self.weights(id)?.values != [0.0] {
                return refuse_tensor(id, "pads with another number than 0; use 0");
            }
        }
        let [h, w, c] = input.shape;
        let rows = h + padding.top + padding.bottom;
        let columns = w + padding.left + padding.right;
        expect_shape(self.made(output)?, [rows, columns, c])?;
        self.push(name, Op::Pad { padding }, &[input.id])
    }

    fn softmax(&mut self, operator: &Operator<'_>, name: &str) -> Result<TensorId, Refusal> {
        let input = self.read_map(operator, 0)?;
        let beta = operator.option(0, 0.0f32)?;
        if !(beta > 0.0 && beta.is_finite()) {
            return refuse(format!("has beta {beta}; a positive number is supported"));
        }
        self.push(name, Op::Softmax { beta }, &[input.id])
    }

    /// Channels of two or more maps, one after another.
    fn concatenation(
        &mut self,
        operator: &Operator<'_>,
        name: &str,
        output: usize,
    ) -> Result<TensorId, Refusal> {
        let rank = self.file.tensors[output].shape.len() as i32;
        let axis = operator.option(0, 0i32)?;
        if axis != rank - 1 && axis != -1 {
            return refuse(format!(
                "is joined along dimension {axis}; only channels, the last dimension, are supported"
            ));
        }
        if operator.fused(1)? != Clamp::NONE {
            return refuse("has a fused activation; CONCATENATION is supported without one");
        }
        let Flow { mut id, .. } = self.read_map(operator, 0)?;
        let last = operator.inputs.len().saturating_sub(1);
        for at in 1..=last {
            let inputs = [id, self.read_map(operator, at)?.id];
            id = if at < last {
                let before = self.unique(&format!("{name}/{at}"));
                self.push(&before, Op::Concat, &inputs)?
            } else {
                self.push(name, Op::Concat, &inputs)?
            };
        }
        let Shape { h, w, c } = self.graph.shape(id);
        expect_shape(self.made(output)?, [h, w, c])?;
        Ok(id)
    }
}

/// Operators that are one function of each number.
fn function(operator: &Operator<'_>) -> Result<Option<Op>, Refusal> {
    Ok(Some(match operator.builtin {
        builtin::RELU => Op::Clamp(Clamp::RELU),
        builtin::RELU6 => Op::Clamp(Clamp::RELU6),
        builtin::RELU_N1_TO_1 => Op::Clamp(Clamp {
            min: -1.0,
            max: 1.0,
        }),
        builtin::LOGISTIC => Op::Unary(Unary::Sigmoid),
        builtin::TANH => Op::Unary(Unary::Tanh),
        builtin::HARD_SWISH => Op::Unary(Unary::HardSwish),
        builtin::LEAKY_RELU => Op::Unary(Unary::LeakyRelu {
            alpha: operator.option(0, 0.0f32)?,
        }),
        builtin::ELU => Op::Unary(Unary::Elu { alpha: 1.0 }),
        builtin::GELU if operator.option(0, 0u8)? != 0 => Op::Unary(Unary::GeluTanh),
        builtin::GELU => Op::Unary(Unary::Gelu),
        _ => return Ok(None),
    }))
}
