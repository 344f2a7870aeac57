//! From an f32 head to the int8 head that runs.

use crate::LearnError;
use crate::head::{EmbeddingScale, Head};
use crate::rows::{rows, rows_mut};
use crate::samples::Samples;

/// Most features of an int8 head.
///
/// `|bias| + features * 128 * 128` stays below 2^30 up to here: a product of a weight and the zero
/// point, which the bias contains, is below 2^14, and so is a product of a weight and a code. Together
/// they take at most 2^29 for 2^14 features, and the rest of the bias takes less than another 2^29.
pub const MAX_FEATURES: usize = 1 << 14;

/// Largest bias before the zero point is folded in: 2^29 with room for the rounding of a scale to f32.
const MAX_BIAS: f64 = ((1u32 << 29) - (1 << 10)) as f64;

/// An int8 head, to be filled.
///
/// `logit = clamp(requantize(acc) + zero_point)` with `acc = bias + sum(weight * code)`: the zero
/// point of the embedding is folded into the bias, so codes are multiplied as they are.
///
/// # Shapes
/// `weights` is `[classes][features]`, all others are `[classes]`.
#[derive(Debug)]
pub struct HeadMut<'a> {
    /// Weights in `-127..=127`; their zero point is 0.
    pub weights: &'a mut [i8],
    /// Bias at `embedding scale * weight_scale`, less the embedding's zero point times all weights.
    pub bias: &'a mut [i32],
    /// Q31 factor from accumulator to logit code.
    pub multiplier: &'a mut [i32],
    /// Power of two that goes with it, positive = left; never above 0 here.
    pub shift: &'a mut [i8],
    /// Real value of one weight code.
    pub weight_scale: &'a mut [f32],
}

/// What the codes of the logits mean: real = scale * (code - zero_point).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OutputScale {
    /// Real value of one code.
    pub scale: f32,
    /// The code of 0.
    pub zero_point: i8,
}

/// Turns a head into int8, with the range of its logits taken from `samples`.
///
/// Weights are symmetric with a scale for each class, so that the largest is 127. Where the bias would
/// not fit beside them, the scale is larger. The range of the logits includes 0.
///
/// # Errors
/// [`LearnError::HeadElems`], [`LearnError::NoSamples`], [`LearnError::TooManyFeatures`],
/// [`LearnError::EmbeddingScale`], [`LearnError::NotFinite`]; the head's slices then hold anything.
///
/// # Source
/// `QuantizeMultiplier` of TensorFlow Lite for multiplier and shift.
pub fn quantize_head(
    head: &Head<'_>,
    embedding: EmbeddingScale,
    samples: &Samples<'_>,
    out: &mut HeadMut<'_>,
) -> Result<OutputScale, LearnError> {
    let features = samples.features();
    embedding.check()?;
    check_extents(head, samples, out)?;

    let weights = rows(head.weights, features).zip(rows_mut(out.weights, features));
    let biases = head.bias.iter().zip(out.bias.iter_mut());
    for (((row, out_row), (&bias, out_bias)), weight_scale) in
        weights.zip(biases).zip(out.weight_scale.iter_mut())
    {
        *weight_scale = choose_weight_scale(row, bias, embedding.scale)?;
        // The quotient of two f32 is exact enough in f64 for its rounding to be that of the true one.
        let scale = f64::from(*weight_scale);
        let mut weights_total = 0;
        for (code, &weight) in out_row.iter_mut().zip(row) {
            *code = libm::round(f64::from(weight) / scale) as i8;
            weights_total += i32::from(*code);
        }
        let bias = libm::round(f64::from(bias) / (f64::from(embedding.scale) * scale)) as i32;
        *out_bias = bias - i32::from(embedding.zero_point) * weights_total;
    }

    let output = choose_output_scale(out, embedding, samples);
    let factors = out.multiplier.iter_mut().zip(out.shift.iter_mut());
    for (&weight_scale, (multiplier, shift)) in out.weight_scale.iter().zip(factors) {
        let factor = acc_scale(embedding, weight_scale) / f64::from(output.scale);
        (*multiplier, *shift) = quantize_multiplier(factor);
    }
    Ok(output)
}

fn check_extents(
    head: &Head<'_>,
    samples: &Samples<'_>,
    out: &HeadMut<'_>,
) -> Result<(), LearnError> {
    let features = samples.features();
    if features > MAX_FEATURES {
        let (max, got) = (MAX_FEATURES, features);
        return Err(LearnError::TooManyFeatures { max, got });
    }
    if samples.is_empty() {
        return Err(LearnError::NoSamples);
    }
    let classes = head.bias.len();
    let elems = classes.saturating_mul(features);
    for (needed, got) in [
        (elems, head.weights.len()),
        (elems, out.weights.len()),
        (classes, out.bias.len()),
        (classes, out.multiplier.len()),
        (classes, out.shift.len()),
        (classes, out.weight_scale.len()),
    ] {
        if needed != got {
            return Err(LearnError::HeadElems { needed, got });
        }
    }
    Ok(())
}

