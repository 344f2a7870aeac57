//! What nodes compute, and the shapes that follow.

use super::{Shape, Unary};

/// Rows and columns added around an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

impl Padding {
    /// Nothing added.
    pub const NONE: Self = Self::same(0);

    /// As much on every side.
    pub const fn same(by: usize) -> Self {
        Self {
            top: by,
            bottom: by,
            left: by,
            right: by,
        }
    }
}

/// How a filter moves over its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Rows of the filter.
    pub filter_h: usize,
    /// Columns of the filter.
    pub filter_w: usize,
    /// Input rows from one output row to the next.
    pub stride_h: usize,
    /// Input columns from one output column to the next.
    pub stride_w: usize,
    /// Input rows from one filter row to the next.
    pub dilation_h: usize,
    /// Input columns from one filter column to the next.
    pub dilation_w: usize,
    /// What is added around the input.
    pub padding: Padding,
}

impl Window {
    /// A single pixel at stride 1: a pointwise convolution's.
    pub const POINT: Self = Self::square(1, 1, 0);

    /// A square filter with equal strides and equal padding on all sides.
    pub const fn square(filter: usize, stride: usize, padding: usize) -> Self {
        Self {
            filter_h: filter,
            filter_w: filter,
            stride_h: stride,
            stride_w: stride,
            dilation_h: 1,
            dilation_w: 1,
            padding: Padding::same(padding),
        }
    }

    /// The number of filter positions.
    pub const fn taps(&self) -> usize {
        self.filter_h * self.filter_w
    }

    /// Rows and columns of the output, or why there is none.
    pub(super) fn output(&self, input: Shape) -> Result<(usize, usize), &'static str> {
        let h = slide(
            input.h,
            self.padding.top,
            self.padding.bottom,
            self.filter_h,
            self.stride_h,
            self.dilation_h,
        )?;
        let w = slide(
            input.w,
            self.padding.left,
            self.padding.right,
            self.filter_w,
            self.stride_w,
            self.dilation_w,
        )?;
        Ok((h, w))
    }

    /// Pooling divides by, or takes the largest of, the pixels inside: there has to be one.
    fn always_meets_input(&self) -> bool {
        let Padding {
            top,
            bottom,
            left,
            right,
        } = self.padding;
        top.max(bottom) < self.filter_h && left.max(right) < self.filter_w
    }
}

/// How many places a filter takes along one side.
fn slide(
    side: usize,
    before: usize,
    after: usize,
    filter: usize,
    stride: usize,
    dilation: usize,
) -> Result<usize, &'static str> {
    let parts = [side, before, after, filter, stride, dilation];
    if parts.iter().any(|&part| part > Shape::MAX_SIDE) {
        return Err("a window's numbers must be below 65536");
    }
    if filter == 0 || stride == 0 || dilation == 0 {
        return Err("filter, stride and dilation must be at least 1");
    }
    let padded = side + before + after;
    let reach = (filter - 1) * dilation + 1;
    match padded.checked_sub(reach) {
        Some(room) => Ok(room / stride + 1),
        None => Err("the filter is larger than the padded input"),
    }
}

/// A fused activation: the range into which results are forced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// The smallest result.
    pub min: f32,
    /// The largest result.
    pub max: f32,
}

impl Clamp {
    /// Leaves every number as it is.
    pub const NONE: Self = Self {
        min: f32::NEG_INFINITY,
        max: f32::INFINITY,
    };
    /// max(0, x).
    pub const RELU: Self = Self {
        min: 0.0,
        max: f32::INFINITY,
    };
    /// min(max(0, x), 6).
    pub const RELU6: Self = Self { min: 0.0, max: 6.0 };

    /// Forces one number into the range.
    pub fn apply(self, x: f32) -> f32 {
        x.max(self.min).min(self.max)
    }

    /// One clamp with the effect of this one followed by `next`.
    pub fn then(self, next: Self) -> Self {
        Self {
            min: next.apply(self.min),
            max: next.apply(self.max),
        }
    }

    fn is_sound(self) -> bool {
        self.min <= self.max
    }
}

