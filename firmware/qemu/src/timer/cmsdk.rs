//! The CMSDK timers of the mps2 boards.
//!
//! Timer 0 has 32 bits, which is minutes; a slower timer beside it counts how often it went round.

use core::ptr::{read_volatile, write_volatile};

use crate::board::TIMER;

const TIMER_CTRL: *mut u32 = TIMER as *mut u32;
const TIMER_VALUE: *mut u32 = (TIMER + 0x04) as *mut u32;
const TIMER_RELOAD: *mut u32 = (TIMER + 0x08) as *mut u32;

const DUAL: usize = TIMER + 0x2000;
const DUAL_LOAD: *mut u32 = DUAL as *mut u32;
const DUAL_VALUE: *mut u32 = (DUAL + 0x04) as *mut u32;
const DUAL_CTRL: *mut u32 = (DUAL + 0x08) as *mut u32;
// Enabled, free running, 32 bits, clock divided by 256.
const DUAL_CTRL_SLOW: u32 = 0x80 | 0x08 | 0x02;

/// The timers count down, and show a tick until it is over.
pub const ROUNDS_DOWN: bool = false;

/// Starts both timers at zero.
pub fn start() {
    // SAFETY: the timers' own registers; their interrupts stay off.
    unsafe {
        write_volatile(TIMER_CTRL, 0);
        write_volatile(TIMER_RELOAD, u32::MAX);
        write_volatile(TIMER_VALUE, u32::MAX);
        write_volatile(DUAL_CTRL, 0);
        write_volatile(DUAL_LOAD, u32::MAX);
        write_volatile(DUAL_CTRL, DUAL_CTRL_SLOW);
        write_volatile(TIMER_CTRL, 1);
    }
}

/// Ticks since the start.
pub fn read() -> u64 {
    // SAFETY: reads of the timers' own registers. Both count down.
    let (low, slow) = unsafe {
        (
            u32::MAX - read_volatile(TIMER_VALUE),
            u32::MAX - read_volatile(DUAL_VALUE),
        )
    };
    // The slow timer is right to within a few of its ticks; the fast one knows the low 32 bits exactly. Of all
    // numbers that end in those bits, take the one nearest to the slow timer's.
    let about = u64::from(slow) << 8;
    let difference = low.wrapping_sub(about as u32) as i32;
    // Wrapping, as that has no branch: a reading costs the same each time.
    about.wrapping_add_signed(i64::from(difference))
}
