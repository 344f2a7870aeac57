//! The device's memory, taken from the heap at the size that the board has left.

use alloc::vec::Vec;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Memory comes in blocks of the alignment that an arena needs.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C, align(16))]
struct Block([u8; 16]);

/// Zeroed heap memory that starts at a multiple of 16.
pub struct Memory(Vec<Block>);

impl Memory {
    /// Takes at most `bytes` from the heap; nothing where the heap has not that much in one piece.
    pub fn take(bytes: usize) -> Self {
        let blocks = bytes / size_of::<Block>();
        let mut memory = Vec::new();
        if memory.try_reserve_exact(blocks).is_ok() {
            memory.resize(blocks, Block([0; 16]));
        }
        Self(memory)
    }

    /// The bytes.
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        self.0.as_mut_slice().as_mut_bytes()
    }
}
