//! What every board does: find the model image, give it memory, and serve the host over a byte link.
//!
//! A board brings a [`ByteLink`], a [`Clock`], the place of its model image and a heap; everything else is here and in
//! `ocelli-link`, whose `Device` is the same on every board and on the host.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod memory;
mod serve;

pub use memory::Memory;
pub use serve::{ByteLink, Clock, serve};
