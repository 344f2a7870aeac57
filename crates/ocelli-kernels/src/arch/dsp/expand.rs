//! Codes as the loops of `matrix` want them: pairs of 16-bit numbers, doubled.
//!
//! `sxtb16` makes the pair of codes 0 and 2 of four, and with `ror #8` that of 1 and 3; `sxtab16` adds the same again.
#![allow(unsafe_code)] // Instructions, loads of four codes at any address, and a loop that needs all registers.

use core::arch::{asm, global_asm};
use core::ops::Range;

use super::super::plain;
use crate::filter::{Packing, Taps};

pub(crate) const fn is_expanded(packing: Packing) -> bool {
    matches!(packing, Packing::Paired)
}

pub(crate) const fn block_bytes(taps: Taps, packing: Packing, pixels: usize) -> usize {
    packing.block_bytes(taps, pixels)
}

unsafe extern "C" {
    /// Four pixels of `runs` runs of `run` codes, both at least 1, into a block of four.
    fn ocelli_dsp_expand_4(
        block: *mut i8,
        codes: *const i8,
        step: usize,
        run: usize,
        runs: usize,
        row_step: usize,
    );
    /// One pixel of `run` codes into a block whose words are `pixel_bytes` apart.
    fn ocelli_dsp_expand_1(block: *mut i8, codes: *const i8, pixel_bytes: usize, run: usize);
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
    if count == 4 && pixels == 4 && expand_4(block, Taps::one(taps.run), codes, step, 0) {
        return;
    }
    for pixel in 0..count {
        let codes = codes.get(pixel * step..).unwrap_or(&[]);
        expand_1(
            block,
            pixels,
            first + pixel,
            codes.get(..taps.run).unwrap_or(codes),
        );
    }
}

/// A run of so many codes is padded on the stack.
const SHORT_RUN: usize = 16;

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
    let taps = Taps::one(taps.run);
    let words = taps.words();
    let block = block
        .get_mut(words * run * pixels * 4..)
        .unwrap_or_default();
    let end = before + codes.len();
    if taps.run <= SHORT_RUN {
        let mut padded = [zero_point; SHORT_RUN];
        for (place, &code) in padded.iter_mut().skip(before).zip(codes) {
            *place = code;
        }
        let run = padded.get(..taps.run).unwrap_or(&[]);
        expand_1(block, pixels, pixel, run);
        return;
    }
    if before.is_multiple_of(4) && (end.is_multiple_of(4) || end == taps.run) {
        // Four codes are two words wherever they lie.
        pad(block, pixels, pixel, 0..before / 2, zero_point);
        if end < taps.run {
            pad(block, pixels, pixel, end / 2..words, zero_point);
        }
        let block = block.get_mut(before / 2 * pixels * 4..).unwrap_or_default();
        expand_1(block, pixels, pixel, codes);
        return;
    }
    pad(block, pixels, pixel, 0..words, zero_point);
    for (&code, at) in codes.iter().zip(before..) {
        let (word, is_second) = taps.place(0, at);
        let place = (word * pixels + pixel) * 4 + 2 * usize::from(is_second);
        if let Some([low, high]) = block.get_mut(place..place + 2) {
            [*low, *high] = (i16::from(code) * 2).to_le_bytes().map(|byte| byte as i8);
        }
    }
}

/// Some of a pixel's words in a block.
#[inline(never)]
fn pad(block: &mut [i8], pixels: usize, pixel: usize, words: Range<usize>, zero_point: i8) {
    let [low, high] = (i16::from(zero_point) * 2)
        .to_le_bytes()
        .map(|byte| byte as i8);
    let block = block.get_mut(words.start * pixels * 4..words.end * pixels * 4);
    let rows = block
        .unwrap_or_default()
        .chunks_exact_mut((4 * pixels).max(1));
    for word in rows.filter_map(|row| row.get_mut(4 * pixel..)?.first_chunk_mut()) {
        *word = [low, high, low, high];
    }
}

#[inline]
pub(crate) fn fill_block_rows(
    block: &mut [i8],
    taps: Taps,
    packing: Packing,
    pixels: usize,
    codes: &[i8],
    step: usize,
    row_step: usize,
) {
    if pixels == 4 && is_expanded(packing) && expand_4(block, taps, codes, step, row_step) {
        return;
    }
    for run in 0..taps.runs {
        let codes = codes.get(run * row_step..).unwrap_or(&[]);
        fill_block(block, taps, packing, pixels, 0, run, codes, step, pixels);
    }
}

/// All runs of four pixels, if the memory is there.
#[inline(always)]
fn expand_4(block: &mut [i8], taps: Taps, codes: &[i8], step: usize, row_step: usize) -> bool {
    let last = row_step * (taps.runs - 1) + 3 * step;
    let (written, read) = (taps.words() * 16, last + taps.run);
    // The loop's `stm` takes multiples of 4 only.
    let fits = block.len() >= written && codes.len() >= read;
    if !fits || !block.as_ptr().addr().is_multiple_of(4) || taps.count() == 0 {
        return false;
    }
    // SAFETY: it writes `taps.words()` words of four pixels and reads the codes of their runs, which are there.
    unsafe {
        let (block, codes) = (block.as_mut_ptr(), codes.as_ptr());
        ocelli_dsp_expand_4(block, codes, step, taps.run, taps.runs, row_step);
    }
    true
}

