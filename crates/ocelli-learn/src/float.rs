//! Whether this machine's floats are the ones that training is defined on.

use core::hint::black_box;

use crate::LearnError;

/// Does a few sums whose bits differ where subnormals are flushed or rounding is not to nearest.
///
/// This checks behaviour, not the control word, so that it needs no knowledge of the machine. It is
/// needed since both can be switched at run time (flush-to-zero, rounding mode).
pub(crate) fn check_fpu() -> Result<(), LearnError> {
    let smallest_normal = black_box(f32::from_bits(0x0080_0000));
    let subnormal = black_box(f32::from_bits(0x0040_0001));
    let one = black_box(1.0f32);
    let half_ulp = black_box(f32::from_bits(0x3380_0000)); // 2^-24
    let bit_more = black_box(f32::from_bits(0x3380_0001));
    let checks = [
        // A subnormal result and a subnormal operand are kept.
        (smallest_normal * black_box(0.5), 0x0040_0000),
        (subnormal * black_box(2.0), 0x0080_0002),
        (subnormal + black_box(0.0), 0x0040_0001),
        // To nearest, both ways from zero; a tie goes to the even neighbour.
        (one + half_ulp, 0x3f80_0000),
        (one + bit_more, 0x3f80_0001),
        (-one - half_ulp, 0xbf80_0000),
        (-one - bit_more, 0xbf80_0001),
        // Each result is rounded to f32 at once: wider registers would give 1 + 2^-23.
        (black_box(one + half_ulp) + half_ulp, 0x3f80_0000),
    ];
    if checks.iter().all(|(value, bits)| value.to_bits() == *bits) {
        Ok(())
    } else {
        Err(LearnError::FloatingPoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_keeps_subnormals_and_rounds_to_nearest() {
        assert_eq!(check_fpu(), Ok(()));
    }
}
