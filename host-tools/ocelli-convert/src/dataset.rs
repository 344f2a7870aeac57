//! Folders of pictures.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::ImportError;

/// How deep folders are followed: a link to a folder above must come to an end.
const MAX_DEPTH: usize = 16;

/// One labelled picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The picture's file.
    pub path: PathBuf,
    /// Index of its class in [`ImageFolder::classes`].
    pub class: usize,
}

/// Labelled pictures laid out as `root/<class>/*.png`, also `.jpg` and `.jpeg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFolder {
    /// The names of the classes, sorted.
    pub classes: Vec<String>,
    /// All pictures, class by class, sorted by path within each.
    pub samples: Vec<Sample>,
}

impl ImageFolder {
    /// Lists the pictures below a folder; opens none of them.
    ///
    /// Hidden files are passed over. Folders within a class belong to the class.
    ///
    /// # Errors
    /// A folder that cannot be read, has no class folders, has a class without pictures, or holds a file that
    /// is no picture.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, ImportError> {
        let root = root.as_ref();
        let mut classes = Vec::new();
        let mut samples = Vec::new();
        for path in entries(root)? {
            if !path.is_dir() {
                return Err(folder(
                    &path,
                    "is a file where class folders are expected: <folder>/<class>/<picture>",
                ));
            }
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(folder(&path, "a class's name must be UTF-8"));
            };
            let mut pictures = Vec::new();
            walk(&path, Strangers::Refuse, MAX_DEPTH, &mut pictures)?;
            if pictures.is_empty() {
                return Err(folder(&path, "this class has no pictures (PNG or JPEG)"));
            }
            let class = classes.len();
            classes.push(name.to_string());
            samples.extend(pictures.into_iter().map(|path| Sample { path, class }));
        }
        if classes.is_empty() {
            return Err(folder(
                root,
                "has no class folders; expected <folder>/<class>/<picture>",
            ));
        }
        Ok(Self { classes, samples })
    }
}

/// All pictures below a folder, labelled or not, sorted by path; other files are passed over.
///
/// # Errors
/// A folder that cannot be read or has no pictures.
pub fn pictures_below(root: impl AsRef<Path>) -> Result<Vec<PathBuf>, ImportError> {
    let root = root.as_ref();
    let mut pictures = Vec::new();
    walk(root, Strangers::PassOver, MAX_DEPTH, &mut pictures)?;
    if pictures.is_empty() {
        return Err(folder(root, "has no pictures (PNG or JPEG)"));
    }
    Ok(pictures)
}

/// What is done about files that are no pictures.
#[derive(Clone, Copy)]
enum Strangers {
    Refuse,
    PassOver,
}

fn walk(
    dir: &Path,
    strangers: Strangers,
    depth: usize,
    pictures: &mut Vec<PathBuf>,
) -> Result<(), ImportError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(folder(
            dir,
            format!("is more than {MAX_DEPTH} folders deep; does a link lead back up?"),
        ));
    };
    for path in entries(dir)? {
        if path.is_dir() {
            walk(&path, strangers, depth, pictures)?;
        } else if is_picture(&path) {
            pictures.push(path);
        } else if matches!(strangers, Strangers::Refuse) {
            return Err(folder(&path, "is no picture (.png, .jpg or .jpeg)"));
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        ["png", "jpg", "jpeg"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

/// What a folder holds, sorted by name, without hidden files.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let unreadable = |source| ImportError::Io {
        path: dir.to_path_buf(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn folder(path: &Path, why: impl Into<String>) -> ImportError {
    ImportError::Folder {
        path: path.to_path_buf(),
        why: why.into(),
    }
}
