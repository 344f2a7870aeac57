//! Runs quantized vision networks on microcontrollers, and teaches them new classes there.
//!
//! A network is a model image (made by the program `ocelli`), checked by [`Image::parse`]. A [`Session`] runs it row by
//! row in memory that the caller gives; it allocates nothing, uses no float and cannot fail once it is made.
//!
//! # Example
//! ```no_run
//! use ocelli::{Image, KernelTable, Session, arena_bytes};
//!
//! # fn example(model: &[u8], memory: &mut [u8], photo: &[u8]) -> Result<(), Box<dyn core::error::Error>> {
//! let image = Image::parse(model)?;
//! assert!(memory.len() >= arena_bytes(&image));
//! let kernels = KernelTable::all();
//! let mut session = Session::new(&image, memory, &kernels)?;
//! session.run_pixels(photo, &mut ())?;
//! let (class, score) = session.top().unwrap();
//! # Ok(())
//! # }
//! ```
#![no_std]
#![forbid(unsafe_code)]

mod apart;
pub mod block;
pub mod camera;
mod check;
mod digest;
mod error;
mod families;
#[cfg(feature = "learn")]
pub mod learn;
mod memory;
mod observer;
mod rings;
mod session;

pub use digest::OpDigests;
pub use error::{InputError, LoadError};
pub use families::{Family, KernelTable, OpContext, OpIo, packing, scratch_bytes, window};
pub use memory::{arena_bytes, region_bytes};
pub use observer::Observer;
pub use ocelli_image::{Crc32, Image, OpKind, ParseError, Region, Tensor};
pub use ocelli_kernels as kernels;
pub use ocelli_kernels::{ShapeError, backend};
pub use rings::input_rows;
pub use session::{InputRow, Progress, Session, Step};
