//! Inference alone: no heap, no log, no float and no panic in the whole program, which `cargo xtask` proves from its symbols.
//!
//! Runs the model image once on rows of zeros, where it is a valid one, and prints the class. The exit code says how far it came.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use ocelli::{Image, KernelTable, Session};
use ocelli_qemu::{
    console::{hex, text},
    exit, memory,
};
use zerocopy::FromBytes;

const NO_IMAGE: i32 = 2;
const NO_SESSION: i32 = 3;
const NO_OUTPUT: i32 = 4;

#[entry]
fn main() -> ! {
    let Ok(image) = Image::parse(memory::model()) else {
        exit(NO_IMAGE);
    };
    let memory = memory::take_arena();
    let arena_end = memory.len().saturating_sub(image.input().row_elems());
    let Some((arena, row)) = memory.split_at_mut_checked(arena_end) else {
        exit(NO_SESSION);
    };
    let row = <[i8]>::ref_from_bytes(row).unwrap_or_default();
    let kernels = KernelTable::all();
    let Ok(mut session) = Session::new(&image, arena, &kernels) else {
        exit(NO_SESSION);
    };
    for _ in 0..image.input().h {
        let _ = session.push_row(row, &mut ());
    }
    let Some((class, code)) = session.top() else {
        exit(NO_OUTPUT);
    };
    hex("class", class as u32);
    hex(", code", code as u32);
    text("\n");
    exit(0)
}
