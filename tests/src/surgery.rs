//! Changing the bytes of an image on purpose, by an own reading of where its numbers lie.

use std::ops::Range;

use ocelli_image::{Crc32, ImageBuffer, ParseError, SectionKind};

/// Positions in the header.
pub mod header {
    /// Magic number.
    pub const MAGIC: usize = 0;
    /// Checksum of everything behind it.
    pub const CRC: usize = 4;
    /// Bytes of the image.
    pub const IMAGE_BYTES: usize = 8;
    /// Format version.
    pub const VERSION: usize = 12;
    /// Number of sections.
    pub const SECTION_COUNT: usize = 14;
    /// Bytes of arena.
    pub const ARENA_BYTES: usize = 16;
    /// Number of ops.
    pub const OP_COUNT: usize = 20;
    /// Number of segments.
    pub const SEGMENT_COUNT: usize = 22;
    /// The classifier.
    pub const HEAD_OP: usize = 24;
    /// Zero.
    pub const RESERVED: usize = 26;
    /// Bytes of the header.
    pub const BYTES: usize = 32;
}

/// Positions in the entry of a section.
pub mod section {
    /// What it is.
    pub const KIND: usize = 0;
    /// Whether a reader must know it.
    pub const REQUIRED: usize = 2;
    /// Where it starts.
    pub const OFFSET: usize = 4;
    /// How long it is.
    pub const LENGTH: usize = 8;
    /// Zero.
    pub const RESERVED: usize = 12;
    /// Bytes of an entry.
    pub const BYTES: usize = 16;
}

/// Positions in the record of a tensor.
pub mod tensor {
    /// Rows; columns and channels follow.
    pub const H: usize = 0;
    /// Zero.
    pub const RESERVED: usize = 7;
    /// Where it lies in the arena.
    pub const OFFSET: usize = 8;
    /// Rows in memory.
    pub const ROWS_HELD: usize = 12;
    /// Bytes of a record.
    pub const BYTES: usize = 16;
}

/// Positions in the record of an op.
pub mod op {
    /// What it is.
    pub const KIND: usize = 0;
    /// Order of its weights.
    pub const PACKING: usize = 1;
    /// The two tensors that it reads.
    pub const INPUTS: usize = 2;
    /// Rows it makes in a step.
    pub const ROWS_PER_STEP: usize = 6;
    /// Where its parameters are.
    pub const PARAMS: usize = 8;
    /// Where its scratch memory is; its length follows.
    pub const SCRATCH: usize = 12;
    /// Zero.
    pub const RESERVED: usize = 20;
    /// Bytes of a record.
    pub const BYTES: usize = 24;
}

/// Positions in the record of an op's channels, with which its parameters begin.
pub mod channels {
    /// Where the weights are; their length follows.
    pub const WEIGHTS: usize = 0;
    /// Where the biases are.
    pub const BIAS: usize = 8;
    /// Where the shifts are.
    pub const SHIFT: usize = 16;
    /// How many channels.
    pub const COUNT: usize = 22;
}

/// The bytes of an image on the operating table.
#[derive(Clone)]
pub struct Surgery(pub Vec<u8>);

impl Surgery {
    /// The two bytes at a position.
    pub fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.0[at..at + 2].try_into().expect("two bytes"))
    }

    /// The four bytes at a position.
    pub fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.0[at..at + 4].try_into().expect("four bytes"))
    }

    /// Overwrites bytes.
    pub fn set(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Overwrites two bytes.
    pub fn set_u16(&mut self, at: usize, value: u16) {
        self.set(at, &value.to_le_bytes());
    }

    /// Overwrites four bytes.
    pub fn set_u32(&mut self, at: usize, value: u32) {
        self.set(at, &value.to_le_bytes());
    }

    /// Where the table says what a section is.
    pub fn entry(&self, kind: SectionKind) -> usize {
        (0..usize::from(self.u16(header::SECTION_COUNT)))
            .map(|at| header::BYTES + at * section::BYTES)
            .find(|&at| self.u16(at + section::KIND) == kind as u16)
            .expect("a section of this kind")
    }

    /// The bytes of a section.
    pub fn section(&self, kind: SectionKind) -> Range<usize> {
        let entry = self.entry(kind);
        let start = self.u32(entry + section::OFFSET) as usize;
        start..start + self.u32(entry + section::LENGTH) as usize
    }

    /// Where the record of a tensor is.
    pub fn tensor(&self, at: usize) -> usize {
        self.section(SectionKind::Tensors).start + at * tensor::BYTES
    }

    /// Where the record of an op is.
    pub fn op(&self, at: usize) -> usize {
        self.section(SectionKind::Ops).start + at * op::BYTES
    }

    /// Where the parameters of an op are.
    pub fn params(&self, at: usize) -> usize {
        let offset = self.u32(self.op(at) + op::PARAMS) as usize;
        self.section(SectionKind::Params).start + offset
    }

    /// Makes the checksum right again.
    pub fn seal(&mut self) {
        let crc = Crc32::of(&self.0[header::IMAGE_BYTES..]);
        self.set_u32(header::CRC, crc);
    }

    /// The bytes as aligned memory.
    pub fn buffer(&self) -> ImageBuffer {
        ImageBuffer::new(&self.0)
    }

    /// What the door says to the bytes, as a whole file.
    pub fn parse(&self) -> Result<(), ParseError> {
        self.buffer().parse().map(|_| ())
    }
}
