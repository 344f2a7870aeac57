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

// The stack of all functions below but the first, by bytes from sp:
//   0 four times the channel's number   4 words or list   8 weights or the list's end   12 output   16 bias
//  20 r8-r11, r4-r7, lr of the caller  56 multiplier  60 shift  64 four times the channels
//  68 72 76 where the second, third and fourth pixel's codes lie  80 zero point  84 min  88 max  92 limit  96 round
// 100 104 108 112 of the matrix: where whole eights and whole pairs of taps end; whether there is one more; minus the pairs
//
// What is left to `ocelli_v6m_exact`: r0 the sum, r3 the shift of the fast way, r8 and r9 its limits (0: none of its
// sums can be trusted). Gives the value without the zero point in r0; keeps r2-r7; changes r1.
global_asm!(
    ".section .text.ocelli_v6m_exact,\"ax\",%progbits",
    ".balign 4",
    ".type ocelli_v6m_exact, %function",
    ".thumb_func",
    "ocelli_v6m_exact:",
    "push {{r2, r3, r4, lr}}",
    "movs r1, r0",
    "asrs r1, r1, r3",
    "add r1, r8",
    "cmp r1, r9",
    "blo 1f",
    "mov r1, r9",
    "cmp r1, #0",
    "beq 1f",
    // Beyond the limit: 1,024 or -1,025, which is beyond all codes as well.
    "asrs r0, r0, #31",
    "movs r1, #1",
    "lsls r1, r1, #10",
    "eors r0, r1",
    "b 2f",
    "1:",
    "ldr r4, [sp, #16]",
    "ldr r1, [sp, #72]",
    "ldr r1, [r1, r4]",
    "ldr r2, [sp, #76]",
    "lsrs r4, r4, #2",
    "ldrsb r2, [r2, r4]",
    "bl {apply}",
    "2:",
    "ldr r1, [sp, #104]",
    "mov r12, r1",
    "ldr r1, [sp, #100]",
    "mov lr, r1",
    "pop {{r2, r3, r4, pc}}",
    ".size ocelli_v6m_exact, . - ocelli_v6m_exact",
    apply = sym apply,
);

