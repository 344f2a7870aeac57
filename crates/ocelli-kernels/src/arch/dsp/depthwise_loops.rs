//! The blocked loops of depthwise convolutions: whole functions, since they need all fourteen registers.
//!
//! # The strip
//! Four channels of a few input rows, as pairs of 16-bit numbers: a *pair* is the code of one row and that of the row
//! below. A column has eight words, two *slots* for each of the four channels: `(channel 0, slot 0)`, `(0, 1)`,
//! `(1, 0)`, ... With two slots there are four rows. The pairs of the rows that two steps share are made once: the next
//! step finds them in the other slot, so every loop exists twice, for pairs of upper rows in slot 0 and in slot 1.
//!
//! # Rounding
//! Weights and bias are doubled, so that a sum is `2 * acc`. The high half of `2 * acc * multiplier` is rounded by
//! `smmlar`, which adds `t = half + (acc >> 31)` to it; a shift to the right by `e` then is the division that rounds
//! halves away from zero. `half = (1 << (e - 1)) + (zero_point << e)` holds the output's zero point as well.
#![allow(unsafe_code)] // Functions that are written in assembly are declared here.

/// What the loops for 3x3 need to know about a channel.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Channel {
    /// Pairs of doubled weights of each filter column: of filter rows 0 and 1, then 1 and 2.
    pub weights: [u32; 6],
    pub requant: Rounding,
}

/// How the sums of a channel become codes.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Rounding {
    pub multiplier: i32,
    pub half: i32,
    /// The doubled bias.
    pub bias: i32,
    /// `e`, in `1..=22`.
    pub shift: i32,
}

/// An input row, where the strip begins; a padding row is one word that is read again and again.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub codes: *const i8,
    /// Bytes from column to column: the number of channels, or 0 for padding.
    pub step: usize,
}

unsafe extern "C" {
    /// Writes the pairs of `columns` columns of the rows `rows[0]` and `rows[1]`, channels `channel..channel + 4`, into
    /// the slot that `strip` is the first word of.
    ///
    /// # Safety
    /// `columns` is not 0; the words of the columns may be read and written.
    pub(super) fn ocelli_dsp_depthwise_fill(
        strip: *mut u32,
        rows: *const Row,
        channel: usize,
        columns: usize,
    );

    /// Describes four channels of a filter of 3x3; `one` is one more than twice the output's zero point.
    ///
    /// # Safety
    /// All pointers are to what four channels have: twelve packed weights, a bias, a multiplier and a shift each.
    pub(super) fn ocelli_dsp_depthwise_describe(
        channels: *mut Channel,
        weights: *const i8,
        bias: *const i32,
        multiplier: *const i32,
        shift: *const i8,
        one: i32,
    );

    /// Two output rows of four channels of a filter of 3x3 and stride 1; the upper pairs are in slot 0.
    ///
    /// `span` is 32 times one less than the output's columns, `next_pixel` and `next_row` are bytes in the output.
    ///
    /// # Safety
    /// There are two output columns or more, the strip has two columns more than that, and `channels` has four entries.
    pub(super) fn ocelli_dsp_depthwise_two_rows_0(
        strip: *const u32,
        channels: *const Channel,
        output: *mut i8,
        span: usize,
        next_pixel: usize,
        next_row: usize,
    );

    /// The same, where the upper pairs are in slot 1.
    ///
    /// # Safety
    /// As above.
    pub(super) fn ocelli_dsp_depthwise_two_rows_1(
        strip: *const u32,
        channels: *const Channel,
        output: *mut i8,
        span: usize,
        next_pixel: usize,
        next_row: usize,
    );

    /// One output row of four channels of a filter of 3x3 and stride 1; the upper pairs are in slot 0. The third row is
    /// the upper one of the other slot's pairs.
    ///
    /// # Safety
    /// As above.
    pub(super) fn ocelli_dsp_depthwise_row_0(
        strip: *const u32,
        channels: *const Channel,
        output: *mut i8,
        span: usize,
        next_pixel: usize,
    );

    /// The same, where the upper pairs are in slot 1.
    ///
    /// # Safety
    /// As above.
    pub(super) fn ocelli_dsp_depthwise_row_1(
        strip: *const u32,
        channels: *const Channel,
        output: *mut i8,
        span: usize,
        next_pixel: usize,
    );

    /// One output row of four channels of a filter of 3x3 and stride 2; `span` is 64 times one less than the columns.
    ///
    /// # Safety
    /// There are two output columns or more, the strip has one column more than twice as many, and `channels` has four
    /// entries.
    pub(super) fn ocelli_dsp_depthwise_stride_2_0(
        strip: *const u32,
        channels: *const Channel,
        output: *mut i8,
        span: usize,
        next_pixel: usize,
    );

    /// The same, where the upper pairs are in slot 1.
    ///
    /// # Safety
    /// As above.
    pub(super) fn ocelli_dsp_depthwise_stride_2_1(
        strip: *const u32,
        channels: *const Channel,
        output: *mut i8,
        span: usize,
        next_pixel: usize,
    );
}

