//! The one checksum: of images, of what ops make, and of training states.

const ALGORITHM: crc::Crc<u32, crc::Table<1>> =
    crc::Crc::<u32, crc::Table<1>>::new(&crc::CRC_32_ISO_HDLC);
static TABLE: crc::Crc<u32, crc::Table<1>> = ALGORITHM;

/// A running CRC-32 (ISO-HDLC, the one of zlib).
///
/// # Example
/// ```
/// let mut crc = ocelli_image::Crc32::new();
/// crc.update(b"1234");
/// crc.update(b"56789");
/// assert_eq!(crc.value(), 0xcbf4_3926); // the catalogue's check value
/// ```
#[derive(Clone)]
pub struct Crc32(crc::Digest<'static, u32, crc::Table<1>>);

impl Crc32 {
    /// Over nothing yet.
    pub fn new() -> Self {
        Crc32(TABLE.digest())
    }

    /// Goes on after the bytes whose checksum is `value`.
    ///
    /// # Example
    /// ```
    /// use ocelli_image::Crc32;
    /// let mut crc = Crc32::resume(Crc32::of(b"1234"));
    /// crc.update(b"56789");
    /// assert_eq!(crc.value(), Crc32::of(b"123456789"));
    /// ```
    pub fn resume(value: u32) -> Self {
        // The algorithm is reflected and ends in an exclusive or with all ones: undo both.
        Crc32(TABLE.digest_with_initial((!value).reverse_bits()))
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    pub fn value(&self) -> u32 {
        self.0.clone().finalize()
    }

    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> u32 {
        TABLE.checksum(bytes)
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}
