use core::fmt;

/// Why a [`HeadStore`](crate::HeadStore) refused or failed.
///
/// `E` is the error of the flash driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StoreError<E> {
    /// The flash driver failed.
    Flash(E),
    /// Read and write words must divide 32 bytes, and 32 bytes must divide a page.
    Geometry {
        /// The flash's read word.
        read_bytes: usize,
        /// The flash's write word.
        write_bytes: usize,
        /// The flash's erase page.
        erase_bytes: usize,
    },
    /// The region does not start at an erase page.
    UnalignedStart {
        /// Where the region starts.
        at: u32,
        /// What it must be a multiple of.
        page_bytes: usize,
    },
    /// The region is not a whole number of pages for each of the two slots.
    UnalignedLength {
        /// The region's bytes.
        got: usize,
        /// What they must be a multiple of.
        multiple_of: usize,
    },
    /// The region reaches beyond the flash.
    OutOfFlash {
        /// Where the region ends.
        needed: usize,
        /// The flash's bytes.
        got: usize,
    },
    /// The region has no room for a payload.
    RegionTooSmall {
        /// The bytes of the smallest region for this flash.
        needed: usize,
        /// The region's bytes.
        got: usize,
    },
    /// The payload does not fit a slot.
    PayloadTooLarge {
        /// The payload's bytes.
        needed: usize,
        /// The bytes that a slot can take.
        got: usize,
    },
    /// The buffer is shorter than the stored payload.
    BufferTooSmall {
        /// The payload's bytes.
        needed: usize,
        /// The buffer's bytes.
        got: usize,
    },
    /// There is no trial to start, confirm or reject.
    NoTrial,
    /// The trial was not started by this boot, so it cannot be confirmed.
    NotStarted,
    /// The flash holds other bytes than were written there.
    Corrupt {
        /// Where in the flash.
        at: u32,
    },
}

impl<E> From<E> for StoreError<E> {
    fn from(error: E) -> Self {
        Self::Flash(error)
    }
}

impl<E: fmt::Debug> fmt::Display for StoreError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "flash driver: {error:?}"),
            Self::Geometry {
                read_bytes,
                write_bytes,
                erase_bytes,
            } => write!(
                f,
                "flash words of {read_bytes} (read) and {write_bytes} (write) bytes must divide 32, \
                 and 32 must divide its page of {erase_bytes}"
            ),
            Self::UnalignedStart { at, page_bytes } => {
                write!(f, "region start {at:#x} is not a multiple of {page_bytes}")
            }
            Self::UnalignedLength { got, multiple_of } => {
                write!(f, "region of {got} bytes, not a multiple of {multiple_of}")
            }
            Self::OutOfFlash { needed, got } => {
                write!(f, "region ends at {needed} in a flash of {got} bytes")
            }
            Self::RegionTooSmall { needed, got } => {
                write!(f, "region of {got} bytes, {needed} needed")
            }
            Self::PayloadTooLarge { needed, got } => {
                write!(f, "payload of {needed} bytes, a slot takes {got}")
            }
            Self::BufferTooSmall { needed, got } => {
                write!(f, "payload of {needed} bytes, the buffer takes {got}")
            }
            Self::NoTrial => f.write_str("no head is on trial"),
            Self::NotStarted => f.write_str("the trial was not started by this boot"),
            Self::Corrupt { at } => write!(f, "flash at {at:#x} is not as it was written"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for StoreError<E> {}
