//! Layer normalization over the channels of each pixel.

use crate::error::{Operand, ShapeError, expect};
use crate::filter::Packing;
use crate::geometry::Shape;
use crate::requantize::ChannelRequant;
use crate::rows::Rows;

/// What a layer norm is made from.
///
/// # Shapes
/// `weights`: `[c]`. Input and output have one shape, of at most 4,096 channels.
///
/// # Units
/// `epsilon` is what is added to the variance, in codes of the input squared, times `c^2`. A factor of `requant` is the
/// scale of the weight over `2^15` and over the scale of the output.
#[derive(Clone, Copy, Debug)]
pub struct LayerNormParams<'a> {
    /// Input extents.
    pub input: Shape,
    /// Output extents.
    pub output: Shape,
    /// What each normalized channel is multiplied by.
    pub weights: &'a [i8],
    /// Keeps equal codes from being divided by nothing; below `2^62`.
    pub epsilon: u64,
    /// Bias (no zero point in it), factors and activation.
    pub requant: ChannelRequant<'a>,
}

/// Each pixel less its mean, over its standard deviation, times a weight, plus a bias.
///
/// The input's scale and zero point fall out.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a>(LayerNormParams<'a>);

/// Channels beyond which a normalized code could leave the 21 bits that leave room for its weight.
const CHANNELS: usize = 4096;
/// Products of 2^14, as which `ChannelRequant` counts: a normalized code of 21 bits times a weight is below 2^28.
const TERMS: usize = 1 << 14;

impl<'a> LayerNorm<'a> {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where extents disagree, a sum could leave 32 bits or the variance 63.
    pub fn new(params: LayerNormParams<'a>) -> Result<Self, ShapeError> {
        let c = params.input.c;
        if params.input.has_zero() {
            return Err(ShapeError::Zero);
        }
        params.input.expect(params.output)?;
        expect(Operand::Weights, c, params.weights.len())?;
        if c > CHANNELS {
            return Err(ShapeError::Accumulator { at: CHANNELS });
        }
        if params.epsilon >= 1 << 62 {
            return Err(ShapeError::Epsilon);
        }
        params.requant.check(c, TERMS, Packing::Canonical)?;
        Ok(LayerNorm(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: LayerNormParams<'a>) -> Self {
        LayerNorm(params)
    }

    /// Makes output rows `first_row..`, as many as `output` holds.
    pub fn run(&self, input: &Rows<'_>, first_row: usize, output: &mut [i8]) {
        let p = &self.0;
        let rows = output.len().checked_div(p.output.row_elems()).unwrap_or(0);
        let c = p.input.c.max(1);
        let [head, tail] = input.runs(first_row, rows);
        let pixels = head.chunks_exact(c).chain(tail.chunks_exact(c));
        for (pixel, codes) in pixels.zip(output.chunks_exact_mut(c)) {
            self.pixel(pixel, codes);
        }
    }

    fn pixel(&self, pixel: &[i8], codes: &mut [i8]) {
        let p = &self.0;
        // With 2^12 channels: the sum has 19 bits, the sum of squares 26, and the products below 38.
        let (mut sum, mut squares) = (0i32, 0i32);
        for &code in pixel {
            let code = i32::from(code);
            sum = sum.wrapping_add(code);
            squares = squares.wrapping_add(code * code);
        }
        let (c, sum) = (pixel.len() as i64, i64::from(sum));
        let variance = c.wrapping_mul(squares.into()) - sum.wrapping_mul(sum);
        let scale = InverseRoot::of((variance as u64).wrapping_add(p.epsilon));
        let weights = pixel.iter().zip(p.weights);
        for (((&code, &weight), (bias, requant)), output) in
            weights.zip(p.requant.channels()).zip(codes)
        {
            let normalized = scale.times(c.wrapping_mul(code.into()) - sum);
            let acc = normalized.wrapping_mul(weight.into()).wrapping_add(bias);
            *output = p.requant.code(acc, requant);
        }
    }
}

/// `2^15 / sqrt(d)`, as a factor of up to 32 bits and a right shift.
#[derive(Clone, Copy)]
struct InverseRoot {
    factor: i64,
    shift: u32,
}

impl InverseRoot {
    /// Zero for zero.
    fn of(d: u64) -> Self {
        // An even shift brings `d` to 63 or 64 bits, so that its root has 32 and the factor 31, or is 2^31.
        let half = d.leading_zeros() / 2;
        let root = d.checked_shl(2 * half).unwrap_or(0).isqrt();
        InverseRoot {
            factor: (1u64 << 62).checked_div(root).unwrap_or(0) as i64,
            shift: 47u32.wrapping_sub(half),
        }
    }

    /// `a` of 20 bits times the factor, to the nearest, halves up.
    fn times(self, a: i64) -> i32 {
        let half = 1i64.wrapping_shl(self.shift.wrapping_sub(1));
        a.wrapping_mul(self.factor)
            .wrapping_add(half)
            .wrapping_shr(self.shift) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_square_has_an_exact_inverse_root() {
        // 3 * 2^15 / sqrt(2^k) for even k; a half goes up; 2^15 / 3.
        for k in [0, 2, 16, 28, 30] {
            assert_eq!(InverseRoot::of(1 << k).times(3), 3 << 15 >> (k / 2));
        }
        assert_eq!(InverseRoot::of(1 << 32).times(3), 2);
        assert_eq!(InverseRoot::of(1 << 32).times(-3), -1);
        assert_eq!(InverseRoot::of(9).times(1), 10_923);
        assert_eq!(InverseRoot::of(9).times(-1), -10_923);
    }

    #[test]
    fn nothing_has_an_inverse_root_of_nothing() {
        assert_eq!(InverseRoot::of(0).times(-(1 << 20)), 0);
    }
}
