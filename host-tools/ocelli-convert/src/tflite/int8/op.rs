//! Operators as ops of the image, with the numbers that TensorFlow Lite Micro prepares for them.

use ocelli_image::{Body, Channels, Factor, PaddingRecord, WindowRecord};
use ocelli_kernels::Requant;

use super::super::options::{expect_global_mean, padding, pooling, sliding};
use super::super::schema::{Operator, builtin};
use super::super::shape::{expect_shape, integers};
use super::tensor::{Activation, Weights, activation, weights};
use super::{Importer, Refusal, SUPPORTED, refuse, refuse_tensor};
use crate::graph::{Clamp, Padding, Window};
use crate::quantize::{quantize_multiplier, softmax};

/// Classes from which on TensorFlow Lite Micro's softmax shifts by more bits than a number has.
const MAX_SOFTMAX: usize = 511;

/// Biases from here on leave little room for sums of products.
const LARGE_BIAS: i64 = 1 << 29;

/// An op and the model's tensors that it reads.
pub(super) type Made = (Body<Channels>, [usize; 2]);

impl Importer<'_> {
    pub(super) fn body(
        &mut self,
        name: &str,
        operator: &Operator<'_>,
        output: usize,
    ) -> Result<Made, Refusal> {
        match operator.builtin {
            builtin::CONV_2D => self.conv2d(operator, output),
            builtin::DEPTHWISE_CONV_2D => self.depthwise(operator, output),
            builtin::FULLY_CONNECTED => self.fully_connected(operator, output),
            builtin::ADD | builtin::MUL => match self.constant_input(operator)? {
                Some(constant) => self.with_constant(operator, output, constant),
                None if operator.builtin == builtin::ADD => self.add(operator, output),
                None => self.multiply(operator, output),
            },
            builtin::CONCATENATION => self.concatenation(name, operator, output),
            builtin::AVERAGE_POOL_2D | builtin::MAX_POOL_2D => self.pool(operator, output),
            builtin::MEAN => self.mean(operator, output),
            builtin::PAD => self.pad(operator, output),
            builtin::SOFTMAX => self.softmax(operator, output),
            builtin::RELU if self.rescales(operator, output)? => self.function(operator, output),
            builtin::RELU | builtin::RELU6 => self.relu(operator, output),
            builtin::LOGISTIC
            | builtin::TANH
            | builtin::HARD_SWISH
            | builtin::LEAKY_RELU
            | builtin::ELU
            | builtin::QUANTIZE => self.function(operator, output),
            _ => refuse(format!(
                "comes from an operator that is not supported; {SUPPORTED}: export the network without it"
            )),
        }
    }

    fn conv2d(&self, operator: &Operator<'_>, output: usize) -> Result<Made, Refusal> {
        let (place, input) = self.read_map(operator, 0)?;
        let made = activation(self.file, output)?;
        let id = self.file.input(operator, 1)?;
        let weights = weights(self.file, id, 4, 0)?;
        let in_channels = weights.shape[3];
        if in_channels != input.shape[2] {
            return refuse_tensor(
                id,
                format!(
                    "has {in_channels} input channels, and the map {}; convolution in groups is not supported",
                    input.shape[2]
                ),
            );
        }
        let filter = [weights.shape[1], weights.shape[2]];
        let (window, [h, w]) = sliding(operator, input.shape, filter, [2, 1], Some([5, 4]))?;
        expect_shape(made.shape, [h, w, weights.shape[0]])?;
        let clamp = fused(operator, 3, &made)?;
        let channels = self.channels(operator, &weights, Layout::Rows, &input, &made, clamp)?;
        let point = filter == [1, 1];
        let body = if point && input.shape[..2] == [1, 1] {
            // A dense layer, spelled as the convolution of a single pixel: a classifier may be spelled so.
            Body::Dense { channels }
        } else if point && (window.stride_h, window.stride_w) == (1, 1) {
            Body::Pointwise { channels }
        } else {
            let window = record(window)?;
            Body::Conv2d { window, channels }
        };
        Ok((body, [place; 2]))
    }

    fn depthwise(&self, operator: &Operator<'_>, output: usize) -> Result<Made, Refusal> {
        let (place, input) = self.read_map(operator, 0)?;
        let made = activation(self.file, output)?;
        let id = self.file.input(operator, 1)?;
        let weights = weights(self.file, id, 4, 3)?;
        let depth_multiplier = operator.side("depth multiplier", 3, 0)?;
        let out_channels = input.shape[2] * depth_multiplier;
        if weights.shape[0] != 1 || weights.shape[3] != out_channels {
            return refuse_tensor(
                id,
                format!(
                    "is {:?}; for {} channels and depth multiplier {depth_multiplier} it has to be [1, height, width, {out_channels}]",
                    weights.shape, input.shape[2]
                ),
            );
        }
        let filter = [weights.shape[1], weights.shape[2]];
        let (window, [h, w]) = sliding(operator, input.shape, filter, [2, 1], Some([6, 5]))?;
        expect_shape(made.shape, [h, w, out_channels])?;
        let clamp = fused(operator, 4, &made)?;
        let mut channels =
            self.channels(operator, &weights, Layout::Columns, &input, &made, clamp)?;
        let window = record(window)?;
        let body = if input.shape[2] == 1 {
            // Of one channel, any convolution is a standard one, and that has faster kernels.
            let taps = filter[0] * filter[1];
            let by_columns = std::mem::take(&mut channels.weights);
            let places = (0..out_channels).flat_map(|out| (0..taps).map(move |tap| (out, tap)));
            channels.weights = places
                .map(|(out, tap)| by_columns[tap * out_channels + out])
                .collect();
            Body::Conv2d { window, channels }
        } else {
            Body::Depthwise {
                window,
                depth_multiplier: depth_multiplier as u16,
                channels,
            }
        };
        Ok((body, [place; 2]))
    }

    fn fully_connected(&self, operator: &Operator<'_>, output: usize) -> Result<Made, Refusal> {
        let (_, place, input) = self.read(operator, 0)?;
        let made = activation(self.file, output)?;
        if operator.option(1, 0i8)? != 0 {
            return refuse("has shuffled weights; only the default weights format is supported");
        }
        let id = self.file.input(operator, 1)?;
        let weights = weights(self.file, id, 2, 0)?;
        let [outputs, inputs] = [weights.shape[0], weights.shape[1]];
        if inputs != input.elems() {
            return refuse_tensor(
                id,
                format!(
                    "takes {inputs} inputs, and there are {}; a dense layer has to read its whole input at once",
                    input.elems()
                ),
            );
        }
        expect_shape(made.shape, [1, 1, outputs])?;
        let clamp = fused(operator, 0, &made)?;
        let channels = self.channels(operator, &weights, Layout::Rows, &input, &made, clamp)?;
        Ok((Body::Dense { channels }, [place; 2]))
    }

    /// Weights as they are; biases with the input's zero point folded in; factors from the scales, as f64.
    fn channels(
        &self,
        operator: &Operator<'_>,
        weights: &Weights<'_>,
        layout: Layout,
        input: &Activation,
        output: &Activation,
        clamp: [i8; 2],
    ) -> Result<Channels, Refusal> {
        let codes: Vec<i8> = weights.codes.iter().map(|&code| code as i8).collect();
        let count = weights.scale.len();
        let id = self.file.optional(operator, 2)?;
        let bias = match id {
            Some(id) => integers(self.file, id)?,
            None => vec![0; count],
        };
        if bias.len() != count {
            return refuse(format!(
                "has {} biases and {count} channels; there has to be one for each",
                bias.len()
            ));
        }
        let mut sums = vec![Sums::default(); count];
        for (at, &code) in codes.iter().enumerate() {
            let channel = match layout {
                Layout::Rows => at / (codes.len() / count),
                Layout::Columns => at % count,
            };
            sums[channel].weights += i64::from(code);
            sums[channel].dead &= code == 0;
        }
        let mut channels = Channels {
            weights: codes,
            bias: Vec::with_capacity(count),
            multiplier: Vec::with_capacity(count),
            shift: Vec::with_capacity(count),
            clamp,
            weight_scale: weights.scale.clone(),
        };
        for (channel, (bias, sum)) in bias.into_iter().zip(sums).enumerate() {
            let scale = &mut channels.weight_scale[channel];
            let real = f64::from(input.scale) * f64::from(*scale) / f64::from(output.scale);
            let mut factor = factor(real)?;
            let mut bias = i64::from(bias) - i64::from(input.zero_point) * sum.weights;
            if sum.dead && bias.abs() >= LARGE_BIAS && factor.shift <= 0 {
                (bias, factor) = small_constant(bias as i32, factor);
                *scale = output.scale / (2.0 * input.scale);
            }
            let Ok(bias) = i32::try_from(bias) else {
                return refuse(format!("has bias {bias}, too large for sums in 32 bits"));
            };
            channels.bias.push(bias);
            channels.multiplier.push(factor.multiplier);
            channels.shift.push(factor.shift as i8);
        }
        Ok(channels)
    }

    fn pool(&self, operator: &Operator<'_>, output: usize) -> Result<Made, Refusal> {
        let (place, input) = self.read_map(operator, 0)?;
        let made = activation(self.file, output)?;
        input.expect_same_codes(&made, output)?;
        let (window, [h, w]) = pooling(operator, input.shape)?;
        expect_shape(made.shape, [h, w, input.shape[2]])?;
        let clamp = fused(operator, 5, &made)?;
        let window = record(window)?;
        let body = if operator.builtin == builtin::MAX_POOL_2D {
            Body::MaxPool { window, clamp }
        } else if let Some((bias, factor)) = whole_mean(&window, &input) {
            Body::GlobalAveragePool {
                bias,
                factor,
                clamp,
            }
        } else {
            Body::AveragePool { window, clamp }
        };
        Ok((body, [place; 2]))
    }

    fn mean(&self, operator: &Operator<'_>, output: usize) -> Result<Made, Refusal> {
        let (place, input) = self.read_map(operator, 0)?;
        let made = activation(self.file, output)?;
        let [h, w, c] = input.shape;
        expect_global_mean(self.file, operator)?;
        expect_shape(made.shape, [1, 1, c])?;
        // The number of pixels is divided out of the multiplier, rounded down.
        let pixels = (h * w) as i64;
        let Factor { multiplier, shift } = factor(f64::from(input.scale) / f64::from(made.scale))?;
        let more = pixels.ilog2().min(32).min((31 + shift) as u32);
        let Ok(bias) = i32::try_from(-i64::from(input.zero_point) * pixels) else {
            return refuse(format!(
                "is a mean of {pixels} pixels, too many for sums in 32 bits"
            ));
        };
        let body = Body::GlobalAveragePool {
            bias,
            factor: Factor {
                multiplier: ((i64::from(multiplier) << more) / pixels) as i32,
                shift: shift - more as i32,
            },
            clamp: [-128, 127],
        };
        Ok((body, [place; 2]))
    }

    fn pad(&self, operator: &Operator<'_>, output: usize) -> Result<Made, Refusal> {
        let (place, input) = self.read_map(operator, 0)?;
        let made = activation(self.file, output)?;
        input.expect_same_codes(&made, output)?;
        let padding = padding(self.file, operator)?;
        let [h, w, c] = input.shape;
        let rows = h + padding.top + padding.bottom;
        let columns = w + padding.left + padding.right;
        expect_shape(made.shape, [rows, columns, c])?;
        let padding = padding_record(padding)?;
        Ok((Body::Pad { padding }, [place; 2]))
    }

    fn softmax(&self, operator: &Operator<'_>, output: usize) -> Result<Made, Refusal> {
        let (place, input) = self.read_map(operator, 0)?;
        let made = activation(self.file, output)?;
        expect_shape(made.shape, input.shape)?;
        if input.shape[..2] != [1, 1] || input.shape[2] > MAX_SOFTMAX {
            return refuse(format!(
                "is a softmax of {:?}; one over at most {MAX_SOFTMAX} classes is supported",
                input.shape
            ));
        }
        if (made.scale, made.zero_point) != (1.0 / 256.0, -128) {
            return refuse("has another scale than 1/256 or another zero point than -128");
        }
        let beta = operator.option(0, 0.0f32)?;
        if !(beta > 0.0 && beta.is_finite()) {
            return refuse(format!("has beta {beta}; a positive number is supported"));
        }
        Ok((softmax(beta, input.scale), [place; 2]))
    }

    /// The largest of each single pixel, clamped: the kernel set has no clamp of its own.
    fn relu(&self, operator: &Operator<'_>, output: usize) -> Result<Made, Refusal> {
        let (place, input) = self.read_map(operator, 0)?;
        let made = activation(self.file, output)?;
        input.expect_same_codes(&made, output)?;
        expect_shape(made.shape, input.shape)?;
        let range = if operator.builtin == builtin::RELU {
            Clamp::RELU
        } else {
            Clamp::RELU6
        };
        let body = Body::MaxPool {
            window: record(Window::POINT)?,
            clamp: made.range(range),
        };
        Ok((body, [place; 2]))
    }
}

