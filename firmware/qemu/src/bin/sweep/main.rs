//! Runs every kernel that has inner loops of its own for the processor on many shapes, and compares each code with slow loops.
//!
//! Memory around what a kernel may write has guard bytes. Ends with the name of the loops and the number of cases, or with
//! the first difference.
#![no_std]
#![no_main]

extern crate alloc;

mod depthwise;
mod matrix;
mod random;
mod reference;
mod small;

use core::fmt::Debug;

use alloc::vec;
use alloc::vec::Vec;

use cortex_m_rt::entry;
use embedded_alloc::LlffHeap;
use ocelli_qemu::{exit, memory};
use semihosting::println;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

#[entry]
fn main() -> ! {
    memory::guard_stack();
    let heap = memory::take_ram();
    // SAFETY: the region is given out once, and nothing else uses it.
    unsafe { HEAP.init(heap.start, heap.bytes) };
    let cases = matrix::sweep() + depthwise::sweep() + small::sweep();
    println!("backend {}", ocelli::backend());
    println!("cases   {cases}");
    exit(0)
}

/// Bytes before and behind what a kernel may write.
const GUARD: usize = 32;
const GUARD_BYTE: i8 = 0x55;

/// Runs a kernel with output and scratch memory among guard bytes, and compares what it made.
fn check(
    case: &dyn Debug,
    expected: &[i8],
    scratch_bytes: usize,
    run: impl FnOnce(&mut [i8], &mut [i8]),
) {
    let guarded = |bytes: usize| vec![GUARD_BYTE; bytes + 2 * GUARD];
    let (mut scratch, mut output) = (guarded(scratch_bytes), guarded(expected.len()));
    run(
        &mut scratch[GUARD..GUARD + scratch_bytes],
        &mut output[GUARD..GUARD + expected.len()],
    );
    let is_guard = |bytes: &[i8]| bytes.iter().all(|&byte| byte == GUARD_BYTE);
    for (name, memory) in [("scratch", &scratch), ("output", &output)] {
        if !is_guard(&memory[..GUARD]) || !is_guard(&memory[memory.len() - GUARD..]) {
            fail(case, format_args!("{name}: a byte outside was written"));
        }
    }
    let made = &output[GUARD..GUARD + expected.len()];
    let mut pairs = made.iter().zip(expected).enumerate();
    if let Some((at, (made, expected))) = pairs.find(|(_, (made, expected))| made != expected) {
        fail(case, format_args!("code {at} is {made}, not {expected}"));
    }
}

fn fail(case: &dyn Debug, what: core::fmt::Arguments<'_>) -> ! {
    println!("{case:?}: {what}");
    exit(1)
}

/// Some codes at an address that is a multiple of nothing in particular; now and then only those at the ends.
fn codes(count: usize, random: &mut random::Random) -> Vec<i8> {
    if random.number(0, 5) == 0 {
        return (0..count).map(|_| random.pick(&[-128, 127])).collect();
    }
    (0..count).map(|_| random.code()).collect()
}
