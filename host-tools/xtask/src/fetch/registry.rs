//! Downloading one crate from cargo's registry, without its dependencies and without building it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::verify;
use crate::assets::Package;
use crate::{progress, repo, shell};

/// Brings a crate into cargo's own registry folder and checks it; the folder with its files.
pub fn download(package: &Package) -> Result<PathBuf> {
    let named = format!("{}@{}", package.name, package.version);
    let bar = progress::spinner(format!("downloading {named} with cargo"));
    // Of all that cargo can do with a crate, showing what it is takes nothing but the crate itself.
    let downloaded = shell::capture(repo::cargo().args(["info", &named]));
    bar.finish_and_clear();
    if let Err(error) = downloaded {
        bail!(
            "{error}\n{named} could not be downloaded from the crate registry: check the network and cargo's settings, then run `cargo xtask fetch` again"
        );
    }
    let registry = home()?.join("registry");
    let file = format!("{}-{}.crate", package.name, package.version);
    let file = below(&registry.join("cache"), &file)?;
    verify::file(&file, package.sha256)?;
    let folder = format!("{}-{}", package.name, package.version);
    below(&registry.join("src"), &folder)
}

/// Cargo's own folder.
fn home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(repo::root().join(home));
    }
    let home = std::env::home_dir().context("neither CARGO_HOME nor a home folder is set")?;
    Ok(home.join(".cargo"))
}

/// What has this name in one of the folders, of which there is one for each mirror of the registry.
fn below(dir: &Path, name: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let path = entry?.path().join(name);
        if path.exists() {
            return Ok(path);
        }
    }
    bail!("cargo left no {name} in {}", dir.display())
}
