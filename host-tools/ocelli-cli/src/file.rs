//! Files, written whole or not at all.

use std::fs::Permissions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Says early that a file could not be written later.
pub fn check(path: &Path) -> Result<()> {
    if path.is_dir() {
        bail!("{}: is a folder: name a file", path.display());
    }
    let folder = folder(path);
    if !folder.is_dir() {
        bail!(
            "{}: there is no folder {}",
            path.display(),
            folder.display()
        );
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    let folder = path.parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Writes a file beside its place and moves it there: whatever fails, `path` is as it was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let named = || path.display().to_string();
    let mut builder = tempfile::Builder::new();
    builder.prefix(".ocelli-");
    if let Some(permissions) = ordinary_permissions() {
        builder.permissions(permissions);
    }
    let mut file = builder.tempfile_in(folder(path)).with_context(named)?;
    file.write_all(bytes).with_context(named)?;
    file.as_file().sync_all().with_context(named)?;
    file.persist(path)
        .map_err(|error| error.error)
        .with_context(|| format!("{}: cannot be replaced", named()))?;
    Ok(())
}

/// Those of a file that any program makes; the system takes off what the user's mask says.
fn ordinary_permissions() -> Option<Permissions> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    #[cfg(not(unix))]
    None
}
