//! Codes as the loops of `matrix` want them: pairs of 16-bit numbers, doubled.
//!
//! `sxtb16` makes the pair of codes 0 and 2 of four, and with `ror #8` that of 1 and 3; `sxtab16` adds the same again.
#![allow(unsafe_code)] // Instructions, loads of four codes at any address, and a loop that needs all registers.

use core::arch::{asm, global_asm};

use super::super::plain;
use crate::filter::{Packing, Taps};

pub(crate) const fn is_expanded(packing: Packing) -> bool {
    matches!(packing, Packing::Paired)
}

pub(crate) const fn block_bytes(taps: Taps, packing: Packing, pixels: usize) -> usize {
    packing.block_bytes(taps, pixels)
}

unsafe extern "C" {
    /// Four pixels of `run >= 1` codes, `step` apart, into a block of four.
    fn ocelli_dsp_expand_4(block: *mut i8, codes: *const i8, step: usize, run: usize);
}

#[allow(clippy::too_many_arguments)]
#[inline]
pub(crate) fn fill_block(
    block: &mut [i8],
    taps: Taps,
    packing: Packing,
    pixels: usize,
    first: usize,
    run: usize,
    codes: &[i8],
    step: usize,
    count: usize,
) {
    if !is_expanded(packing) {
        return plain::fill_block(block, taps, packing, pixels, first, run, codes, step, count);
    }
    let words = Taps::one(taps.run).words();
    let block = block
        .get_mut(words * run * pixels * 4..)
        .unwrap_or_default();
    // The loop's `stm` takes multiples of 4 only.
    if count == 4
        && pixels == 4
        && block.len() >= words * 16
        && codes.len() >= 3 * step + taps.run
        && block.as_ptr().addr().is_multiple_of(4)
    {
        // SAFETY: it writes `words` words of four pixels and reads the codes of four runs, which are there.
        unsafe { ocelli_dsp_expand_4(block.as_mut_ptr(), codes.as_ptr(), step, taps.run) }
        return;
    }
    for pixel in 0..count {
        let codes = codes.get(pixel * step..).unwrap_or(&[]);
        let codes = codes.get(..taps.run).unwrap_or(codes);
        expand(block, pixels, first + pixel, codes);
    }
}

#[allow(clippy::too_many_arguments)]
pub(crate) fn fill_block_edge(
    block: &mut [i8],
    taps: Taps,
    packing: Packing,
    pixels: usize,
    pixel: usize,
    run: usize,
    before: usize,
    codes: &[i8],
    zero_point: i8,
) {
    if !is_expanded(packing) {
        return plain::fill_block_edge(
            block, taps, packing, pixels, pixel, run, before, codes, zero_point,
        );
    }
    let words = Taps::one(taps.run).words();
    let block = block
        .get_mut(words * run * pixels * 4..)
        .unwrap_or_default();
    let words = block.chunks_exact_mut(4).skip(pixel).step_by(pixels.max(1));
    let padding = pair(zero_point, zero_point);
    for word in words.take(Taps::one(taps.run).words()) {
        word.copy_from_slice(&padding);
    }
    for (&code, at) in codes.iter().zip(before..taps.run) {
        let (word, is_second) = Taps::one(taps.run).place(0, at);
        let place = (word * pixels + pixel) * 4 + 2 * usize::from(is_second);
        if let Some([low, high]) = block.get_mut(place..place + 2) {
            [*low, *high] = doubled(code);
        }
    }
}

/// A code, doubled, as a 16-bit number.
fn doubled(code: i8) -> [i8; 2] {
    (i16::from(code) * 2).to_le_bytes().map(|byte| byte as i8)
}

fn pair(first: i8, second: i8) -> [i8; 4] {
    let ([a, b], [c, d]) = (doubled(first), doubled(second));
    [a, b, c, d]
}

/// One pixel's run into a block of `pixels`.
fn expand(block: &mut [i8], pixels: usize, pixel: usize, codes: &[i8]) {
    let mut words = block.chunks_exact_mut(4).skip(pixel).step_by(pixels.max(1));
    let fours = codes.chunks_exact(4);
    let rest = fours.remainder();
    for four in fours {
        if let (&[a, b, c, d], Some(even), Some(odd)) = (four, words.next(), words.next()) {
            even.copy_from_slice(&pair(a, c));
            odd.copy_from_slice(&pair(b, d));
        }
    }
    let (first, second) = match *rest {
        [a] => (pair(a, 0), None),
        [a, b] => (pair(a, b), None),
        [a, b, c] => (pair(a, c), Some(pair(b, 0))),
        _ => return,
    };
    for (word, pair) in words.zip([Some(first), second].into_iter().flatten()) {
        word.copy_from_slice(&pair);
    }
}

