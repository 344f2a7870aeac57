//! Addition of two tensors of one shape.

use crate::arch;
use crate::error::ShapeError;
use crate::requantize::{Clamp, Requant, rounding_divide_by_power_of_two};

/// Bits by which both inputs are scaled up before they are rounded to a common scale.
const LEFT_SHIFT: u32 = 20;

/// What an addition is made from.
///
/// With `s_max = 2 * max(scale_a, scale_b)`: `a = scale_a / s_max`, `b = scale_b / s_max`,
/// `output = s_max / (2^20 * scale_output)`.
#[derive(Clone, Copy, Debug)]
pub struct AddParams {
    /// Codes of real zero: inputs a and b.
    pub zero_points: [i8; 2],
    /// Factors of inputs a and b, below one.
    pub factors: [Requant; 2],
    /// Factor of the sum.
    pub output_factor: Requant,
    /// Output code of real zero.
    pub output_zero_point: i8,
    /// Fused activation.
    pub clamp: Clamp,
}

/// The sum of two tensors, element by element.
///
/// # Source
/// TensorFlow Lite Micro `reference_integer_ops::Add`, equal in every code.
#[derive(Clone, Copy, Debug)]
pub struct Add(AddParams);

impl Add {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError::Requant`] with the number of the factor (0, 1; 2 is the output's), [`ShapeError::Clamp`].
    pub fn new(params: AddParams) -> Result<Self, ShapeError> {
        for (at, factor) in params.factors.into_iter().enumerate() {
            // An input term is at most 255 * 2^20 < 2^28.
            factor.check(at, 255 << LEFT_SHIFT)?;
            if factor.shift > 0 {
                return Err(ShapeError::Requant { at });
            }
        }
        params.output_factor.check(2, 2 * (255 << LEFT_SHIFT))?;
        params.clamp.check()?;
        Ok(Add(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: AddParams) -> Self {
        Add(params)
    }

    /// Adds as many codes as the shortest of the three slices has.
    pub fn run(&self, a: &[i8], b: &[i8], output: &mut [i8]) {
        if arch::add(&self.0, a, b, output) {
            return;
        }
        for ((&a, &b), code) in a.iter().zip(b).zip(output) {
            *code = self.code(a, b);
        }
    }

    #[inline(always)]
    fn code(&self, a: i8, b: i8) -> i8 {
        let p = &self.0;
        let [zero_a, zero_b] = p.zero_points.map(i32::from);
        let [factor_a, factor_b] = p.factors;
        let a = scaled(i32::from(a) - zero_a, factor_a);
        let b = scaled(i32::from(b) - zero_b, factor_b);
        p.clamp
            .apply(p.output_factor.apply(a.wrapping_add(b)) + i32::from(p.output_zero_point))
    }
}

/// `factor.apply(difference << LEFT_SHIFT)`: as many bits of the product are known to be zero, so it needs no 64.
#[inline(always)]
fn scaled(difference: i32, factor: Requant) -> i32 {
    const BITS: u32 = 31 - LEFT_SHIFT;
    let (high, low) = (
        factor.multiplier >> BITS,
        factor.multiplier & ((1 << BITS) - 1),
    );
    let rounded = difference.wrapping_mul(low).wrapping_add(1 << (BITS - 1)) >> BITS;
    let product = difference.wrapping_mul(high).wrapping_add(rounded);
    rounding_divide_by_power_of_two(product, factor.shift.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_scaled_as_its_shifted_value_would_be() {
        for multiplier in [0, 1, 1 << 30, (1 << 30) + 2047, 1_518_500_249, i32::MAX] {
            for shift in -31..=0 {
                let factor = Requant { multiplier, shift };
                for difference in -255..=255 {
                    let whole = factor.apply(difference << LEFT_SHIFT);
                    assert_eq!(
                        scaled(difference, factor),
                        whole,
                        "{difference} * {factor:?}"
                    );
                }
            }
        }
    }
}
