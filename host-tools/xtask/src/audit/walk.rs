//! Walks the thumb code of a linked program, instruction by instruction.

use anyhow::{Result, bail};

use crate::elf::{Elf, Symbol};

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Where it is.
    pub address: u64,
    /// Its first halfword.
    pub first: u16,
    /// Its second halfword; 0 if it has none.
    pub second: u16,
}

impl Instruction {
    /// Where a call or a far jump goes: BL (T1) and B (T4) of Armv7-M, A7.7.18 and A7.7.12.
    pub fn branch_target(self) -> Option<u64> {
        // 11110 S imm10, then 11 J1 1 J2 imm11 (BL) or 10 J1 1 J2 imm11 (B)
        if self.first & 0xF800 != 0xF000 || self.second & 0x9000 != 0x9000 {
            return None;
        }
        let [first, second] = [self.first, self.second].map(i64::from);
        let sign = first >> 10 & 1;
        let i1 = !(second >> 13 ^ sign) & 1;
        let i2 = !(second >> 11 ^ sign) & 1;
        let offset =
            -sign << 24 | i1 << 23 | i2 << 22 | (first & 0x3FF) << 12 | (second & 0x7FF) << 1;
        // Relative to the address of the instruction and 4.
        self.address.checked_add(4)?.checked_add_signed(offset)
    }
}

/// Every instruction of the program.
pub fn instructions(elf: &Elf) -> Result<Vec<Instruction>> {
    let mut all = Vec::new();
    for code in elf.sections.iter().filter(|section| section.executable) {
        let end = code.address + code.bytes.len() as u64;
        for (from, to) in ranges(&elf.symbols, code.address, end)? {
            let range = (from - code.address) as usize..(to - code.address) as usize;
            decode(&code.bytes[range], from, &mut all);
        }
    }
    Ok(all)
}

/// The parts of a section that are thumb code by its mapping symbols (`$t` code, `$d` data; Arm ELF, 5.5.5).
fn ranges(symbols: &[Symbol], start: u64, end: u64) -> Result<Vec<(u64, u64)>> {
    let mapping: Vec<(u64, char)> = symbols
        .iter()
        .filter(|symbol| (start..end).contains(&symbol.address))
        .filter_map(|symbol| Some((symbol.address, mapping_kind(&symbol.name)?)))
        .collect();
    // Without them, data would be read as code and code as data.
    if start < end && mapping.first().is_none_or(|(first, _)| *first != start) {
        bail!("the section at {start:#x} does not begin with a mapping symbol");
    }
    let ends = mapping.iter().skip(1).map(|(address, _)| *address);
    Ok(mapping
        .iter()
        .zip(ends.chain([end]))
        .filter(|((_, kind), _)| *kind == 't')
        .map(|((from, _), to)| (*from, to))
        .collect())
}

fn mapping_kind(name: &str) -> Option<char> {
    let mut chars = name.strip_prefix('$')?.chars();
    let kind = chars.next()?;
    let whole = matches!(chars.next(), None | Some('.'));
    (whole && "tda".contains(kind)).then_some(kind)
}

fn decode(code: &[u8], start: u64, all: &mut Vec<Instruction>) {
    let mut halfwords = code.as_chunks::<2>().0.iter().zip((start..).step_by(2));
    while let Some((bytes, address)) = halfwords.next() {
        let first = u16::from_le_bytes(*bytes);
        // 0b11101, 0b11110 and 0b11111 begin an instruction of two halfwords (Armv7-M, A5.1).
        let wide = first >> 11 >= 0b11101;
        let second = if wide { halfwords.next() } else { None };
        all.push(Instruction {
            address,
            first,
            second: second.map_or(0, |(bytes, _)| u16::from_le_bytes(*bytes)),
        });
    }
}

/// A program of one section at 0x100, for tests.
#[cfg(test)]
pub fn program(halfwords: &[u16], names: &[(&str, u64)]) -> Elf {
    use crate::elf::{Section, Sizes};
    let symbols = names.iter().map(|&(name, address)| Symbol {
        name: name.to_owned(),
        address,
        function: !name.starts_with('$'),
    });
    Elf {
        sizes: Sizes::default(),
        symbols: symbols.collect(),
        sections: vec![Section {
            address: 0x100,
            bytes: halfwords
                .iter()
                .flat_map(|half| half.to_le_bytes())
                .collect(),
            executable: true,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_half_of_an_instruction_is_not_taken_for_a_first() {
        // ldr.w, whose second halfword would begin a wide instruction; then bx lr
        let code = program(&[0xF8D0, 0xEE30, 0x4770], &[("$t", 0x100), ("load", 0x100)]);
        let found = instructions(&code).expect("mapped");
        let addresses: Vec<u64> = found.iter().map(|found| found.address).collect();
        assert_eq!(addresses, [0x100, 0x104]);
    }

    #[test]
    fn code_without_mapping_symbols_is_refused() {
        assert!(instructions(&program(&[0x4770], &[("first", 0x100)])).is_err());
    }

    #[test]
    fn calls_and_far_jumps_are_followed_both_ways() {
        let branch = |first, second| {
            let instruction = Instruction {
                address: 0x1000,
                first,
                second,
            };
            instruction.branch_target()
        };
        // As an assembler encodes them at 0x1000.
        assert_eq!(branch(0xF000, 0xF87E), Some(0x1100), "bl 0x1100");
        assert_eq!(branch(0xF7FF, 0xFF7E), Some(0xF00), "bl 0xf00");
        assert_eq!(branch(0xF000, 0xB87E), Some(0x1100), "b.w 0x1100");
        assert_eq!(branch(0xF8D0, 0xF87E), None, "ldr.w");
        assert_eq!(branch(0xF000, 0x807E), None, "beq.w");
    }
}
