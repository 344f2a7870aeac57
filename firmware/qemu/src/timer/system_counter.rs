//! The system counter of the mps3-an547's subsystem: 64 bits, counting up.

use core::ptr::{read_volatile, write_volatile};

use crate::board::TIMER;

const CTRL: *mut u32 = TIMER as *mut u32;
const LOW: *mut u32 = (TIMER + 0x08) as *mut u32;
const HIGH: *mut u32 = (TIMER + 0x0c) as *mut u32;
const CTRL_ENABLE: u32 = 1;

/// It counts up, when a tick is over.
pub const ROUNDS_DOWN: bool = true;

/// Starts the counter at zero.
pub fn start() {
    // SAFETY: the counter's own registers; it has no interrupt.
    unsafe {
        write_volatile(CTRL, 0);
        write_volatile(LOW, 0);
        write_volatile(HIGH, 0);
        write_volatile(CTRL, CTRL_ENABLE);
    }
}

/// Ticks since the start.
pub fn read() -> u64 {
    loop {
        // SAFETY: reads of the counter's own registers.
        let (before, low, high) =
            unsafe { (read_volatile(HIGH), read_volatile(LOW), read_volatile(HIGH)) };
        // Otherwise the low half went round in between.
        if before == high {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}
