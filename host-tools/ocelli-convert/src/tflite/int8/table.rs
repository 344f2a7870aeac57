//! Functions of one code, tabulated with the very arithmetic of TensorFlow Lite Micro's reference kernels.

use ocelli_image::{Body, Channels, Factor};
use ocelli_kernels::{Requant, rounding_divide_by_power_of_two};

use super::super::schema::{Operator, builtin};
use super::super::shape::expect_shape;
use super::super::{Refusal, refuse};
use super::op::{Made, factor};
use super::tensor::{Activation, activation};
use super::{Importer, fixed};
use crate::graph::Clamp;
use crate::quantize::quantize_multiplier;

/// The output code of every input code.
pub fn table(
    code: impl Fn(i32) -> Result<i32, Refusal>,
    clamp: [i8; 2],
) -> Result<Body<Channels>, Refusal> {
    let mut table = Box::new([0; 256]);
    for (entry, input) in table.iter_mut().zip(-128..) {
        *entry = code(input)?.clamp(clamp[0].into(), clamp[1].into()) as i8;
    }
    Ok(Body::Table { table })
}

/// A number times a factor; where TensorFlow Lite Micro would overflow, its result means nothing.
pub fn scaled(x: i32, factor: Factor) -> Result<i32, Refusal> {
    let Factor { multiplier, shift } = factor;
    if i32::try_from(i64::from(x) << shift.clamp(0, 31)).is_err() {
        return refuse("has scales too far apart for 32 bits; quantize the network anew");
    }
    Ok(Requant { multiplier, shift }.apply(x))
}

impl Importer<'_> {
    pub(super) fn function(&self, operator: &Operator<'_>, output: usize) -> Result<Made, Refusal> {
        let (place, input) = self.read_map(operator, 0)?;
        let made = activation(self.file, output)?;
        expect_shape(made.shape, input.shape)?;
        let body = match operator.builtin {
            builtin::LOGISTIC => logistic(&input, &made)?,
            builtin::TANH => tanh(&input, &made)?,
            builtin::HARD_SWISH => hard_swish(&input, &made)?,
            builtin::LEAKY_RELU => {
                // As TensorFlow Lite Micro takes them: products and quotients in f32.
                let alpha = operator.option(0, 0.0f32)?;
                let factors = [input.scale * alpha / made.scale, input.scale / made.scale];
                leaky_relu(&input, &made, factors)?
            }
            builtin::ELU => elu(&input, &made)?,
            // RELU between other scales, or a change of scale alone.
            kind => {
                let factor = factor(f64::from(input.scale) / f64::from(made.scale))?;
                let range = if kind == builtin::RELU {
                    Clamp::RELU
                } else {
                    Clamp::NONE
                };
                table(
                    |code| Ok(made.code(scaled(input.steps(code), factor)?)),
                    made.range(range),
                )?
            }
        };
        Ok((body, [place; 2]))
    }
}

/// The input in Q4.27, or the side on which it lies outside.
///
/// # Source
/// TensorFlow Lite `CalculateInputRadius`.
fn in_q4(input: &Activation, steps: i32) -> Result<Result<i32, bool>, Refusal> {
    const INTEGER: u32 = 4;
    let factor = quantize_multiplier(f64::from(input.scale) * f64::from(1 << (31 - INTEGER)));
    if !(0..=30).contains(&factor.shift) {
        return refuse(format!(
            "has an input scale of {:e}; 2^-27 to 2^3 are supported",
            input.scale
        ));
    }
    let radius = ((1i64 << INTEGER) - 1) << (31 - INTEGER) >> factor.shift;
    if i64::from(steps).abs() >= radius {
        return Ok(Err(steps > 0));
    }
    Ok(Ok(scaled(steps, factor)?))
}

/// # Source
/// `reference_integer_ops::Logistic`.
fn logistic(input: &Activation, made: &Activation) -> Result<Body<Channels>, Refusal> {
    expect_codes(made, 1.0 / 256.0, -128)?;
    let code = |code| {
        Ok(match in_q4(input, input.steps(code))? {
            Ok(a) => made.code(rounding_divide_by_power_of_two(fixed::logistic(a), 23)),
            Err(true) => 127,
            Err(false) => -128,
        })
    };
    table(code, [-128, 127])
}

