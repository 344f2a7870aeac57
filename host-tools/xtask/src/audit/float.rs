//! Finds float arithmetic in thumb code: a decoder for just the one question of what a floating-point instruction does.

use anyhow::Result;

use super::walk;
use crate::elf::Elf;

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
    let arithmetic = walk::instructions(elf)?
        .into_iter()
        .filter(|found| classify(found.first, found.second) == Kind::Arithmetic);
    Ok(arithmetic
        .map(|found| format!("{:#x} {}", found.address, elf.function_at(found.address)))
        .collect())
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

#[cfg(test)]
mod tests {
    use super::super::walk::program;
    use super::*;

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

    #[test]
    fn an_addition_is_found_with_its_function() {
        // bx lr; vadd.f32 s0, s0, s1; bx lr
        let names = [("$t.0", 0x100), ("first", 0x100), ("add", 0x102)];
        let found = instructions(&program(&[0x4770, 0xEE30, 0x0A20, 0x4770], &names));
        assert_eq!(found.expect("mapped"), ["0x102 add"]);
    }

    #[test]
    fn a_constant_that_looks_like_an_addition_is_data() {
        let names = [("$t", 0x100), ("first", 0x100), ("$d.1", 0x102)];
        let found = instructions(&program(&[0x4770, 0xEE30, 0x0A20], &names));
        assert_eq!(found.expect("mapped"), [""; 0]);
    }
}
