//! What a head store is, without flash: one confirmed head and one on trial.

use std::fmt;

use ocelli_store::{HeadState, HeadStore, StoreError};

use crate::Error;
use crate::mock::MockFlash;

#[derive(Clone, PartialEq, Eq)]
pub struct Head {
    pub kind: u32,
    pub payload: Vec<u8>,
}

impl Head {
    /// A head whose bytes depend on `seed`. None is 0xFF, which erased flash holds too.
    pub fn new(seed: u32, len: usize) -> Self {
        let byte = |i| ((seed as usize * 57 + i * 31) % 255) as u8;
        Self {
            kind: seed,
            payload: (0..len).map(byte).collect(),
        }
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({}, {} bytes)", self.kind, self.payload.len())
    }
}

#[derive(Clone, Debug)]
pub enum Op {
    Write(Head),
    Start,
    Confirm,
    Reject,
    Reboot,
}

impl Op {
    pub fn run<const W: usize, const P: usize>(
        &self,
        store: &mut HeadStore<MockFlash<W, P>>,
    ) -> Result<(), Error> {
        match self {
            Self::Write(head) => {
                // In two parts, none of which ends where a word does.
                let (first, second) = head.payload.split_at(head.payload.len() / 3);
                let stored = store.write_trial(head.kind, &[first, second])?;
                assert_eq!(stored.len_bytes, head.payload.len());
                Ok(())
            }
            Self::Start => store.start_trial(),
            Self::Confirm => store.confirm(),
            Self::Reject => store.reject(),
            Self::Reboot => unreachable!("a reboot makes a new store"),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    confirmed: Option<Head>,
    trial: Option<(Head, HeadState)>,
    /// A trial that failed, while its bytes may still be there.
    dead: Option<Head>,
}

impl Model {
    pub fn read(&self) -> Option<(Head, HeadState)> {
        let confirmed = |head: &Head| (head.clone(), HeadState::Confirmed);
        self.trial
            .clone()
            .or(self.confirmed.as_ref().map(confirmed))
    }

    pub fn has_confirmed(&self) -> bool {
        self.confirmed.is_some()
    }

    pub fn run(&mut self, op: &Op) -> Result<(), Error> {
        let trial = self.trial.take();
        match (op, trial) {
            (Op::Write(head), _) => {
                self.trial = Some((head.clone(), HeadState::Trial));
                self.dead = None;
            }
            (Op::Reboot, Some((head, HeadState::Running))) => self.dead = Some(head),
            (Op::Reboot, trial) => self.trial = trial,
            (_, None) => return Err(StoreError::NoTrial),
            (Op::Start, Some((head, _))) => self.trial = Some((head, HeadState::Running)),
            (Op::Confirm, Some((head, HeadState::Running))) => self.confirmed = Some(head),
            (Op::Confirm, trial) => {
                self.trial = trial;
                return Err(StoreError::NotStarted);
            }
            (Op::Reject, Some((head, _))) => self.dead = Some(head),
        }
        Ok(())
    }

    /// All that may be there at the boot after the power failed in `op`.
    ///
    /// `one_page`: a torn erase may take a failed trial's marks and leave the head.
    pub fn after_cut(&self, op: &Op, one_page: bool) -> Vec<Self> {
        let mut before = self.clone();
        before.run(&Op::Reboot).unwrap();
        let mut after = self.clone();
        after.run(op).unwrap();
        after.run(&Op::Reboot).unwrap();
        let mut all = vec![];
        if matches!(op, Op::Write(_)) {
            all.push(Self {
                trial: None,
                ..before.clone()
            });
            if let Some(dead) = before.dead.clone().filter(|_| one_page) {
                all.push(Self {
                    trial: Some((dead, HeadState::Trial)),
                    ..before.clone()
                });
            }
        }
        all.extend([before, after]);
        all
    }
}
