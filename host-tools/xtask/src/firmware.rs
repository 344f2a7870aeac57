//! `cargo xtask firmware`: the programs for boards, emulated and real.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::elf::Elf;
use crate::progress;
use crate::repo;
use crate::sizes;
use crate::thumb::{M4F, Thumb};

/// A board that the emulator plays.
pub struct Emulated {
    /// The name that `ocelli verify --on` knows.
    pub name: &'static str,
    /// What its programs are built for.
    pub target: &'static str,
    /// The processor, where the target allows for several and the kernels have loops for this one.
    pub cpu: Option<&'static str>,
    /// The feature of `ocelli-qemu` that means this board, where the target does not.
    pub feature: Option<&'static str>,
}

/// Every emulated board.
pub const EMULATED: &[Emulated] = &[
    Emulated {
        name: "m0",
        target: "thumbv6m-none-eabi",
        cpu: None,
        feature: None,
    },
    Emulated {
        name: "m3",
        target: "thumbv7m-none-eabi",
        cpu: None,
        feature: None,
    },
    Emulated {
        name: "m4",
        target: M4F,
        cpu: None,
        feature: None,
    },
    Emulated {
        name: "m4-256k",
        target: M4F,
        cpu: None,
        feature: Some("ram-256k"),
    },
    Emulated {
        name: "m7",
        target: M4F,
        cpu: None,
        feature: Some("mps2-an500"),
    },
    Emulated {
        name: "m33",
        target: "thumbv8m.main-none-eabihf",
        cpu: Some("cortex-m33"),
        feature: None,
    },
    Emulated {
        name: "m55",
        target: "thumbv8m.main-none-eabihf",
        cpu: Some("cortex-m55"),
        feature: Some("mps3-an547"),
    },
];

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
/// `ocelli verify`, which is given back, that of `ocelli bench`, the one that compares inner loops, and the one that fails on
/// purpose.
pub fn emulated(thumb: &Thumb, name: &str) -> Result<PathBuf> {
    emulated_program(thumb, name, "fault")?;
    emulated_program(thumb, name, "sweep")?;
    emulated_program(thumb, name, "bench")?;
    emulated_program(thumb, name, "device")
}

/// Builds one of these programs and puts it there.
pub fn emulated_program(thumb: &Thumb, name: &str, program: &str) -> Result<PathBuf> {
    let board = emulated_board(name)?;
    progress::note(&format!(
        "building the program {program} of {name} with {}",
        thumb.describe()
    ));
    fs::create_dir_all(repo::target().join("firmware"))?;
    let elf = thumb.build_bin(&qemu_dir(), program, board.target, board.cpu, board.feature)?;
    let to = repo::target().join(format!("firmware/{program}-{name}.elf"));
    fs::copy(elf, &to).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(to)
}

/// Builds the programs of every emulated board; those that serve `ocelli verify`.
pub fn all_emulated() -> Result<Vec<(&'static str, PathBuf)>> {
    let targets: Vec<&str> = EMULATED.iter().map(|board| board.target).collect();
    let thumb = Thumb::detect(&targets)?;
    EMULATED
        .iter()
        .map(|board| Ok((board.name, emulated(&thumb, board.name)?)))
        .collect()
}

/// The emulated board of a name.
pub fn emulated_board(name: &str) -> Result<&'static Emulated> {
    EMULATED
        .iter()
        .find(|board| board.name == name)
        .with_context(|| {
            let known: Vec<&str> = EMULATED.iter().map(|board| board.name).collect();
            format!(
                "there is no emulated board {name}; there is {}",
                known.join(", ")
            )
        })
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
    thumb.build_bin(&found.dir(), found.bin, found.target, None, None)
}

/// Builds what was asked for, every emulated board if nothing was, and prints where it is, with its sizes.
pub fn firmware(emulated_name: Option<&str>, real_name: Option<&str>) -> Result<()> {
    let built = match (emulated_name, real_name) {
        (None, None) => all_emulated()?,
        (Some(name), _) => {
            let board = emulated_board(name)?;
            let thumb = Thumb::detect(&[board.target])?;
            vec![(board.name, emulated(&thumb, name)?)]
        }
        (None, Some(name)) => vec![(name, real(&Thumb::detect(&[M4F])?, name)?)],
    };
    let mut sizes = Vec::new();
    for (name, elf) in built {
        // A board's folder may have its target folder above it.
        println!("{}", repo::shown(&elf.canonicalize()?));
        sizes.push((name.to_owned(), Elf::read(&elf)?.sizes));
    }
    sizes::print(&sizes);
    Ok(())
}
