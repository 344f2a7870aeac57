//! Blocks of pixels times filters.
//!
//! A block has, word by word of the filters, a word of each of its one to four pixels: two codes, doubled, as 16-bit
//! numbers. A word of the filters has two weights of each of two channels. For each pair of channels, the sums of all
//! pixels are kept in registers: a word of the filters and the pixels' words are loaded, `sxtb16` takes one channel's
//! weights from it, and then the other's, and `smlad` adds two products at once to a sum.
//!
//! The first word's products are added to the biases, doubled like the codes. Behind it, four or three pixels have a loop
//! of eight words, entered in its middle where their number is not a multiple of eight. One or two pixels have registers
//! to spare: there, words come one by one until a multiple of the loop's is left, and then by fours and twos in one `ldm`.
//!
//! Sums are doubled, as the rounded high half of twice a product wants them. So four instructions make a code of one: with
//! `e`, at least 1, the shift to the right, `half = (1 + 2 * zero_point) << (e - 1)` is the second rounding and the zero
//! point at once, and one less for negative sums rounds halves away from zero. `add` makes that of the sum's sign, `smmlar`
//! adds the first rounding's result to it, `asr` divides, `ssat` saturates. The signs of a sum and of its rounded product
//! differ only where the product is 0, and there one less makes no difference.
#![allow(unsafe_code)] // Calls of the loops, which are machine code: they need all registers.

use core::arch::global_asm;

use super::super::plain;
use super::expand::is_expanded;
use crate::filter::{BLOCK_PIXELS, Filters};
use crate::requantize::ChannelRequant;

/// What a loop gets: the first twelve words of its stack.
#[repr(C)]
struct Call {
    block: *const i8,
    bias: *const i32,
    shift: *const i8,
    multiplier: *const i32,
    output: *mut i8,
    pixel: usize,
    three_pixels: usize,
    output_end: *mut i8,
    base: i32,
    block_end: *const i8,
    words_after_first: usize,
    weights: *const i8,
}

unsafe extern "C" {
    fn ocelli_dsp_multiply_1(call: &Call);
    fn ocelli_dsp_multiply_2(call: &Call);
    fn ocelli_dsp_multiply_3(call: &Call);
    fn ocelli_dsp_multiply_4(call: &Call);
}

pub(crate) fn multiply_block(
    block: &[i8],
    pixels: usize,
    filters: &Filters<'_>,
    requant: &ChannelRequant<'_>,
    output: &mut [i8],
) {
    if !is_expanded(filters.packing) {
        return plain::multiply_block(block, pixels, filters, requant, output);
    }
    let (channels, words) = (requant.bias.len(), filters.taps.words());
    let paired = channels & !1;
    multiply_pairs(
        block,
        pixels,
        words,
        filters.weights,
        requant,
        paired,
        output,
    );
    if paired < channels {
        multiply_last(block, pixels, words, filters.weights, requant, output);
    }
    super::small::clamp(requant.clamp, output);
}

/// The last of an odd number of channels: a second one is made up for it, of which the filters have zeros.
#[inline(never)]
fn multiply_last(
    block: &[i8],
    pixels: usize,
    words: usize,
    weights: &[i8],
    requant: &ChannelRequant<'_>,
    output: &mut [i8],
) {
    let channels = requant.bias.len();
    let last = channels.saturating_sub(1);
    let at = |factors: &[i32]| factors.get(last).copied().unwrap_or(0);
    let requant = ChannelRequant {
        bias: &[at(requant.bias), 0],
        multiplier: &[at(requant.multiplier), 0],
        shift: &[requant.shift.get(last).copied().unwrap_or(-1), -1],
        ..*requant
    };
    let weights = weights.get(words * last * 2..).unwrap_or(&[]);
    let mut made = [0; 2 * BLOCK_PIXELS];
    let made = made.get_mut(..2 * pixels).unwrap_or_default();
    multiply_pairs(block, pixels, words, weights, &requant, 2, made);
    let places = output.iter_mut().skip(last).step_by(channels.max(1));
    for (code, &made) in places.zip(made.iter().step_by(2)) {
        *code = made;
    }
}

