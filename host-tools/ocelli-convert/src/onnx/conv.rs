//! Ops with weights to sum over.

use super::array::Array;
use super::import::{Flow, Importer, Inputs, Value};
use super::layout::Layout;
use super::pool::{Sides, map_input};
use super::{Refusal, refuse, refuse_layout};
use crate::graph::{Clamp, Op, Shape, TensorId, Window};

impl<'m, 'f> Importer<'m, 'f> {
    pub fn conv(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let node = inputs.node;
        let flow = inputs.flow(0)?;
        let array = inputs.weights(1)?;
        let &[out_channels, per_group, filter_h, filter_w] = &array.dims[..] else {
            return refuse(format!(
                "has weights of {:?}; only convolutions of two dimensions are supported: give a one-dimensional one a side of 1",
                array.dims
            ));
        };
        let (id, shape) = map_input(self, flow)?;
        let groups = node.int("group")?.unwrap_or(1);
        let is_depthwise = groups != 1 && groups as usize == shape.c && per_group == 1;
        if groups != 1 && !is_depthwise {
            return refuse(format!(
                "attribute `group` is {groups} for {} channels; supported are 1, and a group for each channel",
                shape.c
            ));
        }
        if !is_depthwise && per_group != shape.c {
            return refuse_layout(format!(
                "has weights for {per_group} channels, and its input {} channels",
                shape.c
            ));
        }
        if is_depthwise && out_channels % shape.c != 0 {
            return refuse(format!(
                "makes {out_channels} channels in {} groups, which is no whole number for each",
                shape.c
            ));
        }
        if let Some(side) = node.ints("kernel_shape")?
            && side != [filter_h as i64, filter_w as i64]
        {
            return refuse(format!(
                "attribute `kernel_shape` is {side:?}, and the weights are {:?}",
                array.dims
            ));
        }
        let window = Sides::of(node)?.window([filter_h, filter_w], shape, false)?;
        let weights = array.to_floats();
        let bias = self.bias(inputs, 2, out_channels)?;
        let taps = filter_h * filter_w;
        let clamp = Clamp::NONE;
        let op = if is_depthwise {
            // [out][taps] becomes [taps][out].
            let of_tap = |tap| weights.iter().skip(tap).step_by(taps);
            Op::DepthwiseConv2d {
                window,
                depth_multiplier: out_channels / shape.c,
                weights: (0..taps).flat_map(of_tap).copied().collect(),
                bias,
                clamp,
            }
        } else {
            // [out][in][taps] becomes [out][taps][in].
            let mut turned = Vec::with_capacity(weights.len());
            for filter in weights.chunks_exact((shape.c * taps).max(1)) {
                for tap in 0..taps {
                    turned.extend(filter.iter().skip(tap).step_by(taps));
                }
            }
            Op::convolution(shape, window, turned, bias, clamp)
        };
        let (made, name) = self.push(op, &[id], "")?;
        self.fix_weights(name, array, 0, out_channels)?;
        let layout = Layout::nchw(self.builder.shape(made));
        Ok(self.flow(made, layout))
    }

    fn bias(
        &self,
        inputs: &Inputs<'m, 'f>,
        at: usize,
        channels: usize,
    ) -> Result<Vec<f32>, Refusal> {
        match inputs.constant(at)? {
            None => Ok(vec![0.0; channels]),
            Some(array) if array.len() == channels => Ok(array.to_floats()),
            Some(array) => refuse(format!(
                "has {} biases for {channels} channels; copy the file again",
                array.len()
            )),
        }
    }

    pub fn gemm(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let node = inputs.node;
        let mut flow = inputs.flow(0)?.clone();
        if flow.layout.rank() != 2 {
            return refuse(format!(
                "takes {:?}; a matrix of two dimensions is supported",
                flow.layout.sizes()
            ));
        }
        if node.int("transA")?.unwrap_or(0) != 0
            && let Some(layout) = flow.layout.transpose(&[1, 0])
        {
            flow.layout = layout;
        }
        let alpha = node.float("alpha")?.unwrap_or(1.0);
        let beta = node.float("beta")?.unwrap_or(1.0);
        let array = inputs.weights(1)?;
        let is_turned = node.int("transB")?.unwrap_or(0) != 0;
        let matrix = Matrix::new(array, is_turned)?;
        let (id, mut op, layout) = self.matrix(&flow, &matrix, alpha)?;
        if let Some(array) = inputs.constant(2)?.filter(|_| beta != 0.0)
            && let Op::Dense { bias, .. } | Op::Conv2d { bias, .. } = &mut op
        {
            let numbers = self.channels(array, &layout, Shape::new(1, 1, matrix.out))?;
            *bias = numbers.iter().map(|number| beta * number).collect();
        }
        let (made, name) = self.push(op, &[id], "")?;
        if alpha == 1.0 {
            self.fix_weights(name, array, usize::from(!is_turned), matrix.out)?;
        } else if array.scales.is_some() {
            return refuse(
                "attribute `alpha` is not 1 for quantized weights; fold it into their scale",
            );
        }
        Ok(self.flow(made, layout))
    }

