//! x
#![no_std]
#![no_main]
use cortex_m_rt::entry;
use ocelli_qemu::exit;
use defmt_semihosting as _;
#[entry]
fn main() -> ! {
    defmt::info!("hello {}", 3);
    semihosting::println!("x");
    defmt::info!("hello {}", 4);
    exit(0)
}
