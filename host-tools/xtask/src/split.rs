//! Which photos calibrate, which choose between settings, and which test: by the hash of the file name alone.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use crate::fetch::verify;
use crate::{fetch, repo};

/// What a photo is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Quantization ranges are taken from it.
    Calibrate,
    /// Settings may be compared on it.
    Choose,
    /// Only reported figures come from it.
    Test,
}

impl Part {
    /// 40, 20 and 40 of a hundred, by the first four bytes of the name's SHA-256.
    fn of(path: &str) -> Self {
        let hash = u32::from_str_radix(&verify::hex(path.as_bytes())[..8], 16);
        match hash.unwrap_or_default() % 100 {
            0..40 => Self::Calibrate,
            40..60 => Self::Choose,
            _ => Self::Test,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Calibrate => "calibrate",
            Self::Choose => "choose",
            Self::Test => "test",
        })
    }
}

impl FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        match word {
            "calibrate" => Ok(Self::Calibrate),
            "choose" => Ok(Self::Choose),
            "test" => Ok(Self::Test),
            _ => bail!("`{word}` is no part of a split: calibrate, choose or test"),
        }
    }
}

/// The committed file: one line `<part> <path below target/assets>` per photo.
pub fn file() -> PathBuf {
    repo::root().join("tests/data/photo_split.txt")
}

/// Writes the committed file anew from the photos that were fetched.
pub fn make() -> Result<()> {
    fetch::fetch(&["stamps".to_owned(), "foolbox".to_owned()])?;
    let assets = repo::assets();
    let mut paths = Vec::new();
    for folder in ["stamps", "foolbox"] {
        for photo in verify::files_below(&assets.join(folder))? {
            paths.push(photo.strip_prefix(&assets)?.display().to_string());
        }
    }
    let mut lines: Vec<String> = paths
        .iter()
        .map(|path| format!("{} {path}\n", Part::of(path)))
        .collect();
    lines.sort();
    fs::create_dir_all(repo::root().join("tests/data"))?;
    fs::write(file(), lines.concat())?;
    println!("{}: {} photos", repo::shown(&file()), lines.len());
    Ok(())
}

/// The photos of one part, as paths below `target/assets`.
pub fn photos(part: Part) -> Result<Vec<String>> {
    let path = file();
    let text = fs::read_to_string(&path).with_context(|| repo::shown(&path))?;
    let all = parse(&text).with_context(|| repo::shown(&path))?;
    let of_part = all.into_iter().filter(|(found, _)| *found == part);
    Ok(of_part.map(|(_, photo)| photo).collect())
}

/// Copies photos into one folder, emptied before.
pub fn copy(photos: &[String], to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for photo in photos {
        let from = repo::assets().join(photo);
        fs::copy(&from, to.join(photo.replace('/', "-")))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}

fn parse(text: &str) -> Result<Vec<(Part, String)>> {
    text.lines()
        .map(|line| {
            let (part, path) = line
                .split_once(' ')
                .with_context(|| format!("`{line}` is not `<part> <path>`"))?;
            Ok((part.parse()?, path.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_split_is_what_the_rule_gives_for_its_names() {
        let text = fs::read_to_string(file()).expect("the split is committed");
        let photos = parse(&text).expect("every line is a part and a path");
        for (part, path) in &photos {
            assert_eq!(*part, Part::of(path), "{path}");
        }
        let mut sorted: Vec<&str> = text.lines().collect();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted, text.lines().collect::<Vec<_>>());
        // 239 stamps and 20 photos of foolbox.
        assert_eq!(photos.len(), 259);
    }

    #[test]
    fn the_parts_are_about_two_fifths_one_fifth_and_two_fifths() {
        let mut counts = [0; 3];
        for i in 0..10_000 {
            counts[Part::of(&format!("photo {i}")) as usize] += 1;
        }
        // Five standard deviations of a binomial count are 245 and 200.
        assert!((3755..4245).contains(&counts[0]), "{counts:?}");
        assert!((1800..2200).contains(&counts[1]), "{counts:?}");
    }
}
