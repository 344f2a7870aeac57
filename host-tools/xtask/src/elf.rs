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

/// A section that is executed.
#[derive(Debug, Clone)]
pub struct Code {
    /// Where it begins.
    pub address: u64,
    /// Instructions, and data among them.
    pub bytes: Vec<u8>,
}

/// A linked program.
#[derive(Debug, Clone)]
pub struct Elf {
    /// How big it is.
    pub sizes: Sizes,
    /// Its symbols in the order of their addresses.
    pub symbols: Vec<Symbol>,
    /// Its executable sections.
    pub code: Vec<Code>,
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
        let mut code = Vec::new();
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                bail!("{} is no ELF", path.display());
            };
            let has = |flag: u32| sh_flags & u64::from(flag) != 0;
            if !has(elf::SHF_ALLOC) {
                continue;
            }
            if has(elf::SHF_EXECINSTR) {
                code.push(Code {
                    address: section.address(),
                    bytes: section.data()?.to_vec(),
                });
            }
            if section.kind() == SectionKind::UninitializedData {
                sizes.bss += section.size();
            } else if has(elf::SHF_WRITE) {
                sizes.data += section.size();
            } else {
                sizes.text += section.size();
            }
        }
        Ok(Self {
            sizes,
            symbols,
            code,
        })
    }
}
