//! Serves the link over UART 0, with the model image that QEMU put into the PSRAM. Logs leave by semihosting.
#![no_std]
#![no_main]

mod log;

use core::fmt::Write as _;

use cortex_m_rt::entry;
use embedded_alloc::LlffHeap;
use ocelli::KernelTable;
use ocelli_firmware::{ByteLink, Clock, serve};
use ocelli_qemu::{
    console::{self, Console},
    exit, memory,
    timer::Timer,
    uart::Uart,
};

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

struct Link(Uart);

impl ByteLink for Link {
    fn read(&mut self) -> u8 {
        self.0.read()
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }
}

struct Uptime(Timer);

impl Clock for Uptime {
    fn micros(&mut self) -> u64 {
        self.0.micros()
    }
}

#[entry]
fn main() -> ! {
    memory::guard_stack();
    let heap = memory::take_ram();
    // SAFETY: the region is given out once, and nothing else uses it.
    unsafe { HEAP.init(heap.start, heap.bytes) };
    let kernels = KernelTable::all();
    serve(
        &mut Link(Uart::new()),
        &mut Uptime(Timer::new()),
        memory::model(),
        &kernels,
        HEAP.free(),
    );
    tell(memory::used());
    exit(0)
}

/// Text among the logs, between zero bytes: what `ocelli verify` shows.
fn tell(used: memory::Use) {
    console::byte(0);
    let memory::Use {
        ram,
        stack,
        statics,
    } = used;
    // Writing to the console cannot fail.
    let _ = write!(
        Console,
        "ram_bytes {ram}\nstack_bytes {stack}\nstatic_bytes {statics}\n"
    );
    console::byte(0);
}
