use std::convert::Infallible;

use embedded_storage::nor_flash::{ErrorType, NorFlash, ReadNorFlash};
use ocelli_store::{HeadStore, StoreError};

/// A flash that has sizes and nothing else.
struct Sizes<const READ: usize, const WRITE: usize, const PAGE: usize>;

const FLASH_BYTES: usize = 0x10000;

impl<const R: usize, const W: usize, const P: usize> ErrorType for Sizes<R, W, P> {
    type Error = Infallible;
}

impl<const R: usize, const W: usize, const P: usize> ReadNorFlash for Sizes<R, W, P> {
    const READ_SIZE: usize = R;
    fn read(&mut self, _: u32, _: &mut [u8]) -> Result<(), Infallible> {
        panic!("read while the geometry is checked")
    }
    fn capacity(&self) -> usize {
        FLASH_BYTES
    }
}

impl<const R: usize, const W: usize, const P: usize> NorFlash for Sizes<R, W, P> {
    const WRITE_SIZE: usize = W;
    const ERASE_SIZE: usize = P;
    fn erase(&mut self, _: u32, _: u32) -> Result<(), Infallible> {
        panic!("erased while the geometry is checked")
    }
    fn write(&mut self, _: u32, _: &[u8]) -> Result<(), Infallible> {
        panic!("written while the geometry is checked")
    }
}

fn capacity<const R: usize, const W: usize, const P: usize>(
    region: std::ops::Range<u32>,
) -> Result<usize, StoreError<Infallible>> {
    HeadStore::new(Sizes::<R, W, P>, region).map(|store| store.capacity_bytes())
}

#[test]
fn each_usual_geometry_is_taken_with_all_of_a_slot_but_128_bytes_for_the_payload() {
    assert_eq!(capacity::<1, 4, 4096>(0x4000..0x8000), Ok(0x2000 - 128)); // nRF52
    assert_eq!(capacity::<1, 1, 4096>(0..0x2000), Ok(0x1000 - 128)); // RP2040
    assert_eq!(capacity::<1, 8, 2048>(0xF000..0x10000), Ok(0x800 - 128)); // STM32G4, at the end
    assert_eq!(capacity::<1, 32, 0x8000>(0..0x10000), Ok(0x8000 - 128)); // STM32H7, in small
    assert_eq!(capacity::<1, 4, 128>(0..0x200), Ok(0x80)); // STM32L0
}

#[test]
fn words_that_do_not_divide_32_bytes_are_refused() {
    let error = |read_bytes, write_bytes, erase_bytes| {
        Err(StoreError::Geometry {
            read_bytes,
            write_bytes,
            erase_bytes,
        })
    };
    assert_eq!(capacity::<1, 64, 4096>(0..0x2000), error(1, 64, 4096));
    assert_eq!(capacity::<1, 12, 4096>(0..0x2000), error(1, 12, 4096));
    assert_eq!(capacity::<1, 0, 4096>(0..0x2000), error(1, 0, 4096));
    assert_eq!(capacity::<3, 4, 4096>(0..0x2000), error(3, 4, 4096));
    assert_eq!(capacity::<1, 4, 1000>(0..0x2000), error(1, 4, 1000));
    assert_eq!(capacity::<1, 4, 0>(0..0x2000), error(1, 4, 0));
}

#[test]
fn a_region_that_does_not_start_at_a_page_is_refused() {
    let error = StoreError::UnalignedStart {
        at: 0x800,
        page_bytes: 4096,
    };
    assert_eq!(capacity::<1, 4, 4096>(0x800..0x2800), Err(error));
}

#[test]
fn a_region_of_an_odd_number_of_pages_is_refused() {
    for got in [0x3000, 0x2004] {
        let error = StoreError::UnalignedLength {
            got,
            multiple_of: 0x2000,
        };
        assert_eq!(
            capacity::<1, 4, 4096>(0x1000..0x1000 + got as u32),
            Err(error)
        );
    }
}

#[test]
fn a_region_beyond_the_flash_is_refused() {
    let error = StoreError::OutOfFlash {
        needed: 0x11000,
        got: FLASH_BYTES,
    };
    assert_eq!(capacity::<1, 4, 4096>(0xF000..0x11000), Err(error));
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "one of the wrong regions")]
fn a_region_without_room_for_a_payload_is_refused() {
    let error = |needed, got| Err(StoreError::RegionTooSmall { needed, got });
    assert_eq!(capacity::<1, 4, 4096>(0..0), error(0x2000, 0));
    assert_eq!(capacity::<1, 4, 4096>(0..0x1000), error(0x2000, 0x1000));
    assert_eq!(capacity::<1, 4, 4096>(0x2000..0x1000), error(0x2000, 0));
    // Pages of 128 bytes: the header and the marks alone fill one.
    assert_eq!(capacity::<1, 4, 128>(0..0x100), error(0x200, 0x100));
}

#[test]
fn errors_say_what_is_needed_and_what_was_got() {
    let error = capacity::<1, 4, 4096>(0..0x1000).unwrap_err();
    assert_eq!(error.to_string(), "region of 4096 bytes, 8192 needed");
    let error = StoreError::<Infallible>::PayloadTooLarge { needed: 9, got: 8 };
    assert_eq!(error.to_string(), "payload of 9 bytes, a slot takes 8");
}
