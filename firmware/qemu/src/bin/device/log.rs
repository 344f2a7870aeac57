//! Where defmt's frames go: to the semihosting console, byte by byte.
//!
//! Not through an open file, as defmt-semihosting does it: QEMU connects the console's output with the character device that
//! its options name, but the file `:tt` with its own stdout, which may carry the link.

use core::cell::UnsafeCell;

use critical_section::RestoreState;
use defmt::{Encoder, Logger};
use ocelli_qemu::console;

#[defmt::global_logger]
struct Console;

struct Frame {
    encoder: UnsafeCell<Encoder>,
    restore: UnsafeCell<RestoreState>,
}

// SAFETY: the cells are only touched between `acquire` and `release`, inside a critical section.
unsafe impl Sync for Frame {}

static FRAME: Frame = Frame {
    encoder: UnsafeCell::new(Encoder::new()),
    restore: UnsafeCell::new(RestoreState::invalid()),
};

fn write(bytes: &[u8]) {
    bytes.iter().copied().for_each(console::byte);
}

// SAFETY: `acquire` enters a critical section and `release` leaves it; nothing here logs in turn.
unsafe impl Logger for Console {
    fn acquire() {
        // SAFETY: left by `release`, which defmt calls once for each call of this; the cells are ours in between.
        unsafe {
            let restore = critical_section::acquire();
            *FRAME.restore.get() = restore;
            (*FRAME.encoder.get()).start_frame(write);
        }
    }

    unsafe fn flush() {}

    unsafe fn release() {
        // SAFETY: `acquire` has been called.
        unsafe {
            (*FRAME.encoder.get()).end_frame(write);
            critical_section::release(*FRAME.restore.get());
        }
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: `acquire` has been called.
        unsafe { (*FRAME.encoder.get()).write(bytes, write) }
    }
}
