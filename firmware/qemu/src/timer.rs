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
        Self::spin(ROUNDS);
        // Reading the timers takes a few instructions, too.
        let counted = Self::instructions(before, self.ticks());
        (u64::from(2 * ROUNDS)..u64::from(2 * ROUNDS) + 200).contains(&counted)
    }

    /// A loop of so many rounds, one at least, of two instructions each.
    #[inline(always)]
    pub fn spin(rounds: u32) {
        // SAFETY: counts a register down.
        unsafe {
            core::arch::asm!(
                "2:",
                "subs {left}, {left}, #1",
                "bne 2b",
                left = inout(reg) rounds => _,
                options(nomem, nostack),
            );
        }
    }

    /// Instructions between two readings of the ticks, where an instruction takes 2^6 ns.
    ///
    /// Each reading tells exactly how many there were since the start, as the timer started with one of them.
    pub const fn instructions(before: u64, after: u64) -> u64 {
        Self::since_start(after) - Self::since_start(before)
    }

    const fn since_start(ticks: u64) -> u64 {
        const A_SECOND: u64 = 1_000_000_000 / (1 << 6);
        let hz = Self::HZ as u64;
        // A tick is less than half an instruction where readings are rounded down.
        let rounding = if counter::ROUNDS_DOWN { hz / 2 } else { 0 };
        (ticks * A_SECOND + rounding) / hz
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
