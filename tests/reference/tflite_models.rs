//! The inputs of `tflite_models.py` for the tests that compare with what it wrote, on the host and on emulated boards.

/// Input number `at`, of `elems` codes: edges first, then noise and coarse patterns in turn.
pub fn codes(at: u64, elems: usize) -> Vec<i8> {
    let code = |i: u64| match at {
        0 => 0,
        1 => 255,
        _ if at.is_multiple_of(2) => {
            let value = i * 2_654_435_761 + at * 40_503;
            let value = value & 0xFFFF_FFFF;
            let value = ((value ^ (value >> 15)) * 2_246_822_519) & 0xFFFF_FFFF;
            value >> 13
        }
        _ => i / (1 + at % 7) * (at + 3) + ((i * i) >> (at % 13)),
    };
    (0..elems as u64)
        .map(|i| ((code(i) % 256) as i64 - 128) as i8)
        .collect()
}
