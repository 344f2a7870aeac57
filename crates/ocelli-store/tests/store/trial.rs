use ocelli_store::{HeadState, StoreError, Stored};

use crate::mock::{FlashError, MockFlash, Stats, Tear};
use crate::model::Head;
use crate::{boot, confirm_head, read};

type Flash = MockFlash<8, 256>;

const SLOT_BYTES: usize = 512;

fn flash() -> Flash {
    Flash::new(2 * SLOT_BYTES / 256)
}

fn head(seed: u32) -> Head {
    Head::new(seed, 300)
}

#[test]
fn an_empty_flash_holds_no_head() {
    let mut store = boot(&flash());
    assert_eq!(store.load(), Ok(None));
    assert_eq!(store.read_into(&mut []), Ok(None));
    assert_eq!(store.start_trial(), Err(StoreError::NoTrial));
    assert_eq!(store.confirm(), Err(StoreError::NoTrial));
    assert_eq!(store.reject(), Err(StoreError::NoTrial));
}

#[test]
fn a_trial_that_is_confirmed_is_the_head_of_all_later_boots() {
    let flash = flash();
    let mut store = boot(&flash);
    let mut expected = Stored {
        kind: 7,
        sequence: 1,
        len_bytes: 300,
        state: HeadState::Trial,
    };
    assert_eq!(store.write_trial(7, &[&head(7).payload]), Ok(expected));
    assert_eq!(store.load(), Ok(Some(expected)));
    store.start_trial().unwrap();
    expected.state = HeadState::Running;
    assert_eq!(store.load(), Ok(Some(expected)));
    store.confirm().unwrap();
    expected.state = HeadState::Confirmed;
    assert_eq!(store.load(), Ok(Some(expected)));
    for _ in 0..3 {
        assert_eq!(
            read(&mut boot(&flash)),
            Ok(Some((head(7), HeadState::Confirmed)))
        );
    }
}

#[test]
fn a_trial_waits_for_the_boot_that_starts_it() {
    let flash = flash();
    confirm_head(&mut boot(&flash), &head(1));
    boot(&flash).write_trial(2, &[&head(2).payload]).unwrap();
    assert_eq!(
        read(&mut boot(&flash)),
        Ok(Some((head(2), HeadState::Trial)))
    );
    let mut store = boot(&flash);
    store.start_trial().unwrap();
    store.confirm().unwrap();
    assert_eq!(
        read(&mut boot(&flash)),
        Ok(Some((head(2), HeadState::Confirmed)))
    );
}

#[test]
fn a_trial_that_was_started_and_never_confirmed_is_rolled_back() {
    let flash = flash();
    confirm_head(&mut boot(&flash), &head(1));
    let mut store = boot(&flash);
    store.write_trial(2, &[&head(2).payload]).unwrap();
    store.start_trial().unwrap();
    let mut next = boot(&flash);
    assert_eq!(read(&mut next), Ok(Some((head(1), HeadState::Confirmed))));
    assert_eq!(next.confirm(), Err(StoreError::NoTrial));
    assert_eq!(next.reject(), Err(StoreError::NoTrial));
}

#[test]
fn a_rejected_trial_gives_the_confirmed_head_back_at_once() {
    let flash = flash();
    let mut store = boot(&flash);
    confirm_head(&mut store, &head(1));
    for start in [false, true] {
        store.write_trial(2, &[&head(2).payload]).unwrap();
        if start {
            store.start_trial().unwrap();
        }
        store.reject().unwrap();
        assert_eq!(read(&mut store), Ok(Some((head(1), HeadState::Confirmed))));
        assert_eq!(
            read(&mut boot(&flash)),
            Ok(Some((head(1), HeadState::Confirmed)))
        );
    }
}

#[test]
fn a_trial_that_this_boot_did_not_start_is_not_confirmed() {
    let mut store = boot(&flash());
    store.write_trial(2, &[&head(2).payload]).unwrap();
    assert_eq!(store.confirm(), Err(StoreError::NotStarted));
    assert_eq!(read(&mut store), Ok(Some((head(2), HeadState::Trial))));
}

