//! The one rounding rule: from a 32-bit sum to a code.

use core::ops::RangeInclusive;

use crate::error::{Operand, ShapeError, expect};
use crate::filter::Packing;

/// High half of `2 * a * b`, rounded to nearest, halves towards plus infinity.
///
/// `b` must not be `i32::MIN` where `a` is.
///
/// # Source
/// gemmlowp `SaturatingRoundingDoublingHighMul`.
#[inline(always)]
pub const fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    if cfg!(not(ocelli_long_multiply)) {
        high_mul_by_halves(a, b)
    } else {
        ((a as i64 * b as i64 + (1 << 30)) >> 31) as i32
    }
}

/// The same for processors without a product of 64 bits.
#[inline(always)]
const fn high_mul_by_halves(a: i32, b: i32) -> i32 {
    let (a_high, a_low) = (a >> 16, a & 0xffff);
    let (b_high, b_low) = (b >> 16, b & 0xffff);
    // None of these can leave 32 bits: a half is at least -2^15 and below 2^16.
    let lowest = (a_low as u32).wrapping_mul(b_low as u32) >> 16;
    let middle = a_high.wrapping_mul(b_low).wrapping_add(lowest as i32);
    let other = (a_low.wrapping_mul(b_high)).wrapping_add(middle & 0xffff);
    let high = a_high.wrapping_mul(b_high).wrapping_add(middle >> 16);
    let high = high.wrapping_add(other >> 16);
    // Of the lower 32 bits the upper two matter: one belongs to the result, the other rounds it.
    let two = (other & 0xffff) >> 14;
    high.wrapping_shl(1).wrapping_add((two + 1) >> 1)
}

/// `x / 2^exponent`, rounded to nearest, halves away from zero; `exponent` in `0..=31`.
///
/// # Source
/// gemmlowp `RoundingDivideByPOT`.
#[inline(always)]
pub const fn rounding_divide_by_power_of_two(x: i32, exponent: u32) -> i32 {
    let mask = (1u32.wrapping_shl(exponent)).wrapping_sub(1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1) + (x < 0) as i32;
    x.wrapping_shr(exponent) + (remainder > threshold) as i32
}

/// A positive factor `multiplier * 2^(shift - 31)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requant {
    /// Q31 factor, not negative.
    pub multiplier: i32,
    /// Power of two, positive = left, in `-31..=30`.
    pub shift: i32,
}

impl Requant {
    /// `acc` times the factor, rounded twice.
    ///
    /// # Source
    /// TensorFlow Lite `MultiplyByQuantizedMultiplier`, double rounding.
    #[inline(always)]
    pub const fn apply(self, acc: i32) -> i32 {
        let left = if self.shift > 0 { self.shift as u32 } else { 0 };
        let right = if self.shift > 0 {
            0
        } else {
            (-self.shift) as u32
        };
        let high = saturating_rounding_doubling_high_mul(acc.wrapping_shl(left), self.multiplier);
        rounding_divide_by_power_of_two(high, right)
    }

    /// Whether a sum of at most `bound` in magnitude stays within 32 bits on the way.
    pub(crate) fn check(self, at: usize, bound: i64) -> Result<(), ShapeError> {
        if self.multiplier < 0 || !(-31..=30).contains(&self.shift) {
            return Err(ShapeError::Requant { at });
        }
        // One bit of room below 2^31 for the zero point that is added at the end.
        if bound >= (1 << 30) >> self.shift.max(0) {
            return Err(ShapeError::Accumulator { at });
        }
        Ok(())
    }
}

/// A fused activation: the codes that an output may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// Smallest code.
    pub min: i8,
    /// Largest code.
    pub max: i8,
}

impl Clamp {
    /// No activation.
    pub const NONE: Clamp = Clamp {
        min: i8::MIN,
        max: i8::MAX,
    };

    /// `value` brought into the range.
    #[inline(always)]
    pub const fn apply(self, value: i32) -> i8 {
        if value < self.min as i32 {
            self.min
        } else if value > self.max as i32 {
            self.max
        } else {
            value as i8
        }
    }

    pub(crate) fn check(self) -> Result<(), ShapeError> {
        if self.min <= self.max {
            Ok(())
        } else {
            Err(ShapeError::Clamp)
        }
    }
}

/// Shifts that channels of [`Packing::Paired`] may have.
///
/// Their loops round with one constant that holds the zero point too: it needs a shift to the right, and room for the
/// zero point above it.
pub const PAIRED_SHIFTS: RangeInclusive<i8> = -23..=-1;

/// Bias, factor and range of every output channel.
///
/// The input's zero point is folded into the bias: `bias[c] = b[c] - zero_point * sum(weights of c)`, so that a kernel
/// multiplies codes as they are.
#[derive(Clone, Copy, Debug)]
pub struct ChannelRequant<'a> {
    /// Added to the sum of each channel.
    pub bias: &'a [i32],
    /// Q31 factor of each channel.
    pub multiplier: &'a [i32],
    /// Power of two of each channel, positive = left.
    pub shift: &'a [i8],
    /// Output code of the real number zero.
    pub output_zero_point: i8,
    /// Fused activation.
    pub clamp: Clamp,
}

