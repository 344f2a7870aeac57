//! The Ocelli model image: one file with everything that a device needs to run a network.
//!
//! [`Image::parse`] checks a file once, at the door: every offset, count and bound. What it returns is read without
//! copies and cannot fail. `FORMAT.md` in the repository says what every byte means. The writer, [`Model`], exists with
//! feature `alloc`.
//!
//! This crate knows where numbers lie, not what they do: it has no arithmetic of networks.
//!
//! # Example
//! ```
//! use ocelli_image::{Image, ParseError};
//!
//! #[repr(align(16))]
//! struct Aligned([u8; 64]);
//! assert_eq!(Image::parse(&Aligned([0; 64]).0).err(), Some(ParseError::Magic));
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(not(target_endian = "little"))]
compile_error!("an image is read in place: only little-endian targets are supported");

#[cfg(any(test, feature = "alloc"))]
extern crate alloc;

mod body;
mod crc32;
mod error;
mod parse;
mod reader;
mod record;
#[cfg(any(test, feature = "alloc"))]
mod writer;

pub use body::{Body, ChannelsRef, Factor, OpKind, Storage, WeightPacking};
pub use crc32::Crc32;
pub use error::{ParseError, SectionKind};
pub use reader::{Image, Op, Region, Segment, Tensor};
pub use record::{
    ALIGNMENT, MAX_REGIONS, PaddingRecord, PreprocessRecord, ResizeFilter, VERSION, WindowRecord,
};
#[cfg(any(test, feature = "alloc"))]
pub use writer::{Channels, EncodeError, ImageBuffer, Model, ModelOp, ModelRegion};
