//! Time and instruction counts from the board's timers.
//!
//! Under `-icount shift=6` an instruction takes 2^6 ns, which is more than a tick of any of these boards, so a count is exact.

#[cfg_attr(board = "an547", path = "timer/system_counter.rs")]
#[cfg_attr(not(board = "an547"), path = "timer/cmsdk.rs")]
mod counter;

use crate::board::TIMER_HZ;

/// The board's timer, running.
pub struct Timer(());

impl Timer {
    /// Ticks a second.
    pub const HZ: u32 = TIMER_HZ;

    /// Starts the timer at zero.
    pub fn new() -> Self {
        counter::start();
        Self(())
    }

    /// Ticks since the start.
    pub fn ticks(&self) -> u64 {
        counter::read()
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
        const A_SECOND: u64 = 1_000_000_000 / (1 << 6);
        ticks * A_SECOND / Self::HZ as u64
    }

    /// Microseconds since the start.
    pub fn micros(&self) -> u64 {
        self.ticks() / u64::from(Self::HZ / 1_000_000)
    }
}

impl Default for Timer {
    fn default() -> Self {
        Self::new()
    }
}