#[test]
fn starting_a_running_trial_again_writes_nothing() {
    let flash = flash();
    let mut store = boot(&flash);
    store.write_trial(2, &[&head(2).payload]).unwrap();
    store.start_trial().unwrap();
    let before = flash.stats();
    store.start_trial().unwrap();
    assert_eq!(flash.stats(), before);
}

#[test]
fn only_the_slot_without_the_confirmed_head_is_erased_and_written() {
    let flash = flash();
    let mut store = boot(&flash);
    confirm_head(&mut store, &head(1));
    let confirmed = flash.bytes(0..SLOT_BYTES);
    let before = flash.stats();
    for seed in 2..6 {
        store.write_trial(seed, &[&head(seed).payload]).unwrap();
        store.start_trial().unwrap();
        store.reject().unwrap();
        assert_eq!(flash.bytes(0..SLOT_BYTES), confirmed);
    }
    // Four times: two pages; header 32, payload 320 and two marks of 32 bytes, in words of 8.
    let expected = Stats {
        words_written: before.words_written + 4 * (32 + 320 + 2 * 32) / 8,
        pages_erased: before.pages_erased + 4 * 2,
    };
    assert_eq!(flash.stats(), expected);
}

#[test]
fn loading_writes_nothing() {
    let flash = flash();
    confirm_head(&mut boot(&flash), &head(1));
    let before = flash.stats();
    read(&mut boot(&flash)).unwrap();
    assert_eq!(flash.stats(), before);
}

#[test]
fn a_payload_too_large_is_refused_before_anything_is_erased() {
    let flash = flash();
    let mut store = boot(&flash);
    let (full, more) = ([1; SLOT_BYTES - 128], [2; 1]);
    let error = StoreError::PayloadTooLarge {
        needed: full.len() + 1,
        got: full.len(),
    };
    assert_eq!(store.write_trial(1, &[&full, &more]), Err(error));
    assert_eq!(flash.stats(), Stats::default());
    assert!(store.write_trial(1, &[&full]).is_ok());
    assert_eq!(read(&mut store).unwrap().unwrap().0.payload, full);
}

#[test]
fn payloads_of_all_lengths_come_back_however_they_are_cut_in_parts() {
    let mut store = boot(&flash());
    for len in 0..=100 {
        let head = Head::new(len as u32, len);
        let parts: Vec<&[u8]> = head.payload.chunks(7).collect();
        store.write_trial(head.kind, &parts).unwrap();
        assert_eq!(read(&mut store), Ok(Some((head, HeadState::Trial))));
    }
}

#[test]
fn a_buffer_too_small_is_refused_and_left_alone() {
    let mut store = boot(&flash());
    store.write_trial(1, &[&head(1).payload]).unwrap();
    let mut buffer = [0xEE; 299];
    let error = StoreError::BufferTooSmall {
        needed: 300,
        got: 299,
    };
    assert_eq!(store.read_into(&mut buffer), Err(error));
    assert_eq!(buffer, [0xEE; 299]);
}

#[test]
fn a_mark_whose_writing_failed_is_never_written_again() {
    let flash = flash();
    let mut store = boot(&flash);
    confirm_head(&mut store, &head(1));
    store.write_trial(2, &[&head(2).payload]).unwrap();
    store.start_trial().unwrap();
    // The driver fails once, and the boot goes on.
    flash.cut_after(4, Tear::Prefix);
    assert_eq!(
        store.confirm(),
        Err(StoreError::Flash(FlashError::PowerCut))
    );
    flash.power_on();
    let at = (SLOT_BYTES + 64) as u32;
    assert_eq!(store.confirm(), Err(StoreError::Corrupt { at }));
    assert_eq!(store.load().unwrap().unwrap().state, HeadState::Running);
    store.reject().unwrap();
    assert_eq!(read(&mut store), Ok(Some((head(1), HeadState::Confirmed))));
}