/// One pixel's run into a block of `pixels`.
fn expand_1(block: &mut [i8], pixels: usize, pixel: usize, codes: &[i8]) {
    let words = Taps::one(codes.len()).words();
    if words == 0 || pixel >= pixels || block.len() < words * pixels * 4 {
        return;
    }
    // SAFETY: it writes `words` words, `pixels` words apart, and reads all of `codes`.
    unsafe {
        let block = block.as_mut_ptr().add(pixel * 4);
        ocelli_dsp_expand_1(block, codes.as_ptr(), pixels * 4, codes.len());
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
// their pairs, lr what is left. Missing second codes of a word may be anything: the filters have zeros there.
global_asm!(
    r#"
    .pushsection .text.ocelli_dsp_expand_4, "ax", %progbits
    .balign 4
    .global ocelli_dsp_expand_4
    .type ocelli_dsp_expand_4, %function
    .thumb_func
ocelli_dsp_expand_4:
    push {r1, r4-r11, lr}
    add r12, r2, r2, lsl #1
1:  lsrs lr, r3, #2
    beq 3f
2:  ldr r5, [r1, r2]
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
    bne 2b
3:  ands lr, r3, #3
    beq 6f
    // Up to three codes are left: the first, ...
    ldrsb r5, [r1, r2]
    ldrsb r6, [r1, r2, lsl #1]
    ldrsb r7, [r1, r12]
    ldrsb r4, [r1], #1
    cmp lr, #2
    blo 5f
    // ... the second, ...
    ldrsb r9, [r1, r2]
    ldrsb r10, [r1, r2, lsl #1]
    ldrsb r11, [r1, r12]
    ldrsb r8, [r1], #1
    beq 4f
    // ... and the third, which is the first's partner then.
    ldrsb lr, [r1, r2]
    pkhbt r5, r5, lr, lsl #16
    ldrsb lr, [r1, r2, lsl #1]
    pkhbt r6, r6, lr, lsl #16
    ldrsb lr, [r1, r12]
    pkhbt r7, r7, lr, lsl #16
    ldrsb lr, [r1]
    pkhbt r4, r4, lr, lsl #16
    sadd16 r4, r4, r4
    sadd16 r5, r5, r5
    sadd16 r6, r6, r6
    sadd16 r7, r7, r7
    stm r0!, {r4-r7}
    sadd16 r4, r8, r8
    sadd16 r5, r9, r9
    sadd16 r6, r10, r10
    sadd16 r7, r11, r11
    stm r0!, {r4-r7}
    b 6f
4:  pkhbt r4, r4, r8, lsl #16
    pkhbt r5, r5, r9, lsl #16
    pkhbt r6, r6, r10, lsl #16
    pkhbt r7, r7, r11, lsl #16
5:  sadd16 r4, r4, r4
    sadd16 r5, r5, r5
    sadd16 r6, r6, r6
    sadd16 r7, r7, r7
    stm r0!, {r4-r7}
6:  ldr lr, [sp, #40]
    subs lr, lr, #1
    beq 7f
    str lr, [sp, #40]
    ldr lr, [sp, #44]
    ldr r1, [sp]
    add r1, r1, lr
    str r1, [sp]
    b 1b
7:  add sp, sp, #4
    pop {r4-r11, pc}
    .size ocelli_dsp_expand_4, . - ocelli_dsp_expand_4
    .popsection

    .pushsection .text.ocelli_dsp_expand_1, "ax", %progbits
    .balign 4
    .global ocelli_dsp_expand_1
    .type ocelli_dsp_expand_1, %function
    .thumb_func
ocelli_dsp_expand_1:
    push {r4-r8, lr}
    add r8, r2, r2, lsl #1
    lsrs lr, r3, #3
    beq 2f
1:  ldr r5, [r1, #4]
    ldr r4, [r1], #8
    sxtb16 r6, r4
    sxtb16 r7, r4, ror #8
    sxtab16 r6, r6, r4
    sxtab16 r7, r7, r4, ror #8
    sxtb16 r12, r5
    sxtb16 r4, r5, ror #8
    sxtab16 r12, r12, r5
    sxtab16 r4, r4, r5, ror #8
    str r7, [r0, r2]
    str r12, [r0, r2, lsl #1]
    str r4, [r0, r8]
    str r6, [r0]
    add r0, r0, r2, lsl #2
    subs lr, lr, #1
    bne 1b
2:  tst r3, #4
    beq 3f
    ldr r4, [r1], #4
    sxtb16 r6, r4
    sxtb16 r7, r4, ror #8
    sxtab16 r6, r6, r4
    sxtab16 r7, r7, r4, ror #8
    str r6, [r0]
    str r7, [r0, r2]
    add r0, r0, r2, lsl #1
3:  ands r3, r3, #3
    beq 6f
    ldrsb r4, [r1]
    cmp r3, #2
    blo 5f
    ldrsb r5, [r1, #1]
    beq 4f
    ldrsb r6, [r1, #2]
    sadd16 r7, r5, r5
    str r7, [r0, r2]
    mov r5, r6
4:  pkhbt r4, r4, r5, lsl #16
5:  sadd16 r4, r4, r4
    str r4, [r0]
6:  pop {r4-r8, pc}
    .size ocelli_dsp_expand_1, . - ocelli_dsp_expand_1
    .popsection
"#,
    options(raw)
);