/// What the weights of a channel come to.
#[derive(Clone, Copy)]
struct Sums {
    weights: i64,
    /// Whether all are 0.
    dead: bool,
}

impl Default for Sums {
    fn default() -> Self {
        Sums {
            weights: 0,
            dead: true,
        }
    }
}

/// The constant of a channel without weights, as another bias with a factor of 1/2.
///
/// Training leaves such channels; converters then spread the bias over nearly all of 32 bits, which leaves no room for
/// sums. The code that comes out is the same.
fn small_constant(bias: i32, factor: Factor) -> (i64, Factor) {
    let Factor { multiplier, shift } = factor;
    let constant = Requant { multiplier, shift }.apply(bias);
    // Beyond 512 steps from the zero point, all codes are the last one.
    let half = Factor {
        multiplier: 1 << 30,
        shift: 0,
    };
    (2 * i64::from(constant.clamp(-512, 512)), half)
}

/// Where the weights of an output channel lie.
#[derive(Clone, Copy)]
enum Layout {
    /// Next to each other.
    Rows,
    /// One in every number of channels.
    Columns,
}

/// A factor that a device can apply.
pub(super) fn factor(real: f64) -> Result<Factor, Refusal> {
    // Larger ones have more bits of shift than a factor holds; no number at all is not smaller.
    if real < f64::from(1 << 30) {
        return Ok(quantize_multiplier(real));
    }
    refuse(format!(
        "needs a factor of {real:e} between scales; less than 2^30 is supported"
    ))
}

