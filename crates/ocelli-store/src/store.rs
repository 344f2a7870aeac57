use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::StoreError;
use crate::slot::{
    BLANK, CELL_BYTES, CONFIRMED_OFFSET, CRC, Cell, HeadState, Header, MARK, PAYLOAD_OFFSET,
    REJECTED_OFFSET, STARTED_OFFSET, Stored,
};

/// Two slots for heads in a region of NOR flash.
///
/// See the [crate's documentation](crate) for the rules and the bytes.
#[derive(Debug)]
pub struct HeadStore<F> {
    flash: F,
    /// Where the two slots start.
    first: u32,
    second: u32,
    slot_bytes: u32,
    /// The sequence number of the trial that this boot started.
    running: Option<u32>,
}

/// A slot with a whole head in it.
#[derive(Clone, Copy)]
struct Slot {
    at: u32,
    header: Header,
    /// `None`: rejected or rolled back.
    state: Option<HeadState>,
}

impl Slot {
    fn stored(&self) -> Option<Stored> {
        self.state.map(|state| Stored {
            kind: self.header.kind,
            sequence: self.header.sequence,
            len_bytes: self.header.len_bytes as usize,
            state,
        })
    }

    /// The newer of the two; sequence numbers may wrap.
    fn newer(self, other: Option<Self>) -> Self {
        match other {
            Some(other) if other.header.sequence.wrapping_sub(self.header.sequence) < 1 << 31 => {
                other
            }
            _ => self,
        }
    }
}

/// What the two slots hold.
struct Scan<E> {
    newest: Option<Slot>,
    newest_confirmed: Option<Slot>,
    /// A slot that could not be read, and the driver's error.
    unreadable: Option<(u32, E)>,
}

impl<E> Scan<E> {
    /// The head that runs. There is one trial at most, and it is newer than the confirmed head.
    fn chosen(&self) -> Option<Slot> {
        let live = self.newest.filter(|slot| slot.state.is_some());
        live.or(self.newest_confirmed)
    }
}

impl<F: NorFlash> HeadStore<F> {
    /// Takes the slots in `region` of `flash`, and writes nothing.
    ///
    /// # Units
    /// `region` is in bytes from the start of the flash.
    ///
    /// # Errors
    /// A flash whose words do not divide 32 bytes, and a region that is not two equal slots of whole
    /// erase pages inside the flash, each with room for a payload.
    pub fn new(flash: F, region: Range<u32>) -> Result<Self, StoreError<F::Error>> {
        let divides_cell = |bytes| bytes != 0 && CELL_BYTES.is_multiple_of(bytes);
        let page_bytes = F::ERASE_SIZE;
        if !divides_cell(F::READ_SIZE)
            || !divides_cell(F::WRITE_SIZE)
            || page_bytes == 0
            || !page_bytes.is_multiple_of(CELL_BYTES)
        {
            return Err(StoreError::Geometry {
                read_bytes: F::READ_SIZE,
                write_bytes: F::WRITE_SIZE,
                erase_bytes: page_bytes,
            });
        }
        if !(region.start as usize).is_multiple_of(page_bytes) {
            return Err(StoreError::UnalignedStart {
                at: region.start,
                page_bytes,
            });
        }
        let region_bytes = region.end.saturating_sub(region.start) as usize;
        let multiple_of = page_bytes.saturating_mul(2);
        let needed = (PAYLOAD_OFFSET as usize / page_bytes + 1).saturating_mul(multiple_of);
        if region_bytes < needed {
            return Err(StoreError::RegionTooSmall {
                needed,
                got: region_bytes,
            });
        }
        if !region_bytes.is_multiple_of(multiple_of) {
            return Err(StoreError::UnalignedLength {
                got: region_bytes,
                multiple_of,
            });
        }
        if region.end as usize > flash.capacity() {
            return Err(StoreError::OutOfFlash {
                needed: region.end as usize,
                got: flash.capacity(),
            });
        }
        let slot_bytes = (region.end - region.start) / 2;
        Ok(Self {
            flash,
            first: region.start,
            second: region.start + slot_bytes,
            slot_bytes,
            running: None,
        })
    }

    /// The largest payload that a slot takes, in bytes.
    pub fn capacity_bytes(&self) -> usize {
        (self.slot_bytes - PAYLOAD_OFFSET) as usize
    }

    /// The head that is to run, or `None` if no whole head is there.
    ///
    /// # Errors
    /// A read error, where the slot that cannot be read may be the only one with a head.
    pub fn load(&mut self) -> Result<Option<Stored>, StoreError<F::Error>> {
        Ok(self.chosen()?.and_then(|slot| slot.stored()))
    }

