//! Operators that read two tensors or more, or one and a constant.

use ocelli_image::{Body, Channels, Factor};

use super::super::schema::{Operator, builtin};
use super::super::shape::expect_shape;
use super::super::{Refusal, refuse, refuse_tensor};
use super::Importer;
use super::op::{Made, factor, fused, record};
use super::table::{scaled, table};
use super::tensor::{Activation, activation, constant};
use crate::graph::{Clamp, Window};

/// Bits by which a sum's inputs are shifted up.
const ADD_BITS: u32 = 20;

/// What TensorFlow Lite Micro multiplies the inputs of a sum with, and then the sum.
fn add_factors(inputs: [f32; 2], output: f32) -> Result<[Factor; 3], Refusal> {
    let [a, b, output] = [inputs[0], inputs[1], output].map(f64::from);
    let twice = 2.0 * a.max(b);
    Ok([
        factor(a / twice)?,
        factor(b / twice)?,
        factor(twice / (f64::from(1 << ADD_BITS) * output))?,
    ])
}

fn multiply_factor(inputs: [f32; 2], output: f32) -> Result<Factor, Refusal> {
    factor(f64::from(inputs[0]) * f64::from(inputs[1]) / f64::from(output))
}

impl Importer<'_> {
    /// Which of an operator's two inputs is a constant.
    pub(super) fn constant_input(&self, operator: &Operator<'_>) -> Result<Option<usize>, Refusal> {
        for at in 0..2 {
            let id = self.file.input(operator, at)?;
            if !self.file.tensors[id].data.is_empty() {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    pub(super) fn add(&self, operator: &Operator<'_>, output: usize) -> Result<Made, Refusal> {
        let (first, a) = self.read_map(operator, 0)?;
        let (second, b) = self.read_map(operator, 1)?;
        let made = activation(self.file, output)?;
        if a.shape != b.shape {
            return refuse("adds maps of different shapes; broadcasting is not supported");
        }
        expect_shape(made.shape, a.shape)?;
        let [a, b, output_factor] = add_factors([a.scale, b.scale], made.scale)?;
        let body = Body::Add {
            factors: [a, b],
            output_factor,
            clamp: fused(operator, 0, &made)?,
        };
        Ok((body, [first, second]))
    }

    pub(super) fn multiply(&self, operator: &Operator<'_>, output: usize) -> Result<Made, Refusal> {
        let (first, a) = self.read_map(operator, 0)?;
        let (second, b) = self.read_map(operator, 1)?;
        let made = activation(self.file, output)?;
        let is_pixel_of = |b: [usize; 3], a: [usize; 3]| b == [1, 1, a[2]];
        let (inputs, shape) = if a.shape == b.shape || is_pixel_of(b.shape, a.shape) {
            ([first, second], a.shape)
        } else if is_pixel_of(a.shape, b.shape) {
            ([second, first], b.shape)
        } else {
            return refuse(format!(
                "multiplies maps of {:?} and {:?}; one shape, or a single pixel for one of them, are supported",
                a.shape, b.shape
            ));
        };
        expect_shape(made.shape, shape)?;
        let body = Body::Multiply {
            factor: multiply_factor([a.scale, b.scale], made.scale)?,
            clamp: fused(operator, 0, &made)?,
        };
        Ok((body, inputs))
    }

    /// A sum or product with a number is a function of each code; a product with one for each channel is a depthwise
    /// convolution of single pixels.
    pub(super) fn with_constant(
        &self,
        operator: &Operator<'_>,
        output: usize,
        at: usize,
    ) -> Result<Made, Refusal> {
        let (place, input) = self.read_map(operator, 1 - at)?;
        let made = activation(self.file, output)?;
        expect_shape(made.shape, input.shape)?;
        let id = self.file.input(operator, at)?;
        let constant = constant(self.file, id, input.shape[2])?;
        let numbers = constant.codes.iter();
        let numbers: Vec<i32> = numbers
            .map(|&code| constant.meaning.steps((code as i8).into()))
            .collect();
        let scales = [input.scale, constant.meaning.scale];
        let clamp = fused(operator, 0, &made)?;
        let body = match (&numbers[..], operator.builtin) {
            (&[number], builtin::MUL) => {
                let factor = multiply_factor(scales, made.scale)?;
                table(
                    |code| Ok(made.code(scaled(input.steps(code) * number, factor)?)),
                    clamp,
                )?
            }
            (&[number], _) => {
                let [a, b, sum] = add_factors(scales, made.scale)?;
                let number = scaled(number << ADD_BITS, b)?;
                let code = |code| {
                    let input = scaled(input.steps(code) << ADD_BITS, a)?;
                    Ok(made.code(scaled(input + number, sum)?))
                };
                table(code, clamp)?
            }
            (_, builtin::MUL) => {
                let weights = numbers.iter().map(|&number| i8::try_from(number));
                let Ok(weights) = weights.collect::<Result<Vec<i8>, _>>() else {
                    return refuse_tensor(
                        id,
                        "has a zero point that takes its numbers out of 8 bits; quantize it with zero point 0",
                    );
                };
                let factor = multiply_factor(scales, made.scale)?;
                let channels = per_channel(weights, &input, constant.meaning.scale, factor, clamp);
                Body::Depthwise {
                    window: record(Window::POINT)?,
                    depth_multiplier: 1,
                    channels,
                }
            }
            _ => {
                return refuse_tensor(
                    id,
                    "is a constant for each channel; only a single number can be added: add it as a bias before",
                );
            }
        };
        Ok((body, [place; 2]))
    }

    /// Channels of maps, two by two; all but the last join are tensors that the file does not have.
    pub(super) fn concatenation(
        &mut self,
        name: &str,
        operator: &Operator<'_>,
        output: usize,
    ) -> Result<Made, Refusal> {
        let made = activation(self.file, output)?;
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
        let [h, w, total] = made.shape;
        let part = |at| {
            let (place, part) = self.read_map(operator, at)?;
            part.expect_same_codes(&made, output)?;
            if part.shape[..2] != [h, w] {
                return refuse("joins maps of different heights or widths");
            }
            Ok((place, part.shape[2]))
        };
        let parts = (0..operator.inputs.len()).map(part);
        let parts = parts.collect::<Result<Vec<_>, Refusal>>()?;
        let [first, middle @ .., last] = &parts[..] else {
            return refuse("joins fewer than two maps; leave it out");
        };
        let (mut joined, mut c) = *first;
        for (at, &(place, more)) in middle.iter().enumerate() {
            let name = format!("{name}/{}", at + 1);
            c += more;
            self.push(name.clone(), Body::Concat, [joined, place]);
            joined = self.tensors.len();
            self.tensors.push(Activation {
                shape: [h, w, c],
                ..made
            });
            self.tensor_names.push(name);
        }
        expect_shape([h, w, total], [h, w, c + last.1])?;
        Ok((Body::Concat, [joined, last.0]))
    }
}

/// The channels of a depthwise convolution of single pixels with one factor for all.
fn per_channel(
    weights: Vec<i8>,
    input: &Activation,
    weight_scale: f32,
    factor: Factor,
    clamp: [i8; 2],
) -> Channels {
    let count = weights.len();
    let zero = -i32::from(input.zero_point);
    Channels {
        bias: weights
            .iter()
            .map(|&weight| zero * i32::from(weight))
            .collect(),
        weights,
        multiplier: vec![factor.multiplier; count],
        shift: vec![factor.shift as i8; count],
        clamp,
        weight_scale: vec![weight_scale; count],
    }
}
