//! Finding the emulator.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{apt, shell};

/// Names the emulator, here and in the programs that are started.
pub const VARIABLE: &str = "OCELLI_QEMU";

const PROGRAM: &str = "qemu-system-arm";

/// The emulator that the variable names, that `PATH` has, or that can be installed.
pub fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("{VARIABLE} names {}, which is no file", path.display());
        }
        return Ok(path);
    }
    if let Some(path) = shell::find(PROGRAM) {
        return Ok(path);
    }
    apt::install(&[PROGRAM], "the emulated boards").with_context(|| {
        format!("there is no {PROGRAM}; on other systems it is part of QEMU (qemu.org); {VARIABLE} may name it")
    })?;
    shell::find(PROGRAM).with_context(|| format!("{PROGRAM} is installed, and not in PATH"))
}
