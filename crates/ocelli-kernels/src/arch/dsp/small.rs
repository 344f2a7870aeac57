//! Small ops: additions, sums of pixels, ranges of codes.
#![allow(unsafe_code)] // Instructions of the DSP extension, and a loop that needs all registers.

use core::arch::asm;

use super::depthwise_loops::function;
use crate::add::AddParams;
use crate::requantize::{Clamp, PAIRED_SHIFTS, Requant};

/// What the loop of additions keeps in registers; in sum, one input is scaled by a half exactly, here the first one.
#[repr(C)]
struct Addition {
    a: *const i8,
    b: *const i8,
    output: *mut i8,
    end: *const i8,
    /// What is added to `b * 2^21`.
    zero_b: i32,
    multiplier_b: i32,
    half_b: i32,
    shift_b: i32,
    /// What is added to the doubled sum.
    zero_a: i32,
    multiplier: i32,
    half: i32,
    shift: i32,
}

unsafe extern "C" {
    /// Adds codes until `output` is `end`.
    ///
    /// # Safety
    /// There is one code or more, and each of the three runs has as many.
    fn ocelli_dsp_add(addition: *const Addition);

    /// The same, where `shift_b` is one and `zero_a` is in `half_b`.
    ///
    /// # Safety
    /// As above.
    fn ocelli_dsp_add_shifted_by_1(addition: *const Addition);

    /// The same, where the other input's factor is a half too.
    ///
    /// # Safety
    /// As above.
    fn ocelli_dsp_add_halves(addition: *const Addition);
}

// An element: r12 = b, scaled by smmlar as a sum of products is (see the loops of depthwise convolutions), lr = a, which
// needs a shift only; the doubled sum of both is scaled in the same way.
// r0-r11 are `Addition`'s words.
macro_rules! elements {
    ($name:literal, $($element:literal),*) => {
        function!(
            $name,
            "push {r4-r11, lr}",
            "ldm r0, {r0-r11}",
            // One at a time until their number is a multiple of four.
            "1: sub r12, r3, r2",
            "tst r12, #3",
            "beq 3f",
            "2: ldrsb r12, [r1], #1",
            $($element,)*
            "b 1b",
            "3: cmp r2, r3",
            "beq 5f",
            "4: ldrsb r12, [r1], #1",
            $($element,)*
            "ldrsb r12, [r1], #1",
            $($element,)*
            "ldrsb r12, [r1], #1",
            $($element,)*
            "ldrsb r12, [r1], #1",
            $($element,)*
            "cmp r2, r3",
            "bne 4b",
            "5: pop {r4-r11, pc}",
        );
    };
}
elements!(
    "ocelli_dsp_add",
    "add r12, r4, r12, lsl #21",
    "add lr, r6, r12, asr #31",
    "smmlar r12, r12, r5, lr",
    "ldrsb lr, [r0], #1",
    "asr r12, r12, r7",
    "add r12, r12, lr, lsl #19",
    "add r12, r8, r12, lsl #1",
    "add lr, r10, r12, asr #31",
    "smmlar r12, r12, r9, lr",
    "asr r12, r12, r11",
    "ssat r12, #8, r12",
    "strb r12, [r2], #1"
);

// Where the other input is shifted by one: r6 has what is added to the doubled sum too, and instead of a shift to the right
// and one to the left, the lowest bit is cleared. r7 r8 unused.
elements!(
    "ocelli_dsp_add_shifted_by_1",
    "add r12, r4, r12, lsl #21",
    "add lr, r6, r12, asr #31",
    "smmlar r12, r12, r5, lr",
    "ldrsb lr, [r0], #1",
    "bic r12, #1",
    "add r12, r12, lr, lsl #20",
    "add lr, r10, r12, asr #31",
    "smmlar r12, r12, r9, lr",
    "asr r12, r12, r11",
    "ssat r12, #8, r12",
    "strb r12, [r2], #1"
);

// Where both factors are a half: the sum of both codes needs a shift only. r1 b, r0 a, r4-r7 unused.
elements!(
    "ocelli_dsp_add_halves",
    "ldrsb lr, [r0], #1",
    "add r12, lr",
    "add r12, r8, r12, lsl #20",
    "add lr, r10, r12, asr #31",
    "smmlar r12, r12, r9, lr",
    "asr r12, r12, r11",
    "ssat r12, #8, r12",
    "strb r12, [r2], #1"
);

