//! The memory that the linker leaves: RAM behind the statics, and the region of the model image.

use core::{
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

// SAFETY: the memory map gives the model a region that the program never writes.
unsafe extern "C" {
    safe static _model: [u8; 16 << 20];
    static __sheap: u8;
    static _heap_end: u8;
    static _stack_guard: u8;
}

/// A range of addresses that nothing else uses.
#[derive(Debug, Clone, Copy)]
pub struct Region {
    /// The first address.
    pub start: usize,
    /// The number of bytes.
    pub bytes: usize,
}

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes all RAM between the statics and the end of memory, once; empty from the second call on.
pub fn take_ram() -> Region {
    let start = (&raw const __sheap).addr().next_multiple_of(16);
    let end = (&raw const _heap_end).addr();
    // Load and store instead of a swap: Armv6-M has no exclusive access, and nothing here runs in an interrupt.
    let taken = TAKEN.load(Ordering::Relaxed);
    TAKEN.store(true, Ordering::Relaxed);
    Region {
        start,
        bytes: if taken { 0 } else { end.saturating_sub(start) },
    }
}

/// Makes the stack fault where it overflows, before it goes on into whatever lies below.
///
/// These boards ignore accesses to addresses that nothing answers, so an overflow needs this to be seen. The lowest 4 KiB of
/// the stack's region are the guard.
pub fn guard_stack() {
    let guard = (&raw const _stack_guard).addr() as u32;
    guard_from(guard, 4096);
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// By a region of the memory protection unit that may not be touched.
#[cfg(not(armv8m))]
fn guard_from(guard: u32, _bytes: u32) {
    const SIZE_4_KIB_ENABLED: u32 = (11 << 1) | 1;
    const NO_ACCESS_NO_EXECUTE: u32 = 1 << 28;
    const ENABLE_WITH_DEFAULT_MAP: u32 = 0b101;
    // SAFETY: the memory protection unit's own registers; the region is the linker's guard, which nothing uses.
    unsafe {
        let mpu = &*cortex_m::peripheral::MPU::PTR;
        mpu.rnr.write(0);
        mpu.rbar.write(guard);
        mpu.rasr.write(NO_ACCESS_NO_EXECUTE | SIZE_4_KIB_ENABLED);
        mpu.ctrl.write(ENABLE_WITH_DEFAULT_MAP);
    }
}

/// By the stack pointer's limit.
#[cfg(armv8m)]
fn guard_from(guard: u32, bytes: u32) {
    // SAFETY: the limit is the end of the guard, and the stack pointer is above it.
    unsafe { cortex_m::register::msplim::write(guard + bytes) }
}

/// Takes all RAM as one zeroed slice that starts at a multiple of 16, for programs without a heap.
pub fn take_arena() -> &'static mut [u8] {
    let region = take_ram();
    let start = ptr::with_exposed_provenance_mut::<u8>(region.start);
    // SAFETY: the linker keeps this range free of statics and stack, `take_ram` gives it out once, and it is
    // written before a reference to it exists.
    unsafe {
        start.write_bytes(0, region.bytes);
        core::slice::from_raw_parts_mut(start, region.bytes)
    }
}

/// The region that holds the model image, as QEMU loaded it; zeros where there is none.
pub fn model() -> &'static [u8] {
    &_model
}
