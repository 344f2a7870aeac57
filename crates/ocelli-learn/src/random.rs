//! The generator that shuffles samples.

/// SplitMix64: 64 bits of state, every seed is a good one.
///
/// # Source
/// Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014, with the
/// constants of Vigna's `splitmix64.c`.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(u64);

impl SplitMix64 {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`: the upper 32 bits times `bound`, upper half. Off from uniform by at
    /// most `bound` in 2^32, without a division.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let upper = self.next_u64() >> 32;
        ((upper * u64::from(bound)) >> 32) as u32
    }

    /// Fisher and Yates's shuffle, from the last element to the first.
    pub(crate) fn shuffle(&mut self, mut items: &mut [u32]) {
        while let Some((last, before)) = items.split_last_mut() {
            let choices = before.len() as u32 + 1;
            // The choice beyond `before` is `last` itself.
            if let Some(other) = before.get_mut(self.below(choices) as usize) {
                core::mem::swap(last, other);
            }
            items = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_published_numbers() {
        // The first outputs of Vigna's splitmix64.c for the state 1234567.
        let mut random = SplitMix64::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn a_shuffle_keeps_every_index() {
        let mut items = [0, 1, 2, 3, 4, 5, 6, 7];
        SplitMix64::new(1).shuffle(&mut items);
        assert_ne!(items, [0, 1, 2, 3, 4, 5, 6, 7]);
        items.sort_unstable();
        assert_eq!(items, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn shuffles_reach_every_order_about_equally_often() {
        let mut random = SplitMix64::new(7);
        let mut counts = [0u32; 6];
        for _ in 0..6000 {
            let mut items = [0, 1, 2];
            random.shuffle(&mut items);
            let rank = items[0] * 2 + u32::from(items[1] > items[2]);
            counts[rank as usize] += 1;
        }
        // 1,000 each with a standard deviation of 29.
        assert!(
            counts.iter().all(|&count| count.abs_diff(1000) < 150),
            "{counts:?}"
        );
    }
}
