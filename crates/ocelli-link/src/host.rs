//! The host's side: a client over a pair of byte streams, and the comparison with a device in this process.

use std::{
    fmt,
    io::{self, Read, Write},
    vec,
    vec::Vec,
};

use crate::{
    frame::{FrameReader, MESSAGE_BYTES, decode_reply, frame_bytes},
    message::{FrameError, Reply, Request},
};

/// The most codes that the host expects in one reply.
const REPLY_CODES: usize = 1 << 20;

/// A request as it goes over the line.
pub fn encode_request(request: &Request<'_>) -> Vec<u8> {
    frame(request)
}

/// A reply as it goes over the line.
pub fn encode_reply(reply: &Reply<'_>) -> Vec<u8> {
    frame(reply)
}

fn frame<M: serde::Serialize>(message: &M) -> Vec<u8> {
    // Messages are plain numbers and slices, which postcard can always write to a vector.
    postcard::to_stdvec_cobs(message).unwrap_or_default()
}

/// Why no reply came from a board.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The stream failed; an end of the stream is [`io::ErrorKind::UnexpectedEof`].
    Io(io::Error),
    /// The board sent something that is no reply, so it probably speaks another protocol.
    Frame(FrameError),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("the board ended the connection")
            }
            Self::Io(error) => write!(f, "the connection to the board failed: {error}"),
            Self::Frame(error) => write!(f, "the board sent {error}"),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Frame(error) => Some(error),
        }
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads replies from a stream of bytes.
pub struct ReplyReader<R> {
    stream: R,
    buffer: Vec<u8>,
    // What was read from the stream and not yet looked at.
    pending: Vec<u8>,
    at: usize,
}

impl<R: Read> ReplyReader<R> {
    /// Reads from `stream`.
    pub fn new(stream: R) -> Self {
        Self {
            stream,
            buffer: vec![0; frame_bytes(REPLY_CODES + MESSAGE_BYTES)],
            pending: Vec::new(),
            at: 0,
        }
    }

    /// Waits for a reply.
    ///
    /// # Errors
    /// [`ClientError`]; an interrupted read is tried again.
    pub fn read(&mut self) -> Result<Reply<'_>, ClientError> {
        let mut frames = FrameReader::new(&mut self.buffer);
        let frame_len = loop {
            let Some(&byte) = self.pending.get(self.at) else {
                self.pending.resize(4096, 0);
                let got = match self.stream.read(&mut self.pending) {
                    Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                    Ok(got) => got,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                    Err(error) => {
                        self.pending.clear();
                        return Err(error.into());
                    }
                };
                self.pending.truncate(got);
                self.at = 0;
                continue;
            };
            self.at += 1;
            if let Some(frame) = frames.push(byte) {
                break frame.map_err(ClientError::Frame)?.len();
            }
        };
        decode_reply(&mut self.buffer[..frame_len]).map_err(ClientError::Frame)
    }
}
