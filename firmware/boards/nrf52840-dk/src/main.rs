//! Serves the link over the UART of the on-board debugger, with the model image in the upper 768 KiB of flash.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use defmt_rtt as _;
use embassy_nrf::{bind_interrupts, peripherals::UARTE0, uarte};
use embedded_alloc::LlffHeap;
use ocelli::KernelTable;
use ocelli_firmware::{ByteLink, Clock, serve};
use panic_probe as _;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

unsafe extern "C" {
    static __sheap: u8;
    static _heap_end: u8;
    static _model_start: u8;
    static _model_end: u8;
}

bind_interrupts!(struct Irqs {
    UARTE0 => uarte::InterruptHandler<UARTE0>;
});

struct Link(uarte::Uarte<'static>);

impl ByteLink for Link {
    fn read(&mut self) -> u8 {
        let mut byte = [0];
        // An overrun or a line error leaves a broken frame, which the device refuses.
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

#[entry]
fn main() -> ! {
    let heap_start = (&raw const __sheap).addr();
    let heap_bytes = (&raw const _heap_end).addr() - heap_start;
    // SAFETY: the linker keeps this range free of statics and stack, and this is the only call.
    unsafe { HEAP.init(heap_start, heap_bytes) };
    let model_bytes = (&raw const _model_end).addr() - (&raw const _model_start).addr();
    // SAFETY: flash that the firmware never writes.
    let model = unsafe { core::slice::from_raw_parts(&raw const _model_start, model_bytes) };

    let p = embassy_nrf::init(embassy_nrf::config::Config::default());
    // 115,200 baud, with the debugger's flow control: bytes wait while the device computes.
    let uart = uarte::Uarte::new_with_rtscts(
        p.UARTE0, p.P0_08, p.P0_06, p.P0_07, p.P0_05, Irqs, uarte::Config::default(),
    );
    let mut link = Link(uart);
    loop {
        serve(&mut link, &mut Uptime, model, &KernelTable::all(), HEAP.free());
    }
}
