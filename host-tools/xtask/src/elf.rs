//! What the checks need to know of a linked program.

use std::path::Path;

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind, elf};

/// Bytes as the program `size` counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Code and constants: flash.
    pub text: u64,
    /// Initialized variables: flash and RAM.
    pub data: u64,
    /// Variables that start as zero, and reserved memory: RAM.
    pub bss: u64,
}

/// A name in the symbol table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbol {
    /// The name, Rust's mangling undone.
    pub name: String,
    /// Where it is; bit 0 (thumb state) is cleared.
    pub address: u64,
    /// Whether it is a function.
    pub function: bool,
}

/// A section that lies in flash.
#[derive(Debug, Clone)]
pub struct Section {
    /// Where it begins.
    pub address: u64,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Whether it holds instructions (and data among them).
    pub executable: bool,
}

/// A linked program.
#[derive(Debug, Clone)]
pub struct Elf {
    /// How big it is.
    pub sizes: Sizes,
    /// Its symbols in the order of their addresses.
    pub symbols: Vec<Symbol>,
    /// What of it lies in flash.
    pub sections: Vec<Section>,
}

impl Elf {
    /// Reads a program; one without symbols is refused, since nothing could be proved of it.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let file = object::File::parse(bytes.as_slice())
            .with_context(|| format!("{} is no ELF", path.display()))?;
        let mut symbols: Vec<Symbol> = file
            .symbols()
            .filter(|symbol| !symbol.is_undefined())
            .filter_map(|symbol| {
                Some(Symbol {
                    name: format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?)),
                    address: symbol.address() & !1,
                    function: symbol.kind() == SymbolKind::Text,
                })
            })
            .collect();
        symbols.sort_by_key(|symbol| symbol.address);
        if !symbols.iter().any(|symbol| symbol.function) {
            bail!(
                "{} has no symbols of functions: was it stripped?",
                path.display()
            );
        }

        let mut sizes = Sizes::default();
        let mut sections = Vec::new();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                bail!("{} is no ELF", path.display());
            };
            let has = |flag: u32| sh_flags & u64::from(flag) != 0;
            if !has(elf::SHF_ALLOC) {
                continue;
            }
            if section.kind() == SectionKind::UninitializedData {
                sizes.bss += section.size();
                continue;
            }
            if has(elf::SHF_WRITE) {
                sizes.data += section.size();
            } else {
                sizes.text += section.size();
            }
            sections.push(Section {
                address: section.address(),
                bytes: section.data()?.to_vec(),
                executable: has(elf::SHF_EXECINSTR),
            });
        }
        Ok(Self {
            sizes,
            symbols,
            sections,
        })
    }

    /// So many bytes of flash at an address.
    pub fn bytes_at(&self, address: u64, len: usize) -> Option<&[u8]> {
        self.sections.iter().find_map(|section| {
            let start = usize::try_from(address.checked_sub(section.address)?).ok()?;
            section.bytes.get(start..start.checked_add(len)?)
        })
    }

    /// The function that an address lies in.
    pub fn function_at(&self, address: u64) -> &str {
        let before = self
            .symbols
            .iter()
            .rev()
            .find(|symbol| symbol.function && symbol.address <= address);
        before.map_or("?", |symbol| symbol.name.as_str())
    }
}
