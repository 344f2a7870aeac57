//! Runs of codes: products, copies, sums of two tensors, sums of pixels.

use core::arch::global_asm;

use super::matrix::clamp;
use crate::add::AddParams;
use crate::arch::plain;
use crate::filter::{Packing, Taps};

// `ocelli_mve_dot(..)`: vmladava.s8. `ocelli_mve_copy(..)`: 16 codes at a time. `ocelli_mve_add(job)`: four sums at a time, vmlas, vqrdmulh and vrshl.s32;
// `ocelli_mve_sum(..)`: vadd.i32, four channels of a pixel at a time. They save r4-r11, lr and d10-d15 as they use them.
global_asm!(include_str!("codes.s"), options(raw));

/// What the assembly reads; the order of the fields is known there.
#[repr(C)]
struct Sum {
    inputs: [*const i8; 2],
    output: *mut i8,
    /// Of the inputs: what is added to a code times 2^20, factors, what is added to negative numbers, shifts.
    offsets: [i32; 2],
    multipliers: [i32; 2],
    negative: [i32; 2],
    shifts: [i32; 2],
    /// Of the sum.
    multiplier: i32,
    shift: i32,
    zero_point: i32,
    count: usize,
}

unsafe extern "C" {
    fn ocelli_mve_dot(sum: i32, a: *const i8, b: *const i8, count: usize) -> i32;
    fn ocelli_mve_copy(
        to: *mut i8,
        from: *const i8,
        bytes: usize,
        count: usize,
        to_step: usize,
        from_step: usize,
    );
    fn ocelli_mve_add(job: *const Sum);
    fn ocelli_mve_sum(codes: *const i8, step: usize, pixels: usize, sums: *mut [i32; 4]);
}

#[inline]
pub(crate) fn dot(sum: i32, a: &[i8], b: &[i8]) -> i32 {
    let count = a.len().min(b.len());
    // SAFETY: neither slice is shorter.
    unsafe { ocelli_mve_dot(sum, a.as_ptr(), b.as_ptr(), count) }
}

#[allow(clippy::too_many_arguments)]
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
    let (each, at) = (taps.count(), run * taps.run);
    let from_end = step.saturating_mul(count.saturating_sub(1));
    let fits = count > 0
        && at + taps.run <= each
        && (first + count).saturating_mul(each) <= block.len()
        && from_end.saturating_add(taps.run) <= codes.len();
    if !fits {
        // The last run of a tensor may be cut short.
        return plain::fill_block(block, taps, packing, pixels, first, run, codes, step, count);
    }
    let to = block.as_mut_ptr().wrapping_add(first * each + at);
    // SAFETY: the ends of the last run were compared with both slices.
    unsafe { ocelli_mve_copy(to, codes.as_ptr(), taps.run, count, each, step) };
}

pub(crate) fn add(params: &AddParams, a: &[i8], b: &[i8], output: &mut [i8]) -> bool {
    let count = a.len().min(b.len()).min(output.len());
    let shifts = params.factors.map(|factor| factor.shift);
    if params.output_factor.shift >= 0 || shifts.iter().any(|&shift| shift > 0) {
        return plain::add(params, a, b, output);
    }
    let job = Sum {
        inputs: [a.as_ptr(), b.as_ptr()],
        output: output.as_mut_ptr(),
        offsets: params.zero_points.map(|zero| -i32::from(zero) << 20),
        multipliers: params.factors.map(|factor| factor.multiplier),
        // Halves away from zero: one less for what is negative, and then halves up. Nothing is rounded where nothing is
        // shifted.
        negative: shifts.map(|shift| if shift < 0 { -1 } else { 0 }),
        shifts,
        multiplier: params.output_factor.multiplier,
        shift: params.output_factor.shift,
        zero_point: params.output_zero_point.into(),
        count,
    };
    // SAFETY: no slice is shorter than `count`.
    unsafe { ocelli_mve_add(&job) };
    clamp(params.clamp, output.get_mut(..count).unwrap_or_default());
    true
}

#[inline]
pub(crate) fn sum_pixels(codes: &[i8], step: usize, sums: &mut [i32; 4]) {
    let pixels = match codes.len().checked_sub(4) {
        Some(room) => room.checked_div(step).unwrap_or(0) + 1,
        None => 0,
    };
    // SAFETY: four codes of the last pixel are there, and four sums.
    unsafe { ocelli_mve_sum(codes.as_ptr(), step, pixels, sums) };
}
