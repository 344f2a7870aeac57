//! Time and instruction counts from the CMSDK timers of the mps2 boards, at 25 MHz.
//!
//! Under `-icount shift=6` an instruction takes 2^6 ns and a tick 40 ns, so 5 instructions are 8 ticks and a count is exact.
//! Timer 0 has 32 bits, which is 2.7 billion instructions; a slower timer beside it counts how often it went round.

use core::ptr::{read_volatile, write_volatile};

const TIMER: usize = 0x4000_0000;
const TIMER_CTRL: *mut u32 = TIMER as *mut u32;
const TIMER_VALUE: *mut u32 = (TIMER + 0x04) as *mut u32;
const TIMER_RELOAD: *mut u32 = (TIMER + 0x08) as *mut u32;

const DUAL: usize = 0x4000_2000;
const DUAL_LOAD: *mut u32 = DUAL as *mut u32;
const DUAL_VALUE: *mut u32 = (DUAL + 0x04) as *mut u32;
const DUAL_CTRL: *mut u32 = (DUAL + 0x08) as *mut u32;
// Enabled, free running, 32 bits, clock divided by 256.
const DUAL_CTRL_SLOW: u32 = 0x80 | 0x08 | 0x02;

/// Both timers, running.
pub struct Timer(());

impl Timer {
    /// Ticks a second.
    pub const HZ: u32 = 25_000_000;

    /// Starts the timers at zero.
    pub fn new() -> Self {
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
        Self(())
    }

    /// Ticks since the start.
    pub fn ticks(&self) -> u64 {
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
        about.saturating_add_signed(i64::from(difference))
    }

    /// Whether time goes by in instructions, as the counts here rely on.
    pub fn counts_instructions(&self) -> bool {
        const ROUNDS: u32 = 10_000;
        let before = self.ticks();
        // SAFETY: counts a register down.
        unsafe {
            core::arch::asm!(
                "2:",
                "subs {left}, {left}, #1",
                "bne 2b",
                left = inout(reg) ROUNDS => _,
                options(nomem, nostack),
            );
        }
        // Reading the timers takes a few instructions, too.
        let counted = Self::instructions(self.ticks() - before);
        (u64::from(2 * ROUNDS)..u64::from(2 * ROUNDS) + 200).contains(&counted)
    }

    /// Instructions in a time of so many ticks, where an instruction takes 2^6 ns.
    pub const fn instructions(ticks: u64) -> u64 {
        ticks * 5 / 8
    }

    /// Microseconds since the start.
    pub fn micros(&self) -> u64 {
        self.ticks() / 25
    }
}

impl Default for Timer {
    fn default() -> Self {
        Self::new()
    }
}
