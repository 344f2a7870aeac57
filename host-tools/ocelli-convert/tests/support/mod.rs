//! What several tests of this crate share.
#![allow(dead_code, reason = "each test file uses its own part of this module")]

use std::path::PathBuf;

/// A file that `cargo xtask fetch` provides; without it the test fails.
pub fn asset(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/assets")
        .join(name);
    assert!(
        path.exists(),
        "{name} is missing from target/assets: run cargo xtask fetch"
    );
    path
}

/// A file beside the scripts that made it.
pub fn reference(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference")
        .join(name)
}

/// Small seeded numbers; a linear congruential generator is enough to try things with.
pub struct Numbers(pub u64);

impl Numbers {
    /// From 0 up to `below`.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    /// From `low` to `high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// Evenly from -1 to 1.
    pub fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count)
            .map(|_| self.below(20_001) as f32 / 10_000.0 - 1.0)
            .collect()
    }
}

/// The largest difference as a part of the largest expected value.
pub fn relative_error(got: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(got.len(), expected.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| {
        values.fold(
            0.0f32,
            |largest, x| {
                if x.is_nan() { x } else { largest.max(x.abs()) }
            },
        )
    };
    let error = largest(&mut got.iter().zip(expected).map(|(a, b)| a - b));
    error / largest(&mut expected.iter().copied()).max(f32::MIN_POSITIVE)
}