impl ChannelRequant<'_> {
    /// Checks lengths, ranges, and that no sum of `terms` products of codes can leave 32 bits.
    pub(crate) fn check(
        &self,
        channels: usize,
        terms: usize,
        packing: Packing,
    ) -> Result<(), ShapeError> {
        expect(Operand::Bias, channels, self.bias.len())?;
        expect(Operand::Multiplier, channels, self.multiplier.len())?;
        expect(Operand::Shift, channels, self.shift.len())?;
        self.clamp.check()?;
        let products = (terms as i64).saturating_mul(128 * 128).min(1 << 40);
        for (at, ((&bias, &multiplier), &shift)) in self
            .bias
            .iter()
            .zip(self.multiplier)
            .zip(self.shift)
            .enumerate()
        {
            Requant {
                multiplier,
                shift: shift.into(),
            }
            .check(at, products + i64::from(bias).abs())?;
            if packing == Packing::Paired && !PAIRED_SHIFTS.contains(&shift) {
                return Err(ShapeError::Requant { at });
            }
        }
        Ok(())
    }

    /// Bias and factor of each channel, in order.
    #[inline(always)]
    pub(crate) fn channels(&self) -> impl Iterator<Item = (i32, Requant)> + '_ {
        self.bias.iter().zip(self.multiplier).zip(self.shift).map(
            |((&bias, &multiplier), &shift)| {
                (
                    bias,
                    Requant {
                        multiplier,
                        shift: shift.into(),
                    },
                )
            },
        )
    }

    /// The code of a sum.
    #[inline(always)]
    pub(crate) const fn code(&self, acc: i32, requant: Requant) -> i8 {
        self.clamp
            .apply(requant.apply(acc) + self.output_zero_point as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nearest integer to `n / 2^e`, with the given rule for halves, by whole numbers of 128 bits.
    fn nearest(n: i128, e: u32, away_from_zero: bool) -> i128 {
        let unit = 1i128 << e;
        let (q, r) = (n.div_euclid(unit), n.rem_euclid(unit));
        match (2 * r).cmp(&unit) {
            core::cmp::Ordering::Less => q,
            core::cmp::Ordering::Greater => q + 1,
            core::cmp::Ordering::Equal => q + i128::from(!(away_from_zero && n < 0)),
        }
    }

    fn edge_values() -> impl Iterator<Item = i32> + Clone {
        let powers = (0..31).flat_map(|e| [-1, 0, 1].map(|d| (1i32 << e).wrapping_add(d)));
        powers.flat_map(|v| [v, v.wrapping_neg()]).chain([
            0,
            i32::MAX,
            i32::MIN + 1,
            123_456_789,
            -987_654_321,
        ])
    }

    #[test]
    fn high_mul_is_the_nearest_integer_with_halves_up() {
        for a in edge_values() {
            for b in edge_values() {
                let exact = nearest(i128::from(a) * i128::from(b), 31, false);
                assert_eq!(
                    i128::from(saturating_rounding_doubling_high_mul(a, b)),
                    exact,
                    "{a} * {b}"
                );
                assert_eq!(
                    i128::from(high_mul_by_halves(a, b)),
                    exact,
                    "{a} * {b} by halves"
                );
            }
        }
    }

    #[test]
    fn division_by_a_power_of_two_rounds_halves_away_from_zero() {
        for x in edge_values() {
            for e in 0..=30 {
                let exact = nearest(i128::from(x), e, true);
                assert_eq!(
                    i128::from(rounding_divide_by_power_of_two(x, e)),
                    exact,
                    "{x} / 2^{e}"
                );
            }
        }
    }

    #[test]
    fn a_factor_is_applied_with_two_roundings() {
        // 0.75 = 0.75 * 2^0: multiplier 0.75 * 2^31. 10 * 0.75 = 7.5, a half, goes up: 8; -7.5 goes up as well: -7.
        let three_quarters = Requant {
            multiplier: 0x6000_0000,
            shift: 0,
        };
        assert_eq!(three_quarters.apply(10), 8);
        assert_eq!(three_quarters.apply(-10), -7);
        // With a right shift of one the second rounding acts: 8 / 2 = 4 although 3.75 was meant; -7 / 2 = -3.5 -> -4.
        let half_of_it = Requant {
            multiplier: 0x6000_0000,
            shift: -1,
        };
        assert_eq!(half_of_it.apply(10), 4);
        assert_eq!(half_of_it.apply(-10), -4);
        // Left shifts multiply first: 3 * 4 * 0.75 = 9.
        assert_eq!(
            Requant {
                multiplier: 0x6000_0000,
                shift: 2
            }
            .apply(3),
            9
        );
    }

    #[test]
    fn sums_that_could_leave_32_bits_are_refused() {
        let fits = Requant {
            multiplier: i32::MAX,
            shift: 3,
        };
        assert_eq!(fits.check(0, (1 << 27) - 1), Ok(()));
        assert_eq!(
            fits.check(7, 1 << 27),
            Err(ShapeError::Accumulator { at: 7 })
        );
        assert_eq!(
            Requant {
                multiplier: -1,
                shift: 0
            }
            .check(2, 0),
            Err(ShapeError::Requant { at: 2 })
        );
        assert_eq!(
            Requant {
                multiplier: 1,
                shift: 31
            }
            .check(2, 0),
            Err(ShapeError::Requant { at: 2 })
        );
    }
}
