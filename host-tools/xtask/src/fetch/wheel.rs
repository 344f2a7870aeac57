//! Reading members of a Python wheel, which is a zip archive.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;

use anyhow::{Context, Result};
use zip::ZipArchive;

/// An open wheel.
pub struct Wheel<R = BufReader<File>> {
    archive: ZipArchive<R>,
    name: String,
}

impl Wheel {
    /// Reads the directory of the archive.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| format!("cannot read {name}"))?;
        let archive = ZipArchive::new(BufReader::new(file))
            .with_context(|| format!("{name} is not a wheel"))?;
        Ok(Self { archive, name })
    }
}

impl<R: Read + Seek> Wheel<R> {
    /// One member, unpacked.
    pub fn read(&mut self, member: &str) -> Result<Vec<u8>> {
        let mut file = self
            .archive
            .by_name(member)
            .with_context(|| format!("{} has no {member}", self.name))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)
            .with_context(|| format!("{member} in {} is damaged", self.name))?;
        Ok(bytes)
    }

    /// One member of an archive that is itself a member.
    pub fn read_nested(&mut self, inner: &str, member: &str) -> Result<Vec<u8>> {
        let name = format!("{inner} in {}", self.name);
        let archive = ZipArchive::new(Cursor::new(self.read(inner)?))
            .with_context(|| format!("{name} is not a zip archive"))?;
        Wheel { archive, name }.read(member)
    }

    /// The members whose paths start so.
    pub fn names_with(&self, prefix: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for name in self.archive.file_names() {
            let name = name.with_context(|| format!("{} is damaged", self.name))?;
            if name.starts_with(prefix) {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }
}
