//! The bytes of a slot; the crate's documentation has the table.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// The unit of the layout: the largest write word supported. All smaller ones divide it.
pub(crate) const CELL_BYTES: usize = 32;
pub(crate) type Cell = [u8; CELL_BYTES];

pub(crate) const STARTED_OFFSET: u32 = 32;
pub(crate) const CONFIRMED_OFFSET: u32 = 64;
pub(crate) const REJECTED_OFFSET: u32 = 96;
pub(crate) const PAYLOAD_OFFSET: u32 = 128;

pub(crate) const BLANK: Cell = [0xFF; CELL_BYTES];
pub(crate) const MARK: Cell = [0x5A; CELL_BYTES];

pub(crate) const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

const MAGIC: u32 = u32::from_le_bytes(*b"OCHD");
const VERSION: u32 = 1;

/// What stands a stored head has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum HeadState {
    /// Written, and not used by any boot yet.
    Trial,
    /// On trial in this boot: the next boot rolls it back unless it is confirmed.
    Running,
    /// Confirmed.
    Confirmed,
}

/// A head that the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stored {
    /// What the caller gave to `write_trial`, for instance the model image's CRC.
    pub kind: u32,
    /// Higher than that of the head before it, modulo 2^32.
    pub sequence: u32,
    /// The payload's bytes.
    pub len_bytes: usize,
    /// Whether it is on trial or confirmed.
    pub state: HeadState,
}

#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub sequence: u32,
    pub len_bytes: u32,
    pub kind: u32,
    pub payload_crc: u32,
}

impl Header {
    pub fn encode(&self) -> Cell {
        let words = [
            MAGIC,
            VERSION,
            self.sequence,
            self.len_bytes,
            self.kind,
            self.payload_crc,
            0,
        ];
        let mut cell = [0; CELL_BYTES];
        let bytes = words.into_iter().chain([header_crc(words)]);
        for (to, byte) in cell.iter_mut().zip(bytes.flat_map(u32::to_le_bytes)) {
            *to = byte;
        }
        cell
    }

    /// The header in `cell`, unless it is damaged, of a later version, or no header at all.
    pub fn decode(cell: &Cell) -> Option<Self> {
        let mut words = [0; CELL_BYTES / 4];
        for (word, bytes) in words.iter_mut().zip(cell.chunks_exact(4)) {
            *word = u32::from_le_bytes(bytes.try_into().ok()?);
        }
        let [
            magic,
            version,
            sequence,
            len_bytes,
            kind,
            payload_crc,
            reserved,
            crc,
        ] = words;
        let summed = [
            magic,
            version,
            sequence,
            len_bytes,
            kind,
            payload_crc,
            reserved,
        ];
        let valid = magic == MAGIC && version == VERSION && crc == header_crc(summed);
        valid.then_some(Self {
            sequence,
            len_bytes,
            kind,
            payload_crc,
        })
    }
}

fn header_crc(words: [u32; 7]) -> u32 {
    let mut digest = CRC.digest();
    for word in words {
        digest.update(&word.to_le_bytes());
    }
    digest.finalize()
}
