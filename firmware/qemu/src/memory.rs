//! The memory that the linker leaves: RAM behind the statics, and the region of the model image.

use core::{
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};

unsafe extern "C" {
    static mut __sheap: u8;
    static mut _heap_end: u8;
    #[cfg(not(any(armv6m, armv8m)))]
    static _stack_guard: u8;
    static _model_start: u8;
    static _model_end: u8;
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
    let start = (&raw mut __sheap).addr().next_multiple_of(16);
    let end = (&raw mut _heap_end).addr();
    // Load and store instead of a swap: Armv6-M has no exclusive access, and nothing here runs in an interrupt.
    let taken = TAKEN.load(Ordering::Relaxed);
    TAKEN.store(true, Ordering::Relaxed);
    Region {
        start,
        bytes: if taken { 0 } else { end.saturating_sub(start) },
    }
}

/// Makes the lowest 4 KiB of the stack's region a guard: whatever touches it faults, where it would go on into whatever
/// lies below. These boards ignore accesses to addresses that nothing answers, so an overflow needs this to be seen.
#[cfg(not(any(armv6m, armv8m)))]
pub fn guard_stack() {
    const SIZE_4_KIB_ENABLED: u32 = (11 << 1) | 1;
    const NO_ACCESS_NO_EXECUTE: u32 = 1 << 28;
    const ENABLE_WITH_DEFAULT_MAP: u32 = 0b101;
    // SAFETY: the memory protection unit's own registers; the region is the linker's guard, which nothing uses.
    unsafe {
        let mpu = &*cortex_m::peripheral::MPU::PTR;
        mpu.rnr.write(0);
        mpu.rbar.write((&raw const _stack_guard).addr() as u32);
        mpu.rasr.write(NO_ACCESS_NO_EXECUTE | SIZE_4_KIB_ENABLED);
        mpu.ctrl.write(ENABLE_WITH_DEFAULT_MAP);
    }
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// Takes all RAM as one zeroed slice, for programs without a heap.
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
    let start = &raw const _model_start;
    let bytes = (&raw const _model_end).addr() - start.addr();
    // SAFETY: the region is RAM of the emulated board that the program never writes, and static.
    unsafe { core::slice::from_raw_parts(ptr::with_exposed_provenance(start.addr()), bytes) }
}
