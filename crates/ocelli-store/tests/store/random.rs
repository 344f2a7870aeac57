//! Any operations in any order, with the power cut anywhere, against the model.

use ocelli_store::StoreError;
use proptest::prelude::*;

use crate::mock::{FlashError, MockFlash, Tear};
use crate::model::{Head, Model, Op};
use crate::{boot, read};

/// An operation, and perhaps the units until the power fails in it.
type Step = (Op, Option<(usize, Tear)>);

fn steps(max_len: usize) -> impl Strategy<Value = Vec<Step>> {
    let op = prop_oneof![
        4 => (any::<u32>(), 1..=max_len).prop_map(|(seed, len)| Op::Write(Head::new(seed, len))),
        4 => Just(Op::Start),
        4 => Just(Op::Confirm),
        2 => Just(Op::Reject),
        1 => Just(Op::Reboot),
    ];
    let cut = prop::option::weighted(0.3, (0..300_usize, prop::sample::select(&Tear::ALL[..])));
    prop::collection::vec((op, cut), 1..60)
}

fn follow<const W: usize, const P: usize>(pages: usize, steps: &[Step]) {
    let flash = MockFlash::<W, P>::new(pages);
    let mut store = boot(&flash);
    let mut model = Model::default();
    for (op, cut) in steps {
        if let Op::Reboot = op {
            store = boot(&flash);
            model.run(op).unwrap();
        } else {
            if let Some((units, tear)) = *cut {
                flash.cut_after(units, tear);
            }
            let got = op.run(&mut store);
            flash.power_on();
            match got {
                Err(StoreError::Flash(FlashError::PowerCut)) => {
                    store = boot(&flash);
                    // A cut before the first write changes nothing, but the boot is another one.
                    let found = read_or_none(&mut store, &model);
                    let models = model.after_cut(op, pages == 2);
                    let agrees = |model: &&Model| model.read() == found;
                    let Some(after) = models.iter().find(agrees) else {
                        panic!("{op:?} on {model:?} gave {found:?}");
                    };
                    model = after.clone();
                }
                Err(StoreError::Flash(FlashError::Ecc)) => {
                    // Neither slot can be read, or the only head cannot: nothing was confirmed.
                    assert_eq!(model.read(), None);
                    store.erase_all().unwrap();
                    model = Model::default();
                }
                got => assert_eq!(got, model.run(op)),
            }
        }
        assert_eq!(read_or_none(&mut store, &model), model.read());
    }
}

/// The head, where an unreadable slot counts as no head if there was none to lose.
fn read_or_none<const W: usize, const P: usize>(
    store: &mut ocelli_store::HeadStore<MockFlash<W, P>>,
    model: &Model,
) -> Option<(Head, ocelli_store::HeadState)> {
    match read(store) {
        Err(StoreError::Flash(FlashError::Ecc)) => {
            assert!(!model.has_confirmed());
            None
        }
        found => found.unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_store_follows_the_model_with_words_of_1_byte(steps in steps(100)) {
        follow::<1, 128>(4, &steps);
        follow::<1, 256>(2, &steps);
    }

    #[test]
    fn the_store_follows_the_model_with_words_of_4_bytes(steps in steps(120)) {
        follow::<4, 128>(6, &steps);
        follow::<4, 256>(2, &steps);
    }

    #[test]
    fn the_store_follows_the_model_with_words_of_8_bytes(steps in steps(120)) {
        follow::<8, 128>(6, &steps);
        follow::<8, 256>(2, &steps);
    }

    #[test]
    fn the_store_follows_the_model_with_words_of_32_bytes(steps in steps(120)) {
        follow::<32, 128>(6, &steps);
        follow::<32, 256>(2, &steps);
    }
}
