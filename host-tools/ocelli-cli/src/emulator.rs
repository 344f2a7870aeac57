//! A board that QEMU plays: its serial port is a pipe, its text goes to a file.

use std::io::{self, ErrorKind, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use tempfile::TempDir;

use crate::device::{Device, Emulation, Program};

/// How long a board may take to end after its goodbye.
const END: Duration = Duration::from_secs(20);

/// The board's text, in its folder.
const LOG: &str = "board.log";

/// A running board, ended when dropped.
pub struct Emulator {
    child: Child,
    folder: Option<TempDir>,
    time_limit: Duration,
}

impl Emulator {
    /// Boots a program of a device with a model image; also gives the line to it.
    pub fn start(
        emulation: &Emulation,
        device: Device,
        program: Program,
        image: &[u8],
    ) -> Result<(Self, (FromBoard, ChildStdin))> {
        let board = device.board();
        if image.len() > board.model_bytes {
            bail!(
                "the board has {} bytes for a model image, this one is of {}",
                board.model_bytes,
                image.len()
            );
        }
        let firmware = emulation.firmware(device, program)?;
        let qemu = &emulation.qemu;
        // A path is taken from the current folder, a bare name from PATH.
        let emulator = if qemu.components().count() > 1 {
            std::path::absolute(qemu)?
        } else {
            qemu.to_path_buf()
        };
        let folder = TempDir::with_prefix("ocelli-board-")?;
        // Names without a path: commas in one would mean something to QEMU.
        std::fs::write(folder.path().join("model.ocl"), image)?;
        let time_limit = emulation.time_limit();
        let mut command = Command::new(emulator);
        command
            .current_dir(folder.path())
            .args(["-machine", board.machine])
            .args(["-display", "none", "-monitor", "none"])
            .args([
                "-chardev",
                "stdio,id=link,signal=off",
                "-serial",
                "chardev:link",
            ])
            .args(["-chardev", &format!("file,id=text,path={LOG}")])
            .args([
                "-semihosting-config",
                "enable=on,target=native,chardev=text",
            ])
            .arg("-device")
            .arg(format!(
                "loader,file=model.ocl,addr={:#x},force-raw=on",
                board.model_address
            ))
            .args(program.clock())
            .arg("-kernel")
            .arg(firmware)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        tracing::debug!("{command:?}");
        let mut child = command.spawn().with_context(|| {
            format!(
                "{}: cannot be started: install QEMU (Debian: apt-get install qemu-system-arm), or name it with --qemu",
                qemu.display()
            )
        })?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let emulator = Self {
            child,
            folder: Some(folder),
            time_limit,
        };
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            bail!("the emulator has no serial port");
        };
        Ok((emulator, (FromBoard::new(stdout, time_limit), stdin)))
    }

    /// Waits for the end of a board that was told goodbye; how it used its RAM, where its last words say so.
    pub fn finish(mut self) -> Result<Option<RamUse>> {
        match self.wait(END)? {
            Some(status) if status.success() => Ok(self.log().and_then(|log| RamUse::find(&log))),
            Some(status) => Err(self.explain(anyhow!("the board ended with {status}"))),
            None => Err(self.explain(anyhow!("the board did not end after its goodbye"))),
        }
    }

    /// Waits for the end of a board that ends by itself; what it has written.
    pub fn text(mut self) -> Result<String> {
        match self.wait(self.time_limit)? {
            Some(status) if status.success() => {
                let log = self.log().unwrap_or_default();
                Ok(String::from_utf8_lossy(&log).into_owned())
            }
            Some(_) => Err(self.explain(anyhow!("it failed"))),
            None => Err(self.explain(io::Error::from(ErrorKind::TimedOut).into())),
        }
    }

    /// What a failure looks like from here: how the emulator ended, and the board's last words.
    pub fn explain(mut self, error: anyhow::Error) -> anyhow::Error {
        let timed_out = error.chain().any(|cause| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == ErrorKind::TimedOut)
        });
        let mut story = if timed_out {
            let limit = self.time_limit.as_secs();
            format!("the board gave no answer for {limit} s (--time-limit allows more)")
        } else {
            format!("the board: {error:#}")
        };
        // A board that has failed ends by itself, and at once.
        let patience = if timed_out {
            Duration::ZERO
        } else {
            Duration::from_secs(2)
        };
        if let Ok(Some(status)) = self.wait(patience) {
            story.push_str(&format!("; the emulator ended with {status}"));
        }
        let words = self.log().and_then(|log| last_words(&log));
        let Some(folder) = self.folder.take().map(TempDir::keep) else {
            return anyhow!(story);
        };
        let log = folder.join(LOG);
        if let Some(words) = words {
            story.push_str(&format!("; its last words: {words}"));
        }
        anyhow!("{story}; its log: {}", log.display())
    }

    /// What the board has written so far.
    fn log(&self) -> Option<Vec<u8>> {
        std::fs::read(self.folder.as_ref()?.path().join(LOG)).ok()
    }

    fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let started = Instant::now();
        loop {
            match self.child.try_wait()? {
                None if started.elapsed() < limit => thread::sleep(Duration::from_millis(10)),
                status => return Ok(status),
            }
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended already; there is nothing to do about anything else.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a board used its RAM, as its firmware tells when it ends.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct RamUse {
    /// All RAM that the firmware was linked for.
    pub bytes: u32,
    /// The stack at its deepest.
    pub stack_bytes: u32,
    /// The firmware's variables.
    pub static_bytes: u32,
}

impl RamUse {
    /// From lines between binary frames.
    fn find(log: &[u8]) -> Option<Self> {
        let log = String::from_utf8_lossy(log);
        let number = |name: &str| {
            let (_, number) = log.rsplit_once(name)?;
            number.split('\n').next()?.parse().ok()
        };
        Some(Self {
            bytes: number("ram_bytes ")?,
            stack_bytes: number("stack_bytes ")?,
            static_bytes: number("static_bytes ")?,
        })
    }
}

/// The last line of text in a log that also holds binary frames.
fn last_words(log: &[u8]) -> Option<String> {
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
    let lines = log.split(|byte| !is_text(byte));
    let words = lines.rev().find(|line| line.len() >= 8)?;
    Some(String::from_utf8_lossy(words).trim().to_string())
}

/// What a board sends; a read that takes too long fails with [`ErrorKind::TimedOut`].
pub struct FromBoard {
    chunks: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    taken: usize,
    time_limit: Duration,
}

impl FromBoard {
    fn new(mut pipe: impl Read + Send + 'static, time_limit: Duration) -> Self {
        let (send, chunks) = channel();
        // A pipe cannot be read with a time limit, a channel can. The thread ends with the emulator.
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(got @ 1..) = pipe.read(&mut buffer) {
                if send.send(buffer[..got].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            chunks,
            chunk: Vec::new(),
            taken: 0,
            time_limit,
        }
    }
}

impl Read for FromBoard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.chunk.len() {
            self.chunk = match self.chunks.recv_timeout(self.time_limit) {
                Ok(chunk) => chunk,
                Err(RecvTimeoutError::Timeout) => return Err(ErrorKind::TimedOut.into()),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            };
            self.taken = 0;
        }
        let left = &self.chunk[self.taken..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_found_between_binary_frames() {
        let log = b"\x01\x02boot of the board\n\xff\x00panicked at main.rs\n\x03ab\x00";
        assert_eq!(last_words(log).as_deref(), Some("panicked at main.rs"));
        assert_eq!(last_words(b"\x00\x01"), None);
    }

    #[test]
    fn the_use_of_ram_is_found_between_binary_frames() {
        let log = b"\x01\x02\xff\x00ram_bytes 64\nstack_bytes 24\nstatic_bytes 8\n\x00\x03";
        let used = RamUse {
            bytes: 64,
            stack_bytes: 24,
            static_bytes: 8,
        };
        assert_eq!(RamUse::find(log), Some(used));
        assert_eq!(RamUse::find(b"\x00ram_bytes 64\n"), None);
        assert_eq!(
            RamUse::find(b"ram_bytes x\nstack_bytes 1\nstatic_bytes 1\n"),
            None
        );
    }

    #[test]
    fn a_silent_board_is_not_waited_for_forever() {
        let (reader, _writer) = io::pipe().unwrap();
        let mut board = FromBoard::new(reader, Duration::from_millis(20));
        let error = board.read(&mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn what_a_board_sends_arrives_whole_whatever_the_size_of_reads() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut board = FromBoard::new(io::Cursor::new(bytes.clone()), Duration::from_secs(5));
        let mut got = Vec::new();
        let mut buffer = [0; 7];
        while let Ok(count @ 1..) = board.read(&mut buffer) {
            got.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(got, bytes);
    }
}
