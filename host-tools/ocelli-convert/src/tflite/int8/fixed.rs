//! TensorFlow Lite Micro's functions of one number in fixed point: the host fills tables with them.
//!
//! Qm.n is a number with m integer bits and n fraction bits in an i32.
//!
//! # Source
//! gemmlowp `fixedpoint.h`.

use ocelli_kernels::{
    rounding_divide_by_power_of_two as divide_by_power,
    saturating_rounding_doubling_high_mul as multiply,
};

/// Q0.31's nearest number to 1.
const ONE: i32 = i32::MAX;

/// `1 / (1 + exp(-a))` for `a` in Q4.27, as Q0.31.
pub fn logistic(a: i32) -> i32 {
    let above = one_over_one_plus(exp_of_negative::<4>(-a.abs()));
    match a {
        0 => 1 << 30,
        1.. => above,
        _ => ONE - above,
    }
}

/// `tanh(a)` for `a` in Q4.27, as Q0.31.
pub fn tanh(a: i32) -> i32 {
    // The same bits in Q5.26 are twice the number.
    let above = one_minus_over_one_plus(exp_of_negative::<5>(-a.abs()));
    match a {
        0 => 0,
        1.. => above,
        _ => -above,
    }
}

/// `x * 2^bits`, saturated.
fn shift_up(x: i32, bits: u32) -> i32 {
    (i64::from(x) << bits).clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// `exp(a)` for `a <= 0` with so many integer bits, as Q0.31.
fn exp_of_negative<const INTEGER: u32>(a: i32) -> i32 {
    // exp(-2^e) in Q0.31 from e = -2 on.
    const FACTORS: [i32; 7] = [
        1_672_461_947,
        1_302_514_674,
        790_015_084,
        290_630_308,
        39_332_535,
        720_401,
        242,
    ];
    let fraction = 31 - INTEGER;
    let quarter = 1 << (fraction - 2);
    if a == 0 {
        return ONE;
    }
    let within = (a & (quarter - 1)) - quarter;
    let remainder = within - a;
    let mut result = exp_of_small(shift_up(within, INTEGER));
    for (bit, factor) in (fraction - 2..31).zip(FACTORS) {
        if remainder & (1 << bit) != 0 {
            result = multiply(result, factor);
        }
    }
    result
}

/// `exp(a)` for `-1/4 <= a < 0`, both Q0.31, by a Taylor series around -1/8.
fn exp_of_small(a: i32) -> i32 {
    const EXP_OF_MINUS_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = a + (1 << 28);
    let x2 = multiply(x, x);
    let x3 = multiply(x2, x);
    let x4 = multiply(x2, x2);
    let high = divide_by_power(multiply(divide_by_power(x4, 2) + x3, THIRD) + x2, 1);
    EXP_OF_MINUS_EIGHTH + multiply(EXP_OF_MINUS_EIGHTH, x + high)
}

/// `2 / (1 + a)` for `0 <= a < 1` in Q0.31, as Q2.29, by three Newton steps.
fn two_over_one_plus(a: i32) -> i32 {
    const FORTY_EIGHT_17THS: i32 = 1_515_870_810;
    const MINUS_THIRTY_TWO_17THS: i32 = -1_010_580_540;
    let half = ((i64::from(a) + i64::from(ONE) + 1) >> 1) as i32;
    let mut x = FORTY_EIGHT_17THS + multiply(half, MINUS_THIRTY_TWO_17THS);
    for _ in 0..3 {
        let missing = (1 << 29) - multiply(half, x);
        x += shift_up(multiply(x, missing), 2);
    }
    x
}

fn one_over_one_plus(a: i32) -> i32 {
    shift_up(two_over_one_plus(a), 1)
}

/// `(1 - a) / (1 + a)`.
fn one_minus_over_one_plus(a: i32) -> i32 {
    shift_up(two_over_one_plus(a) - (1 << 29), 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_near_the_exact_ones_and_odd_around_zero() {
        for step in -160..=160 {
            // From -16 on, without the end itself, which is no number of Q4.27 above zero.
            let a = (f64::from(step) / 10.001 * f64::from(1 << 27)) as i32;
            let real = f64::from(a) / f64::from(1 << 27);
            let unit = f64::from(1u32 << 31);
            let sigmoid = f64::from(logistic(a)) / unit;
            assert!(
                (sigmoid - 1.0 / (1.0 + (-real).exp())).abs() < 1e-6,
                "{real}"
            );
            assert!(
                (f64::from(tanh(a)) / unit - real.tanh()).abs() < 1e-6,
                "{real}"
            );
            assert_eq!(tanh(-a), -tanh(a));
        }
        assert_eq!((logistic(0), tanh(0)), (1 << 30, 0));
    }
}