/// What a node computes.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Convolution over all input channels.
    Conv2d {
        /// Filter size and movement.
        window: Window,
        /// `[out_channels][filter_h][filter_w][in_channels]`.
        weights: Vec<f32>,
        /// One for each output channel.
        bias: Vec<f32>,
        /// Fused activation.
        clamp: Clamp,
    },
    /// Convolution of each channel by itself.
    DepthwiseConv2d {
        /// Filter size and movement.
        window: Window,
        /// Output channels made of each input channel.
        depth_multiplier: usize,
        /// `[filter_h][filter_w][in_channels * depth_multiplier]`.
        weights: Vec<f32>,
        /// One for each output channel.
        bias: Vec<f32>,
        /// Fused activation.
        clamp: Clamp,
    },
    /// Fully connected layer over the whole input in NHWC order.
    Dense {
        /// `[out_channels][h * w * c of the input]`.
        weights: Vec<f32>,
        /// One for each output channel.
        bias: Vec<f32>,
        /// Fused activation.
        clamp: Clamp,
    },
    /// Sum of two tensors of the same shape.
    Add {
        /// Fused activation.
        clamp: Clamp,
    },
    /// Mean over the pixels of a window that lie inside the input.
    AveragePool {
        /// Window size and movement; its dilation is 1.
        window: Window,
        /// Fused activation.
        clamp: Clamp,
    },
    /// Largest of the pixels of a window that lie inside the input.
    MaxPool {
        /// Window size and movement; its dilation is 1.
        window: Window,
        /// Fused activation.
        clamp: Clamp,
    },
    /// Mean over all pixels.
    GlobalAveragePool,
    /// Zeros around the input.
    Pad {
        /// How many rows and columns.
        padding: Padding,
    },
    /// `exp(beta * x)` normalized to sum 1 over the channels of each pixel.
    Softmax {
        /// Factor before the exponential.
        beta: f32,
    },
    /// `x * scale + shift` per channel. Folded away by the passes.
    BatchNorm {
        /// Factor of each channel.
        scale: Vec<f32>,
        /// Summand of each channel.
        shift: Vec<f32>,
    },
    /// An activation by itself. Fused away by the passes.
    Clamp(Clamp),
    /// Product of two tensors. The second has the first's shape, or is one pixel that scales all pixels.
    Multiply {
        /// Fused activation.
        clamp: Clamp,
    },
    /// One function of every number.
    Unary(Unary),
    /// The channels of each pixel brought to mean 0 and variance 1, then `x * scale + shift`.
    LayerNorm {
        /// Factor of each channel.
        scale: Vec<f32>,
        /// Summand of each channel.
        shift: Vec<f32>,
        /// Added to the variance.
        epsilon: f32,
    },
    /// The channels of the first tensor, then those of the second.
    Concat,
}

impl Op {
    /// A convolution; of the only pixel there is, a dense layer, which is how a classifier may be spelled.
    pub(crate) fn convolution(
        input: Shape,
        window: Window,
        weights: Vec<f32>,
        bias: Vec<f32>,
        clamp: Clamp,
    ) -> Self {
        if window == Window::POINT && (input.h, input.w) == (1, 1) {
            return Op::Dense {
                weights,
                bias,
                clamp,
            };
        }
        Op::Conv2d {
            window,
            weights,
            bias,
            clamp,
        }
    }

    /// The op's name in reports and errors.
    pub fn kind(&self) -> &'static str {
        match self {
            Op::Conv2d { .. } => "conv2d",
            Op::DepthwiseConv2d { .. } => "depthwise_conv2d",
            Op::Dense { .. } => "dense",
            Op::Add { .. } => "add",
            Op::AveragePool { .. } => "average_pool",
            Op::MaxPool { .. } => "max_pool",
            Op::GlobalAveragePool => "global_average_pool",
            Op::Pad { .. } => "pad",
            Op::Softmax { .. } => "softmax",
            Op::BatchNorm { .. } => "batch_norm",
            Op::Clamp(_) => "clamp",
            Op::Multiply { .. } => "multiply",
            Op::Unary(function) => function.name(),
            Op::LayerNorm { .. } => "layer_norm",
            Op::Concat => "concat",
        }
    }

    /// How many inputs the op takes.
    pub fn input_count(&self) -> usize {
        match self {
            Op::Add { .. } | Op::Multiply { .. } | Op::Concat => 2,
            _ => 1,
        }
    }

    /// The fused activation, for ops that can have one.
    pub fn clamp_mut(&mut self) -> Option<&mut Clamp> {
        match self {
            Op::Conv2d { clamp, .. }
            | Op::DepthwiseConv2d { clamp, .. }
            | Op::Dense { clamp, .. }
            | Op::Add { clamp }
            | Op::Multiply { clamp }
            | Op::AveragePool { clamp, .. }
            | Op::MaxPool { clamp, .. }
            | Op::Clamp(clamp) => Some(clamp),
            _ => None,
        }
    }

    /// The fused activation, for ops that have one.
    pub fn clamp(&self) -> Option<Clamp> {
        match self {
            Op::Conv2d { clamp, .. }
            | Op::DepthwiseConv2d { clamp, .. }
            | Op::Dense { clamp, .. }
            | Op::Add { clamp }
            | Op::Multiply { clamp }
            | Op::AveragePool { clamp, .. }
            | Op::MaxPool { clamp, .. }
            | Op::Clamp(clamp) => Some(*clamp),
            _ => None,
        }
    }

    /// Multiplications by weights for one output of this shape.
    pub(super) fn macs(&self, input: Shape, output: Shape) -> u64 {
        let each = match self {
            Op::Conv2d { window, .. } => window.taps() * input.c,
            Op::DepthwiseConv2d { window, .. } => window.taps(),
            Op::Dense { .. } => input.elems(),
            _ => 0,
        };
        each as u64 * output.elems() as u64
    }
}