/// `acc` plus the products of two runs of codes; the shorter one ends it.
#[inline(always)]
pub(crate) fn dot(mut acc: i32, a: &[i8], b: &[i8]) -> i32 {
    let both = a.len().min(b.len());
    let (a, rest_a) = a.split_at_checked(both & !3).unwrap_or_default();
    let (b, rest_b) = b.split_at_checked(both & !3).unwrap_or_default();
    for (a, b) in a.chunks_exact(4).zip(b.chunks_exact(4)) {
        if let (&[a0, a1, a2, a3], &[b0, b1, b2, b3]) = (a, b) {
            let a = u32::from_le_bytes([a0 as u8, a1 as u8, a2 as u8, a3 as u8]);
            let b = u32::from_le_bytes([b0 as u8, b1 as u8, b2 as u8, b3 as u8]);
            // SAFETY: arithmetic on registers.
            unsafe {
                asm!(
                    "sxtb16 {even_a}, {a}",
                    "sxtb16 {even_b}, {b}",
                    "sxtb16 {a}, {a}, ror #8",
                    "sxtb16 {b}, {b}, ror #8",
                    "smlad {acc}, {even_a}, {even_b}, {acc}",
                    "smlad {acc}, {a}, {b}, {acc}",
                    a = inout(reg) a => _,
                    b = inout(reg) b => _,
                    even_a = out(reg) _,
                    even_b = out(reg) _,
                    acc = inout(reg) acc,
                    options(pure, nomem, nostack),
                );
            }
        }
    }
    plain::dot(acc, rest_a, rest_b)
}

// r0 the block, r1 the codes, r2, r2 * 2 and r12 from one pixel to the others, r4..r7 four codes of a pixel each, r8..r11
// their pairs, lr what is left by fours. Missing second codes of a word may be anything: the filters have zeros there.
global_asm!(
    r#"
    .pushsection .text.ocelli_dsp_expand_4, "ax", %progbits
    .balign 4
    .global ocelli_dsp_expand_4
    .type ocelli_dsp_expand_4, %function
    .thumb_func
ocelli_dsp_expand_4:
    push {r4-r11, lr}
    add r12, r2, r2, lsl #1
    lsrs lr, r3, #2
    beq 2f
1:  ldr r5, [r1, r2]
    ldr r6, [r1, r2, lsl #1]
    ldr r7, [r1, r12]
    ldr r4, [r1], #4
    sxtb16 r8, r4
    sxtb16 r9, r5
    sxtb16 r10, r6
    sxtb16 r11, r7
    sxtab16 r8, r8, r4
    sxtab16 r9, r9, r5
    sxtab16 r10, r10, r6
    sxtab16 r11, r11, r7
    stm r0!, {r8-r11}
    sxtb16 r8, r4, ror #8
    sxtb16 r9, r5, ror #8
    sxtb16 r10, r6, ror #8
    sxtb16 r11, r7, ror #8
    sxtab16 r8, r8, r4, ror #8
    sxtab16 r9, r9, r5, ror #8
    sxtab16 r10, r10, r6, ror #8
    sxtab16 r11, r11, r7, ror #8
    stm r0!, {r8-r11}
    subs lr, lr, #1
    bne 1b
2:  ands r3, r3, #3
    beq 5f
    // The first of up to three codes, which is the only one of its word's first halves.
    add r8, r1, r2
    add r9, r1, r2, lsl #1
    add r10, r1, r12
    ldrsb r4, [r1]
    ldrsb r5, [r8]
    ldrsb r6, [r9]
    ldrsb r7, [r10]
    cmp r3, #2
    blo 4f
    beq 3f
    // Three: the first and the third are a word, the second another.
    ldrsb r11, [r1, #2]
    ldrsb r12, [r8, #2]
    ldrsb r2, [r9, #2]
    ldrsb r3, [r10, #2]
    pkhbt r4, r4, r11, lsl #16
    pkhbt r5, r5, r12, lsl #16
    pkhbt r6, r6, r2, lsl #16
    pkhbt r7, r7, r3, lsl #16
    sadd16 r4, r4, r4
    sadd16 r5, r5, r5
    sadd16 r6, r6, r6
    sadd16 r7, r7, r7
    stm r0!, {r4-r7}
    ldrsb r4, [r1, #1]
    ldrsb r5, [r8, #1]
    ldrsb r6, [r9, #1]
    ldrsb r7, [r10, #1]
    b 4f
3:  ldrsb r11, [r1, #1]
    ldrsb r12, [r8, #1]
    ldrsb r2, [r9, #1]
    ldrsb r3, [r10, #1]
    pkhbt r4, r4, r11, lsl #16
    pkhbt r5, r5, r12, lsl #16
    pkhbt r6, r6, r2, lsl #16
    pkhbt r7, r7, r3, lsl #16
4:  sadd16 r4, r4, r4
    sadd16 r5, r5, r5
    sadd16 r6, r6, r6
    sadd16 r7, r7, r7
    stm r0!, {r4-r7}
5:  pop {r4-r11, pc}
    .size ocelli_dsp_expand_4, . - ocelli_dsp_expand_4
    .popsection
"#,
    options(raw)
);
