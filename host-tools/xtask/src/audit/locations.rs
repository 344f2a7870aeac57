//! Where a linked program can panic: the source positions that panics would print are constants in it.

use crate::elf::Elf;

/// No path of a source file is as long.
const PATH_LIMIT: usize = 512;

/// Every `core::panic::Location` of the program, as `file:line`.
///
/// On a 32-bit target it is the address and the length of the path, the line and the column, four words. Something else that happens to
/// look so is no harm: a program that cannot panic has no path of a source file in flash.
pub fn find(elf: &Elf) -> Vec<String> {
    let mut found = Vec::new();
    for section in &elf.sections {
        let words: Vec<u32> = section
            .bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect();
        found.extend(words.windows(4).filter_map(|words| location(elf, words)));
    }
    found.sort();
    found.dedup();
    found
}

fn location(elf: &Elf, words: &[u32]) -> Option<String> {
    let [address, len, line, column] = *words else {
        return None;
    };
    let len = usize::try_from(len).ok().filter(|len| *len < PATH_LIMIT)?;
    let path = std::str::from_utf8(elf.bytes_at(address.into(), len)?).ok()?;
    // Shortened, so that a report does not depend on where the repository lies.
    let path = path.rsplit_once("/crates/").map_or(path, |(_, path)| path);
    (path.ends_with(".rs") && line > 0 && column > 0).then(|| format!("{path}:{line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::{Section, Sizes};

    fn program(words: [u32; 4], text: &str) -> Elf {
        let constants = words.iter().flat_map(|word| word.to_le_bytes());
        Elf {
            sizes: Sizes::default(),
            symbols: Vec::new(),
            sections: vec![Section {
                address: 0x200,
                bytes: constants.chain(text.bytes()).collect(),
                executable: false,
            }],
        }
    }

    #[test]
    fn the_source_of_a_panic_is_found() {
        let text = "/home/me/ocelli/crates/ocelli-kernels/src/pool.rs";
        let program = program([0x210, text.len() as u32, 57, 9], text);
        assert_eq!(find(&program), ["ocelli-kernels/src/pool.rs:57"]);
    }

    #[test]
    fn other_constants_are_no_source() {
        assert!(find(&program([0x210, 4, 57, 9], "cats")).is_empty());
        assert!(find(&program([0x210, 9, 57, 9], "cats.rs")).is_empty());
        assert!(find(&program([0x210, 7, 0, 9], "cats.rs")).is_empty());
    }
}