/// A function in a section of its own, so that firmware which does not call it does not have it.
macro_rules! function {
    ($name:literal, $($line:expr),* $(,)?) => {
        core::arch::global_asm!(
            // Where the target is Armv8-M, the assembler does not know of the extension although the processor is named.
            ".cpu cortex-m4",
            concat!(".section .text.", $name, ",\"ax\",%progbits"),
            ".p2align 2",
            concat!(".global ", $name),
            concat!(".type ", $name, ",%function"),
            ".thumb_func",
            concat!($name, ":"),
            $($line,)*
            concat!(".size ", $name, ", . - ", $name),
            ".text",
            options(raw)
        );
    };
}
pub(super) use function;

// Two words of four codes, a of the upper row and b of the lower one, are put together to b1 b0 a1 a0 and b3 b2 a3 a2;
// then `sxtb16` takes bytes 0 and 2, and rotated by 8 bytes 1 and 3: four pairs. Two columns at a time, before them one if
// their number is odd.
// r0 strip, r1 rows and then scratch, r2 channel and then scratch, r3 twos of columns left,
// r4 r5 upper row and its step, r6 r7 lower row and its step, r8-r10 r12 scratch.
function!(
    "ocelli_dsp_depthwise_fill",
    "push {r4-r10, lr}",
    "ldm r1, {r4-r7}",
    "cmp r5, #0",
    "it ne",
    "addne r4, r2",
    "cmp r7, #0",
    "it ne",
    "addne r6, r2",
    "lsrs r3, r3, #1",
    "bcc 1f",
    "ldr r1, [r4]",
    "ldr r2, [r6]",
    "add r4, r5",
    "add r6, r7",
    "pkhbt r8, r1, r2, lsl #16",
    "pkhtb r1, r2, r1, asr #16",
    "sxtb16 r2, r8",
    "sxtb16 r8, r8, ror #8",
    "sxtb16 r12, r1",
    "sxtb16 r1, r1, ror #8",
    "str r8, [r0, #8]",
    "str r12, [r0, #16]",
    "str r1, [r0, #24]",
    "str r2, [r0], #32",
    "cmp r3, #0",
    "beq 2f",
    "1: ldr r1, [r4]",
    "ldr r9, [r4, r5]",
    "ldr r2, [r6]",
    "ldr r10, [r6, r7]",
    "add r4, r4, r5, lsl #1",
    "add r6, r6, r7, lsl #1",
    "pkhbt r8, r1, r2, lsl #16",
    "pkhtb r1, r2, r1, asr #16",
    "sxtb16 r2, r8",
    "sxtb16 r8, r8, ror #8",
    "sxtb16 r12, r1",
    "sxtb16 r1, r1, ror #8",
    "str r8, [r0, #8]",
    "str r12, [r0, #16]",
    "str r1, [r0, #24]",
    "str r2, [r0], #32",
    "pkhbt r8, r9, r10, lsl #16",
    "pkhtb r9, r10, r9, asr #16",
    "sxtb16 r10, r8",
    "sxtb16 r8, r8, ror #8",
    "sxtb16 r12, r9",
    "sxtb16 r9, r9, ror #8",
    "str r8, [r0, #8]",
    "str r12, [r0, #16]",
    "str r9, [r0, #24]",
    "str r10, [r0], #32",
    "subs r3, #1",
    "bne 1b",
    "2: pop {r4-r10, pc}",
);

