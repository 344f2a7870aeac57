//! The messages between the host tools and a board, and the board's side of them.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "std")]
extern crate std;

mod frame;
#[cfg(feature = "std")]
mod host;
mod message;

pub use frame::{FrameReader, MESSAGE_BYTES, decode_reply, decode_request, encode, frame_bytes};
#[cfg(feature = "std")]
pub use host::{ClientError, ReplyReader, encode_reply, encode_request};
pub use message::{
    Codes, FrameError, Hello, Model, NoModel, PROTOCOL, Refusal, Reply, Request, Trained, Training,
};
