//! Weights in files beside the model.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// Reads parts of files in the model's folder and below, and of no others.
pub fn beside(model: &Path) -> impl Fn(&Path, u64, Option<u64>) -> Result<Vec<u8>, String> {
    let folder = model.parent().map(Path::to_path_buf).unwrap_or_default();
    move |path, offset, length| {
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if path.as_os_str().is_empty() || !path.components().all(inside) {
            return Err("lies in a file that is not in the model's folder; move it there".into());
        }
        read(&folder.join(path), &folder, offset, length)
    }
}

fn read(path: &Path, folder: &Path, offset: u64, length: Option<u64>) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| {
        format!("lies in another file that cannot be read: {error}; put it beside the model")
    };
    // A link may lead out of the folder although the path does not.
    let real = |path: &Path| -> Result<PathBuf, String> { path.canonicalize().map_err(failed) };
    let root = if folder.as_os_str().is_empty() {
        real(Path::new("."))?
    } else {
        real(folder)?
    };
    if !real(path)?.starts_with(root) {
        return Err("lies in a file that is not in the model's folder; move it there".into());
    }
    let mut file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    let there = bytes.checked_sub(offset);
    let length = there.and_then(|there| match length {
        Some(length) => (length <= there).then_some(length),
        None => Some(there),
    });
    let Some(length) = length else {
        return Err(format!(
            "lies in another file behind its end ({bytes} bytes); copy that file again"
        ));
    };
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut part = vec![];
    file.take(length).read_to_end(&mut part).map_err(failed)?;
    Ok(part)
}
