//! Finds float arithmetic in thumb code: a decoder for just the one question of what a floating-point instruction does.

use anyhow::{Result, bail};

use crate::elf::{Elf, Symbol};

/// What the instruction is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No instruction of the floating-point unit.
    Other,
    /// Moves bits between registers and memory, and computes nothing.
    Move,
    /// Computes, converts or compares.
    Arithmetic,
}

/// Every instruction of the program that computes in the floating-point unit, as `address function`.
pub fn instructions(elf: &Elf) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for code in &elf.code {
        let end = code.address + code.bytes.len() as u64;
        for (from, to) in thumb_ranges(&elf.symbols, code.address, end)? {
            let range = (from - code.address) as usize..(to - code.address) as usize;
            for address in arithmetic(&code.bytes[range], from) {
                found.push(format!("{address:#x} {}", function(&elf.symbols, address)));
            }
        }
    }
    Ok(found)
}

/// The parts of a section that are thumb code by its mapping symbols (`$t` code, `$d` data; Arm ELF, 5.5.5).
fn thumb_ranges(symbols: &[Symbol], start: u64, end: u64) -> Result<Vec<(u64, u64)>> {
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

/// The addresses of the arithmetic among these instructions.
fn arithmetic(code: &[u8], start: u64) -> Vec<u64> {
    let mut found = Vec::new();
    let mut halfwords = code.as_chunks::<2>().0.iter().zip((start..).step_by(2));
    while let Some((bytes, address)) = halfwords.next() {
        let first = u16::from_le_bytes(*bytes);
        // 0b11101, 0b11110 and 0b11111 begin an instruction of two halfwords (Armv7-M, A5.1).
        if first >> 11 < 0b11101 {
            continue;
        }
        let second = halfwords
            .next()
            .map_or(0, |(bytes, _)| u16::from_le_bytes(*bytes));
        if classify(first, second) == Kind::Arithmetic {
            found.push(address);
        }
    }
    found
}

/// Decodes the coprocessor space, 0xEC00..=0xEFFF and 0xFC00..=0xFFFF (Armv8-M, C2.3.1 and C2.4).
fn classify(first: u16, second: u16) -> Kind {
    if first & 0xEC00 != 0xEC00 {
        return Kind::Other;
    }
    // All of 0xEF and 0xFF is vector arithmetic (Advanced SIMD's encodings, Helium's on Armv8.1-M).
    if first & 0x0300 == 0x0300 {
        return Kind::Arithmetic;
    }
    let floating_point = second & 0x0E00 == 0x0A00;
    if !floating_point {
        return Kind::Other;
    }
    // 0xFC to 0xFE with these coprocessors are later additions: select, maximum, rounding, conversion.
    if first & 0x1000 != 0 {
        return Kind::Arithmetic;
    }
    // 0xEC and 0xED: vldr, vstr, vldm, vstm, vpush, vpop and vmov of two core registers.
    if first & 0x0200 == 0 {
        return Kind::Move;
    }
    // 0xEE with bit 4: vmov between a core and a float register, vmrs, vmsr.
    if second & 0x0010 != 0 {
        return Kind::Move;
    }
    let opc1 = first >> 4 & 0b1011;
    let opc2 = first & 0b1111;
    let opc3 = second >> 6 & 0b11;
    let immediate = opc3 & 1 == 0;
    let register = opc2 == 0 && opc3 == 0b01;
    if opc1 == 0b1011 && (immediate || register) {
        Kind::Move
    } else {
        Kind::Arithmetic
    }
}

fn function(symbols: &[Symbol], address: u64) -> &str {
    let before = symbols
        .iter()
        .rev()
        .find(|symbol| symbol.function && symbol.address <= address);
    before.map_or("?", |symbol| symbol.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::{Code, Sizes};

    /// Halfwords as GNU's and LLVM's disassemblers print them.
    const MOVES: [(u16, u16, &str); 12] = [
        (0xEE00, 0x0A10, "vmov s0, r0"),
        (0xEE10, 0x0A10, "vmov r0, s0"),
        (0xEC41, 0x0B10, "vmov d0, r0, r1"),
        (0xEC51, 0x0B10, "vmov r0, r1, d0"),
        (0xEEB0, 0x0A60, "vmov.f32 s0, s1"),
        (0xEEB7, 0x0A00, "vmov.f32 s0, #1.0"),
        (0xED90, 0x0A00, "vldr s0, [r0]"),
        (0xED80, 0x0A00, "vstr s0, [r0]"),
        (0xED2D, 0x8B02, "vpush {d8}"),
        (0xECBD, 0x8B02, "vpop {d8}"),
        (0xEEF1, 0xFA10, "vmrs apsr_nzcv, fpscr"),
        (0xEEE1, 0x0A10, "vmsr fpscr, r0"),
    ];
    const ARITHMETIC: [(u16, u16, &str); 14] = [
        (0xEE30, 0x0A20, "vadd.f32 s0, s0, s1"),
        (0xEE20, 0x0A20, "vmul.f32 s0, s0, s1"),
        (0xEE80, 0x0A20, "vdiv.f32 s0, s0, s1"),
        (0xEE00, 0x0A20, "vmla.f32 s0, s0, s1"),
        (0xEEA0, 0x0A20, "vfma.f32 s0, s0, s1"),
        (0xEEB1, 0x0AC0, "vsqrt.f32 s0, s0"),
        (0xEEB0, 0x0AC0, "vabs.f32 s0, s0"),
        (0xEEB1, 0x0A40, "vneg.f32 s0, s0"),
        (0xEEB4, 0x0A60, "vcmp.f32 s0, s1"),
        (0xEEBD, 0x0AC0, "vcvt.s32.f32 s0, s0"),
        (0xEEB8, 0x0AC0, "vcvt.f32.s32 s0, s0"),
        (0xEEB7, 0x0AC0, "vcvt.f64.f32 d0, s0"),
        (0xFE00, 0x0A20, "vseleq.f32 s0, s0, s1"),
        (0xFE80, 0x0A20, "vmaxnm.f32 s0, s0, s1"),
    ];
    const OTHER: [(u16, u16, &str); 5] = [
        (0xE92D, 0x4FF0, "stmdb sp!, {r4-r11, lr}"),
        (0xF8D0, 0x0A20, "ldr.w r0, [r0, #2592]"),
        (0xFB20, 0x0A01, "smlad r10, r0, r1, r0"),
        (0xFBC0, 0x0A21, "smlal"),
        (0xEE11, 0x0F10, "mrc p15"),
    ];

    #[test]
    fn moves_are_told_from_arithmetic() {
        for (first, second, text) in MOVES {
            assert_eq!(classify(first, second), Kind::Move, "{text}");
        }
        for (first, second, text) in ARITHMETIC {
            assert_eq!(classify(first, second), Kind::Arithmetic, "{text}");
        }
        for (first, second, text) in OTHER {
            assert_eq!(classify(first, second), Kind::Other, "{text}");
        }
    }

    fn symbol(name: &str, address: u64) -> Symbol {
        Symbol {
            name: name.to_owned(),
            address,
            function: !name.starts_with('$'),
        }
    }

    fn elf(halfwords: &[u16], symbols: Vec<Symbol>) -> Elf {
        Elf {
            sizes: Sizes::default(),
            symbols,
            code: vec![Code {
                address: 0x100,
                bytes: halfwords
                    .iter()
                    .flat_map(|half| half.to_le_bytes())
                    .collect(),
            }],
        }
    }

    #[test]
    fn an_addition_is_found_with_its_function() {
        // bx lr; vadd.f32 s0, s0, s1; bx lr
        let symbols = vec![
            symbol("$t.0", 0x100),
            symbol("first", 0x100),
            symbol("add", 0x102),
        ];
        let found = instructions(&elf(&[0x4770, 0xEE30, 0x0A20, 0x4770], symbols));
        assert_eq!(found.expect("mapped"), ["0x102 add"]);
    }

    #[test]
    fn a_constant_that_looks_like_an_addition_is_data() {
        let symbols = vec![
            symbol("$t", 0x100),
            symbol("first", 0x100),
            symbol("$d.1", 0x102),
        ];
        let found = instructions(&elf(&[0x4770, 0xEE30, 0x0A20], symbols));
        assert_eq!(found.expect("mapped"), [""; 0]);
    }

    #[test]
    fn the_second_half_of_an_instruction_is_not_taken_for_a_first() {
        // ldr.w with an offset, whose second halfword would begin `vadd` with what follows.
        let symbols = vec![symbol("$t", 0x100), symbol("load", 0x100)];
        let found = instructions(&elf(&[0xF8D0, 0xEE30, 0x0A20], symbols));
        assert_eq!(found.expect("mapped"), [""; 0]);
    }

    #[test]
    fn code_without_mapping_symbols_is_refused() {
        let found = instructions(&elf(&[0x4770], vec![symbol("first", 0x100)]));
        assert!(found.is_err());
    }
}
