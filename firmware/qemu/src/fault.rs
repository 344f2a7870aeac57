//! The end of a program that cannot go on: a line of text, and an exit code of the emulator instead of a hang.
//!
//! The text starts with a zero byte, which ends any log frame before it, and ends with another, so that a reader of the
//! logs finds it.

use cortex_m_rt::{ExceptionFrame, exception};

use crate::console::{Console, byte, hex, text};

unsafe extern "C" {
    static _stack_end: u32;
}

/// The exit code after a fault of the processor.
pub const FAULT: i32 = 70;
/// The exit code after a panic.
pub const PANIC: i32 = 71;

// Enters the handler on a fresh stack, since the fault may be that the old one is full, with the old one as argument.
core::arch::global_asm!(
    ".section .HardFault.ocelli, \"ax\"",
    ".global HardFault",
    ".type HardFault, %function",
    ".thumb_func",
    "HardFault:",
    "mrs r0, msp",
    "ldr r1, =_stack_start",
    "msr msp, r1",
    "bl ocelli_hard_fault",
    ".pool",
    ".size HardFault, . - HardFault",
);

/// Says where the fault was and ends the emulator.
#[unsafe(no_mangle)]
extern "C" fn ocelli_hard_fault(stack: usize) -> ! {
    byte(0);
    text("ocelli: hard fault");
    if stack < (&raw const _stack_end).addr() + size_of::<ExceptionFrame>() {
        text(", stack overflow");
    } else {
        // SAFETY: the processor has just pushed a frame there, inside the stack.
        let frame = unsafe { &*core::ptr::with_exposed_provenance::<ExceptionFrame>(stack) };
        hex(" at pc", frame.pc());
        hex(", lr", frame.lr());
    }
    #[cfg(not(armv6m))]
    {
        // SAFETY: reads of the system control block's fault registers.
        let (status, address) = unsafe {
            let scb = &*cortex_m::peripheral::SCB::PTR;
            (scb.cfsr.read(), scb.bfar.read())
        };
        hex(", fault status", status);
        // Bit 15: the address register holds the address of a bus fault.
        if status & 0x8000 != 0 {
            hex(", address", address);
        }
    }
    text("\n");
    byte(0);
    crate::exit(FAULT)
}

/// Any other exception without a handler.
#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    byte(0);
    hex("ocelli: unexpected exception", number as u32);
    text("\n");
    byte(0);
    crate::exit(FAULT)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    byte(0);
    // Writing to the console cannot fail.
    let _ = core::fmt::Write::write_fmt(&mut Console, format_args!("ocelli: {info}\n"));
    byte(0);
    crate::exit(PANIC)
}
