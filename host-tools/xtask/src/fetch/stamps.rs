//! Tux Paint's stamps: which of them are photographs of things, in nine groups.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::verify;

/// Where Debian installs them.
pub const INSTALLED: &str = "/usr/share/tuxpaint/stamps";

/// Our nine groups, and the folders of the package that make each.
const GROUPS: [(&str, &[&str]); 9] = [
    ("bird", &["animals/birds"]),
    ("fish-and-insect", &["animals/fish", "animals/insects"]),
    ("flower", &["plants/flowers"]),
    ("fruit", &["food/fruit"]),
    ("mammal", &["animals/mammals", "animals/marsupials"]),
    ("roadsign", &["town/roadsigns"]),
    ("tool", &["household/tools"]),
    ("vegetable", &["food/vegetables"]),
    ("vehicle", &["vehicles"]),
];

/// Folders of drawings and of imitations.
const NOT_PHOTOS: [&str; 3] = ["cartoon", "plastic", "toys"];

/// Copies the photographs from `stamps` to `to/<group>/<name>.png`.
pub fn copy(stamps: &Path, to: &Path) -> Result<()> {
    for (group, folders) in GROUPS {
        let target = to.join(group);
        fs::create_dir_all(&target)?;
        let mut names = HashSet::new();
        for folder in folders {
            let root = stamps.join(folder);
            for file in verify::files_below(&root)? {
                if !is_photo(file.strip_prefix(&root)?) {
                    continue;
                }
                let name = file.file_name().context("a file has a name")?.to_owned();
                fs::copy(&file, target.join(&name))
                    .with_context(|| format!("cannot copy {}", file.display()))?;
                if !names.insert(name) {
                    bail!("two stamps of {group} have the name of {}", file.display());
                }
            }
        }
    }
    Ok(())
}

/// Pictures only, no drawings, and nothing twice: a mirrored stamp is the same photograph.
fn is_photo(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let drawn = path
        .components()
        .any(|part| NOT_PHOTOS.iter().any(|folder| part.as_os_str() == *folder));
    name.ends_with(".png") && !name.ends_with("_mirror.png") && !drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_mirrored_copies_and_sounds_are_left_out() {
        assert!(is_photo(Path::new("cats/lion.png")));
        assert!(!is_photo(Path::new("cats/cartoon/lion.png")));
        assert!(!is_photo(Path::new("dumper_mirror.png")));
        assert!(!is_photo(Path::new("cats/lion.ogg")));
    }
}
