//! Checksums of what ops make.

use ocelli_image::Crc32;

use crate::observer::Observer;

/// A CRC-32 per op over its whole output in row order, which does not depend on the plan.
pub struct OpDigests<'m> {
    digests: &'m mut [u32],
}

impl<'m> OpDigests<'m> {
    /// Starts anew in memory of one number per op; ops beyond its end are not observed.
    pub fn new(digests: &'m mut [u32]) -> Self {
        let mut digests = OpDigests { digests };
        digests.reset();
        digests
    }

    /// Starts anew, for the next input.
    pub fn reset(&mut self) {
        self.digests.fill(Crc32::new().value());
    }

    /// The digest of each op so far.
    pub fn digests(&self) -> &[u32] {
        self.digests
    }
}

impl Observer for OpDigests<'_> {
    fn rows(&mut self, op: usize, _first_row: usize, rows: &[i8]) {
        if let Some(digest) = self.digests.get_mut(op) {
            let mut crc = Crc32::resume(*digest);
            crc.update(zerocopy::IntoBytes::as_bytes(rows));
            *digest = crc.value();
        }
    }
}
