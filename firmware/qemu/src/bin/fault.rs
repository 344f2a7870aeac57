//! Fails on purpose, to show that a failing program ends the emulator with a message and a code.
//!
//! QEMU's `-append` says how: `panic`, `stack` for a stack overflow, `beyond` for a read of what lies
//! above the RAM, anything else for an undefined instruction.
#![no_std]
#![no_main]

use core::{hint::black_box, mem::MaybeUninit};

use cortex_m_rt::entry;
use ocelli_qemu::memory;
use semihosting::sys::arm_compat::sys_get_cmdline_uninit;

#[entry]
fn main() -> ! {
    memory::guard_stack();
    let mut line = [MaybeUninit::uninit(); 256];
    let line = sys_get_cmdline_uninit(&mut line).map_or(&[][..], |line| &*line);
    let how = line.split(|&byte| byte == b' ').next_back();
    match how.map(<[u8]>::trim_ascii) {
        Some(b"panic") => panic!("asked to"),
        Some(b"stack") => {
            black_box(overflow(black_box(0)));
        }
        Some(b"beyond") => {
            memory::read_beyond();
        }
        _ => cortex_m::asm::udf(),
    }
    ocelli_qemu::exit(0)
}

// Not a tail call: the sum is taken after the inner call.
fn overflow(depth: u32) -> u32 {
    let frame = black_box([depth; 16]);
    if depth == u32::MAX {
        return 0;
    }
    overflow(depth + 1).wrapping_add(frame[15])
}
