//! Made-up samples, by integer arithmetic alone, so that every language makes the same ones.

/// Embeddings and labels of `count` samples; sample `i` has class `i % classes`.
///
/// `state = state * 1664525 + 1013904223 (mod 2^32)` from `state = seed`, once a code; a code is the upper
/// seven bits less 64, and 40 more where `feature % classes` is the sample's class.
pub fn pattern(count: usize, features: usize, classes: usize, seed: u32) -> (Vec<i8>, Vec<u16>) {
    let mut state = seed;
    let mut embeddings = Vec::new();
    let mut labels = Vec::new();
    for sample in 0..count {
        let class = sample % classes;
        labels.push(class as u16);
        for feature in 0..features {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 25) as i32 - 64;
            let signal = if feature % classes == class { 40 } else { 0 };
            embeddings.push((noise + signal) as i8);
        }
    }
    (embeddings, labels)
}
