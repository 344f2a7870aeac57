//! Keeps what was learnt in NOR flash, safe against power loss.
//!
//! A [`HeadStore`] owns two slots in a region of flash. A new head is written into the slot that does
//! not hold the confirmed head, goes **on trial** for one boot, and is then **confirmed** or
//! **rejected**. The store knows only bytes: a head is an opaque payload with a `kind` that the caller
//! chooses, for instance the CRC of the model image that the head belongs to.
//!
//! # Which head is loaded
//!
//! 1. The newest head, if it is on trial and was not started yet, or was started by this very
//!    `HeadStore` (a trial that an earlier boot started and did not confirm is rolled back);
//! 2. otherwise the newest confirmed head;
//! 3. otherwise none.
//!
//! Make one `HeadStore` a boot: it remembers which trial this boot is running.
//!
//! # What a power cut can do
//!
//! Power may fail at any moment. After the reboot [`HeadStore::load`] gives the confirmed head or the
//! one on trial, always whole; and once a head was confirmed, never none.
//!
//! - The confirmed head's slot is neither written nor erased before a newer head is confirmed.
//! - The header is written after the payload. It makes the slot valid, and a torn one fails its CRC.
//! - A torn *confirmed* mark does not confirm; a torn *started* or *rejected* mark counts as made.
//! - No word is written twice between two erases, as flash with ECC demands. (A torn word that still
//!   reads as erased counts as not written: nobody can tell.) Where the driver reports
//!   a torn word as a read error, the slot counts as damaged as long as the other one has a head. (A
//!   driver that faults on such a word instead, as plain memory reads of an STM32H7 do, needs a fault
//!   handler.)
//! - A slot's pages are erased from the last to the first, so that a cut loses the payload before the
//!   marks. A head that lies in a slot's first page alone goes with its marks in one erase; should that
//!   stop where it took the marks and nothing else, a rejected head is on trial once more.
//!
//! Not covered: a torn word whose bits read differently each time, and erases that report success and
//! do nothing.
//!
//! # Format
//!
//! The region is cut into two slots of equal size, each a whole number of erase pages. All numbers are
//! little-endian, CRC means CRC-32/ISO-HDLC (zlib's), and every part starts at a multiple of 32 bytes,
//! the largest write word supported: the bytes are the same on every flash.
//!
//! | offset | bytes | content |
//! | ---: | ---: | --- |
//! | 0 | 4 | magic, the ASCII characters `OCHD` |
//! | 4 | 4 | format version, 1 |
//! | 8 | 4 | sequence number; the newer of two heads has the higher one, compared modulo 2^32 |
//! | 12 | 4 | payload length in bytes |
//! | 16 | 4 | kind, the caller's |
//! | 20 | 4 | CRC of the payload |
//! | 24 | 4 | reserved, zero |
//! | 28 | 4 | CRC of the bytes 0 to 27 |
//! | 32 | 32 | mark *trial started*: made if any bit is clear |
//! | 64 | 32 | mark *confirmed*: made if all 32 bytes are 0x5A |
//! | 96 | 32 | mark *rejected*: made if any bit is clear; overrules *confirmed* |
//! | 128 | length | payload, filled up with 0xFF to a multiple of 32 bytes |
//!
//! A mark that is not made is left erased (0xFF); each is made by writing 0x5A to its 32 bytes.
//!
//! **Version rule.** Any change of this table raises the version, and a release reads its own version
//! and all before it. Magic and version stay where they are. A slot with a later version counts as
//! empty: older firmware never misreads it, and overwrites it as it learns.
//!
//! # Example
//!
//! ```
//! use embedded_storage::nor_flash::NorFlash;
//! use ocelli_store::{HeadState, HeadStore, StoreError};
//!
//! /// At boot: reads the head for this model; true if there is one.
//! fn boot<F: NorFlash>(
//!     store: &mut HeadStore<F>,
//!     model: u32,
//!     head: &mut [u8],
//! ) -> Result<bool, StoreError<F::Error>> {
//!     let Some(stored) = store.read_into(head)?.filter(|stored| stored.kind == model) else {
//!         return Ok(false);
//!     };
//!     if stored.state == HeadState::Trial {
//!         store.start_trial()?; // From here on, a crash brings the old head back.
//!     }
//!     Ok(true)
//! }
//!
//! /// After training.
//! fn keep<F: NorFlash>(
//!     store: &mut HeadStore<F>,
//!     model: u32,
//!     (weights, biases): (&[u8], &[u8]),
//! ) -> Result<(), StoreError<F::Error>> {
//!     store.write_trial(model, &[weights, biases])?;
//!     Ok(())
//! }
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod error;
mod slot;
mod store;

pub use error::StoreError;
pub use slot::{HeadState, Stored};
pub use store::HeadStore;