    /// Reads the payload of the head that [`load`](Self::load) gives into the start of `payload`.
    ///
    /// # Errors
    /// Those of `load`, and a buffer that is too small, which is left as it was.
    pub fn read_into(
        &mut self,
        payload: &mut [u8],
    ) -> Result<Option<Stored>, StoreError<F::Error>> {
        let Some(slot) = self.chosen()? else {
            return Ok(None);
        };
        let needed = slot.header.len_bytes as usize;
        let got = payload.len();
        let Some((payload, _)) = payload.split_at_mut_checked(needed) else {
            return Err(StoreError::BufferTooSmall { needed, got });
        };
        let mut at = slot.at + PAYLOAD_OFFSET;
        for to in payload.chunks_mut(CELL_BYTES) {
            let cell = self.read_cell(at)?;
            for (to, byte) in to.iter_mut().zip(cell) {
                *to = byte;
            }
            at += CELL_BYTES as u32;
        }
        // The bytes given are the bytes checked: the flash was read a second time.
        if CRC.checksum(payload) != slot.header.payload_crc {
            return Err(StoreError::Corrupt { at: slot.at });
        }
        Ok(slot.stored())
    }

    /// Writes a new head, on trial; `payload` is given in parts that are stored one after another.
    ///
    /// It takes the slot that does not hold the confirmed head, and replaces a trial there. The old
    /// head runs on until [`start_trial`](Self::start_trial), in this boot or the next.
    ///
    /// # Errors
    /// A payload that is too large (nothing is erased then), flash errors, and `Corrupt` if the slot
    /// does not read back as it was written. The confirmed head is there after any of them.
    pub fn write_trial(
        &mut self,
        kind: u32,
        payload: &[&[u8]],
    ) -> Result<Stored, StoreError<F::Error>> {
        let (needed, got) = (
            payload
                .iter()
                .fold(0, |sum: usize, part| sum.saturating_add(part.len())),
            self.capacity_bytes(),
        );
        if needed > got {
            return Err(StoreError::PayloadTooLarge { needed, got });
        }
        let scan = self.scan()?;
        // A slot that cannot be read may hold a confirmed head, unless the other one does.
        let confirmed_at = scan.newest_confirmed.map(|slot| slot.at);
        let keep = confirmed_at.or(scan.unreadable.map(|(at, _)| at));
        let at = if keep == Some(self.first) {
            self.second
        } else {
            self.first
        };
        self.running = None;
        self.erase_slot(at)?;

        let mut digest = CRC.digest();
        for part in payload {
            digest.update(part);
        }
        let mut bytes = payload.iter().copied().flatten().copied();
        let payload_at = at + PAYLOAD_OFFSET;
        for cell_at in (payload_at..payload_at + needed as u32).step_by(CELL_BYTES) {
            let mut cell = BLANK;
            for (to, byte) in cell.iter_mut().zip(&mut bytes) {
                *to = byte;
            }
            self.flash.write(cell_at, &cell)?;
        }
        let header = Header {
            sequence: scan
                .newest
                .map_or(0, |slot| slot.header.sequence)
                .wrapping_add(1),
            len_bytes: needed as u32,
            kind,
            payload_crc: digest.finalize(),
        };
        self.flash.write(at, &header.encode())?;
        self.read_slot(at)?
            .and_then(|slot| slot.stored())
            .filter(|stored| stored.state == HeadState::Trial)
            .ok_or(StoreError::Corrupt { at })
    }

    /// Marks that this boot uses the head on trial; call it before the head first runs.
    ///
    /// The next boot rolls the head back unless it is confirmed before. Starting it again is no error.
    ///
    /// # Errors
    /// `NoTrial`, and flash errors.
    pub fn start_trial(&mut self) -> Result<(), StoreError<F::Error>> {
        let (slot, state) = self.trial()?;
        if state == HeadState::Trial {
            self.make_mark(slot.at + STARTED_OFFSET)?;
            self.running = Some(slot.header.sequence);
        }
        Ok(())
    }

    /// Confirms the head on trial in this boot: from now on it is the head.
    ///
    /// # Errors
    /// `NoTrial`, `NotStarted`, and flash errors; the head is then still on trial.
    pub fn confirm(&mut self) -> Result<(), StoreError<F::Error>> {
        match self.trial()? {
            (slot, HeadState::Running) => self.make_mark(slot.at + CONFIRMED_OFFSET),
            _ => Err(StoreError::NotStarted),
        }
    }

    /// Rejects the head on trial, started or not: the confirmed one is the head again.
    ///
    /// # Errors
    /// `NoTrial`, and flash errors.
    pub fn reject(&mut self) -> Result<(), StoreError<F::Error>> {
        let (slot, _) = self.trial()?;
        self.running = None;
        self.make_mark(slot.at + REJECTED_OFFSET)
    }

