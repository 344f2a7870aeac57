//! Text to the host, letter by letter, for code that must not panic: no formatter, no buffer, no heap.

use semihosting::sys::arm_compat::sys_writec;

/// Writes a byte.
pub fn byte(byte: u8) {
    sys_writec(byte);
}

/// Writes text.
pub fn text(text: &str) {
    text.bytes().for_each(byte);
}

/// Writes a name and a number in hexadecimal.
pub fn hex(name: &str, value: u32) {
    text(name);
    text(" 0x");
    for nibble in (0..8).rev() {
        let digit = (value >> (4 * nibble)) as u8 & 15;
        byte(digit + if digit < 10 { b'0' } else { b'a' - 10 });
    }
}

/// The same for formatted text, where a panic may be.
pub struct Console;

impl core::fmt::Write for Console {
    fn write_str(&mut self, string: &str) -> core::fmt::Result {
        text(string);
        Ok(())
    }
}
