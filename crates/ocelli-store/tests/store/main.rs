//! The head store on a strict mock flash, against a plain model.

mod mock;
mod model;

mod format;
mod geometry;
mod power_loss;
mod random;
mod trial;

use ocelli_store::{HeadState, HeadStore, StoreError};

use mock::{FlashError, MockFlash};
use model::Head;

type Error = StoreError<FlashError>;

/// The head that the store would run, as `read_into` gives it; `load` must say the same.
fn read<const W: usize, const P: usize>(
    store: &mut HeadStore<MockFlash<W, P>>,
) -> Result<Option<(Head, HeadState)>, Error> {
    let mut payload = vec![0; store.capacity_bytes()];
    let stored = store.read_into(&mut payload)?;
    assert_eq!(store.load()?, stored);
    Ok(stored.map(|stored| {
        payload.truncate(stored.len_bytes);
        let head = Head {
            kind: stored.kind,
            payload,
        };
        (head, stored.state)
    }))
}

/// A store over the whole of `flash`, as a boot makes it.
fn boot<const W: usize, const P: usize>(flash: &MockFlash<W, P>) -> HeadStore<MockFlash<W, P>> {
    HeadStore::new(flash.clone(), 0..flash.len_bytes()).unwrap()
}

fn confirm_head<const W: usize, const P: usize>(
    store: &mut HeadStore<MockFlash<W, P>>,
    head: &Head,
) {
    store.write_trial(head.kind, &[&head.payload]).unwrap();
    store.start_trial().unwrap();
    store.confirm().unwrap();
}
