use crc::{CRC_32_ISO_HDLC, Crc};
use ocelli_store::HeadState;

use crate::mock::MockFlash;
use crate::model::Head;
use crate::{boot, confirm_head, read};

const SLOT_BYTES: usize = 256;

type Flash = MockFlash<4, 256>;

/// A header from the table in the crate's documentation.
pub fn header(version: u32, sequence: u32, len: u32, kind: u32, payload: &[u8]) -> Vec<u8> {
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    let mut header = b"OCHD".to_vec();
    for word in [version, sequence, len, kind, crc.checksum(payload), 0] {
        header.extend(word.to_le_bytes());
    }
    header.extend(crc.checksum(&header).to_le_bytes());
    header
}

#[test]
fn a_slot_has_the_bytes_that_the_documentation_says() {
    let flash = Flash::new(2);
    let mut store = boot(&flash);
    let mut expected = vec![0xFF; SLOT_BYTES];
    store
        .write_trial(0x0403_0201, &[b"1234", b"56789"])
        .unwrap();
    // CRC-32 of "123456789" is 0xCBF43926, as every catalogue says; the header's own is zlib's.
    expected[..32].copy_from_slice(&[
        b'O', b'C', b'H', b'D', 1, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 1, 2, 3, 4, 0x26, 0x39, 0xF4,
        0xCB, 0, 0, 0, 0, 0xD2, 0x70, 0xF2, 0x7A,
    ]);
    expected[128..137].copy_from_slice(b"123456789");
    assert_eq!(flash.bytes(0..SLOT_BYTES), expected);
    store.start_trial().unwrap();
    expected[32..64].fill(0x5A);
    assert_eq!(flash.bytes(0..SLOT_BYTES), expected);
    store.confirm().unwrap();
    expected[64..96].fill(0x5A);
    assert_eq!(flash.bytes(0..SLOT_BYTES), expected);
    store.write_trial(1, &[b"x"]).unwrap();
    store.reject().unwrap();
    assert_eq!(flash.bytes(0..SLOT_BYTES), expected);
    assert_eq!(flash.bytes(SLOT_BYTES + 32..SLOT_BYTES + 96), [0xFF; 64]);
    assert_eq!(flash.bytes(SLOT_BYTES + 96..SLOT_BYTES + 128), [0x5A; 32]);
}

#[test]
fn the_bytes_do_not_depend_on_the_size_of_a_word() {
    fn bytes<const W: usize>() -> Vec<u8> {
        let flash = MockFlash::<W, 256>::new(2);
        confirm_head(&mut boot(&flash), &Head::new(3, 77));
        flash.bytes(0..2 * SLOT_BYTES)
    }
    let expected = bytes::<1>();
    assert_eq!([bytes::<4>(), bytes::<8>(), bytes::<32>()], [&*expected; 3]);
}

#[test]
fn a_slot_of_a_later_version_counts_as_empty() {
    let flash = Flash::new(2);
    let payload = Head::new(1, 50).payload;
    flash.overwrite(128, &payload);
    for (version, found) in [(1, true), (2, false), (0, false)] {
        flash.overwrite(0, &header(version, 1, 50, 1, &payload));
        assert_eq!(boot(&flash).load().unwrap().is_some(), found);
    }
}

#[test]
fn a_length_beyond_the_slot_counts_as_empty() {
    let flash = Flash::new(2);
    for len in [129, SLOT_BYTES as u32, u32::MAX] {
        flash.overwrite(0, &header(1, 1, len, 1, &[]));
        assert_eq!(boot(&flash).load(), Ok(None));
    }
}

#[test]
fn every_flipped_bit_of_header_and_payload_gives_the_head_before() {
    let (old, new) = (Head::new(1, 60), Head::new(2, 70));
    let flash = Flash::new(2);
    confirm_head(&mut boot(&flash), &old);
    confirm_head(&mut boot(&flash), &new);
    let bits = |from: usize, to: usize| (SLOT_BYTES + from) * 8..(SLOT_BYTES + to) * 8;
    for bit in bits(0, 32).chain(bits(128, 128 + 70)) {
        flash.flip(bit);
        let found = read(&mut boot(&flash));
        assert_eq!(
            found,
            Ok(Some((old.clone(), HeadState::Confirmed))),
            "bit {bit}"
        );
        flash.flip(bit);
    }
    assert_eq!(
        read(&mut boot(&flash)),
        Ok(Some((new, HeadState::Confirmed)))
    );
}

#[test]
fn every_flipped_bit_of_the_only_head_leaves_none() {
    let flash = Flash::new(2);
    confirm_head(&mut boot(&flash), &Head::new(1, 60));
    for bit in (0..32 * 8).chain(128 * 8..(128 + 60) * 8) {
        flash.flip(bit);
        assert_eq!(boot(&flash).load(), Ok(None), "bit {bit}");
        flash.flip(bit);
    }
}

#[test]
fn every_flipped_bit_of_a_mark_gives_the_old_head_or_the_new_one() {
    let (old, new) = (Head::new(1, 60), Head::new(2, 70));
    let flash = Flash::new(2);
    confirm_head(&mut boot(&flash), &old);
    confirm_head(&mut boot(&flash), &new);
    for byte in SLOT_BYTES + 32..SLOT_BYTES + 128 {
        let started = byte < SLOT_BYTES + 64;
        let expected = if started { &new } else { &old };
        for bit in byte * 8..byte * 8 + 8 {
            flash.flip(bit);
            let found = read(&mut boot(&flash));
            assert_eq!(
                found,
                Ok(Some((expected.clone(), HeadState::Confirmed))),
                "bit {bit}"
            );
            flash.flip(bit);
        }
    }
}
