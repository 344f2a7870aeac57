//! `cargo xtask firmware`: the programs for boards, emulated and real.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::elf::Elf;
use crate::progress;
use crate::repo;
use crate::sizes;
use crate::thumb::{M4F, Thumb};

/// The boards that the emulator plays, by the names that `ocelli verify --on` knows.
const EMULATED: [(&str, &str); 1] = [("m4", M4F)];

/// A real board.
pub struct Board {
    /// Its folder below `firmware/boards`.
    pub name: &'static str,
    /// Its program.
    pub bin: &'static str,
    /// What it is built for.
    pub target: &'static str,
}

/// Every real board.
pub const BOARDS: &[Board] = &[Board {
    name: "nrf52840-dk",
    bin: "ocelli-nrf52840-dk",
    target: M4F,
}];

impl Board {
    /// Its folder, a crate of its own.
    pub fn dir(&self) -> PathBuf {
        repo::firmware().join("boards").join(self.name)
    }
}

/// The folder of the emulated boards' programs.
pub fn qemu_dir() -> PathBuf {
    repo::firmware().join("qemu")
}

/// Builds the programs of an emulated board and puts them where `ocelli` and the tests look: the one that serves
/// `ocelli verify`, which is given back, and the one that fails on purpose.
pub fn emulated(thumb: &Thumb, board: &str) -> Result<PathBuf> {
    let Some((_, target)) = EMULATED.iter().find(|(name, _)| *name == board) else {
        let known: Vec<&str> = EMULATED.iter().map(|(name, _)| *name).collect();
        bail!(
            "there is no emulated board {board}; there is {}",
            known.join(", ")
        );
    };
    progress::note(&format!(
        "building the firmware of {board} with {}",
        thumb.describe()
    ));
    fs::create_dir_all(repo::target().join("firmware"))?;
    let put = |program: &str| {
        let elf = thumb.build_bin(&qemu_dir(), program, target)?;
        let to = repo::target().join(format!("firmware/{program}-{board}.elf"));
        fs::copy(elf, &to).with_context(|| format!("cannot write {}", to.display()))?;
        Ok(to)
    };
    put("fault")?;
    put("device")
}

/// Builds the firmware of a real board.
pub fn real(thumb: &Thumb, board: &str) -> Result<PathBuf> {
    let Some(found) = BOARDS.iter().find(|found| found.name == board) else {
        let known: Vec<&str> = BOARDS.iter().map(|board| board.name).collect();
        bail!("there is no board {board}; there is {}", known.join(", "));
    };
    progress::note(&format!(
        "building the firmware of {board} with {}",
        thumb.describe()
    ));
    thumb.build_bin(&found.dir(), found.bin, found.target)
}

/// Builds what was asked for and prints where it is, with its sizes.
pub fn firmware(emulated_board: &str, real_board: Option<&str>) -> Result<()> {
    let thumb = Thumb::detect(&[M4F])?;
    let (name, elf) = match real_board {
        Some(board) => (board, real(&thumb, board)?),
        None => (emulated_board, emulated(&thumb, emulated_board)?),
    };
    // A board's folder may have its target folder above it.
    println!("{}", repo::shown(&elf.canonicalize()?));
    sizes::print(&[(name.to_owned(), Elf::read(&elf)?.sizes)]);
    Ok(())
}
