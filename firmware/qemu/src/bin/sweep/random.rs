//! Pseudo-random numbers, the same in every run.

/// Xorshift of 32 bits.
///
/// # Source
/// Marsaglia, Xorshift RNGs, 2003, page 4: shifts 13, 17, 5.
pub struct Random(u32);

impl Random {
    /// A generator with a seed other than zero.
    pub fn new(seed: u32) -> Self {
        Random(seed)
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// A number from `low` to `high`, both included.
    pub fn number(&mut self, low: i32, high: i32) -> i32 {
        low + (self.next() % (high - low + 1) as u32) as i32
    }

    /// A size from `low` to `high`, both included.
    pub fn size(&mut self, low: usize, high: usize) -> usize {
        self.number(low as i32, high as i32) as usize
    }

    /// One of some values.
    pub fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.size(0, values.len() - 1)]
    }

    /// A code; the smallest and the largest are frequent.
    pub fn code(&mut self) -> i8 {
        match self.next() % 8 {
            0 => i8::MIN,
            1 => i8::MAX,
            _ => self.next() as i8,
        }
    }
}
