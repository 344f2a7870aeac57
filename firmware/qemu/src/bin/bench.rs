//! Counts the instructions of one inference of the model image that QEMU put into the PSRAM.
//!
//! The runner starts it with `-icount shift=6,sleep=off`, where a count is exact and the same in every run. For tools that
//! count by themselves, the inference stands between calls of `roi_begin` and `roi_end`. Where the plan is of whole layers,
//! the kernels are then called once more without the executor, each on whole tensors: what is left is the executor's cost.
#![no_std]
#![no_main]

use core::arch::asm;

use cortex_m_rt::entry;
use ocelli::kernels::Rows;
use ocelli::{Image, KernelTable, OpContext, OpIo, OpKind, Session, Tensor, arena_bytes, backend};
use ocelli_qemu::{exit, memory, timer::Timer};
use semihosting::println;
use zerocopy::FromBytes;

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
        println!(
            "the clock does not count instructions: start QEMU with -icount shift=6,sleep=off"
        );
        exit(1);
    }
    let image = match Image::parse(memory::model()) {
        Ok(image) => image,
        Err(error) => {
            println!("no model image at the board's model address: {error}");
            exit(1);
        }
    };
    let kernels = KernelTable::all();
    let memory = memory::take_arena();
    let arena_end = memory.len().saturating_sub(image.input().row_elems());
    let Some((arena, row)) = memory.split_at_mut_checked(arena_end) else {
        println!("a row of the input is larger than the memory");
        exit(1);
    };
    // Any row will do: next to no instruction depends on the codes.
    (0u8..=255)
        .cycle()
        .zip(row.iter_mut())
        .for_each(|(n, code)| *code = n.wrapping_mul(31));
    let row = <[i8]>::ref_from_bytes(row).unwrap_or_default();
    let mut session = match Session::new(&image, arena, &kernels) {
        Ok(session) => session,
        Err(error) => {
            println!("the model cannot run: {error}");
            exit(1);
        }
    };

    roi_begin();
    let before = timer.ticks();
    for _ in 0..image.input().h {
        let _ = session.push_row(row, &mut ());
    }
    let ticks = timer.ticks() - before;
    roi_end();

    let kernels_alone = whole_layers(&image).then(|| {
        let before = timer.ticks();
        run_kernels(&image, &kernels, arena);
        timer.ticks() - before
    });

    println!("backend      {}", backend());
    println!("image_crc    {:08x}", image.crc());
    println!("arena_bytes  {}", arena_bytes(&image));
    println!("insns        {}", Timer::instructions(ticks));
    if let Some(ticks) = kernels_alone {
        println!("in_kernels   {}", Timer::instructions(ticks));
    }
    exit(0)
}

/// Whether every op reads and makes whole tensors, in one step.
fn whole_layers(image: &Image<'_>) -> bool {
    let is_whole = |tensor: Tensor| tensor.rows_held == tensor.h;
    is_whole(image.input())
        && (0..image.op_count()).all(|at| {
            let output = image.tensor(at + 1);
            let rows = image.op(at).map_or(0, |op| op.rows_per_step);
            is_whole(output) && rows >= output.h
        })
}

/// Calls the kernel of every op, one after another.
fn run_kernels(image: &Image<'_>, kernels: &KernelTable, arena: &mut [u8]) {
    let arena = <[i8]>::mut_from_bytes(arena).unwrap_or_default();
    let bytes = |tensor: &Tensor| tensor.offset..tensor.offset + tensor.held_bytes();
    for at in 0..image.op_count() {
        let Some(record) = image.op(at) else {
            return;
        };
        let op = OpContext {
            body: record.body,
            weight_packing: record.weight_packing,
            inputs: record.inputs.map(|input| image.tensor(input)),
            output: image.tensor(at + 1),
        };
        let [a, b] = &op.inputs;
        let is_single = record.inputs[0] == record.inputs[1];
        let other = if is_single { 0..0 } else { bytes(b) };
        let (offset, length) = record.scratch;
        let scratch = if length == 0 {
            0..0
        } else {
            offset..offset + length
        };
        let memory = arena.get_disjoint_mut([bytes(a), other, bytes(&op.output), scratch]);
        let family = kernels.get(op.body.kind());
        let (Ok([first, second, output, scratch]), Some(family)) = (memory, family) else {
            println!("op {at} cannot be called by itself");
            exit(1);
        };
        let first = Rows::new(0, a.row_elems(), [&*first, &[]]);
        let second = Rows::new(0, b.row_elems(), [&*second, &[]]);
        let rows = match op.body.kind() {
            OpKind::GlobalAveragePool => 0..a.h,
            _ => 0..op.output.h,
        };
        let io = OpIo {
            inputs: [first, if is_single { first } else { second }],
            rows,
            output,
            scratch,
        };
        family.run(&op, io);
    }
}
