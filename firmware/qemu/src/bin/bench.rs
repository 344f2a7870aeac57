//! Counts the instructions of one inference of the model image that QEMU put into the PSRAM.
//!
//! The runner starts it with `-icount shift=6,sleep=off`, where a count is exact and the same in every run. For tools that
//! count by themselves, the inference stands between calls of `roi_begin` and `roi_end`.
#![no_std]
#![no_main]

use core::arch::asm;

use cortex_m_rt::entry;
use ocelli::{Image, KernelTable, Session, arena_bytes, backend};
use ocelli_qemu::{exit, memory, timer::Timer};
use semihosting::println;
use zerocopy::FromBytes;

/// The inference begins. Its body differs from the other's, so that a linker cannot make one of the two.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn roi_begin() {
    // SAFETY: does nothing. Without `nomem` no access to memory moves across it.
    unsafe { asm!("nop", options(nostack, preserves_flags)) }
}

/// The inference has ended.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn roi_end() {
    // SAFETY: as above.
    unsafe { asm!("nop", "nop", options(nostack, preserves_flags)) }
}

#[entry]
fn main() -> ! {
    memory::guard_stack();
    let timer = Timer::new();
    if !timer.counts_instructions() {
        println!(
            "the clock does not count instructions: start QEMU with -icount shift=6,sleep=off"
        );
        exit(1);
    }
    let image = match Image::parse(memory::model()) {
        Ok(image) => image,
        Err(error) => {
            println!("no model image at the board's model address: {error}");
            exit(1);
        }
    };
    let kernels = KernelTable::all();
    let memory = memory::take_arena();
    let arena_end = memory.len().saturating_sub(image.input().row_elems());
    let Some((arena, row)) = memory.split_at_mut_checked(arena_end) else {
        println!("a row of the input is larger than the memory");
        exit(1);
    };
    // Any row will do: next to no instruction depends on the codes.
    (0u8..=255)
        .cycle()
        .zip(row.iter_mut())
        .for_each(|(n, code)| *code = n.wrapping_mul(31));
    let row = <[i8]>::ref_from_bytes(row).unwrap_or_default();
    let mut session = match Session::new(&image, arena, &kernels) {
        Ok(session) => session,
        Err(error) => {
            println!("the model cannot run: {error}");
            exit(1);
        }
    };

    roi_begin();
    let before = timer.ticks();
    for _ in 0..image.input().h {
        let _ = session.push_row(row, &mut ());
    }
    let ticks = timer.ticks() - before;
    roi_end();

    println!("backend      {}", backend());
    println!("image_crc    {:08x}", image.crc());
    println!("arena_bytes  {}", arena_bytes(&image));
    println!("insns        {}", Timer::instructions(ticks));
    exit(0)
}
