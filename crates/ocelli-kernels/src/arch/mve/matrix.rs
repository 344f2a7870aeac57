//! Filters times pixels.
//!
//! A step multiplies 16 codes of two pixels with 16 weights of four filters: six loads and eight `vmladava.s8`, which adds
//! 16 products to a sum in a core register. All registers are in use then, so nothing counts the steps: they stand one
//! behind the other, and a jump goes to as many before the end as are needed. Where the codes are not a multiple of 16, the
//! first step is the one that is not full: its vectors end where the first full ones begin, and the lanes before are off.

use core::arch::global_asm;

use super::LANES;
use crate::arch::plain;
use crate::filter::{Filters, Packing};
use crate::requantize::{ChannelRequant, Clamp};

// `ocelli_mve_matrix(job)`: vmladava.s8 for the sums; vqrdmulh.s32, vrshl.s32, vqmovn for the codes. Saves r4-r11, lr, d8-d15.
global_asm!(include_str!("matrix.s"), options(raw));

/// Steps that stand behind each other in the assembly, and the bytes of one.
const STEPS: usize = 9;
const STEP_BYTES: usize = 14 * 4;

/// What the assembly reads; the order of the fields is known there.
#[repr(C)]
struct Job {
    /// Pixels and weights, as many codes before their first one as the first step has lanes off.
    input: *const i8,
    weights: *const i8,
    bias: *const i32,
    multiplier: *const i32,
    shift: *const i8,
    output: *mut i8,
    /// Where the pixels end that make pairs, and whether one is left over.
    pairs_end: *const i8,
    is_odd: usize,
    /// Codes under a filter.
    codes: usize,
    channels: usize,
    /// Bytes from where the loads of a pair of pixels end to the next pair.
    to_next: isize,
    zero_point: i32,
    /// Lanes of the first step that are off; none if all steps are full.
    off: usize,
    /// Bytes of the steps of the first round, rounds of `STEPS` after it, full steps in all.
    first_bytes: usize,
    rounds: usize,
    full: usize,
    /// How sums become codes.
    rounding: Rounding,
}

unsafe extern "C" {
    fn ocelli_mve_matrix(job: *const Job);
}

pub(crate) fn multiply_block(
    block: &[i8],
    pixels: usize,
    filters: &Filters<'_>,
    requant: &ChannelRequant<'_>,
    output: &mut [i8],
) {
    let (codes, channels) = (filters.taps.count(), requant.bias.len());
    let fits = filters.packing == Packing::Canonical
        && channels >= 4
        && codes > 0
        && pixels > 0
        && pixels.saturating_mul(codes) <= block.len()
        && pixels.saturating_mul(channels) <= output.len()
        && codes.saturating_mul(channels) <= filters.weights.len()
        && channels <= requant.multiplier.len()
        && channels <= requant.shift.len();
    if !fits {
        return multiply_slowly(block, pixels, filters, requant, output);
    }
    let off = codes.wrapping_neg() % LANES;
    let full = codes / LANES;
    let rounds = full.saturating_sub(1) / STEPS;
    let pairs_bytes = (pixels - pixels % 2) * codes;
    let job = Job {
        input: block.as_ptr().wrapping_sub(off),
        weights: filters.weights.as_ptr().wrapping_sub(off),
        bias: requant.bias.as_ptr(),
        multiplier: requant.multiplier.as_ptr(),
        shift: requant.shift.as_ptr(),
        output: output.as_mut_ptr(),
        pairs_end: block.as_ptr().wrapping_add(pairs_bytes).wrapping_sub(off),
        is_odd: pixels % 2,
        codes,
        channels,
        to_next: codes as isize - off as isize,
        zero_point: requant.output_zero_point.into(),
        off,
        first_bytes: (full - rounds * STEPS) * STEP_BYTES,
        rounds,
        full,
        rounding: Rounding::of(requant),
    };
    // SAFETY: the lengths of all slices were compared with what the job says, and loads of lanes that are on stay inside.
    unsafe { ocelli_mve_matrix(&job) };
    clamp(
        requant.clamp,
        output.get_mut(..pixels * channels).unwrap_or_default(),
    );
}

/// For what the loops have no place: fewer than four filters, pairs of weights.
#[cold]
#[inline(never)]
fn multiply_slowly(
    block: &[i8],
    pixels: usize,
    filters: &Filters<'_>,
    requant: &ChannelRequant<'_>,
    output: &mut [i8],
) {
    plain::multiply_block(block, pixels, filters, requant, output);
}

/// How sums become codes; the numbers are known in the assembly.
#[repr(usize)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    /// All channels are shifted to the right.
    Right = 0,
    /// The same, and numbers below the zero point need not be right, since the activation cuts them off.
    Relu = 1,
    /// Channels may be shifted to the left, or not at all.
    Any = 2,
}

impl Rounding {
    pub(super) fn of(requant: &ChannelRequant<'_>) -> Self {
        let shifts = requant.shift.iter();
        if shifts.fold(i8::MIN, |max, &shift| max.max(shift)) >= 0 {
            Rounding::Any
        } else if requant.output_zero_point <= requant.clamp.min {
            Rounding::Relu
        } else {
            Rounding::Right
        }
    }
}

/// What a fused activation leaves of codes that the loops made.
pub(super) fn clamp(clamp: Clamp, codes: &mut [i8]) {
    if clamp != Clamp::NONE {
        for code in codes {
            *code = (*code).max(clamp.min).min(clamp.max);
        }
    }
}