/// The first `paired` channels, an even number, of all pixels; those of a pixel lie `requant.bias.len()` apart.
#[inline(always)]
fn multiply_pairs(
    block: &[i8],
    pixels: usize,
    words: usize,
    weights: &[i8],
    requant: &ChannelRequant<'_>,
    paired: usize,
    output: &mut [i8],
) {
    let pixel = requant.bias.len();
    let multiply = match pixels {
        1 => ocelli_dsp_multiply_1,
        2 => ocelli_dsp_multiply_2,
        3 => ocelli_dsp_multiply_3,
        4 => ocelli_dsp_multiply_4,
        _ => return,
    };
    let enough = words > 0
        && paired >= 2
        && paired <= pixel
        && requant.multiplier.len() >= paired
        && requant.shift.len() >= paired
        && words
            .checked_mul(pixels * 4)
            .is_some_and(|bytes| block.len() >= bytes)
        && words
            .checked_mul(paired * 2)
            .is_some_and(|bytes| weights.len() >= bytes)
        && pixel
            .checked_mul(pixels)
            .is_some_and(|codes| output.len() >= codes);
    // `ldrd` and `ldm` take multiples of 4 only.
    if !enough || !(block.as_ptr().addr() | weights.as_ptr().addr()).is_multiple_of(4) {
        return multiply_slowly(block, pixels, words, weights, requant, paired, output);
    }
    let output = output.as_mut_ptr();
    let call = Call {
        block: block.as_ptr(),
        bias: requant.bias.as_ptr(),
        shift: requant.shift.as_ptr(),
        multiplier: requant.multiplier.as_ptr(),
        output,
        pixel,
        three_pixels: 3 * pixel,
        output_end: output.wrapping_add(paired),
        base: 1 + 2 * requant.output_zero_point as i32,
        block_end: block.as_ptr().wrapping_add(words * pixels * 4),
        words_after_first: words - 1,
        weights: weights.as_ptr(),
    };
    // SAFETY: it reads `paired` numbers of each array of `requant`, `words` words of each pixel of the block and of each pair
    // of channels of the filters, and writes `paired` codes a pixel, all of which are there; it leaves no trace but those.
    unsafe { multiply(&call) }
}

/// The same without the loops, where memory does not lie as they want it.
#[cold]
#[inline(never)]
fn multiply_slowly(
    block: &[i8],
    pixels: usize,
    words: usize,
    weights: &[i8],
    requant: &ChannelRequant<'_>,
    paired: usize,
    output: &mut [i8],
) {
    let half = |bytes: &[i8], at| match bytes.get(at..) {
        Some(&[low, high, ..]) => i32::from(i16::from_le_bytes([low as u8, high as u8])) / 2,
        _ => 0,
    };
    let rows = output.chunks_mut(requant.bias.len().max(1));
    for (pixel, output) in rows.take(pixels).enumerate() {
        let channels = requant.channels().zip(output).take(paired).enumerate();
        for (out, ((bias, factor), code)) in channels {
            let acc = (0..words).fold(bias, |acc, word| {
                let first = (out / 2 * words + word) * 4 + out % 2;
                let weight = |at| i32::from(weights.get(at).copied().unwrap_or(0));
                let codes = (word * pixels + pixel) * 4;
                acc + weight(first) * half(block, codes)
                    + weight(first + 2) * half(block, codes + 2)
            });
            *code = requant.code(acc, factor);
        }
    }
}

