//! An emulated board as a partner in conversation.

use std::process::{ChildStdin, ChildStdout, Stdio};

use ocelli::{Image, KernelTable};
use ocelli_link::{Client, Codes, CompareError, Device, Place, Reply, Request};
use ocelli_tests::memory::Arena;
use tempfile::TempDir;

use crate::process::{Core, Emulator, M4, emulator};

static KERNELS: KernelTable = KernelTable::all();

/// A board in an emulator of its own.
pub struct Board {
    emulator: Emulator,
    folder: TempDir,
    client: Client<ChildStdout, ChildStdin>,
}

/// What a board made of an input.
#[derive(Default)]
pub struct Seen {
    /// A digest of each op.
    pub digests: Vec<u32>,
    /// The output.
    pub codes: Vec<i8>,
}

impl Board {
    /// Boots an M4 with these bytes where a model image belongs, or with nothing there.
    pub fn boot(model: Option<&[u8]>) -> Self {
        Self::boot_on(M4, model)
    }

    /// Boots another board.
    pub fn boot_on(core: Core, model: Option<&[u8]>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut command = emulator(core, "device");
        if let Some(bytes) = model {
            std::fs::write(folder.path().join("model.ocl"), bytes).expect("a model image");
            let address = core.model_address;
            let loader = format!("loader,file=model.ocl,addr={address:#x},force-raw=on");
            command.args(["-device", &loader]);
        }
        // Names without a path: commas in one would mean something to QEMU.
        command
            .current_dir(folder.path())
            .args(["-chardev", "stdio,id=link,signal=off"])
            .args(["-serial", "chardev:link"])
            .args(["-chardev", "file,id=text,path=board.log"])
            .args(["-semihosting-config", "enable=on,chardev=text"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let emulator = Emulator::start(&mut command);
        let pipes = {
            let mut child = emulator.child();
            child.stdout.take().zip(child.stdin.take())
        };
        let (replies, requests) = pipes.expect("pipes");
        Board {
            emulator,
            folder,
            client: Client::new(replies, requests).expect("a line"),
        }
    }

    /// Asks, and gives the answer as a developer reads it.
    pub fn ask(&mut self, request: &Request<'_>) -> String {
        let mut answer = String::new();
        let asked = self
            .client
            .ask(request, |reply| answer = format!("{reply:?}"));
        asked.expect("an answer");
        answer
    }

    /// Shows an input of rows of codes.
    pub fn see(&mut self, input: &[i8], row_elems: usize) -> Seen {
        let mut seen = Seen::default();
        let mut rows = input.chunks(row_elems);
        let mut request = Some(Request::Begin { digests: true });
        while let Some(asked) = request.take() {
            let answered = self.client.ask(&asked, |reply| match *reply {
                Reply::Op { digest, .. } => seen.digests.push(digest),
                Reply::Scores { codes } => seen.codes = codes.0.to_vec(),
                Reply::NeedsRow { .. } => request = rows.next().map(row),
                ref other => panic!("{other:?}"),
            });
            answered.expect("an answer");
        }
        seen
    }

    /// Shows an input to the board and to a device in this process that runs `image`: where they first differ.
    pub fn first_difference(&mut self, image: &Image<'_>, input: &[i8]) -> Option<Place> {
        let mut memory = Arena::new(1 << 16);
        let mut device = Device::new(Some(image), &KERNELS, memory.bytes());
        let mut rows = input.chunks(image.input().row_elems());
        let mut request = Some(Request::Begin { digests: true });
        while let Some(asked) = request.take() {
            let compared = self.client.ask_both(&mut device, &asked, |reply| {
                if let Reply::NeedsRow { .. } = reply {
                    request = rows.next().map(row);
                }
            });
            match compared {
                Ok(()) => {}
                Err(CompareError::Differs { place, .. }) => return Some(place),
                Err(error) => panic!("{error}"),
            }
        }
        None
    }

    /// Says goodbye: the board ends by itself, with success, and has met neither a fault nor a panic.
    pub fn end(mut self) {
        assert_eq!(self.ask(&Request::Bye), "Bye");
        assert_eq!(self.emulator.end(), Some(0));
        let log = std::fs::read(self.folder.path().join("board.log")).expect("a log");
        let log = String::from_utf8_lossy(&log);
        // What the fault and panic handlers begin with; the logs' own text stays on the host.
        assert!(!log.contains("ocelli: "), "{log}");
    }
}

fn row(codes: &[i8]) -> Request<'_> {
    Request::Codes {
        codes: Codes(codes),
    }
}
