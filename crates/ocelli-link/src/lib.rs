//! The messages between the host tools and a board, and the board's side of them.
//!
//! A [`Request`] and a [`Reply`] travel as postcard inside COBS frames ([`encode`], [`FrameReader`]). [`Device`] answers
//! requests; it allocates nothing and knows no line, so that a board and the host run the same one: the host asks both and
//! compares their answers, reply by reply (`Client::ask_both`, feature `std`).
//!
//! A board may get anything from its line. What is no request is refused with a reply, and leaves the device as it was.
//!
//! # Example
//! ```
//! use ocelli::KernelTable;
//! use ocelli_link::{Device, NoModel, Refusal, Reply, Request};
//!
//! let kernels = KernelTable::all();
//! let mut device = Device::new(None, &kernels, &mut []);
//! let mut refused = None;
//! device.handle(&Request::Classify, &mut |reply| refused = Some(format!("{reply:?}")));
//! let expected = Reply::Refused(Refusal::NoModel(NoModel::Image));
//! assert_eq!(refused, Some(format!("{expected:?}")));
//! ```
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "std")]
extern crate std;

mod device;
mod frame;
#[cfg(feature = "std")]
mod host;
mod learning;
mod message;

pub use device::{Buffers, Device};
pub use frame::{FrameReader, MESSAGE_BYTES, decode_reply, decode_request, encode, frame_bytes};
#[cfg(feature = "std")]
pub use host::{
    Client, ClientError, CompareError, Place, ReplyReader, encode_reply, encode_request,
};
pub use learning::MAX_CLASSES;
pub use message::{
    Codes, Ending, FrameError, Hello, Model, NoModel, PROTOCOL, Refusal, Reply, Request, Trained,
    Training,
};
