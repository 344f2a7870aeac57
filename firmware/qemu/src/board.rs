//! What the programs use of the emulated board that they are built for: its addresses and clock, which `build.rs` chooses
//! together with the memory map. The Cortex-M33 and M55 run in the secure state and use the secure addresses.

/// The CMSDK UART 0.
pub const UART: usize = BOARD.uart;
/// The interrupt with which that UART says that a byte has come.
pub const UART_RECEIVE_INTERRUPT: u32 = BOARD.uart_receive_interrupt;
/// The timers.
pub const TIMER: usize = BOARD.timer;
/// Ticks of the timers a second.
pub const TIMER_HZ: u32 = BOARD.timer_hz;

struct Board {
    uart: usize,
    uart_receive_interrupt: u32,
    timer: usize,
    timer_hz: u32,
}

/// mps2-an385, mps2-an386 and mps2-an500.
#[cfg(board = "mps2")]
const BOARD: Board = Board {
    uart: 0x4000_4000,
    uart_receive_interrupt: 0,
    timer: 0x4000_0000,
    timer_hz: 25_000_000,
};

#[cfg(board = "an505")]
const BOARD: Board = Board {
    uart: 0x5020_0000,
    uart_receive_interrupt: 32,
    timer: 0x5000_0000,
    timer_hz: 20_000_000,
};

#[cfg(board = "an547")]
const BOARD: Board = Board {
    uart: 0x5930_3000,
    uart_receive_interrupt: 33,
    timer: 0x5810_0000,
    timer_hz: 32_000_000,
};
