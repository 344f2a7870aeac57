//! The loops themselves.

use core::arch::global_asm;

use crate::requantize::Requant;

unsafe extern "C" {
    /// `sums[i] = sum of codes[k] * filters[i][k]`, for `count > 0`.
    pub(super) fn ocelli_v6m_dots(
        codes: *const i8,
        filters: *const [*const i8; 4],
        count: usize,
        sums: *mut [i32; 4],
    );

    /// Words for pairs of taps of two pixels' codes, every `step` bytes two, for `pairs > 0`.
    pub(super) fn ocelli_v6m_expand(
        lower: *const i8,
        upper: *const i8,
        words: *mut i32,
        pairs: usize,
        step: usize,
    );

    /// Four pixels' codes as they lie, times all filters of `-minus_count` weights; of pixels and weights the ends.
    pub(super) fn ocelli_v6m_codes_4(
        pixels: *const [*const i8; 4],
        weights: *const i8,
        output: *mut i8,
        bias: *const i32,
        multiplier: *const i32,
        shift: *const i8,
        channels_times_4: usize,
        second: usize,
        third: usize,
        fourth: usize,
        zero_point: i32,
        min: i32,
        max: i32,
        limit: u32,
        round: i32,
        minus_count: isize,
    );

    /// Two pairs of pixels, written at `output`, `output + second`, `+ third`, `+ fourth`, times all filters.
    pub(super) fn ocelli_v6m_matrix_4(
        words: *const i32,
        weights: *const i8,
        output: *mut i8,
        bias: *const i32,
        multiplier: *const i32,
        shift: *const i8,
        channels_times_4: usize,
        second: usize,
        third: usize,
        fourth: usize,
        zero_point: i32,
        min: i32,
        max: i32,
        limit: u32,
        round: i32,
        end_of_eights: *const u8,
        end_of_pairs: *const u8,
        is_odd: usize,
        minus_pairs: isize,
    );

    /// One pair of pixels.
    pub(super) fn ocelli_v6m_matrix_2(
        words: *const i32,
        weights: *const i8,
        output: *mut i8,
        bias: *const i32,
        multiplier: *const i32,
        shift: *const i8,
        channels_times_4: usize,
        second: usize,
        third: usize,
        fourth: usize,
        zero_point: i32,
        min: i32,
        max: i32,
        limit: u32,
        round: i32,
        end_of_eights: *const u8,
        end_of_pairs: *const u8,
        is_odd: usize,
        minus_pairs: isize,
    );

    /// Four pixels of a depthwise convolution.
    pub(super) fn ocelli_v6m_depthwise_4(
        list: *const [usize; 5],
        list_end: *const [usize; 5],
        output: *mut i8,
        bias: *const i32,
        multiplier: *const i32,
        shift: *const i8,
        channels_times_4: usize,
        second: usize,
        third: usize,
        fourth: usize,
        zero_point: i32,
        min: i32,
        max: i32,
        limit: u32,
        round: i32,
    );

    /// Two pixels.
    pub(super) fn ocelli_v6m_depthwise_2(
        list: *const [usize; 5],
        list_end: *const [usize; 5],
        output: *mut i8,
        bias: *const i32,
        multiplier: *const i32,
        shift: *const i8,
        channels_times_4: usize,
        second: usize,
        third: usize,
        fourth: usize,
        zero_point: i32,
        min: i32,
        max: i32,
        limit: u32,
        round: i32,
    );
}

/// The exact factor, for the few sums where the fast one cannot tell.
extern "C" fn apply(acc: i32, multiplier: i32, shift: i32) -> i32 {
    Requant { multiplier, shift }.apply(acc)
}

// Calls it from within the loops: r0 the sum, their stack `ABOVE`. Gives the value without
// the zero point in r0; keeps r2-r11; changes r1 and lr, and brings back r12, the largest code.
global_asm!(
    ".section .text.ocelli_v6m_apply,\"ax\",%progbits",
    ".balign 4",
    ".type ocelli_v6m_apply, %function",
    ".thumb_func",
    "ocelli_v6m_apply:",
    "push {{r2, r3, r4, lr}}",
    "ldr r4, [sp, #{c4}]",
    "ldr r1, [sp, #{multiplier}]",
    "ldr r1, [r1, r4]",
    "ldr r2, [sp, #{shift}]",
    "lsrs r4, r4, #2",
    "ldrsb r2, [r2, r4]",
    "bl {apply}",
    "ldr r1, [sp, #{max}]",
    "mov r12, r1",
    "pop {{r2, r3, r4, pc}}",
    ".size ocelli_v6m_apply, . - ocelli_v6m_apply",
    c4 = const ABOVE,
    multiplier = const ABOVE + 56,
    shift = const ABOVE + 60,
    max = const ABOVE + 88,
    apply = sym apply,
);

/// Bytes from there to the stack of the loops.
const ABOVE: usize = if cfg!(ocelli_long_multiply) {
    16
} else {
    16 + 8
};

/// What the instruction set does better or worse.
#[cfg(ocelli_long_multiply)]
macro_rules! instructions {
    () => {
        include_str!("v7m.s")
    };
}
#[cfg(not(ocelli_long_multiply))]
macro_rules! instructions {
    () => {
        include_str!("v6m.s")
    };
}

// Armv6-M has eight registers for most instructions, and inline assembly may not have r6 and r7: whole functions.
global_asm!(
    instructions!(),
    include_str!("common.s"),
    include_str!("matrix.s"),
    include_str!("depthwise.s"),
    ".text",
    options(raw)
);