/// # Source
/// `reference_integer_ops::Tanh`.
fn tanh(input: &Activation, made: &Activation) -> Result<Body<Channels>, Refusal> {
    expect_codes(made, 1.0 / 128.0, 0)?;
    let code = |code| {
        Ok(match in_q4(input, input.steps(code))? {
            Ok(a) => rounding_divide_by_power_of_two(fixed::tanh(a), 24),
            Err(true) => 127,
            Err(false) => -128,
        })
    };
    table(code, [-128, 127])
}

/// # Source
/// `reference_ops::QuantizeLeakyRelu`.
fn leaky_relu(
    input: &Activation,
    made: &Activation,
    [below, above]: [f32; 2],
) -> Result<Body<Channels>, Refusal> {
    if below < 0.0 || !below.is_finite() {
        return refuse(
            "has a slope below zero that is negative or no number; 0 and more is supported",
        );
    }
    let [below, above] = [factor(below.into())?, factor(above.into())?];
    let code = |code| {
        let steps = input.steps(code);
        Ok(made.code(scaled(steps, if steps >= 0 { above } else { below })?))
    };
    table(code, [-128, 127])
}

/// # Source
/// `elu.cc` of TensorFlow Lite Micro, which computes its table in f32.
fn elu(input: &Activation, made: &Activation) -> Result<Body<Channels>, Refusal> {
    let inverse = 1.0 / made.scale;
    let code = |code| {
        let x = input.scale * input.steps(code) as f32;
        let y = if x < 0.0 {
            libm::exp(x.into()) as f32 - 1.0
        } else {
            x
        };
        Ok(((y * inverse).round() + f32::from(made.zero_point)) as i32)
    };
    table(code, [-128, 127])
}

/// In 16 bits.
///
/// # Source
/// `reference_ops::HardSwish`.
fn hard_swish(input: &Activation, made: &Activation) -> Result<Body<Channels>, Refusal> {
    // The unit of an input that is shifted up by 7 bits; 3 in the unit of `relu6(x + 3)` is 2^15.
    let fine = input.scale / 128.0;
    let output = factor((fine / made.scale).into())?;
    let reluish = factor((fine / (3.0 / 32768.0)).into())?;
    if !(-15..=0).contains(&output.shift) || !(-15..=15).contains(&reluish.shift) {
        return refuse(format!(
            "has scale {:e} made from {:e}, too far apart for 16 bits; quantize the network anew",
            made.scale, input.scale
        ));
    }
    let code = |code| {
        let x = (input.steps(code) << 7) as i16;
        let mut gate = x;
        if reluish.shift > 0 {
            gate = shift_up_16(gate, reluish.shift - 1);
        }
        gate = multiply_16(gate, upper_half(reluish.multiplier));
        if reluish.shift > 0 {
            gate = shift_up_16(gate, 1);
        } else {
            gate = divide_16(gate, -reluish.shift);
        }
        let gate = ((i32::from(gate) + (1 << 15)) >> 1) as i16;
        let x = multiply_16(x, upper_half(output.multiplier));
        // Here the product is not rounded but cut off.
        let product = i32::from(gate) * i32::from(x) / (1 << 15);
        let y = divide_16(product as i16, -output.shift);
        Ok(y.wrapping_add(made.zero_point.into()).into())
    };
    table(code, [-128, 127])
}

/// # Source
/// TensorFlow Lite `DownScaleInt32ToInt16Multiplier`.
fn upper_half(multiplier: i32) -> i16 {
    match multiplier.checked_add(1 << 15) {
        Some(sum) => (sum >> 16) as i16,
        None => i16::MAX,
    }
}

fn shift_up_16(x: i16, bits: i32) -> i16 {
    (i32::from(x) << bits).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// High half of `2 * a * b`, rounded to nearest, halves towards plus infinity; `b` is not negative.
fn multiply_16(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b) + (1 << 14)) >> 15) as i16
}

fn divide_16(x: i16, exponent: i32) -> i16 {
    rounding_divide_by_power_of_two(x.into(), exponent.unsigned_abs()) as i16
}

fn expect_codes(made: &Activation, scale: f32, zero_point: i8) -> Result<(), Refusal> {
    if (made.scale, made.zero_point) == (scale, zero_point) {
        return Ok(());
    }
    refuse(format!(
        "has another scale than 1/{} or another zero point than {zero_point}",
        1.0 / scale
    ))
}
