//! The bytes of an image, as types. All numbers are little-endian; reserved bytes are zero.

use zerocopy::little_endian::{F32, I32, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The format version that this crate writes, and the newest that it reads.
pub const VERSION: u16 = 1;
/// Images and their sections start at multiples of this many bytes.
pub const ALIGNMENT: usize = 16;
/// The most memories that an arena is made of.
pub const MAX_REGIONS: usize = 4;
/// The first bytes of every image.
pub(crate) const MAGIC: [u8; 4] = *b"OCLI";
/// "None", where an index is optional.
pub(crate) const NONE: u16 = u16::MAX;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct Header {
    pub magic: [u8; 4],
    /// Over everything behind this field.
    pub crc: U32,
    pub image_bytes: U32,
    pub version: U16,
    pub section_count: U16,
    pub arena_bytes: U32,
    pub op_count: U16,
    pub segment_count: U16,
    /// The op that is the classifier, or `NONE`.
    pub head_op: U16,
    pub reserved: [u8; 6],
}

/// Where the checksum's range begins.
pub(crate) const CRC_FROM: usize = 8;

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct SectionRecord {
    pub kind: U16,
    /// 1: a reader that does not know this kind must refuse the image.
    pub required: U16,
    pub offset: U32,
    pub bytes: U32,
    pub reserved: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct TensorRecord {
    pub h: U16,
    pub w: U16,
    pub c: U16,
    pub zero_point: i8,
    pub reserved: u8,
    pub offset: U32,
    pub rows_held: U16,
    pub reserved2: U16,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct OpRecord {
    pub kind: u8,
    pub weight_packing: u8,
    pub inputs: [U16; 2],
    pub rows_per_step: U16,
    pub params_offset: U32,
    pub scratch_offset: U32,
    pub scratch_bytes: U32,
    pub reserved: U32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct SegmentRecord {
    pub op_count: U16,
}

/// Filter, stride, dilation and padding of a sliding window.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq,
)]
#[repr(C)]
pub struct WindowRecord {
    /// Filter rows.
    pub filter_h: u8,
    /// Filter columns.
    pub filter_w: u8,
    /// Input rows per output row.
    pub stride_h: u8,
    /// Input columns per output column.
    pub stride_w: u8,
    /// Input rows between filter rows.
    pub dilation_h: u8,
    /// Input columns between filter columns.
    pub dilation_w: u8,
    /// Rows and columns around the input.
    pub padding: PaddingRecord,
}

/// Rows and columns added around a tensor.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq, Eq,
)]
#[repr(C)]
pub struct PaddingRecord {
    /// Rows above.
    pub top: u8,
    /// Rows below.
    pub bottom: u8,
    /// Columns on the left.
    pub left: u8,
    /// Columns on the right.
    pub right: u8,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct ChannelsRecord {
    pub weights_offset: U32,
    pub weights_bytes: U32,
    pub bias_offset: U32,
    pub multiplier_offset: U32,
    pub shift_offset: U32,
    pub clamp: [i8; 2],
    /// Output channels: biases, factors and shifts have one each.
    pub channels: U16,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct ConvRecord {
    pub channels: ChannelsRecord,
    pub window: WindowRecord,
    pub depth_multiplier: U16,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct FactorRecord {
    pub multiplier: I32,
    pub shift: I32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct AddRecord {
    pub factors: [FactorRecord; 2],
    pub output_factor: FactorRecord,
    pub clamp: [i8; 2],
    pub reserved: U16,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct PoolRecord {
    pub window: WindowRecord,
    pub clamp: [i8; 2],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct GlobalAveragePoolRecord {
    pub bias: I32,
    pub factor: FactorRecord,
    pub clamp: [i8; 2],
    pub reserved: U16,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct SoftmaxRecord {
    pub multiplier: I32,
    pub left_shift: U32,
    pub difference_min: I32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct MultiplyRecord {
    pub factor: FactorRecord,
    pub clamp: [i8; 2],
    pub reserved: U16,
}

/// Output code of each input code, from -128 on.
pub(crate) type TableRecord = [i8; 256];

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct LayerNormRecord {
    pub channels: ChannelsRecord,
    pub epsilon: U64,
}

/// A concatenation has no parameters.
pub(crate) type ConcatRecord = [u8; 0];

/// How pixels become codes, and how a photo becomes pixels.
///
/// The device uses `table` only; the rest lets host tools cut a photo to size as in training.
#[derive(
    FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug, PartialEq,
)]
#[repr(C)]
pub struct PreprocessRecord {
    /// Code of each value of red, green and blue.
    pub table: [[i8; 256]; 3],
    /// The shorter side of a photo is resized to this many pixels before the centre is cut out.
    pub resize_shorter: U16,
    /// [`ResizeFilter`] as a number.
    pub filter: u8,
    /// Zero.
    pub reserved: u8,
    /// Mean per channel of values in 0..1, as in training.
    pub mean: [F32; 3],
    /// Standard deviation per channel of values in 0..1, as in training.
    pub std: [F32; 3],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct RegionRecord {
    pub bytes: U32,
    /// Printable ASCII without spaces, then zeros.
    pub name: [u8; 12],
}

impl RegionRecord {
    /// The name, if it is a proper one.
    pub fn name(&self) -> Option<&str> {
        let length = self.name.iter().take_while(|&&byte| byte != 0).count();
        let (name, rest) = self.name.split_at_checked(length)?;
        let proper = !name.is_empty()
            && name.iter().all(u8::is_ascii_graphic)
            && rest.iter().all(|&byte| byte == 0);
        core::str::from_utf8(name).ok().filter(|_| proper)
    }
}

/// How a photo is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeFilter {
    /// Linear in both directions, widened when shrinking.
    Bilinear,
    /// Cubic in both directions, widened when shrinking.
    Bicubic,
}

impl ResizeFilter {
    /// The filter with a number of the format.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(ResizeFilter::Bilinear),
            1 => Some(ResizeFilter::Bicubic),
            _ => None,
        }
    }

    /// Its number in the format.
    pub const fn number(self) -> u8 {
        self as u8
    }
}
