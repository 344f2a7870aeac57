//! Softmax over codes, in fixed point.

use crate::error::ShapeError;
use crate::requantize::{
    rounding_divide_by_power_of_two as divide_by_power,
    saturating_rounding_doubling_high_mul as multiply,
};

/// Integer bits of a scaled difference (Q5.26).
const DIFFERENCE_BITS: u32 = 5;
/// Integer bits of the sum of exponentials (Q12.19).
const SUM_BITS: u32 = 12;

/// What a softmax is made from.
///
/// The factor is `beta * scale_input * 2^26` as a Q31 multiplier and a left shift; the output has scale 1/256 and zero
/// point -128.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxParams {
    /// Q31 factor of a difference of codes.
    pub multiplier: i32,
    /// Left shift of a difference of codes, in `0..=30`.
    pub left_shift: u32,
    /// Differences below this one count as minus infinity; at most zero.
    pub difference_min: i32,
}

/// Softmax of one vector.
///
/// # Source
/// TensorFlow Lite Micro `reference_ops::Softmax` for int8, which is gemmlowp's fixed-point arithmetic.
#[derive(Clone, Copy, Debug)]
pub struct Softmax(SoftmaxParams);

impl Softmax {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError::Requant`] for a factor out of range, [`ShapeError::Accumulator`] where a difference would not fit.
    pub fn new(params: SoftmaxParams) -> Result<Self, ShapeError> {
        if params.multiplier < 0 || params.left_shift > 30 || params.difference_min > 0 {
            return Err(ShapeError::Requant { at: 0 });
        }
        let lowest = i64::from(params.difference_min.max(-255)) << params.left_shift;
        if lowest < i64::from(i32::MIN) {
            Err(ShapeError::Accumulator { at: 0 })
        } else {
            Ok(Softmax(params))
        }
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: SoftmaxParams) -> Self {
        Softmax(params)
    }

    /// Makes the probabilities; at most 4,096 codes, as the sum has twelve integer bits.
    pub fn run(&self, input: &[i8], output: &mut [i8]) {
        let max = input.iter().fold(i8::MIN, |max, &code| max.max(code));
        let mut sum = 0i32;
        for &code in input {
            sum = sum.saturating_add(
                self.exponential(code, max)
                    .map_or(0, |e| divide_by_power(e, SUM_BITS)),
            );
        }
        let (reciprocal, over_unit) = reciprocal(sum);
        for (&code, output) in input.iter().zip(output) {
            *output = match self.exponential(code, max) {
                None => i8::MIN,
                Some(e) => {
                    let value = match over_unit.wrapping_add(31 - 8) {
                        exponent @ 0..=31 => divide_by_power(multiply(reciprocal, e), exponent),
                        // A sum of 2^9 or more: nobody gets half a code.
                        _ => 0,
                    };
                    (value - 128).clamp(-128, 127) as i8
                }
            };
        }
    }

    /// `exp` of the difference to the maximum in Q0.31, or `None` where it is too small to count.
    fn exponential(&self, code: i8, max: i8) -> Option<i32> {
        let difference = i32::from(code) - i32::from(max);
        if difference < self.0.difference_min {
            return None;
        }
        Some(exp_of_negative(multiply(
            difference.wrapping_shl(self.0.left_shift),
            self.0.multiplier,
        )))
    }
}

/// `x * 2^bits`, saturated.
fn shift_up(x: i32, bits: u32) -> i32 {
    (i64::from(x) << bits).clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// `exp(a)` for `a <= 0` in Q5.26, as Q0.31.
fn exp_of_negative(a: i32) -> i32 {
    const FRACTION: u32 = 31 - DIFFERENCE_BITS;
    const QUARTER: i32 = 1 << (FRACTION - 2);
    // exp(-2^e) in Q0.31 for e = -2 ..= 4.
    const FACTORS: [i32; 7] = [
        1_672_461_947,
        1_302_514_674,
        790_015_084,
        290_630_308,
        39_332_535,
        720_401,
        242,
    ];
    if a == 0 {
        return i32::MAX;
    }
    let within = (a & (QUARTER - 1)) - QUARTER;
    let remainder = within.wrapping_sub(a);
    let mut result = exp_of_small(shift_up(within, DIFFERENCE_BITS));
    for (bit, factor) in (FRACTION - 2..).zip(FACTORS) {
        if remainder & 1i32.wrapping_shl(bit) != 0 {
            result = multiply(result, factor);
        }
    }
    result
}

/// `exp(a)` for `-1/4 <= a < 0`, both Q0.31, by a Taylor series around -1/8.
fn exp_of_small(a: i32) -> i32 {
    const EXP_OF_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a.wrapping_add(1 << 28);
    // All below 2^30 in magnitude on the left.
    let x2 = multiply_small(x, x);
    let x3 = multiply_small(x2, x);
    let x4 = multiply_small(x2, x2);
    let high = divide_by_power(multiply_small(divide_by_power(x4, 2) + x3, THIRD) + x2, 1);
    EXP_OF_MINUS_EIGHTH.wrapping_add(multiply_small(x + high, EXP_OF_MINUS_EIGHTH))
}

/// `multiply` for `a` below 2^30 in magnitude: the high word of a product, which is one instruction in some processors.
#[inline(always)]
fn multiply_small(a: i32, b: i32) -> i32 {
    ((i64::from(a.wrapping_mul(2)) * i64::from(b) + (1 << 31)) >> 32) as i32
}

/// `1 / sum` as Q0.31 and the power of two that it is short of, for a sum in Q12.19.
fn reciprocal(sum: i32) -> (i32, u32) {
    let headroom = sum.leading_zeros();
    let fraction = (sum as u32).wrapping_shl(headroom).wrapping_sub(1 << 31);
    (
        one_over_one_plus(fraction as i32),
        SUM_BITS.wrapping_sub(headroom),
    )
}

/// `1 / (1 + a)` for `0 <= a < 1`, both Q0.31, by three Newton steps in Q2.29.
fn one_over_one_plus(a: i32) -> i32 {
    const FORTY_EIGHT_17THS: i32 = 1_515_870_810;
    const MINUS_THIRTY_TWO_17THS: i32 = -1_010_580_540;
    let half = ((i64::from(a) + i64::from(i32::MAX) + 1) >> 1) as i32;
    let mut x = FORTY_EIGHT_17THS.wrapping_add(multiply(half, MINUS_THIRTY_TWO_17THS));
    for _ in 0..3 {
        let missing = (1i32 << 29).wrapping_sub(multiply(half, x));
        x = x.wrapping_add(shift_up(multiply(x, missing), 2));
    }
    shift_up(x, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The factor for a real one of `beta * scale = numerator / 2^denominator` per code.
    const ONE_PER_CODE: SoftmaxParams = SoftmaxParams {
        multiplier: 1 << 30,
        left_shift: 27,
        difference_min: -15,
    };

    #[test]
    fn equal_codes_share_the_probability() {
        let mut output = [0; 4];
        Softmax::new(ONE_PER_CODE)
            .unwrap()
            .run(&[7; 4], &mut output);
        assert_eq!(output.map(i32::from), [256 / 4 - 128; 4]);
    }

    #[test]
    fn probabilities_are_the_codes_nearest_to_the_exact_ones() {
        // exp(0), exp(-1), exp(-2), exp(-3) over their sum 1.5530: 0.6439, 0.2369, 0.0871, 0.0321, times 256.
        let mut output = [0; 4];
        Softmax::new(ONE_PER_CODE)
            .unwrap()
            .run(&[3, 2, 1, 0], &mut output);
        assert_eq!(
            output.map(i32::from),
            [165 - 128, 61 - 128, 22 - 128, 8 - 128]
        );
    }

    #[test]
    fn codes_far_below_the_maximum_get_nothing() {
        let mut output = [0; 2];
        Softmax::new(ONE_PER_CODE)
            .unwrap()
            .run(&[127, -128], &mut output);
        assert_eq!(output, [127, -128]);
    }

    #[test]
    fn factors_that_do_not_fit_are_refused() {
        let wide = SoftmaxParams {
            multiplier: 1 << 30,
            left_shift: 30,
            difference_min: -255,
        };
        assert_eq!(
            Softmax::new(wide).err(),
            Some(ShapeError::Accumulator { at: 0 })
        );
        let negative = SoftmaxParams {
            multiplier: -1,
            ..ONE_PER_CODE
        };
        assert_eq!(
            Softmax::new(negative).err(),
            Some(ShapeError::Requant { at: 0 })
        );
    }
}
