//! What `parse` refuses, one variant per rule.

use core::fmt;

/// The sections of an image, with their numbers in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u16)]
pub enum SectionKind {
    /// Shapes, zero points and places of tensors.
    Tensors = 1,
    /// Ops in running order.
    Ops = 2,
    /// Parameters of ops.
    Params = 3,
    /// How the ops are cut into segments.
    Segments = 4,
    /// Weights, biases and factors.
    Weights = 5,
    /// From pixels to codes.
    Preprocess = 6,
    /// Names of the classes.
    Labels = 7,
    /// Names of the source's nodes.
    Names = 8,
    /// Real scales, which training needs and inference does not.
    Scales = 9,
    /// Memories that the arena is made of.
    Regions = 10,
}

impl SectionKind {
    /// The kind with a number of the format.
    pub fn from_number(number: u16) -> Option<Self> {
        use SectionKind::*;
        let all = [
            Tensors, Ops, Params, Segments, Weights, Preprocess, Labels, Names, Scales, Regions,
        ];
        all.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// Why a file is not a usable image. `at` is the number of the tensor, op or segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ParseError {
    /// The file is shorter than its header, or than the header says.
    TooShort {
        /// Bytes needed.
        needed: usize,
        /// Bytes given.
        got: usize,
    },
    /// A file goes on behind the end of its image.
    TrailingBytes {
        /// Bytes of the image.
        needed: usize,
        /// Bytes of the file.
        got: usize,
    },
    /// The bytes do not start at a multiple of sixteen in memory.
    Misaligned,
    /// The file does not start with `OCLI`.
    Magic,
    /// Written by a newer version of the format.
    Version {
        /// Newest version that can be read.
        supported: u16,
        /// Version of the file.
        got: u16,
    },
    /// The checksum is wrong: the file is damaged.
    Checksum {
        /// In the file.
        stored: u32,
        /// Of the file.
        computed: u32,
    },
    /// A reserved byte of the header, a section, a tensor or an op is not zero.
    Reserved,
    /// A section lies outside the file.
    SectionBounds {
        /// Position in the table.
        at: usize,
    },
    /// A section does not start at a multiple of sixteen.
    SectionAlignment {
        /// Position in the table.
        at: usize,
    },
    /// A section that must be understood is not known to this version.
    SectionUnknown {
        /// Its number.
        kind: u16,
    },
    /// A section appears twice.
    SectionTwice {
        /// Which one.
        kind: SectionKind,
    },
    /// A section that every image has is missing.
    SectionMissing {
        /// Which one.
        kind: SectionKind,
    },
    /// A section has not the size that its contents need.
    SectionSize {
        /// Which one.
        kind: SectionKind,
    },
    /// The image has no op.
    Empty,
    /// A tensor has an extent of zero.
    TensorExtent {
        /// Its number.
        at: usize,
    },
    /// A tensor holds no row, or more rows than it has.
    RowsHeld {
        /// Its number.
        at: usize,
    },
    /// The rows of a tensor lie outside the arena.
    TensorBounds {
        /// Its number.
        at: usize,
    },
    /// A tensor that is read in another segment than it is made in does not hold all its rows.
    TensorNotWhole {
        /// Its number.
        at: usize,
    },
    /// An op of unknown kind.
    OpKind {
        /// Its number.
        at: usize,
        /// The kind's number.
        got: u8,
    },
    /// Weights in an unknown order.
    OpPacking {
        /// The op's number.
        at: usize,
    },
    /// An op reads a tensor that is not made before it.
    OpInput {
        /// Its number.
        at: usize,
    },
    /// An op makes no row in a step.
    OpRowsPerStep {
        /// Its number.
        at: usize,
    },
    /// The parameters of an op lie outside their section.
    OpParams {
        /// Its number.
        at: usize,
    },
    /// Weights, biases or factors lie outside their section, or askew.
    OpWeights {
        /// The op's number.
        at: usize,
    },
    /// The scratch memory of an op lies outside the arena.
    OpScratch {
        /// Its number.
        at: usize,
    },
    /// The segments do not add up to the ops.
    Segments,
    /// The classifier is not a dense op.
    Head,
    /// Labels or names are not text, or not as many as needed.
    Text {
        /// Which section.
        kind: SectionKind,
    },
    /// An unknown resize filter, a photo size of zero, or an input without three channels.
    Preprocess,
    /// A scale is not a positive finite number.
    Scale,
    /// A memory region has no proper name, or a length that is no multiple of sixteen.
    Region {
        /// Its number.
        at: usize,
    },
    /// The memory regions do not add up to the arena.
    Regions,
    /// A tensor lies across the border of two memory regions.
    TensorRegion {
        /// Its number.
        at: usize,
    },
    /// The scratch memory of an op lies across the border of two memory regions.
    ScratchRegion {
        /// The op's number.
        at: usize,
    },
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ParseError::*;
        match *self {
            TooShort { needed, got } => write!(f, "cut short: {needed} bytes needed, {got} there"),
            TrailingBytes { needed, got } => {
                write!(
                    f,
                    "{} bytes behind the end of the image",
                    got.saturating_sub(needed)
                )
            }
            Misaligned => f.write_str("the image does not start at a multiple of 16 bytes"),
            Magic => f.write_str("not an Ocelli image"),
            Version { supported, got } => {
                write!(
                    f,
                    "format version {got} is newer than {supported}: update Ocelli"
                )
            }
            Checksum { stored, computed } => {
                write!(
                    f,
                    "damaged: checksum {stored:08x} stored, {computed:08x} computed"
                )
            }
            Reserved => f.write_str("a reserved byte is not zero"),
            SectionBounds { at } => write!(f, "section {at} lies outside the file"),
            SectionAlignment { at } => write!(f, "section {at} is not aligned"),
            SectionUnknown { kind } => write!(f, "unknown required section {kind}: update Ocelli"),
            SectionTwice { kind } => write!(f, "section {kind:?} appears twice"),
            SectionMissing { kind } => write!(f, "section {kind:?} is missing"),
            SectionSize { kind } => write!(f, "section {kind:?} has a wrong size"),
            Empty => f.write_str("no ops"),
            TensorExtent { at } => write!(f, "tensor {at} has an extent of zero"),
            RowsHeld { at } => write!(f, "tensor {at} holds no row or too many"),
            TensorBounds { at } => write!(f, "tensor {at} lies outside the arena"),
            TensorNotWhole { at } => write!(f, "tensor {at} crosses segments but is not whole"),
            OpKind { at, got } => write!(f, "op {at} is of unknown kind {got}"),
            OpPacking { at } => write!(f, "the weights of op {at} lie in an unknown order"),
            OpInput { at } => write!(f, "op {at} reads a tensor that is not made before it"),
            OpRowsPerStep { at } => write!(f, "op {at} makes no rows"),
            OpParams { at } => write!(f, "the parameters of op {at} lie outside their section"),
            OpWeights { at } => write!(f, "the weights of op {at} lie outside their section"),
            OpScratch { at } => write!(f, "the scratch memory of op {at} lies outside the arena"),
            Segments => f.write_str("the segments do not add up to the ops"),
            Head => f.write_str("the classifier is not a dense op"),
            Text { kind } => write!(f, "section {kind:?} is not text or has a wrong count"),
            Preprocess => f.write_str(
                "preprocessing with an unknown filter, a size of zero, or not for three channels",
            ),
            Scale => f.write_str("a scale is not a positive number"),
            Region { at } => write!(f, "memory region {at} has a wrong name or length"),
            Regions => f.write_str("the memory regions do not add up to the arena"),
            TensorRegion { at } => write!(f, "tensor {at} lies in two memory regions"),
            ScratchRegion { at } => {
                write!(
                    f,
                    "the scratch memory of op {at} lies in two memory regions"
                )
            }
        }
    }
}

impl core::error::Error for ParseError {}