#[test]
fn a_running_trial_is_over_even_if_the_next_step_fails_before_it_writes() {
    let fails = Err(StoreError::Flash(FlashError::PowerCut));
    for write in [false, true] {
        let flash = flash();
        let mut store = boot(&flash);
        confirm_head(&mut store, &head(1));
        store.write_trial(2, &[&head(2).payload]).unwrap();
        store.start_trial().unwrap();
        flash.cut_after(0, Tear::Nothing);
        if write {
            assert_eq!(store.write_trial(3, &[]).map(|_| ()), fails);
        } else {
            assert_eq!(store.reject(), fails);
        }
        flash.power_on();
        assert_eq!(read(&mut store), Ok(Some((head(1), HeadState::Confirmed))));
    }
}

#[test]
fn a_worn_byte_is_reported_when_it_does_not_keep_what_was_written() {
    let flash = flash();
    let mut store = boot(&flash);
    confirm_head(&mut store, &head(1));
    // In the header, and at the payload's start and end.
    for offset in [5, 128, 128 + 299] {
        flash.wear_out(Some(SLOT_BYTES + offset));
        let at = SLOT_BYTES as u32;
        let error = Err(StoreError::Corrupt { at });
        assert_eq!(store.write_trial(2, &[&head(2).payload]), error);
        assert_eq!(read(&mut store), Ok(Some((head(1), HeadState::Confirmed))));
    }
    flash.wear_out(Some(SLOT_BYTES + 70));
    store.write_trial(2, &[&head(2).payload]).unwrap();
    store.start_trial().unwrap();
    let at = (SLOT_BYTES + 64) as u32;
    assert_eq!(store.confirm(), Err(StoreError::Corrupt { at }));
    assert_eq!(
        read(&mut boot(&flash)),
        Ok(Some((head(1), HeadState::Confirmed)))
    );
}

#[test]
fn sequence_numbers_wrap() {
    let flash = flash();
    let mut store = boot(&flash);
    confirm_head(&mut store, &head(1));
    let header = crate::format::header(1, u32::MAX, 300, 1, &head(1).payload);
    flash.overwrite(0, &header);
    assert_eq!(store.load().unwrap().unwrap().sequence, u32::MAX);
    confirm_head(&mut store, &head(2));
    let stored = store.load().unwrap().unwrap();
    assert_eq!((stored.kind, stored.sequence), (2, 0));
}

#[test]
fn erasing_all_forgets_every_head() {
    let flash = flash();
    let mut store = boot(&flash);
    confirm_head(&mut store, &head(1));
    confirm_head(&mut store, &head(2));
    store.erase_all().unwrap();
    assert_eq!(store.load(), Ok(None));
    assert!(
        flash
            .bytes(0..2 * SLOT_BYTES)
            .iter()
            .all(|&byte| byte == 0xFF)
    );
}

#[test]
fn a_slot_that_cannot_be_read_hides_no_head_in_the_other() {
    let flash = flash();
    let mut store = boot(&flash);
    confirm_head(&mut store, &head(1));
    confirm_head(&mut store, &head(2));
    flash.set_unreadable(SLOT_BYTES + 200, true);
    assert_eq!(read(&mut store), Ok(Some((head(1), HeadState::Confirmed))));
    flash.set_unreadable(200, true);
    assert_eq!(store.load(), Err(StoreError::Flash(FlashError::Ecc)));
    let error = Err(StoreError::Flash(FlashError::Ecc));
    assert_eq!(store.write_trial(3, &[&head(3).payload]), error);
    store.erase_all().unwrap();
    assert_eq!(store.load(), Ok(None));
}

#[test]
fn the_only_head_outlives_a_read_that_fails_for_a_while() {
    let flash = flash();
    let mut store = boot(&flash);
    confirm_head(&mut store, &head(1));
    flash.set_unreadable(0, true);
    assert_eq!(store.load(), Err(StoreError::Flash(FlashError::Ecc)));
    store.write_trial(2, &[&head(2).payload]).unwrap();
    flash.set_unreadable(0, false);
    store.start_trial().unwrap_err();
    assert_eq!(read(&mut store), Ok(Some((head(1), HeadState::Confirmed))));
}