    /// Forgets all heads. Repeat it if it was interrupted.
    ///
    /// It is also the way out where neither slot can be read.
    ///
    /// # Errors
    /// Flash errors.
    pub fn erase_all(&mut self) -> Result<(), StoreError<F::Error>> {
        // The head that runs goes last: an interrupted erase brings back no older one.
        let chosen = self.chosen().unwrap_or(None);
        let second_last = chosen.is_some_and(|slot| slot.at == self.second);
        let (before, last) = if second_last {
            (self.first, self.second)
        } else {
            (self.second, self.first)
        };
        self.running = None;
        self.erase_slot(before)?;
        Ok(self.erase_slot(last)?)
    }

    fn chosen(&mut self) -> Result<Option<Slot>, StoreError<F::Error>> {
        let scan = self.scan()?;
        match (scan.chosen(), scan.unreadable) {
            (None, Some((_, error))) => Err(error.into()),
            (chosen, _) => Ok(chosen),
        }
    }

    fn trial(&mut self) -> Result<(Slot, HeadState), StoreError<F::Error>> {
        match self.chosen()? {
            Some(
                slot @ Slot {
                    state: Some(state @ (HeadState::Trial | HeadState::Running)),
                    ..
                },
            ) => Ok((slot, state)),
            _ => Err(StoreError::NoTrial),
        }
    }

    /// Fails only where neither slot can be read.
    fn scan(&mut self) -> Result<Scan<F::Error>, StoreError<F::Error>> {
        let mut scan = Scan {
            newest: None,
            newest_confirmed: None,
            unreadable: None,
        };
        for at in [self.first, self.second] {
            match self.read_slot(at) {
                Ok(Some(slot)) => {
                    scan.newest = Some(slot.newer(scan.newest));
                    if slot.state == Some(HeadState::Confirmed) {
                        scan.newest_confirmed = Some(slot.newer(scan.newest_confirmed));
                    }
                }
                Ok(None) => {}
                Err(error) if scan.unreadable.is_some() => return Err(error.into()),
                Err(error) => scan.unreadable = Some((at, error)),
            }
        }
        Ok(scan)
    }

    /// The head in the slot at `at`, if header and payload are whole.
    fn read_slot(&mut self, at: u32) -> Result<Option<Slot>, F::Error> {
        let Some(header) = Header::decode(&self.read_cell(at)?) else {
            return Ok(None);
        };
        if header.len_bytes as usize > self.capacity_bytes()
            || self.payload_crc(at, header.len_bytes)? != header.payload_crc
        {
            return Ok(None);
        }
        let started = self.read_cell(at + STARTED_OFFSET)? != BLANK;
        let confirmed = self.read_cell(at + CONFIRMED_OFFSET)? == MARK;
        let rejected = self.read_cell(at + REJECTED_OFFSET)? != BLANK;
        let state = match (started, confirmed, rejected) {
            (_, _, true) => None,
            (_, true, false) => Some(HeadState::Confirmed),
            (false, false, false) => Some(HeadState::Trial),
            (true, false, false) => {
                (self.running == Some(header.sequence)).then_some(HeadState::Running)
            }
        };
        Ok(Some(Slot { at, header, state }))
    }

    fn payload_crc(&mut self, slot_at: u32, len_bytes: u32) -> Result<u32, F::Error> {
        let mut digest = CRC.digest();
        for offset in (0..len_bytes).step_by(CELL_BYTES) {
            let cell = self.read_cell(slot_at + PAYLOAD_OFFSET + offset)?;
            let rest = (len_bytes - offset) as usize;
            digest.update(cell.get(..rest).unwrap_or(&cell));
        }
        Ok(digest.finalize())
    }

    fn read_cell(&mut self, at: u32) -> Result<Cell, F::Error> {
        let mut cell = BLANK;
        self.flash.read(at, &mut cell)?;
        Ok(cell)
    }

    /// Makes a mark unless an earlier attempt failed: a word is never written twice.
    fn make_mark(&mut self, at: u32) -> Result<(), StoreError<F::Error>> {
        if self.read_cell(at)? != BLANK {
            return Err(StoreError::Corrupt { at });
        }
        self.flash.write(at, &MARK)?;
        if self.read_cell(at)? != MARK {
            return Err(StoreError::Corrupt { at });
        }
        Ok(())
    }

    /// Erases the pages from the last to the first, so that the payload goes before the marks.
    fn erase_slot(&mut self, at: u32) -> Result<(), F::Error> {
        let page_bytes = F::ERASE_SIZE as u32;
        for page in (0..self.slot_bytes / page_bytes).rev() {
            let from = at + page * page_bytes;
            self.flash.erase(from, from + page_bytes)?;
        }
        Ok(())
    }
}
