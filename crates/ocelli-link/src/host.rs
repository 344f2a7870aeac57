//! The host's side: a client over a pair of byte streams, and the comparison with a device in this process.

use std::io::{self, Read, Write};
use std::{fmt, format, string::String, vec, vec::Vec};

use crate::device::Device;
use crate::frame::{FrameReader, MESSAGE_BYTES, decode_reply, frame_bytes};
use crate::message::{FrameError, Refusal, Reply, Request};

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

/// Asks a board and waits for its answer.
pub struct Client<R, W> {
    replies: ReplyReader<R>,
    requests: W,
}

impl<R: Read, W: Write> Client<R, W> {
    /// Talks over a pair of streams, such as two clones of a socket.
    ///
    /// # Errors
    /// [`ClientError::Io`]. A zero byte is sent at once, which ends whatever is on the line.
    pub fn new(replies: R, mut requests: W) -> Result<Self, ClientError> {
        requests.write_all(&[0])?;
        requests.flush()?;
        Ok(Self {
            replies: ReplyReader::new(replies),
            requests,
        })
    }

    /// Sends a request and hands out each reply, the final one last.
    ///
    /// Start with [`Request::Hello`]: what the board says about noise that was on the line before is skipped there.
    ///
    /// # Errors
    /// [`ClientError`]; the client is of no use then.
    pub fn ask(
        &mut self,
        request: &Request<'_>,
        mut on_reply: impl FnMut(&Reply<'_>),
    ) -> Result<(), ClientError> {
        self.send(request)?;
        loop {
            let reply = self.replies.read()?;
            if matches!(
                (request, &reply),
                (Request::Hello, Reply::Refused(Refusal::Frame(_)))
            ) {
                continue;
            }
            on_reply(&reply);
            if reply.is_final() {
                return Ok(());
            }
        }
    }

    /// Asks the board and a device in this process the same, and compares their answers reply by reply.
    ///
    /// `on_reply` gets each reply that is equal, as it comes. The answers to [`Request::Hello`] differ where the
    /// kernels do: use [`ask`](Self::ask) for it.
    ///
    /// # Errors
    /// [`CompareError`]. After [`CompareError::Differs`] the client may be used no more: what else the board says is unread.
    pub fn ask_both(
        &mut self,
        device: &mut Device<'_>,
        request: &Request<'_>,
        mut on_reply: impl FnMut(&Reply<'_>),
    ) -> Result<(), CompareError> {
        self.send(request)?;
        let mut expected = Vec::new();
        device.handle(request, &mut |reply| expected.push(encode_reply(reply)));
        for host in expected {
            let reply = self.replies.read()?;
            if encode_reply(&reply) != host {
                let mut host = host;
                let host = decode_reply(&mut host).map_err(ClientError::Frame)?;
                return Err(CompareError::differs(&host, &reply));
            }
            on_reply(&reply);
        }
        Ok(())
    }

    fn send(&mut self, request: &Request<'_>) -> Result<(), ClientError> {
        self.requests.write_all(&encode_request(request))?;
        self.requests.flush()?;
        Ok(())
    }
}

/// Why the board's answer is not the host's.
#[derive(Debug)]
#[non_exhaustive]
pub enum CompareError {
    /// There is no answer.
    Client(ClientError),
    /// The board says something else than the device in this process.
    Differs {
        /// What the replies are about.
        place: Place,
        /// What the device in this process says.
        host: String,
        /// What the board says.
        board: String,
    },
}

/// What two different replies are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The output of this op.
    Op(u32),
    /// This training step.
    Step(u32),
    /// Anything else, which the replies show.
    Other,
}

impl CompareError {
    fn differs(host: &Reply<'_>, board: &Reply<'_>) -> Self {
        Self::Differs {
            place: match *host {
                Reply::Op { op, .. } => Place::Op(op),
                Reply::Step { step, .. } => Place::Step(step),
                _ => Place::Other,
            },
            host: format!("{host:?}"),
            board: format!("{board:?}"),
        }
    }
}

impl fmt::Display for CompareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => error.fmt(f),
            Self::Differs { host, board, .. } => {
                write!(f, "the board says {board}, the host says {host}")
            }
        }
    }
}

impl std::error::Error for CompareError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Client(error) => Some(error),
            Self::Differs { .. } => None,
        }
    }
}

impl From<ClientError> for CompareError {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}