/// The smallest scale at which the row and its bias fit.
fn choose_weight_scale(row: &[f32], bias: f32, embedding_scale: f32) -> Result<f32, LearnError> {
    let mut finite = bias.is_finite();
    let mut largest = 0.0;
    for &weight in row {
        finite &= weight.is_finite();
        largest = larger(largest, f64::from(weight));
    }
    // A class whose weights are all 0, or nearly so, still gets a normal number.
    let smallest = larger(largest / 127.0, f64::from(f32::MIN_POSITIVE));
    let for_bias = f64::from(bias) / f64::from(embedding_scale) / MAX_BIAS;
    let scale = larger(smallest, for_bias) as f32;
    if finite && scale.is_finite() {
        Ok(scale)
    } else {
        Err(LearnError::NotFinite)
    }
}

/// The scale at which the logits of all samples fit into 256 codes.
fn choose_output_scale(
    head: &HeadMut<'_>,
    embedding: EmbeddingScale,
    samples: &Samples<'_>,
) -> OutputScale {
    let (mut min, mut max, mut largest_acc_scale) = (0.0, 0.0, 0.0);
    let weights = rows(head.weights, samples.features());
    for ((row, &bias), &weight_scale) in weights.zip(head.bias.iter()).zip(head.weight_scale.iter())
    {
        let accs = || {
            samples
                .iter()
                .map(|(codes, _)| accumulate(bias, row, codes))
        };
        let acc_scale = acc_scale(embedding, weight_scale);
        let low = f64::from(accs().min().unwrap_or(0)) * acc_scale;
        let high = f64::from(accs().max().unwrap_or(0)) * acc_scale;
        min = if low < min { low } else { min };
        max = if high > max { high } else { max };
        largest_acc_scale = larger(largest_acc_scale, acc_scale);
    }
    // With logits of a few hundred accumulator units, one code is still at least two of them: the
    // factor stays below 1 and its shift is never to the left, where an accumulator could overflow.
    let scale = larger((max - min) / 255.0, 2.0 * largest_acc_scale) as f32;
    let scale = if scale < f32::MIN_POSITIVE {
        1.0
    } else {
        scale
    };
    let zero_point = libm::round(-128.0 - min / f64::from(scale));
    OutputScale {
        scale,
        zero_point: zero_point as i8,
    }
}

/// Real value of one unit of the accumulator; exact.
fn acc_scale(embedding: EmbeddingScale, weight_scale: f32) -> f64 {
    f64::from(embedding.scale) * f64::from(weight_scale)
}

fn accumulate(bias: i32, weights: &[i8], codes: &[i8]) -> i32 {
    let products = weights.iter().zip(codes);
    products.fold(bias, |acc, (&weight, &code)| {
        acc + i32::from(weight) * i32::from(code)
    })
}

/// A factor as Q31 `multiplier` and `shift` (positive = left): `multiplier * 2^(shift - 31)`.
///
/// Rounded half away from zero; nothing for factors below 2^-32 or not positive. Factors are below 2^31.
///
/// # Source
/// TensorFlow Lite `QuantizeMultiplier`.
pub fn quantize_multiplier(factor: f64) -> (i32, i8) {
    if factor <= 0.0 {
        return (0, 0);
    }
    let (fraction, mut shift) = libm::frexp(factor);
    let mut multiplier = libm::round(fraction * (1u32 << 31) as f64) as i64;
    if multiplier == 1 << 31 {
        multiplier = 1 << 30;
        shift += 1;
    }
    if shift < -31 {
        return (0, 0);
    }
    (multiplier as i32, shift as i8)
}

/// The larger of a magnitude and that of `value`.
fn larger(magnitude: f64, value: f64) -> f64 {
    let value = libm::fabs(value);
    if value > magnitude { value } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_split_as_tensorflow_lite_splits_it() {
        // 0.75 = 0.75 * 2^0; 0.375 = 0.75 * 2^-1; 2^-32 = 0.5 * 2^-31 is the smallest that is kept.
        assert_eq!(quantize_multiplier(0.75), (0x6000_0000, 0));
        assert_eq!(quantize_multiplier(0.375), (0x6000_0000, -1));
        assert_eq!(quantize_multiplier(f64::powi(2.0, -32)), (0x4000_0000, -31));
        assert_eq!(quantize_multiplier(f64::powi(2.0, -33)), (0, 0));
        assert_eq!(quantize_multiplier(0.0), (0, 0));
    }

    #[test]
    fn a_fraction_that_rounds_up_to_one_moves_to_the_shift() {
        // 1 - 2^-40 is 2^31 - 2^-9 in Q31, which rounds to 2^31.
        let factor = 1.0 - f64::powi(2.0, -40);
        assert_eq!(quantize_multiplier(factor), (0x4000_0000, 1));
    }
}