// Of a word w0 w1 w1 w2, bytes 0 and 2 are (w0, w1), bytes 1 and 3 are (w1, w2); each is added to itself.
// r0 channels, r1 weights, r2 biases, r3 multipliers, r4 shifts, r5 one, r6 channels left, r7-r10 scratch.
function!(
    "ocelli_dsp_depthwise_describe",
    "push {r4-r10, lr}",
    "ldrd r4, r5, [sp, #32]",
    "mov r6, #4",
    "1: ",
    "ldr r7, [r1], #4",
    "sxtb16 r8, r7",
    "sxtb16 r9, r7, ror #8",
    "sxtab16 r8, r8, r7",
    "sxtab16 r9, r9, r7, ror #8",
    "strd r8, r9, [r0], #8",
    "ldr r7, [r1], #4",
    "sxtb16 r8, r7",
    "sxtb16 r9, r7, ror #8",
    "sxtab16 r8, r8, r7",
    "sxtab16 r9, r9, r7, ror #8",
    "strd r8, r9, [r0], #8",
    "ldr r7, [r1], #4",
    "sxtb16 r8, r7",
    "sxtb16 r9, r7, ror #8",
    "sxtab16 r8, r8, r7",
    "sxtab16 r9, r9, r7, ror #8",
    "strd r8, r9, [r0], #8",
    "ldr r7, [r3], #4",
    "ldrsb r10, [r4], #1",
    "ldr r9, [r2], #4",
    "mvn r8, r10",
    "neg r10, r10",
    "lsl r8, r5, r8",
    "lsl r9, r9, #1",
    "stm r0!, {r7-r10}",
    "subs r6, #1",
    "bne 1b",
    "pop {r4-r10, pc}",
);

