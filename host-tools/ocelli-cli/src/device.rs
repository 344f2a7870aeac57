//! The emulated devices, and what it takes to boot one: the options that `verify` and `bench` share.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

/// A device that QEMU plays.
#[derive(Clone, Copy, ValueEnum)]
pub enum Device {
    /// Code of a Cortex-M0 or M0+ (Armv6-M), on the Cortex-M3's board, since QEMU's M0 has too little memory
    M0,
    /// Cortex-M3 (QEMU's mps2-an385)
    M3,
    /// Cortex-M4F (mps2-an386)
    M4,
    /// The M4 with 256 KiB of RAM, stack and all, and everything else forbidden
    #[value(name = "m4-256k")]
    M4In256k,
    /// Cortex-M7 (mps2-an500)
    M7,
    /// Cortex-M33 (mps2-an505)
    M33,
    /// Cortex-M55 (mps3-an547)
    M55,
}

/// What QEMU has to know of a device.
pub struct Board {
    /// QEMU's name for it.
    pub machine: &'static str,
    /// Where its firmware looks for the model image.
    pub model_address: u32,
    /// How large that place is.
    pub model_bytes: usize,
}

impl Device {
    /// Its name in options and of its programs.
    pub fn name(self) -> &'static str {
        match self {
            Device::M0 => "m0",
            Device::M3 => "m3",
            Device::M4 => "m4",
            Device::M4In256k => "m4-256k",
            Device::M7 => "m7",
            Device::M33 => "m33",
            Device::M55 => "m55",
        }
    }

    /// Its board.
    pub fn board(self) -> Board {
        let (machine, model_address) = match self {
            Device::M0 | Device::M3 => ("mps2-an385", 0x2100_0000),
            Device::M4 | Device::M4In256k => ("mps2-an386", 0x2100_0000),
            Device::M7 => ("mps2-an500", 0x6000_0000),
            Device::M33 => ("mps2-an505", 0x8000_0000),
            Device::M55 => ("mps3-an547", 0x6000_0000),
        };
        Board {
            machine,
            model_address,
            model_bytes: 16 << 20,
        }
    }
}

/// A program of a device.
#[derive(Clone, Copy)]
pub enum Program {
    /// Answers the host.
    Device,
    /// Counts instructions.
    Bench,
}

impl Program {
    fn name(self) -> &'static str {
        match self {
            Program::Device => "device",
            Program::Bench => "bench",
        }
    }

    /// How time goes by in the emulator, as it is told.
    pub fn clock(self) -> &'static [&'static str] {
        match self {
            Program::Device => &[],
            // An instruction takes 2^6 ns of the board's time: what the program counts by.
            Program::Bench => &["-icount", "shift=6,sleep=off"],
        }
    }
}

/// How a device is emulated.
#[derive(clap::Args)]
pub struct Emulation {
    /// The device's program [default: what `cargo xtask firmware` puts into target/firmware of the repository]
    #[arg(long, value_name = "ELF")]
    firmware: Option<PathBuf>,
    /// The emulator
    #[arg(
        long,
        value_name = "PATH",
        env = "OCELLI_QEMU",
        default_value = "qemu-system-arm"
    )]
    pub qemu: PathBuf,
    /// The longest wait for an answer, in seconds
    #[arg(long, value_name = "S", default_value = "120", value_parser = clap::value_parser!(u64).range(1..))]
    time_limit: u64,
}

impl Emulation {
    /// The longest wait for an answer.
    pub fn time_limit(&self) -> Duration {
        Duration::from_secs(self.time_limit)
    }

    /// The file of a device's program: the one that was named, or that of the repository around the current folder.
    pub fn firmware(&self, device: Device, program: Program) -> Result<PathBuf> {
        if let Some(named) = &self.firmware {
            return named.canonicalize().with_context(|| {
                let named = named.display();
                format!("{named}: run `cargo xtask firmware`, or give another --firmware")
            });
        }
        let device = device.name();
        let name = format!("target/firmware/{}-{device}.elf", program.name());
        let here = std::env::current_dir()?;
        let found = here
            .ancestors()
            .map(|folder| folder.join(&name))
            .find(|path| path.is_file());
        found.with_context(|| {
            format!(
                "{name}: not found here or in a folder above: run `cargo xtask firmware --target {device}` in the repository, or give --firmware"
            )
        })
    }
}
