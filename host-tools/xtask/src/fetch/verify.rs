//! Checking what was fetched against the table.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::assets::Expect;

/// Whether everything is below `assets` and has its hash.
pub fn check(expect: &Expect, assets: &Path) -> Result<()> {
    match expect {
        Expect::Files(files) => files
            .iter()
            .try_for_each(|(path, sha256)| file(&assets.join(path), sha256)),
        Expect::Folder {
            path,
            files,
            sha256,
        } => folder(assets, path, *files, sha256),
    }
}

/// Whether one file has this SHA-256.
pub fn file(path: &Path, sha256: &str) -> Result<()> {
    let found = hash(path)?;
    if found != sha256 {
        bail!(
            "{} has SHA-256 {found}, and should have {sha256}",
            path.display()
        );
    }
    Ok(())
}

fn folder(assets: &Path, path: &str, files: usize, sha256: &str) -> Result<()> {
    let mut found = files_below(&assets.join(path))?;
    found.sort();
    let mut listing = String::new();
    for file in &found {
        let shown = file.strip_prefix(assets)?.display();
        listing += &format!("{}  {shown}\n", hash(file)?);
    }
    let digest = hex(listing.as_bytes());
    if found.len() != files || digest != sha256 {
        bail!(
            "{} holds {} files with the listing's SHA-256 {digest}, and should hold {files} with {sha256}",
            assets.join(path).display(),
            found.len(),
        );
    }
    Ok(())
}

/// All files in a folder and its folders.
pub fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}

fn hash(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(hex(&bytes))
}

/// SHA-256 in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_one_of_the_standard() {
        // FIPS 180-4's example, "abc".
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(b"abc"), expected);
    }

    #[test]
    fn a_changed_or_added_file_is_found() {
        let assets = std::env::temp_dir().join(format!("xtask-verify-{}", std::process::id()));
        let write = |name: &str, text: &str| {
            let path = assets.join("cats").join(name);
            fs::create_dir_all(assets.join("cats")).expect("temporary folder");
            fs::write(path, text).expect("temporary file");
        };
        write("a.txt", "abc");
        // sha256sum of the line "ba78…15ad  cats/a.txt\n"
        let listing = format!("{}  cats/a.txt\n", hex(b"abc"));
        let sha256: &'static str = hex(listing.as_bytes()).leak();
        let expect = Expect::Folder {
            path: "cats",
            files: 1,
            sha256,
        };
        let whole = check(&expect, &assets);
        write("a.txt", "abd");
        let changed = check(&expect, &assets);
        write("a.txt", "abc");
        write("b.txt", "abc");
        let added = check(&expect, &assets);
        fs::remove_dir_all(&assets).expect("temporary folder");
        assert!(whole.is_ok(), "{whole:?}");
        assert!(changed.is_err());
        assert!(added.is_err());
    }
}
