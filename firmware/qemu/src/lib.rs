//! The emulated boards: QEMU's mps2-an385, -an386 and -an500 (Cortex-M3, M4F and M7), mps2-an505 (M33) and mps3-an547 (M55).
//!
//! A program is built for one of them: the target says which, or the feature that bears its name. `memory` hands out RAM and the model's region, `uart` carries the link to the host, `timer` counts instructions
//! under `-icount`, and `fault` ends the emulator with a message and a code where a real board would hang.
//! Text and logs leave by semihosting, on a channel of their own beside the link.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

pub mod board;
pub mod console;
pub mod fault;
pub mod memory;
pub mod timer;
pub mod uart;

/// Ends the emulator with `code`.
pub fn exit(code: i32) -> ! {
    semihosting::process::exit(code)
}
