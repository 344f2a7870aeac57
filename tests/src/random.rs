//! Numbers that look random and are the same everywhere.

use std::ops::RangeInclusive;

use ocelli_kernels::Clamp;

/// A generator of pseudo-random numbers (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator; the same seed gives the same numbers.
    pub const fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not zero.
    pub fn below(&mut self, n: usize) -> usize {
        (self.bits() % n as u64) as usize
    }

    /// A number in a range.
    pub fn number(&mut self, range: RangeInclusive<i64>) -> i64 {
        let width = range.end().abs_diff(*range.start()) + 1;
        range.start() + (self.bits() % width) as i64
    }

    /// A size in a range.
    pub fn size(&mut self, range: RangeInclusive<usize>) -> usize {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A code, the extreme ones often.
    pub fn code(&mut self) -> i8 {
        match self.below(8) {
            0 => self.pick(&[i8::MIN, i8::MAX, 0]),
            _ => self.bits() as i8,
        }
    }

    /// Codes, sometimes small ones or extreme ones only.
    pub fn codes(&mut self, count: usize) -> Vec<i8> {
        match self.below(8) {
            0 => (0..count).map(|_| self.pick(&[i8::MIN, i8::MAX])).collect(),
            1 => (0..count).map(|_| self.number(-3..=3) as i8).collect(),
            _ => (0..count).map(|_| self.bits() as i8).collect(),
        }
    }

    /// A fused activation: none, half of the range, a narrow one, a single code.
    pub fn clamp(&mut self) -> Clamp {
        let (a, b) = (self.code(), self.code());
        match self.below(6) {
            0 => Clamp {
                min: a.min(b),
                max: a.max(b),
            },
            1 => Clamp {
                min: a,
                max: i8::MAX,
            },
            2 => Clamp { min: a, max: a },
            _ => Clamp {
                min: i8::MIN,
                max: i8::MAX,
            },
        }
    }
}

/// Calls `case` with the seeds `0..count`; says which one it was when it panics.
pub fn cases(count: u64, mut case: impl FnMut(&mut Random)) {
    for seed in 0..count {
        let _named = Named(seed);
        case(&mut Random::new(seed));
    }
}

struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was the case with seed {}", self.0);
        }
    }
}
