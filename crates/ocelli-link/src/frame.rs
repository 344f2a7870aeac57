//! Messages in frames: postcard inside COBS, a zero byte after each frame.

use serde::{Deserialize, Serialize};

use crate::message::{FrameError, Reply, Request};

/// Bytes that a frame of a message of `payload_bytes` takes at most, the zero byte included.
pub const fn frame_bytes(payload_bytes: usize) -> usize {
    payload_bytes + payload_bytes / 254 + 2
}

/// Bytes of a message at most, beside the pixels or codes it carries.
pub const MESSAGE_BYTES: usize = 64;

/// Puts a message into a frame in `buffer`; `None` if it does not fit.
pub fn encode<'b, M: Serialize>(message: &M, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    postcard::to_slice_cobs(message, buffer)
        .ok()
        .map(|frame| &*frame)
}

/// Takes the request out of a frame without its zero byte.
///
/// # Errors
/// [`FrameError::Stuffing`], [`FrameError::Message`].
pub fn decode_request(frame: &mut [u8]) -> Result<Request<'_>, FrameError> {
    decode(unstuff(frame)?)
}

/// Takes the reply out of a frame without its zero byte.
///
/// # Errors
/// [`FrameError::Stuffing`], [`FrameError::Message`].
pub fn decode_reply(frame: &mut [u8]) -> Result<Reply<'_>, FrameError> {
    decode(unstuff(frame)?)
}

fn unstuff(frame: &mut [u8]) -> Result<&[u8], FrameError> {
    let bytes = cobs::decode_in_place(frame).map_err(|_| FrameError::Stuffing)?;
    frame.get(..bytes).ok_or(FrameError::Stuffing)
}

fn decode<'a, M: Deserialize<'a>>(payload: &'a [u8]) -> Result<M, FrameError> {
    match postcard::take_from_bytes(payload) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::Message),
    }
}

/// Gathers the bytes of a line into frames, in a buffer that the caller lends.
///
/// # Example
/// ```
/// # use ocelli_link::{FrameReader, Request, decode_request, encode};
/// let (mut line, mut buffer) = ([0; 16], [0; 16]);
/// let line = encode(&Request::Hello, &mut line).unwrap();
/// let mut reader = FrameReader::new(&mut buffer);
/// for &byte in line {
///     if let Some(frame) = reader.push(byte) {
///         assert_eq!(decode_request(frame.unwrap()), Ok(Request::Hello));
///     }
/// }
/// ```
#[derive(Debug)]
pub struct FrameReader<'b> {
    buffer: &'b mut [u8],
    // Bytes of the frame so far; more than the buffer holds where the frame is too long.
    bytes: usize,
}

impl<'b> FrameReader<'b> {
    /// Waits for the first byte of a frame. A frame, its zero byte aside, must fit `buffer`.
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, bytes: 0 }
    }

    /// Takes a byte; gives a frame without its zero byte when that ends one. Empty frames are skipped, so that a zero
    /// byte may clear the line.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] at the end of a frame that did not fit.
    pub fn push(&mut self, byte: u8) -> Option<Result<&mut [u8], FrameError>> {
        if byte != 0 {
            if let Some(slot) = self.buffer.get_mut(self.bytes) {
                *slot = byte;
            }
            self.bytes = self.bytes.saturating_add(1);
            return None;
        }
        let limit = self.buffer.len();
        match core::mem::take(&mut self.bytes) {
            0 => None,
            bytes => Some(self.buffer.get_mut(..bytes).ok_or(FrameError::TooLong {
                limit: u32::try_from(limit).unwrap_or(u32::MAX),
            })),
        }
    }
}
