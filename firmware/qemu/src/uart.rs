//! The CMSDK UART 0 of the boards, polled.

use core::ptr::{read_volatile, write_volatile};

use crate::board::{UART, UART_RECEIVE_INTERRUPT};

const DATA: *mut u32 = UART as *mut u32;
const STATE: *mut u32 = (UART + 0x04) as *mut u32;
const CTRL: *mut u32 = (UART + 0x08) as *mut u32;
const INTERRUPTS: *mut u32 = (UART + 0x0c) as *mut u32;
const BAUD_DIVIDER: *mut u32 = (UART + 0x10) as *mut u32;
// The receive interrupt is enabled but masked: it wakes the processor and is never taken.
const NVIC_WORD: usize = 4 * (UART_RECEIVE_INTERRUPT as usize / 32);
const NVIC_ENABLE: *mut u32 = (0xe000_e100 + NVIC_WORD) as *mut u32;
const NVIC_UNPEND: *mut u32 = (0xe000_e280 + NVIC_WORD) as *mut u32;
const NVIC_RECEIVE: u32 = 1 << (UART_RECEIVE_INTERRUPT % 32);

const STATE_TX_FULL: u32 = 1;
const STATE_RX_FULL: u32 = 2;
const CTRL_TX_AND_RX: u32 = 3;
const CTRL_RX_INTERRUPT: u32 = 8;
const INTERRUPT_RX: u32 = 2;

/// UART 0, which QEMU connects to its first `-serial`.
pub struct Uart(());

impl Uart {
    /// Switches the UART on.
    pub fn new() -> Self {
        cortex_m::interrupt::disable();
        // SAFETY: the UART's own registers; writing them has no effect on memory. 16 is the least divider allowed,
        // and the emulator's line has no speed.
        unsafe {
            write_volatile(BAUD_DIVIDER, 16);
            write_volatile(CTRL, CTRL_TX_AND_RX | CTRL_RX_INTERRUPT);
            write_volatile(NVIC_ENABLE, NVIC_RECEIVE);
        }
        Self(())
    }

    /// Waits for a byte.
    pub fn read(&mut self) -> u8 {
        // SAFETY: reads of the UART's own registers.
        unsafe {
            while read_volatile(STATE) & STATE_RX_FULL == 0 {
                cortex_m::asm::wfi();
            }
            let byte = read_volatile(DATA) as u8;
            write_volatile(INTERRUPTS, INTERRUPT_RX);
            write_volatile(NVIC_UNPEND, NVIC_RECEIVE);
            byte
        }
    }

    /// Sends `bytes`, waiting for room.
    pub fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            // SAFETY: reads and writes of the UART's own registers.
            unsafe {
                while read_volatile(STATE) & STATE_TX_FULL != 0 {}
                write_volatile(DATA, u32::from(byte));
            }
        }
    }
}

impl Default for Uart {
    fn default() -> Self {
        Self::new()
    }
}
