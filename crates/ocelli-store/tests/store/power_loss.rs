//! The power fails at every unit of every write and erase.

use ocelli_store::{HeadState, StoreError};

use crate::mock::{FlashError, MockFlash, Tear};
use crate::model::{Head, Model, Op};
use crate::{boot, confirm_head, read};

/// Ways to every state that a store can be in.
fn histories(len: usize) -> Vec<Vec<Op>> {
    use Op::{Confirm, Reboot, Reject, Start};
    let write = |seed| Op::Write(Head::new(seed, len));
    let confirmed = [write(1), Start, Confirm];
    let then = |ops: &[Op]| [&confirmed, ops].concat();
    vec![
        vec![],
        vec![write(1)],
        vec![write(1), write(2)],
        vec![write(1), Start],
        vec![write(1), Start, Reboot],
        vec![write(1), Reject],
        then(&[]),
        then(&[Reboot]),
        then(&[write(2)]),
        then(&[write(2), Reboot]),
        then(&[write(2), Start]),
        then(&[write(2), Start, Reboot]),
        then(&[write(2), Reject]),
        then(&[write(2), Start, Reject]),
        then(&[write(2), Start, Confirm]),
        then(&[write(2), Start, Confirm, write(3), Start, Reboot]),
    ]
}

/// Cuts the power at every unit of `op` after `history`; returns the number of cuts.
fn cut_everywhere<const W: usize, const P: usize>(
    pages: usize,
    history: &[Op],
    op: &Op,
    tear: Tear,
    len: usize,
) -> usize {
    for units in 0.. {
        let flash = MockFlash::<W, P>::new(pages);
        let mut store = boot(&flash);
        let mut model = Model::default();
        for op in history {
            match op {
                Op::Reboot => store = boot(&flash),
                op => op.run(&mut store).unwrap(),
            }
            model.run(op).unwrap();
        }

        flash.cut_after(units, tear);
        let got = op.run(&mut store);
        if got != Err(StoreError::Flash(FlashError::PowerCut)) {
            assert_eq!(got, model.run(op), "{history:?}, {op:?}");
            assert_eq!(
                read(&mut store).unwrap(),
                model.read(),
                "{history:?}, {op:?}"
            );
            return units;
        }

        flash.power_on();
        let mut store = boot(&flash);
        let found = match read(&mut store) {
            // With no head to give, the store says that it could not read.
            Err(StoreError::Flash(FlashError::Ecc)) if tear == Tear::Unreadable => None,
            found => found.unwrap(),
        };
        let allowed: Vec<_> = model
            .after_cut(op, pages == 2)
            .iter()
            .map(Model::read)
            .collect();
        assert!(
            allowed.contains(&found),
            "{units} units into {op:?} after {history:?}, {tear:?}: {found:?}"
        );

        // And the store still works.
        let next = Head::new(9, len);
        confirm_head(&mut store, &next);
        assert_eq!(
            read(&mut boot(&flash)),
            Ok(Some((next, HeadState::Confirmed)))
        );
    }
    unreachable!()
}

fn cut_all<const W: usize, const P: usize>(pages: usize, len: usize) {
    let mut cuts = 0;
    for history in histories(len) {
        for op in [
            Op::Write(Head::new(8, len)),
            Op::Start,
            Op::Confirm,
            Op::Reject,
        ] {
            for tear in Tear::ALL {
                cuts += cut_everywhere::<W, P>(pages, &history, &op, tear, len);
            }
        }
    }
    println!("words of {W}, {pages} pages of {P}: {cuts} cuts");
    assert!(cuts > 10_000);
}

#[test]
fn a_cut_leaves_the_old_head_or_the_new_one_with_words_of_1_byte() {
    cut_all::<1, 128>(4, 45);
    cut_all::<1, 256>(2, 45);
}

#[test]
fn a_cut_leaves_the_old_head_or_the_new_one_with_words_of_4_bytes() {
    cut_all::<4, 128>(6, 150);
    cut_all::<4, 256>(2, 45);
}

#[test]
fn a_cut_leaves_the_old_head_or_the_new_one_with_words_of_8_bytes() {
    cut_all::<8, 128>(6, 150);
    cut_all::<8, 256>(2, 45);
}

#[test]
fn a_cut_leaves_the_old_head_or_the_new_one_with_words_of_32_bytes() {
    cut_all::<32, 128>(6, 150);
    cut_all::<32, 256>(2, 45);
}

#[test]
fn a_cut_while_all_is_erased_leaves_the_head_or_none() {
    for history in histories(150) {
        for tear in Tear::ALL {
            for units in 0..6 * 8 {
                let flash = MockFlash::<4, 128>::new(6);
                let mut store = boot(&flash);
                let mut model = Model::default();
                for op in &history {
                    match op {
                        Op::Reboot => store = boot(&flash),
                        op => op.run(&mut store).unwrap(),
                    }
                    model.run(op).unwrap();
                }
                flash.cut_after(units, tear);
                store.erase_all().unwrap_err();
                flash.power_on();
                let mut store = boot(&flash);
                model.run(&Op::Reboot).unwrap();
                let found = read(&mut store).unwrap_or(None);
                let allowed = [None, model.read()];
                assert!(
                    allowed.contains(&found),
                    "{units}, {history:?}, {tear:?}: {found:?}"
                );
                store.erase_all().unwrap();
                assert_eq!(store.load(), Ok(None));
            }
        }
    }
}
