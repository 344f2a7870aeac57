//! The programs that the tests start: the emulator of each board, with a time limit, and `ocelli`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a board may run. All of them take a few seconds.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// An emulated board.
#[derive(Debug, Clone, Copy)]
pub struct Core {
    /// The name that `ocelli verify --on` knows.
    pub name: &'static str,
    /// QEMU's name.
    machine: &'static str,
    /// Where its firmware looks for a model image.
    pub model_address: u32,
    /// The inner loops of its firmware.
    pub backend: &'static str,
}

const fn core(
    name: &'static str,
    machine: &'static str,
    model_address: u32,
    backend: &'static str,
) -> Core {
    Core {
        name,
        machine,
        model_address,
        backend,
    }
}

/// Code for Armv6-M, on the M3's board.
pub const M0: Core = core("m0", "mps2-an385", 0x2100_0000, "v6m");
pub const M3: Core = core("m3", "mps2-an385", 0x2100_0000, "v7m");
pub const M4: Core = core("m4", "mps2-an386", 0x2100_0000, "dsp");
/// With 256 KiB of RAM.
pub const M4_256K: Core = core("m4-256k", "mps2-an386", 0x2100_0000, "dsp");
pub const M7: Core = core("m7", "mps2-an500", 0x6000_0000, "dsp");
pub const M33: Core = core("m33", "mps2-an505", 0x8000_0000, "dsp");
pub const M55: Core = core("m55", "mps3-an547", 0x6000_0000, "mve");

/// All of them.
pub const CORES: [Core; 6] = [M0, M3, M4, M7, M33, M55];

/// The folder of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The emulator with a program of a board.
///
/// # Panics
/// Where the program has not been built.
pub fn emulator(core: Core, program: &str) -> Command {
    let elf = repository().join(format!("target/firmware/{program}-{}.elf", core.name));
    let elf = elf
        .canonicalize()
        .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask firmware`", elf.display()));
    let mut command = Command::new(qemu());
    command
        .args(["-machine", core.machine])
        .args(["-display", "none", "-monitor", "none"])
        .arg("-kernel")
        .arg(elf);
    command
}

/// The emulator's own program.
pub fn qemu() -> PathBuf {
    let named = std::env::var_os("OCELLI_QEMU").filter(|path| !path.is_empty());
    named.map_or_else(|| "qemu-system-arm".into(), PathBuf::from)
}

/// A running emulator, ended when dropped or when its time is over.
pub struct Emulator(Arc<Mutex<Child>>);

impl Emulator {
    /// Starts it.
    ///
    /// # Panics
    /// Where there is no such emulator.
    pub fn start(command: &mut Command) -> Self {
        let child = command.spawn().unwrap_or_else(|error| {
            let qemu = qemu();
            panic!(
                "{}: {error}: install QEMU or name it in OCELLI_QEMU, and run `cargo xtask firmware`; \
                 `cargo xtask test` does both",
                qemu.display()
            )
        });
        let child = Arc::new(Mutex::new(child));
        let emulator = Self(child.clone());
        // Whoever waits for words of a killed emulator gets the end of the stream.
        thread::spawn(move || {
            thread::sleep(TIME_LIMIT);
            drop(Self(child));
        });
        emulator
    }

    /// The process.
    pub fn child(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its exit code, when it has ended; `None` where it had to be killed.
    pub fn end(&self) -> Option<i32> {
        loop {
            if let Some(status) = self.child().try_wait().expect("a status") {
                return status.code();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child().kill();
        let _ = self.child().wait();
    }
}

/// Runs a program of a board that talks to nobody: its exit code and its text.
pub fn run(core: Core, program: &str, argument: &str) -> (Option<i32>, String) {
    let emulator = Emulator::start(
        emulator(core, program)
            .args(["-serial", "none", "-append", argument])
            .args(["-chardev", "stdio,id=text,signal=off"])
            .args(["-semihosting-config", "enable=on,chardev=text"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped()),
    );
    let pipe = emulator.child().stdout.take();
    let mut text = Vec::new();
    pipe.expect("a pipe").read_to_end(&mut text).expect("text");
    let text = String::from_utf8_lossy(&text).replace('\0', "");
    (emulator.end(), text)
}

/// The program `ocelli`, built from these sources.
pub fn ocelli() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "-p", "ocelli-cli", "--bin", "ocelli"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(repository())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo");
    assert!(built.status.success(), "ocelli is built");
    let messages = String::from_utf8_lossy(&built.stdout);
    let message = |line| serde_json::from_str::<serde_json::Value>(line).expect("a message");
    let program = messages
        .lines()
        .map(message)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    program.expect("an executable")
}
