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
    static _ram_start: u8;
    static _stack_guard: u8;
    static _stack_end: u32;
    static _stack_start: u32;
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

/// How the program uses its RAM, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// All RAM that the linker may give out, the stack's guard included.
    pub ram: usize,
    /// The stack at its deepest so far.
    pub stack: usize,
    /// Variables.
    pub statics: usize,
}

/// How the program has used its RAM so far: the stack lies painted before `main`, and is looked through for the paint.
pub fn used() -> Use {
    let stack_end = &raw const _stack_end;
    let stack_start = (&raw const _stack_start).addr();
    let words = (stack_start - stack_end.addr()) / size_of::<u32>();
    let untouched = (0..words).take_while(|&word| {
        // SAFETY: aligned and inside the stack's region; volatile, since it may be the stack of this very function.
        unsafe { stack_end.add(word).read_volatile() == cortex_m_rt::STACK_PAINT_VALUE }
    });
    Use {
        ram: (&raw const _heap_end).addr() - (&raw const _stack_guard).addr(),
        stack: (words - untouched.count()) * size_of::<u32>(),
        statics: (&raw const __sheap).addr() - (&raw const _ram_start).addr(),
    }
}

/// Reads the byte behind all RAM, which faults where that is forbidden.
pub fn read_beyond() {
    // SAFETY: only with feature `ram-256k` is there anything at that address, and nothing uses it.
    unsafe {
        (&raw const _heap_end).read_volatile();
    }
}

/// Makes the stack fault where it overflows, before it goes on into whatever lies below.
///
/// These boards ignore accesses to addresses that nothing answers, so an overflow needs this to be seen. The lowest 4 KiB of
/// the stack's region are the guard. With feature `ram-256k`, whatever lies above the RAM faults as well.
pub fn guard_stack() {
    let guard = (&raw const _stack_guard).addr() as u32;
    guard_from(guard, 4096);
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// By regions of the memory protection unit, of which the later ones count where they overlap.
#[cfg(not(armv8m))]
fn guard_from(guard: u32, bytes: u32) {
    const ENABLED: u32 = 1;
    const NO_ACCESS_NO_EXECUTE: u32 = 1 << 28;
    const ENABLE_WITH_DEFAULT_MAP: u32 = 0b101;
    // SAFETY: the memory protection unit's own registers.
    let mpu = unsafe { &*cortex_m::peripheral::MPU::PTR };
    // `bytes` is a power of two, and the address a multiple of it.
    let region = |number, address: u32, bytes: u32, access| {
        // SAFETY: as above; what is forbidden is the linker's guard and what the linker gives to nobody.
        unsafe {
            mpu.rnr.write(number);
            mpu.rbar.write(address);
            mpu.rasr.write(access | (bytes.ilog2() - 1) << 1 | ENABLED);
        }
    };
    #[cfg(feature = "ram-256k")]
    {
        const NORMAL_MEMORY_NO_EXECUTE: u32 = 1 << 28 | 0b011 << 24 | 0b001 << 19;
        const BOARD_RAM_BYTES: u32 = 4 << 20;
        let ram = (&raw const _heap_end).addr() as u32 - guard;
        region(0, guard, BOARD_RAM_BYTES, NO_ACCESS_NO_EXECUTE);
        region(1, guard, ram, NORMAL_MEMORY_NO_EXECUTE);
    }
    region(2, guard, bytes, NO_ACCESS_NO_EXECUTE);
    // SAFETY: as above.
    unsafe { mpu.ctrl.write(ENABLE_WITH_DEFAULT_MAP) };
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
