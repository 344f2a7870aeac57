//! Folders of images for the program to work on, copied together from the assets.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::fetch::verify;
use crate::repo;
use crate::split::{self, Part};

/// Copies the photos of one part of the split (those of them that are here) into one folder.
pub fn photos_of(part: Part, to: &Path) -> Result<()> {
    empty(to)?;
    for photo in split::photos(part)? {
        let from = repo::assets().join(&photo);
        if from.is_file() {
            copy(&from, &to.join(photo.replace('/', "-")))?;
        }
    }
    Ok(())
}

/// Copies the first `count` images of each class.
pub fn some_of_each_class(from: &Path, to: &Path, count: usize) -> Result<()> {
    empty(to)?;
    let mut images = verify::files_below(from)?;
    images.sort();
    for class in images.chunk_by(|a, b| a.parent() == b.parent()) {
        for image in class.iter().take(count) {
            copy(image, &to.join(image.strip_prefix(from)?))?;
        }
    }
    Ok(())
}

fn empty(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