    pub fn mat_mul(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let flow = inputs.flow(0)?.clone();
        let array = inputs.weights(1)?;
        let matrix = Matrix::new(array, false)?;
        let (id, op, layout) = self.matrix(&flow, &matrix, 1.0)?;
        let (made, name) = self.push(op, &[id], "")?;
        self.fix_weights(name, array, 1, matrix.out)?;
        Ok(self.flow(made, layout))
    }

    /// The product of the last dimension with a matrix: the op, its input and how its output lies.
    fn matrix(
        &mut self,
        flow: &Flow,
        matrix: &Matrix,
        factor: f32,
    ) -> Result<(TensorId, Op, Layout), Refusal> {
        let layout = &flow.layout;
        let (id, shape) = self.tensor(flow)?;
        let Some(last) = layout.rank().checked_sub(1) else {
            return refuse("multiplies a single number by a matrix");
        };
        if layout.sizes().last() != Some(&matrix.sum) {
            return refuse(format!(
                "multiplies {:?} by a matrix of {} rows",
                layout.sizes(),
                matrix.sum
            ));
        }
        // No more than the matrix has rows.
        let places = layout.offsets(last);
        let bias = vec![0.0; matrix.out];
        let clamp = Clamp::NONE;
        if layout.is_all(last) {
            let weights = matrix.rows(&places, factor);
            let op = Op::Dense {
                weights,
                bias,
                clamp,
            };
            return Ok((id, op, Layout::vector(layout.rank(), matrix.out)));
        }
        // Each pixel by itself.
        let moved = if layout.is_channels(last, shape) {
            layout.with_channels(last, shape.c, matrix.out)
        } else {
            None
        };
        let Some(moved) = moved else {
            return refuse_layout(format!(
                "multiplies the last dimension of {:?}, which is not the channels, by a matrix; devices multiply channels, or all there is",
                layout.sizes()
            ));
        };
        let op = Op::Conv2d {
            window: Window::POINT,
            weights: matrix.rows(&places, factor),
            bias,
            clamp,
        };
        Ok((id, op, moved))
    }

    /// Remembers the scales of weights that were quantized, for each output channel.
    pub fn fix_weights(
        &mut self,
        name: String,
        array: &Array,
        axis: usize,
        channels: usize,
    ) -> Result<(), Refusal> {
        let Some(scales) = &array.scales else {
            return Ok(());
        };
        if !scales.is_symmetric {
            return refuse(
                "has weights whose zero point is not in the middle; quantize weights symmetrically, to int8",
            );
        }
        let list = match scales.scales[..] {
            [scale] => vec![scale; channels],
            _ if scales.axis == axis && scales.scales.len() == channels => scales.scales.clone(),
            _ => {
                return refuse(format!(
                    "has weights with {} scales along dimension {}; a scale for each output channel, or one for all, is supported: quantize again so",
                    scales.scales.len(),
                    scales.axis
                ));
            }
        };
        self.fixed.weights.insert(name, list);
        Ok(())
    }
}

/// A constant matrix, `[sum][out]` or turned.
struct Matrix {
    values: Vec<f32>,
    is_turned: bool,
    sum: usize,
    out: usize,
}

impl Matrix {
    fn new(array: &Array, is_turned: bool) -> Result<Self, Refusal> {
        let &[rows, columns] = &array.dims[..] else {
            return refuse(format!(
                "multiplies by a constant of {:?}; a matrix of two dimensions is supported",
                array.dims
            ));
        };
        let (sum, out) = if is_turned {
            (columns, rows)
        } else {
            (rows, columns)
        };
        Ok(Matrix {
            values: array.to_floats(),
            is_turned,
            sum,
            out,
        })
    }

    /// `[out][place]`, where the summand `k` of ONNX lies at `places[k]`.
    fn rows(&self, places: &[usize], factor: f32) -> Vec<f32> {
        let mut rows = vec![0.0; self.out * self.sum];
        for (out, row) in rows.chunks_exact_mut(self.sum.max(1)).enumerate() {
            for (k, &place) in places.iter().enumerate() {
                let at = if self.is_turned {
                    out * self.sum + k
                } else {
                    k * self.out + out
                };
                if let (Some(to), Some(from)) = (row.get_mut(place), self.values.get(at)) {
                    *to = factor * from;
                }
            }
        }
        rows
    }
}