/// Adds codes where one input's factor is a half and the other factors shift to the right; otherwise does nothing.
pub(crate) fn add(p: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) -> bool {
    const HALF: Requant = Requant {
        multiplier: 1 << 30,
        shift: 0,
    };
    let count = a.len().min(b.len()).min(output.len());
    let ([zero_a, zero_b], [factor_a, factor_b]) = (p.zero_points.map(i32::from), p.factors);
    let (a, b, zero_a, zero_b, factor_a, factor_b) = if factor_a == HALF {
        (a, b, zero_a, zero_b, factor_a, factor_b)
    } else {
        (b, a, zero_b, zero_a, factor_b, factor_a)
    };
    let halves = factor_b == HALF;
    let shifts =
        |factor: Requant| i8::try_from(factor.shift).is_ok_and(|s| PAIRED_SHIFTS.contains(&s));
    let is_ours = factor_a == HALF && (halves || shifts(factor_b)) && shifts(p.output_factor);
    if !is_ours || count == 0 {
        return false;
    }
    let half = |shift: i32, zero_point: i32| (1 + 2 * zero_point).wrapping_shl((-shift - 1) as u32);
    let mut addition = Addition {
        a: a.as_ptr(),
        b: b.as_ptr(),
        output: output.as_mut_ptr(),
        end: output.as_ptr().wrapping_add(count),
        zero_b: -zero_b << 21,
        multiplier_b: factor_b.multiplier,
        half_b: half(factor_b.shift, 0),
        shift_b: -factor_b.shift,
        zero_a: -(if halves { zero_a + zero_b } else { zero_a }) << 20,
        multiplier: p.output_factor.multiplier,
        half: half(p.output_factor.shift, p.output_zero_point.into()),
        shift: -p.output_factor.shift,
    };
    // SAFETY: each run has `count` codes or more.
    unsafe {
        if halves {
            ocelli_dsp_add_halves(&addition);
        } else if addition.shift_b == 1 {
            addition.half_b += addition.zero_a;
            ocelli_dsp_add_shifted_by_1(&addition);
        } else {
            ocelli_dsp_add(&addition);
        }
    }
    clamp(p.clamp, output.get_mut(..count).unwrap_or_default());
    true
}

/// Adds the first four codes of every `step` to four sums.
#[inline(always)]
pub(crate) fn sum_pixels(codes: &[i8], step: usize, sums: &mut [i32; 4]) {
    // The last pixel may end with its fourth code.
    let Some(pixels) = codes
        .len()
        .checked_sub(4)
        .and_then(|len| len.checked_div(step))
    else {
        return;
    };
    let (mut pixel, mut left) = (codes.as_ptr(), pixels + 1);
    while left > 0 {
        // Sums of 16 bits: 255 codes at most.
        let count = left.min(255);
        left -= count;
        let (mut even, mut odd) = (0u32, 0u32);
        // SAFETY: the first code of each of `pixels + 1` pixels has three behind it; nothing is written. sxtab16 adds bytes
        // 0 and 2, or 1 and 3, to two numbers. Two pixels at a time, before them one if their number is odd.
        unsafe {
            asm!(
                "lsrs {count}, {count}, #1",
                "bcc 2f",
                "ldr {a}, [{pixel}]",
                "add {pixel}, {step}",
                "sxtab16 {even}, {even}, {a}",
                "sxtab16 {odd}, {odd}, {a}, ror #8",
                "cmp {count}, #0",
                "beq 3f",
                "2: ldr {a}, [{pixel}]",
                "ldr {b}, [{pixel}, {step}]",
                "add {pixel}, {pixel}, {step}, lsl #1",
                "sxtab16 {even}, {even}, {a}",
                "sxtab16 {odd}, {odd}, {a}, ror #8",
                "sxtab16 {even}, {even}, {b}",
                "sxtab16 {odd}, {odd}, {b}, ror #8",
                "subs {count}, #1",
                "bne 2b",
                "3:",
                count = inout(reg) count => _,
                pixel = inout(reg) pixel,
                even = inout(reg) even,
                odd = inout(reg) odd,
                a = out(reg) _,
                b = out(reg) _,
                step = in(reg) step,
                options(readonly, nostack),
            );
        }
        let words = [even, odd, even >> 16, odd >> 16];
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum = sum.wrapping_add((word as i16).into());
        }
    }
}

/// Brings codes into the range of a fused activation.
pub(super) fn clamp(range: Clamp, codes: &mut [i8]) {
    if range == Clamp::NONE {
        return;
    }
    let [min, max] = [range.min, range.max].map(|code| u32::from_le_bytes([code as u8; 4]));
    let mut fours = codes.chunks_exact_mut(4);
    for four in &mut fours {
        let &mut [a, b, c, d] = four else { continue };
        let mut word = u32::from_le_bytes([a, b, c, d].map(|code| code as u8));
        // SAFETY: ssub8, whose signs are what sel selects by, byte by byte, works on registers only.
        unsafe {
            asm!("ssub8 {scratch}, {word}, {min}", "sel {word}, {word}, {min}",
                "ssub8 {scratch}, {max}, {word}", "sel {word}, {word}, {max}",
                word = inout(reg) word, min = in(reg) min, max = in(reg) max, scratch = out(reg) _,
                options(pure, nomem, nostack));
        }
        four.copy_from_slice(&word.to_le_bytes().map(|byte| byte as i8));
    }
    for code in fours.into_remainder() {
        *code = range.apply((*code).into());
    }
}