// Blocks of two rows by two columns: four sums. A filter column with weights w0 w1 w2, P = (w0, w1) and Q = (w1, w2),
// meets four rows, a = rows 0 and 1 and b = rows 2 and 3: the upper sum takes a * P + (low b) * (high Q), the lower one
// (high a) * (low P) + b * Q. With an odd number of columns the last block begins one column earlier: it makes a column
// again.
//
// In the loop: r0 strip, r1-r6 P and Q of the three columns, r7 r8 pairs, r9 r10 sums of the left column, upper and lower,
// r11 r12 of the right one, lr scratch. On the stack, by words: 0 output, 1 bytes to the next pixel, 2 and to the next row,
// 3 multiplier, 4 half, 5 bias, 6 shift, 7 where a last odd column would be, 8 strip and 9 output of the channel,
// 10 the next channel, 11 the end of the channels, 12 span.
macro_rules! two_rows {
    ($name:literal, $pairs:literal) => {
        function!(
            $name,
            "push {r4-r11, lr}",
            "sub sp, #52",
            "ldr r4, [sp, #88]",
            "ldr r5, [sp, #92]",
            "strd r4, r5, [sp, #4]",
            "add r4, r1, #160",
            "strd r4, r3, [sp, #44]",
            // A channel.
            "1: strd r0, r2, [sp, #32]",
            "str r2, [sp, #0]",
            "ldr r12, [sp, #48]",
            "add r12, r0",
            "mov lr, r1",
            "ldm lr!, {r1-r6}",
            "ldm lr!, {r7-r10}",
            "add r11, sp, #12",
            "stm r11, {r7-r10, r12}",
            "str lr, [sp, #40]",
            // A block.
            "2: ldr r12, [sp, #20]",
            concat!("ldrd ", $pairs, ", [r0], #32"),
            "smlad r9, r7, r1, r12",
            "smlatb r10, r7, r1, r12",
            "smlabt r9, r8, r2, r9",
            "smlad r10, r8, r2, r10",
            concat!("ldrd ", $pairs, ", [r0], #32"),
            "smlad r9, r7, r3, r9",
            "smlatb r10, r7, r3, r10",
            "smlad r11, r7, r1, r12",
            "smlatb r12, r7, r1, r12",
            "smlabt r9, r8, r4, r9",
            "smlad r10, r8, r4, r10",
            "smlabt r11, r8, r2, r11",
            "smlad r12, r8, r2, r12",
            concat!("ldrd ", $pairs, ", [r0]"),
            "smlad r9, r7, r5, r9",
            "smlatb r10, r7, r5, r10",
            "smlad r11, r7, r3, r11",
            "smlatb r12, r7, r3, r12",
            "smlabt r9, r8, r6, r9",
            "smlad r10, r8, r6, r10",
            "smlabt r11, r8, r4, r11",
            "smlad r12, r8, r4, r12",
            concat!("ldrd ", $pairs, ", [r0, #32]"),
            "smlad r11, r7, r5, r11",
            "smlatb r12, r7, r5, r12",
            "smlabt r11, r8, r6, r11",
            "smlad r12, r8, r6, r12",
            "ldrd r7, r8, [sp, #12]",
            "add lr, r8, r9, asr #31",
            "smmlar r9, r9, r7, lr",
            "add lr, r8, r10, asr #31",
            "smmlar r10, r10, r7, lr",
            "add lr, r8, r11, asr #31",
            "smmlar r11, r11, r7, lr",
            "add lr, r8, r12, asr #31",
            "smmlar r12, r12, r7, lr",
            "ldr lr, [sp, #24]",
            "asr r9, r9, lr",
            "asr r10, r10, lr",
            "asr r11, r11, lr",
            "asr r12, r12, lr",
            "ssat r9, #8, r9",
            "ssat r10, #8, r10",
            "ssat r11, #8, r11",
            "ssat r12, #8, r12",
            "ldm sp, {r7, r8, lr}",
            "strb r9, [r7]",
            "strb r10, [r7, lr]",
            "add r7, r8",
            "strb r11, [r7]",
            "strb r12, [r7, lr]",
            "add r7, r8",
            "str r7, [sp, #0]",
            "ldr r9, [sp, #28]",
            "cmp r0, r9",
            "blo 2b",
            "bne 3f",
            "sub r0, #32",
            "sub r7, r8",
            "str r7, [sp, #0]",
            "b 2b",
            "3: ldrd r0, r2, [sp, #32]",
            "ldrd r1, r3, [sp, #40]",
            "add r0, #8",
            "add r2, #1",
            "cmp r1, r3",
            "bne 1b",
            "add sp, #52",
            "pop {r4-r11, pc}",
        );
    };
}
two_rows!("ocelli_dsp_depthwise_two_rows_0", "r7, r8");
two_rows!("ocelli_dsp_depthwise_two_rows_1", "r8, r7");