/// Why an op cannot run on its inputs, before the node's name is known.
pub(super) enum Misfit {
    /// The shapes or parameters do not go together.
    Why(&'static str),
    /// A list has the wrong length.
    Values {
        what: &'static str,
        expected: usize,
        got: usize,
    },
}

impl From<&'static str> for Misfit {
    fn from(why: &'static str) -> Self {
        Misfit::Why(why)
    }
}

fn values(what: &'static str, factors: &[usize], got: &[f32]) -> Result<(), Misfit> {
    // Saturating: no list is that long, so that overflow is a wrong length too.
    let expected = factors
        .iter()
        .fold(1usize, |product, &factor| product.saturating_mul(factor));
    if got.len() == expected {
        Ok(())
    } else {
        Err(Misfit::Values {
            what,
            expected,
            got: got.len(),
        })
    }
}

impl Op {
    /// The output's shape, after all checks of the op against its inputs.
    ///
    /// `second` is the second input's shape where there is one.
    pub(super) fn output_shape(&self, input: Shape, second: Shape) -> Result<Shape, Misfit> {
        if self.clamp().is_some_and(|clamp| !clamp.is_sound()) {
            return Err("its clamp's minimum is above its maximum".into());
        }
        match self {
            Op::Conv2d {
                window,
                weights,
                bias,
                ..
            } => {
                let (h, w) = window.output(input)?;
                values("weights", &[bias.len(), window.taps(), input.c], weights)?;
                Ok(Shape::new(h, w, bias.len()))
            }
            Op::DepthwiseConv2d {
                window,
                depth_multiplier,
                weights,
                bias,
                ..
            } => {
                let (h, w) = window.output(input)?;
                values("bias", &[input.c, *depth_multiplier], bias)?;
                values("weights", &[window.taps(), bias.len()], weights)?;
                Ok(Shape::new(h, w, bias.len()))
            }
            Op::Dense { weights, bias, .. } => {
                values("weights", &[bias.len(), input.elems()], weights)?;
                Ok(Shape::new(1, 1, bias.len()))
            }
            Op::Add { .. } if input != second => Err("its two inputs differ in shape".into()),
            Op::Multiply { .. } if second != input && second != Shape::new(1, 1, input.c) => {
                Err("its second input is neither of the first's shape nor one pixel of it".into())
            }
            Op::Unary(function) if !function.is_sound() => {
                Err("a parameter is no finite number".into())
            }
            Op::LayerNorm {
                scale,
                shift,
                epsilon,
            } => {
                values("scale", &[input.c], scale)?;
                values("shift", &[input.c], shift)?;
                if !epsilon.is_finite() || *epsilon < 0.0 {
                    return Err("epsilon is no number from zero up".into());
                }
                Ok(input)
            }
            Op::Concat if (input.h, input.w) != (second.h, second.w) => {
                Err("its two inputs differ in rows or columns".into())
            }
            Op::Concat => Ok(Shape::new(input.h, input.w, input.c + second.c)),
            Op::AveragePool { window, .. } | Op::MaxPool { window, .. } => {
                let (h, w) = window.output(input)?;
                if window.dilation_h != 1 || window.dilation_w != 1 {
                    return Err("a pooling window has no dilation".into());
                }
                if !window.always_meets_input() {
                    return Err("padding must be smaller than the window".into());
                }
                Ok(Shape::new(h, w, input.c))
            }
            Op::GlobalAveragePool => Ok(Shape::new(1, 1, input.c)),
            Op::Pad { padding } => {
                let (h, w) = Window {
                    padding: *padding,
                    ..Window::POINT
                }
                .output(input)?;
                Ok(Shape::new(h, w, input.c))
            }
            Op::Softmax { beta } if !beta.is_finite() => Err("beta is no finite number".into()),
            Op::BatchNorm { scale, shift } => {
                values("scale", &[input.c], scale)?;
                values("shift", &[input.c], shift)?;
                Ok(input)
            }
            Op::Add { .. }
            | Op::Multiply { .. }
            | Op::Softmax { .. }
            | Op::Clamp(_)
            | Op::Unary(_) => Ok(input),
        }
    }
}