// Armv6-M has eight registers for most instructions, and its inline assembly may not have r6 and r7: whole functions.
global_asm!(
    r#"
// Saves registers, and puts the arguments behind those on the stack.
.macro ocelli_v6m_enter
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    push {r0-r3}
    sub sp, #4
    movs r0, #0
    str r0, [sp]
    ldr r0, [sp, #88]
    mov r12, r0
    ldr r0, [sp, #84]
    mov lr, r0
.endm

.macro ocelli_v6m_leave
    add sp, #20
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
.endm

// The code of a sum: a * m >> 22 with a = sum >> (e - 7) and the upper 15 bits m of the multiplier. What is left out
// could change it only if the product, rounded up by the largest error, ends in bits below 2^17: then, and for sums
// beyond the limit, the slow way is gone.
// r2 m, r3 e - 7, r8 limit, r9 twice the limit, r10 round, r11 zero point, r12 max, lr min.
.macro ocelli_v6m_code acc, slow, back
    mov r0, \acc
    asrs r0, r0, r3
    mov r1, r8
    adds r1, r1, r0
    cmp r1, r9
    bhs \slow
    muls r0, r2, r0
    add r0, r10
    lsls r1, r0, #10
    lsrs r1, r1, #27
    beq \slow
    asrs \acc, r0, #22
\back:
    add \acc, r11
    cmp \acc, r12
    ble 11f
    mov \acc, r12
11: cmp \acc, lr
    bge 12f
    mov \acc, lr
12:
.endm

.macro ocelli_v6m_slow acc, slow, back
\slow:
    mov r0, \acc
    bl ocelli_v6m_exact
    mov \acc, r0
    b \back
.endm

// From the sums of products of one channel, of pixels 0 to 3 in r4, r6, r5, r7, to their codes in memory, and on to the
// next channel. `op` adds them to the bias or subtracts them from it.
.macro ocelli_v6m_finish op, pixels
    ldr r3, [sp]
    ldr r1, [sp, #16]
    ldr r1, [r1, r3]
    \op r4, r1, r4
    \op r6, r1, r6
.if \pixels > 2
    \op r5, r1, r5
    \op r7, r1, r7
.endif
    ldr r2, [sp, #56]
    ldr r2, [r2, r3]
    ldr r1, [sp, #60]
    lsrs r3, r3, #2
    ldrsb r3, [r1, r3]
    lsrs r2, r2, #16
    movs r0, #0
    adcs r2, r0
    rsbs r3, r3, #0
    subs r3, #7
    bge 22f
    // A small exponent: all bits of the sum, more of the multiplier, so that the product is the same. Both roundings
    // count then: the first one's half is on the side of the sum's sign, which matters only if negative values do.
    adds r3, #7
    blt 21f
    beq 20f
    ldr r0, [sp, #80]
    ldr r1, [sp, #84]
    cmp r0, r1
    bne 21f
20: ldr r0, [sp]
    ldr r1, [sp, #56]
    ldr r2, [r1, r0]
    lsrs r0, r2, #30
    beq 21f
    movs r0, #9
    adds r0, r0, r3
    lsrs r2, r0
    movs r1, #0
    adcs r2, r1
    movs r0, #255
    lsls r0, r3
    lsls r0, r0, #1
    mov r8, r0
    adds r0, r0, r0
    mov r9, r0
    cmp r3, #0
    beq 19f
    movs r1, #1
    lsls r1, r1, #21
    lsrs r1, r3
19: ldr r0, [sp, #96]
    adds r0, r0, r1
    mov r10, r0
    movs r3, #0
    b 23f
    // No limit: the slow way for all sums.
21: movs r3, #0
    mov r9, r3
    b 23f
22: lsrs r1, r2, #14
    beq 21b
    ldr r0, [sp, #92]
    mov r8, r0
    adds r0, r0, r0
    mov r9, r0
    ldr r0, [sp, #96]
    mov r10, r0
23:
    ldr r0, [sp, #80]
    mov r11, r0
    ocelli_v6m_code r4, 31f, 41
    ocelli_v6m_code r6, 32f, 42
.if \pixels > 2
    ocelli_v6m_code r5, 33f, 43
    ocelli_v6m_code r7, 34f, 44
.endif
    ldr r0, [sp, #12]
.if \pixels > 2
    ldr r1, [sp, #76]
    strb r7, [r0, r1]
    ldr r1, [sp, #72]
    strb r5, [r0, r1]
.endif
    ldr r1, [sp, #68]
    strb r6, [r0, r1]
    strb r4, [r0]
    adds r0, #1
    str r0, [sp, #12]
    ldr r0, [sp]
    adds r0, #4
    str r0, [sp]
    ldr r1, [sp, #64]
    cmp r0, r1
    beq 50f
    b 1b
    ocelli_v6m_slow r4, 31, 41b
    ocelli_v6m_slow r6, 32, 42b
.if \pixels > 2
    ocelli_v6m_slow r5, 33, 43b
    ocelli_v6m_slow r7, 34, 44b
.endif
50: ocelli_v6m_leave
.endm

// Two taps of two pixels: the sum of two products of (upper * 2^16 + lower) with a weight each. Negative codes are at
// most 128 and at least -127, so that both halves of the sum lie in -32,768 ..= 32,512; one is added to the upper half
// (2^16 in r11), which so stays in 16 bits when the lower one borrows from it. The lower one is negative where its bit
// 15 is set, and then the upper one is too small by one: the shift leaves that bit in the carry.
.macro ocelli_v6m_two_taps all, upper
    ldmia r0!, {r4, r5}
    muls r4, r2, r4
    muls r5, r3, r5
    adds r4, r4, r5
    add r4, r11
    add \all, r4
    asrs r4, r4, #16
    adcs \upper, r4
.endm

.macro ocelli_v6m_two_weights at, pixels
    ldrb r2, [r1, #\at]
    sxtb r2, r2
    ldrb r3, [r1, #\at + 1]
    sxtb r3, r3
    ocelli_v6m_two_taps r8, r6
.if \pixels > 2
    ocelli_v6m_two_taps r9, r7
.endif
.endm

.macro ocelli_v6m_one_tap all, upper
    ldmia r0!, {r4}
    muls r4, r2, r4
    add \all, r4
    asrs r4, r4, #16
    adcs \upper, r4
.endm

// Pairs of pixels, each with the sum of all words (r8, r9) and of the upper halves alone (r6, r7): the sum of the lower
// ones is what is left of the first. Everything is negative, and subtracted from the bias.
// All begin at minus the ones that will be added. r0 words, r1 weights, r2 r3 two weights, r4 r5 products, r10 the end.
.macro ocelli_v6m_matrix pixels
    ocelli_v6m_enter
1:  movs r2, #1
    lsls r2, r2, #16
    mov r11, r2
    ldr r6, [sp, #112]
    mov r7, r6
    lsls r2, r6, #16
    mov r8, r2
    mov r9, r2
    ldr r0, [sp, #4]
    ldr r1, [sp, #8]
    ldr r2, [sp, #100]
    mov r10, r2
    cmp r0, r10
    beq 3f
2:  ocelli_v6m_two_weights 0, \pixels
    ocelli_v6m_two_weights 2, \pixels
    ocelli_v6m_two_weights 4, \pixels
    ocelli_v6m_two_weights 6, \pixels
    adds r1, #8
    cmp r0, r10
    bne 2b
3:  ldr r2, [sp, #104]
    mov r10, r2
    cmp r0, r10
    beq 5f
4:  ocelli_v6m_two_weights 0, \pixels
    adds r1, #2
    cmp r0, r10
    bne 4b
5:  ldr r2, [sp, #108]
    cmp r2, #0
    beq 6f
    ldrb r2, [r1]
    sxtb r2, r2
    adds r1, #1
    ocelli_v6m_one_tap r8, r6
.if \pixels > 2
    ocelli_v6m_one_tap r9, r7
.endif
6:  str r1, [sp, #8]
    mov r4, r8
    lsls r5, r6, #16
    subs r4, r4, r5
.if \pixels > 2
    mov r5, r9
    lsls r0, r7, #16
    subs r5, r5, r0
.endif
    ocelli_v6m_finish subs, \pixels
.endm

.section .text.ocelli_v6m_matrix_4,"ax",%progbits
.balign 4
.globl ocelli_v6m_matrix_4
.type ocelli_v6m_matrix_4, %function
.thumb_func
ocelli_v6m_matrix_4:
    ocelli_v6m_matrix 4
.size ocelli_v6m_matrix_4, . - ocelli_v6m_matrix_4

.section .text.ocelli_v6m_matrix_2,"ax",%progbits
.balign 4
.globl ocelli_v6m_matrix_2
.type ocelli_v6m_matrix_2, %function
.thumb_func
ocelli_v6m_matrix_2:
    ocelli_v6m_matrix 2
.size ocelli_v6m_matrix_2, . - ocelli_v6m_matrix_2

// One tap: r0 the channel's number, r1 the list, r2 weight, r3-r6 codes, r8-r11 sums.
.macro ocelli_v6m_tap pixels
    ldmia r1!, {r2, r3, r4, r5, r6}
    ldrsb r2, [r2, r0]
    ldrsb r3, [r3, r0]
    ldrsb r4, [r4, r0]
    muls r3, r2, r3
    muls r4, r2, r4
    add r8, r3
    add r9, r4
.if \pixels > 2
    ldrsb r5, [r5, r0]
    ldrsb r6, [r6, r0]
    muls r5, r2, r5
    muls r6, r2, r6
    add r10, r5
    add r11, r6
.endif
.endm

// Every channel walks through the list of taps. r7 is the list's end.
.macro ocelli_v6m_depthwise pixels
    ocelli_v6m_enter
1:  movs r0, #0
    mov r8, r0
    mov r9, r0
.if \pixels > 2
    mov r10, r0
    mov r11, r0
.endif
    ldr r0, [sp]
    lsrs r0, r0, #2
    ldr r1, [sp, #4]
    ldr r7, [sp, #8]
2:  ocelli_v6m_tap \pixels
    ocelli_v6m_tap \pixels
    ocelli_v6m_tap \pixels
    cmp r1, r7
    bne 2b
    mov r4, r8
    mov r6, r9
.if \pixels > 2
    mov r5, r10
    mov r7, r11
.endif
    ocelli_v6m_finish adds, \pixels
.endm

.section .text.ocelli_v6m_depthwise_4,"ax",%progbits
.balign 4
.globl ocelli_v6m_depthwise_4
.type ocelli_v6m_depthwise_4, %function
.thumb_func
ocelli_v6m_depthwise_4:
    ocelli_v6m_depthwise 4
.size ocelli_v6m_depthwise_4, . - ocelli_v6m_depthwise_4

.section .text.ocelli_v6m_depthwise_2,"ax",%progbits
.balign 4
.globl ocelli_v6m_depthwise_2
.type ocelli_v6m_depthwise_2, %function
.thumb_func
ocelli_v6m_depthwise_2:
    ocelli_v6m_depthwise 2
.size ocelli_v6m_depthwise_2, . - ocelli_v6m_depthwise_2

// The codes of four pixels times a filter: one index from -count to 0 behind the ends of all. The products are made of
// the codes, so that the weight stays: r0 weights, r1 a weight, r2 the index, r3-r6 pixels, r7 a code, r8-r11 sums.
.section .text.ocelli_v6m_codes_4,"ax",%progbits
.balign 4
.globl ocelli_v6m_codes_4
.type ocelli_v6m_codes_4, %function
.thumb_func
ocelli_v6m_codes_4:
    ocelli_v6m_enter
1:  ldr r1, [sp, #4]
    ldmia r1!, {r3, r4, r5, r6}
    ldr r2, [sp, #100]
    ldr r0, [sp, #8]
    subs r0, r0, r2
    str r0, [sp, #8]
    movs r7, #0
    mov r8, r7
    mov r9, r7
    mov r10, r7
    mov r11, r7
2:  ldrsb r1, [r0, r2]
    ldrsb r7, [r3, r2]
    muls r7, r1, r7
    add r8, r7
    ldrsb r7, [r4, r2]
    muls r7, r1, r7
    add r9, r7
    ldrsb r7, [r5, r2]
    muls r7, r1, r7
    add r10, r7
    ldrsb r7, [r6, r2]
    muls r7, r1, r7
    add r11, r7
    adds r2, #1
    bne 2b
    mov r4, r8
    mov r6, r9
    mov r5, r10
    mov r7, r11
    ocelli_v6m_finish adds, 4
.size ocelli_v6m_codes_4, . - ocelli_v6m_codes_4

// Words of two pixels, minus (upper * 2^16 + lower), for pairs of taps: r0 lower, r1 upper, r2 words, r3 pairs of taps;
// on the stack the bytes from one pair of taps to the next.
.section .text.ocelli_v6m_expand,"ax",%progbits
.balign 4
.globl ocelli_v6m_expand
.type ocelli_v6m_expand, %function
.thumb_func
ocelli_v6m_expand:
    push {r4-r7, lr}
    ldr r7, [sp, #20]
    lsls r3, r3, #1
    adds r0, r0, r3
    adds r1, r1, r3
    rsbs r3, r3, #0
2:  ldrsb r4, [r0, r3]
    ldrsb r5, [r1, r3]
    lsls r5, r5, #16
    adds r4, r4, r5
    rsbs r4, r4, #0
    adds r3, #1
    ldrsb r5, [r0, r3]
    ldrsb r6, [r1, r3]
    lsls r6, r6, #16
    adds r5, r5, r6
    rsbs r5, r5, #0
    str r4, [r2]
    str r5, [r2, #4]
    adds r2, r2, r7
    adds r3, #1
    bne 2b
    pop {r4-r7, pc}
.size ocelli_v6m_expand, . - ocelli_v6m_expand

// Codes times four filters: one index from -count to 0 behind the ends of all. The products are made of the weights, so
// that the code stays: r0 codes, r1 a code, r2 the index, r3-r6 filters, r7 a weight, r8-r11 sums.
.section .text.ocelli_v6m_dots,"ax",%progbits
.balign 4
.globl ocelli_v6m_dots
.type ocelli_v6m_dots, %function
.thumb_func
ocelli_v6m_dots:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r3-r7}
    ldmia r1!, {r3, r4, r5, r6}
    adds r0, r0, r2
    adds r3, r3, r2
    adds r4, r4, r2
    adds r5, r5, r2
    adds r6, r6, r2
    rsbs r2, r2, #0
    movs r7, #0
    mov r8, r7
    mov r9, r7
    mov r10, r7
    mov r11, r7
2:  ldrsb r1, [r0, r2]
    ldrsb r7, [r3, r2]
    muls r7, r1, r7
    add r8, r7
    ldrsb r7, [r4, r2]
    muls r7, r1, r7
    add r9, r7
    ldrsb r7, [r5, r2]
    muls r7, r1, r7
    add r10, r7
    ldrsb r7, [r6, r2]
    muls r7, r1, r7
    add r11, r7
    adds r2, #1
    bne 2b
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    pop {r3}
    stmia r3!, {r4, r5, r6, r7}
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
.size ocelli_v6m_dots, . - ocelli_v6m_dots

.purgem ocelli_v6m_enter
.purgem ocelli_v6m_leave
.purgem ocelli_v6m_code
.purgem ocelli_v6m_slow
.purgem ocelli_v6m_finish
.purgem ocelli_v6m_two_taps
.purgem ocelli_v6m_two_weights
.purgem ocelli_v6m_one_tap
.purgem ocelli_v6m_matrix
.purgem ocelli_v6m_tap
.purgem ocelli_v6m_depthwise
.text
"#,
    options(raw)
);
