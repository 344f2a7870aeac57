//! Counts the instructions of one inference of the model image that QEMU put into the PSRAM, and of each op.
//!
//! What `ocelli bench` boots, with `-icount shift=6,sleep=off`, where a count is exact and the same in every run. For tools
//! that count by themselves, the inference stands between calls of `roi_begin` and `roi_end`. A second run has the timer
//! read before and after every call of a kernel; what the reading costs is measured beforehand and taken off.
#![no_std]
#![no_main]

use core::arch::asm;
use core::fmt::Write as _;

use cortex_m_rt::entry;
use ocelli::{Image, KernelTable, Observer, Session, arena_bytes, backend};
use ocelli_qemu::{console::Console, exit, memory, timer::Timer};
use zerocopy::{
    FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned,
    little_endian::{U32, U64},
};

/// A line to the console, whose channel QEMU's options name; `println` of semihosting always takes QEMU's own output.
macro_rules! say {
    ($($text:tt)*) => {
        // Writing to the console cannot fail.
        let _ = writeln!(Console, $($text)*);
    };
}

/// The inference begins. Its body differs from the other's, so that a linker cannot make one of the two.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn roi_begin() {
    // SAFETY: does nothing. Without `nomem` no access to memory moves across it.
    unsafe { asm!("nop", options(nostack, preserves_flags)) }
}

/// The inference has ended.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn roi_end() {
    // SAFETY: as above.
    unsafe { asm!("nop", "nop", options(nostack, preserves_flags)) }
}

#[entry]
fn main() -> ! {
    memory::guard_stack();
    let timer = Timer::new();
    if !timer.counts_instructions() {
        say!("the clock does not count instructions: start QEMU with -icount shift=6,sleep=off");
        exit(1);
    }
    let image = match Image::parse(memory::model()) {
        Ok(image) => image,
        Err(error) => {
            say!("no model image at the board's model address: {error}");
            exit(1);
        }
    };
    let kernels = KernelTable::all();
    let memory = memory::take_arena();
    let counts_bytes = (image.op_count() + 1) * size_of::<Count>();
    let row_bytes = image.input().row_elems();
    let split = memory
        .len()
        .checked_sub(counts_bytes + row_bytes)
        .and_then(|arena_end| memory.split_at_mut_checked(arena_end));
    let Some((arena, rest)) = split else {
        say!("a row of the input is larger than the memory");
        exit(1);
    };
    let (counts, row) = rest.split_at_mut(counts_bytes);
    let counts = <[Count]>::mut_from_bytes(counts).unwrap_or_default();
    // Any row will do: next to no instruction depends on the codes.
    (0u8..=255)
        .cycle()
        .zip(row.iter_mut())
        .for_each(|(n, code)| *code = n.wrapping_mul(31));
    let row = <[i8]>::ref_from_bytes(row).unwrap_or_default();
    let mut session = match Session::new(&image, arena, &kernels) {
        Ok(session) => session,
        Err(error) => {
            say!("the model cannot run: {error}");
            exit(1);
        }
    };
    let mut meter = Meter::new(&timer, counts);

    roi_begin();
    let insns = meter.measure(|| {
        for _ in 0..image.input().h {
            let _ = session.push_row(row, &mut ());
        }
    });
    roi_end();

    session.reset();
    for _ in 0..image.input().h {
        let _ = session.push_row(row, &mut meter);
    }

    say!("backend      {}", backend());
    say!("image_crc    {:08x}", image.crc());
    say!("arena_bytes  {}", arena_bytes(&image));
    say!("exact        {}", meter.is_exact);
    say!("insns        {insns}");
    for (at, count) in meter.counts.iter().enumerate().take(image.op_count()) {
        say!("op {at} insns {} steps {}", count.insns, count.steps);
    }
    exit(0)
}

/// What an op has cost so far.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
struct Count {
    insns: U64,
    steps: U32,
}

/// Counts the instructions of every call of a kernel.
struct Meter<'m> {
    timer: &'m Timer,
    started: u64,
    /// Of each op, and one more for all else.
    counts: &'m mut [Count],
    /// What is counted where nothing happens in between.
    overhead: u64,
    /// Whether loops of known lengths were counted right, to the instruction.
    is_exact: bool,
}

impl<'m> Meter<'m> {
    fn new(timer: &'m Timer, counts: &'m mut [Count]) -> Self {
        let mut meter = Self {
            timer,
            started: 0,
            counts,
            overhead: 0,
            is_exact: true,
        };
        // Loops of two instructions a round; for the first of them there is no overhead to take off.
        meter.overhead = meter.measure(|| Timer::spin(1)) - 2;
        // As many as there are ways for the instructions' clock to meet the timer's.
        meter.is_exact =
            (1..200).all(|rounds| meter.measure(|| Timer::spin(rounds)) == 2 * u64::from(rounds));
        meter
    }

    /// Counts what is no op.
    fn measure(&mut self, work: impl FnOnce()) -> u64 {
        let at = self.counts.len().saturating_sub(1);
        if let Some(count) = self.counts.get_mut(at) {
            count.insns = U64::ZERO;
        }
        self.starts(at);
        work();
        self.ends(at);
        self.counts.get(at).map_or(0, |count| count.insns.get())
    }
}

impl Observer for Meter<'_> {
    fn rows(&mut self, _op: usize, _first_row: usize, _rows: &[i8]) {}

    // Not inline, so that the way from one reading of the timer to the other is the same wherever they are called.
    #[inline(never)]
    fn starts(&mut self, _op: usize) {
        self.started = self.timer.ticks();
    }

    #[inline(never)]
    fn ends(&mut self, op: usize) {
        let ended = self.timer.ticks();
        if let Some(count) = self.counts.get_mut(op) {
            let insns = Timer::instructions(self.started, ended).saturating_sub(self.overhead);
            count.insns = U64::new(count.insns.get() + insns);
            count.steps = U32::new(count.steps.get() + 1);
        }
    }
}
