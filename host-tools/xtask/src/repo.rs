//! Where things are: every verb works from any directory below the repository.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub fn root() -> PathBuf {
    // Cargo sets the variable at run time; the value baked in at build time is wrong once the checkout moved.
    let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest_dir
        .ancestors()
        .nth(2)
        .map_or_else(|| manifest_dir.clone(), Path::to_path_buf)
}

/// `target/` of the repository, wherever cargo itself is told to build.
pub fn target() -> PathBuf {
    root().join("target")
}

/// What `cargo xtask fetch` fills.
pub fn assets() -> PathBuf {
    target().join("assets")
}

/// The second workspace, for thumb targets.
pub fn firmware() -> PathBuf {
    root().join("firmware")
}

/// The third workspace: targets for `cargo fuzz`.
pub fn fuzz() -> PathBuf {
    root().join("tests/fuzz")
}

/// Where cargo puts what it builds for the host.
pub fn cargo_target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => target(),
    }
}

/// The cargo that runs this program, started in the root of the repository.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    cargo
}

/// A path as a user in the root of the repository would type it.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}
