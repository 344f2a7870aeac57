//! A short number that stands for the bits of many floats.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// CRC-32 (ISO-HDLC) over the little-endian bits of `parts`, one after another.
pub(crate) fn digest(parts: &[&[f32]]) -> u32 {
    let mut digest = CRC.digest();
    for value in parts.iter().copied().flatten() {
        digest.update(&value.to_bits().to_le_bytes());
    }
    digest.finalize()
}