// Blocks of one row by two columns: as above, the upper sums only. The columns of the right output begin one or two
// further on, by the stride.
//
// In the loop: r0 strip, r1-r6 P and Q of the three columns, r7 r8 pairs, r9 r10 sums, r11 output, r12 scratch,
// lr where a last odd column would be. On the stack, by words: 0 multiplier, 1 half, 2 bias, 3 shift, 4 bytes to the next
// pixel, 5 strip and 6 output of the channel, 7 the next channel, 8 the end of the channels, 9 span.
macro_rules! row {
    ($name:literal, $pairs:literal, $left_columns:literal, $($block:expr),* $(,)?) => {
        function!(
            $name,
            "push {r4-r11, lr}",
            "sub sp, #40",
            "ldr r4, [sp, #76]",
            "str r4, [sp, #16]",
            "add r4, r1, #160",
            "strd r4, r3, [sp, #32]",
            // A channel.
            "1: strd r0, r2, [sp, #20]",
            "mov r11, r2",
            "ldr lr, [sp, #36]",
            "add lr, r0",
            "mov r12, r1",
            "ldm r12!, {r1-r6}",
            "ldm r12!, {r7-r10}",
            "stm sp, {r7-r10}",
            "str r12, [sp, #28]",
            // A block.
            "2: ldr r10, [sp, #8]",
            $($block,)*
            "ldrd r7, r8, [sp, #0]",
            "add r12, r8, r9, asr #31",
            "smmlar r9, r9, r7, r12",
            "add r12, r8, r10, asr #31",
            "smmlar r10, r10, r7, r12",
            "ldrd r7, r12, [sp, #12]",
            "asr r9, r9, r7",
            "asr r10, r10, r7",
            "ssat r9, #8, r9",
            "ssat r10, #8, r10",
            "strb r9, [r11]",
            "strb r10, [r11, r12]",
            "add r11, r11, r12, lsl #1",
            "cmp r0, lr",
            "blo 2b",
            "bne 3f",
            concat!("sub r0, #", $left_columns),
            "sub r11, r12",
            "b 2b",
            "3: ldrd r0, r2, [sp, #20]",
            "ldrd r1, r3, [sp, #28]",
            "add r0, #8",
            "add r2, #1",
            "cmp r1, r3",
            "bne 1b",
            "add sp, #40",
            "pop {r4-r11, pc}",
        );
    };
}
macro_rules! row_of_stride_1 {
    ($name:literal, $pairs:literal) => {
        row!(
            $name,
            $pairs,
            "32",
            concat!("ldrd ", $pairs, ", [r0], #32"),
            "smlad r9, r7, r1, r10",
            "smlabt r9, r8, r2, r9",
            concat!("ldrd ", $pairs, ", [r0], #32"),
            "smlad r9, r7, r3, r9",
            "smlad r10, r7, r1, r10",
            "smlabt r9, r8, r4, r9",
            "smlabt r10, r8, r2, r10",
            concat!("ldrd ", $pairs, ", [r0]"),
            "smlad r9, r7, r5, r9",
            "smlad r10, r7, r3, r10",
            "smlabt r9, r8, r6, r9",
            "smlabt r10, r8, r4, r10",
            concat!("ldrd ", $pairs, ", [r0, #32]"),
            "smlad r10, r7, r5, r10",
            "smlabt r10, r8, r6, r10",
        );
    };
}
row_of_stride_1!("ocelli_dsp_depthwise_row_0", "r7, r8");
row_of_stride_1!("ocelli_dsp_depthwise_row_1", "r8, r7");

macro_rules! row_of_stride_2 {
    ($name:literal, $pairs:literal) => {
        row!(
            $name,
            $pairs,
            "64",
            concat!("ldrd ", $pairs, ", [r0], #32"),
            "smlad r9, r7, r1, r10",
            "smlabt r9, r8, r2, r9",
            concat!("ldrd ", $pairs, ", [r0], #32"),
            "smlad r9, r7, r3, r9",
            "smlabt r9, r8, r4, r9",
            concat!("ldrd ", $pairs, ", [r0], #32"),
            "smlad r9, r7, r5, r9",
            "smlad r10, r7, r1, r10",
            "smlabt r9, r8, r6, r9",
            "smlabt r10, r8, r2, r10",
            concat!("ldrd ", $pairs, ", [r0], #32"),
            "smlad r10, r7, r3, r10",
            "smlabt r10, r8, r4, r10",
            concat!("ldrd ", $pairs, ", [r0]"),
            "smlad r10, r7, r5, r10",
            "smlabt r10, r8, r6, r10",
        );
    };
}
row_of_stride_2!("ocelli_dsp_depthwise_stride_2_0", "r7, r8");
row_of_stride_2!("ocelli_dsp_depthwise_stride_2_1", "r8, r7");