// Registers: r0..r3 the sums of one channel, r4..r7 those of the next, r12 the block, lr the filters; the others come and
// go. Offsets from sp are those of `Call`. Sums begin as the bias in the last pixel's register. `bend` of a loop whose end
// is in a register is the end of the block.
global_asm!(
    r#"
    .macro ocelli_dsp_word_4 begin0=r0, begin1=r1, begin2=r2, begin4=r4, begin5=r5, begin6=r6
    ldr r8, [lr], #4
    ldrd r10, r11, [r12], #8
    sxtb16 r9, r8
    sxtb16 r8, r8, ror #8
    smlad r0, r10, r9, \begin0
    smlad r4, r10, r8, \begin4
    smlad r1, r11, r9, \begin1
    smlad r5, r11, r8, \begin5
    ldrd r10, r11, [r12], #8
    smlad r2, r10, r9, \begin2
    smlad r6, r10, r8, \begin6
    smlad r3, r11, r9, r3
    smlad r7, r11, r8, r7
    .endm

    .macro ocelli_dsp_word_3 begin0=r0, begin1=r1, begin4=r4, begin5=r5
    ldr r8, [lr], #4
    ldm.w r12!, {r9, r10, r11}
    sxtb16 r7, r8
    sxtb16 r8, r8, ror #8
    smlad r0, r9, r7, \begin0
    smlad r4, r9, r8, \begin4
    smlad r1, r10, r7, \begin1
    smlad r5, r10, r8, \begin5
    smlad r2, r11, r7, r2
    smlad r6, r11, r8, r6
    .endm

    .macro ocelli_dsp_word_2 begin0=r0, begin4=r4
    ldr r8, [lr], #4
    ldrd r9, r10, [r12], #8
    sxtb16 r7, r8
    sxtb16 r8, r8, ror #8
    smlad r0, r9, r7, \begin0
    smlad r4, r9, r8, \begin4
    smlad r1, r10, r7, r1
    smlad r5, r10, r8, r5
    .endm

    .macro ocelli_dsp_words_2
    ldrd r8, r9, [lr], #8
    ldm.w r12!, {r2, r3, r6, r7}
    sxtb16 r10, r8
    sxtb16 r8, r8, ror #8
    smlad r0, r2, r10, r0
    smlad r4, r2, r8, r4
    smlad r1, r3, r10, r1
    smlad r5, r3, r8, r5
    sxtb16 r10, r9
    sxtb16 r9, r9, ror #8
    smlad r0, r6, r10, r0
    smlad r4, r6, r9, r4
    smlad r1, r7, r10, r1
    smlad r5, r7, r9, r5
    .endm

    .macro ocelli_dsp_word_1
    ldr r8, [lr], #4
    ldr r9, [r12], #4
    sxtb16 r10, r8
    sxtb16 r8, r8, ror #8
    smlad r0, r9, r10, r0
    smlad r4, r9, r8, r4
    .endm

    .macro ocelli_dsp_words_1
    ldm.w r12!, {r1, r2, r3, r5}
    ldm.w lr!, {r6, r7, r8, r9}
    sxtb16 r10, r6
    sxtb16 r6, r6, ror #8
    smlad r0, r1, r10, r0
    smlad r4, r1, r6, r4
    sxtb16 r10, r7
    sxtb16 r7, r7, ror #8
    smlad r0, r2, r10, r0
    smlad r4, r2, r7, r4
    sxtb16 r10, r8
    sxtb16 r8, r8, ror #8
    smlad r0, r3, r10, r0
    smlad r4, r3, r8, r4
    sxtb16 r10, r9
    sxtb16 r9, r9, ror #8
    smlad r0, r5, r10, r0
    smlad r4, r5, r9, r4
    .endm

    // Saves registers, puts the twelve words of r0 onto the stack, and makes of the number of words after the first the
    // address at which the loop is entered: `size` bytes for each of the words that are no whole round before label 3.
    .macro ocelli_dsp_begin size, round
    push {r4-r11, lr}
    ldm r0, {r0-r11}
    mov lr, r11
    push {r0-r11}
    and r10, r10, #\round - 1
    mov r0, #\size
    adr.w r1, 3f
    mls r1, r10, r0, r1
    orr r1, r1, #1
    str r1, [sp, #40]
    .endm

    // The pointers to the block and to the next bias; two biases, doubled.
    .macro ocelli_dsp_bias one, two
    ldrd r12, r8, [sp, #0]
    ldrd \one, \two, [r8], #8
    str r8, [sp, #4]
    lsl \one, \one, #1
    lsl \two, \two, #1
    .endm

    // r8 = half, r12 = e.
    .macro ocelli_dsp_two_codes a, b, by=r10
    add r9, r8, \a, asr #31
    smmlar \a, \a, \by, r9
    add r9, r8, \b, asr #31
    smmlar \b, \b, \by, r9
    asr \a, \a, r12
    asr \b, \b, r12
    ssat \a, #8, \a
    ssat \b, #8, \b
    .endm

    .macro ocelli_dsp_one_code a, by=r10
    add r9, r8, \a, asr #31
    smmlar \a, \a, \by, r9
    asr \a, \a, r12
    ssat \a, #8, \a
    .endm

    // From r12 = shift: half and e.
    .macro ocelli_dsp_half
    ldr r8, [sp, #32]
    mvn r9, r12
    lsl r8, r8, r9
    rsb r12, r12, #0
    .endm

    // Of the first channel of a pair; the multiplier of the second goes to r11.
    .macro ocelli_dsp_first_factor
    ldrd r8, r9, [sp, #8]
    ldrsb r12, [r8], #2
    ldrd r10, r11, [r9], #8
    strd r8, r9, [sp, #8]
    ocelli_dsp_half
    .endm

    .macro ocelli_dsp_second_factor
    ldr r8, [sp, #8]
    ldrsb r12, [r8, #-1]
    ocelli_dsp_half
    .endm

    // On to the next pair, or out.
    .macro ocelli_dsp_end
    str r8, [sp, #16]
    cmp r8, r11
    bne.w 1b
    add sp, sp, #48
    pop {r4-r11, pc}
    .endm

    .macro ocelli_dsp_function name
    .pushsection .text.\name, "ax", %progbits
    .balign 4
    .global \name
    .type \name, %function
    .thumb_func
\name:
    .endm

    .macro ocelli_dsp_function_end name
    .size \name, . - \name
    .popsection
    .endm

    ocelli_dsp_function ocelli_dsp_multiply_4
    ocelli_dsp_begin 52, 8
1:  ocelli_dsp_bias r3, r7
    ocelli_dsp_word_4 r3, r3, r3, r7, r7, r7
    ldr pc, [sp, #40]
2:  .rept 8
    ocelli_dsp_word_4
    .endr
3:  ldr r8, [sp, #36]
    cmp r12, r8
    bne.w 2b
    ocelli_dsp_first_factor
    ocelli_dsp_two_codes r0, r1
    ocelli_dsp_two_codes r2, r3
    ocelli_dsp_second_factor
    ocelli_dsp_two_codes r4, r5, r11
    ocelli_dsp_two_codes r6, r7, r11
    ldrd r8, r9, [sp, #16]
    ldrd r10, r11, [sp, #24]
    bfi r0, r4, #8, #8
    bfi r1, r5, #8, #8
    bfi r2, r6, #8, #8
    bfi r3, r7, #8, #8
    strh r1, [r8, r9]
    strh r2, [r8, r9, lsl #1]
    strh r3, [r8, r10]
    strh r0, [r8], #2
    ocelli_dsp_end
    ocelli_dsp_function_end ocelli_dsp_multiply_4

    ocelli_dsp_function ocelli_dsp_multiply_3
    ocelli_dsp_begin 40, 8
1:  ocelli_dsp_bias r2, r6
    ldr r3, [sp, #36]
    ocelli_dsp_word_3 r2, r2, r6, r6
    ldr pc, [sp, #40]
2:  .rept 8
    ocelli_dsp_word_3
    .endr
3:  cmp r12, r3
    bne.w 2b
    ocelli_dsp_first_factor
    ocelli_dsp_two_codes r0, r1
    ocelli_dsp_one_code r2
    ocelli_dsp_second_factor
    ocelli_dsp_two_codes r4, r5, r11
    ocelli_dsp_one_code r6, r11
    ldrd r8, r9, [sp, #16]
    ldr r11, [sp, #28]
    bfi r0, r4, #8, #8
    bfi r1, r5, #8, #8
    bfi r2, r6, #8, #8
    strh r1, [r8, r9]
    strh r2, [r8, r9, lsl #1]
    strh r0, [r8], #2
    ocelli_dsp_end
    ocelli_dsp_function_end ocelli_dsp_multiply_3

    ocelli_dsp_function ocelli_dsp_multiply_2
    ocelli_dsp_begin 32, 4
1:  ocelli_dsp_bias r1, r5
    ldr r11, [sp, #36]
    ocelli_dsp_word_2 r1, r5
    ldr pc, [sp, #40]
    .rept 3
    ocelli_dsp_word_2
    .endr
3:  cmp r12, r11
    beq.w 4f
2:  ocelli_dsp_words_2
    ocelli_dsp_words_2
    cmp r12, r11
    bne.w 2b
4:  ocelli_dsp_first_factor
    ocelli_dsp_two_codes r0, r1
    ocelli_dsp_second_factor
    ocelli_dsp_two_codes r4, r5, r11
    ldrd r8, r9, [sp, #16]
    ldr r11, [sp, #28]
    bfi r0, r4, #8, #8
    bfi r1, r5, #8, #8
    strh r1, [r8, r9]
    strh r0, [r8], #2
    ocelli_dsp_end
    ocelli_dsp_function_end ocelli_dsp_multiply_2

    ocelli_dsp_function ocelli_dsp_multiply_1
    ocelli_dsp_begin 24, 8
1:  ocelli_dsp_bias r0, r4
    ldr r11, [sp, #36]
    ocelli_dsp_word_1
    ldr pc, [sp, #40]
    .rept 7
    ocelli_dsp_word_1
    .endr
3:  cmp r12, r11
    beq.w 4f
2:  ocelli_dsp_words_1
    ocelli_dsp_words_1
    cmp r12, r11
    bne.w 2b
4:  ocelli_dsp_first_factor
    ocelli_dsp_one_code r0
    ocelli_dsp_second_factor
    ocelli_dsp_one_code r4, r11
    ldr r8, [sp, #16]
    ldr r11, [sp, #28]
    bfi r0, r4, #8, #8
    strh r0, [r8], #2
    ocelli_dsp_end
    ocelli_dsp_function_end ocelli_dsp_multiply_1
"#,
    options(raw)
);
