//! Channels with random factors, and what becomes of a sum.

use alloc::vec::Vec;

use ocelli::kernels::{ChannelRequant, Clamp, PAIRED_SHIFTS, Packing};

use crate::random::Random;

/// What is done to the sums of an op's channels.
#[derive(Debug)]
pub struct Channels {
    bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<i8>,
    zero_point: i8,
    clamp: Clamp,
}

impl Channels {
    /// For sums of `terms` products; most outputs lie inside the range of codes. A quarter of them have channels that are
    /// shifted to the left or not at all.
    pub fn random(count: usize, terms: usize, random: &mut Random) -> Self {
        // A sum of n random products is some 9,000 * sqrt(n); this brings it to about 100.
        let natural = -7 - (32 - (terms as u32).leading_zeros() as i32) / 2;
        let bound = (terms as i32).saturating_mul(128 * 16);
        let zero_point = random.code();
        let clamp = match random.number(0, 3) {
            0 => Clamp::NONE,
            // A ReLU.
            1 => Clamp {
                min: zero_point,
                max: i8::MAX,
            },
            _ => Clamp {
                min: random.number(-128, -20) as i8,
                max: random.number(20, 127) as i8,
            },
        };
        let mut channels = Channels {
            bias: (0..count).map(|_| random.number(-bound, bound)).collect(),
            multiplier: (0..count)
                .map(|_| match random.number(0, 15) {
                    0 => random.pick(&[0, 1, 1 << 30, i32::MAX]),
                    _ => random.number(1 << 30, i32::MAX - 1),
                })
                .collect(),
            shift: (0..count)
                .map(|_| match random.number(0, 7) {
                    0 => random.number(-23, -1) as i8,
                    1 => random.number(-7, -1) as i8,
                    _ => random.number(natural - 2, natural + 2).clamp(-23, -1) as i8,
                })
                .collect(),
            zero_point,
            clamp,
        };
        if random.number(0, 3) == 0 {
            let factors = channels.multiplier.iter_mut().zip(&mut channels.shift);
            for (multiplier, shift) in factors.step_by(random.size(1, 3)) {
                (*multiplier, *shift) =
                    (random.number(1 << 19, 1 << 23), random.number(0, 2) as i8);
            }
        }
        channels
    }

    /// The packings that allow the shifts.
    pub fn packings(&self) -> &'static [Packing] {
        if self.shift.iter().all(|shift| PAIRED_SHIFTS.contains(shift)) {
            &[Packing::Canonical, Packing::Paired]
        } else {
            &[Packing::Canonical]
        }
    }

    /// As kernels take them.
    pub fn requant(&self) -> ChannelRequant<'_> {
        ChannelRequant {
            bias: &self.bias,
            multiplier: &self.multiplier,
            shift: &self.shift,
            output_zero_point: self.zero_point,
            clamp: self.clamp,
        }
    }

    /// The code of a sum of products, the bias not yet in it.
    pub fn code(&self, channel: usize, sum: i32) -> i8 {
        let acc = i64::from(sum + self.bias[channel]);
        // High half of twice the product, halves up; then divided, halves away from zero.
        let shift = i64::from(self.shift[channel]);
        let (left, e) = (shift.max(0), (-shift).max(0));
        let high = ((acc << left) * i64::from(self.multiplier[channel]) + (1 << 30)) >> 31;
        let half = (1 << e) >> 1;
        let value = if high >= 0 {
            (high + half) >> e
        } else {
            -((-high + half) >> e)
        };
        let code = value + i64::from(self.zero_point);
        code.clamp(self.clamp.min.into(), self.clamp.max.into()) as i8
    }
}
