//! Serves the link over the UART of the on-board debugger, with the model image in the upper 768 KiB of flash.
#![no_std]
#![no_main]

use defmt_rtt as _;
use embassy_nrf::{bind_interrupts, peripherals::UARTE0, uarte};
use embedded_alloc::LlffHeap;
use ocelli::KernelTable;
use ocelli_firmware::{ByteLink, Clock, serve};
use panic_probe as _;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

// SAFETY: memory.x places the model in flash, which nothing writes while this runs.
unsafe extern "C" {
    safe static _model: [u8; 768 * 1024];
    static __sheap: u8;
    static _heap_end: u8;
}

bind_interrupts!(struct Irqs { UARTE0 => uarte::InterruptHandler<UARTE0>; });

struct Link(uarte::Uarte<'static>);

impl ByteLink for Link {
    fn read(&mut self) -> u8 {
        let mut byte = [0];
        // A line error leaves a broken frame, which the device refuses.
        let _ = self.0.blocking_read(&mut byte);
        byte[0]
    }
    fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.blocking_write(bytes);
    }
}

struct Uptime;

impl Clock for Uptime {
    fn micros(&mut self) -> u64 {
        embassy_time::Instant::now().as_micros()
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let heap = (&raw const __sheap).addr()..(&raw const _heap_end).addr();
    // SAFETY: the linker keeps this range free of statics and stack, and this is the only call.
    unsafe { HEAP.init(heap.start, heap.len()) };
    let p = embassy_nrf::init(Default::default());
    // 115,200 baud, with the debugger's flow control: bytes wait while the device computes.
    let (rx, tx, cts, rts) = (p.P0_08, p.P0_06, p.P0_07, p.P0_05);
    let config = uarte::Config::default();
    let uart = uarte::Uarte::new_with_rtscts(p.UARTE0, rx, tx, cts, rts, Irqs, config);
    let (mut link, kernels) = (Link(uart), KernelTable::all());
    loop {
        serve(&mut link, &mut Uptime, &_model, &kernels, HEAP.free());
    }
}