/// The clamp of the fused activation in an option.
pub(super) fn fused(
    operator: &Operator<'_>,
    field: usize,
    output: &Activation,
) -> Result<[i8; 2], Refusal> {
    Ok(output.range(operator.fused(field)?))
}

/// A window as the image stores it.
pub(super) fn record(window: Window) -> Result<WindowRecord, Refusal> {
    Ok(WindowRecord {
        filter_h: fit("filter height", window.filter_h)?,
        filter_w: fit("filter width", window.filter_w)?,
        stride_h: fit("stride", window.stride_h)?,
        stride_w: fit("stride", window.stride_w)?,
        dilation_h: fit("dilation", window.dilation_h)?,
        dilation_w: fit("dilation", window.dilation_w)?,
        padding: padding_record(window.padding)?,
    })
}

fn padding_record(padding: Padding) -> Result<PaddingRecord, Refusal> {
    Ok(PaddingRecord {
        top: fit("padding", padding.top)?,
        bottom: fit("padding", padding.bottom)?,
        left: fit("padding", padding.left)?,
        right: fit("padding", padding.right)?,
    })
}

fn fit(what: &str, number: usize) -> Result<u8, Refusal> {
    match u8::try_from(number) {
        Ok(number) => Ok(number),
        Err(_) => refuse(format!("has {what} {number}; at most 255 is supported")),
    }
}

/// Bias and factor with which a global pooling, whose input rows are added up as they come, makes the codes of an average
/// over a window, if the window is the whole input.
///
/// An odd number of pixels has no mean halfway between two codes; for others the two round halves in different ways. With
/// so few pixels the factor, 31 bits rounded once, is exact enough for every sum.
fn whole_mean(window: &WindowRecord, input: &Activation) -> Option<(i32, Factor)> {
    let [h, w, _] = input.shape;
    let padding = window.padding;
    let is_whole = [window.filter_h, window.filter_w].map(usize::from) == [h, w]
        && [padding.top, padding.bottom, padding.left, padding.right] == [0; 4];
    let pixels = h * w;
    if !is_whole || pixels % 2 == 0 || pixels >= 2048 {
        return None;
    }
    let pixels = pixels as i64;
    let factor = Factor {
        multiplier: (((1 << 31) + pixels / 2) / pixels).min(i64::from(i32::MAX)) as i32,
        shift: 0,
    };
    Some((-i32::from(input.zero_point) * pixels as i32, factor))
}
