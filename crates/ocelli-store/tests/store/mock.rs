//! A NOR flash that is stricter than real ones, and whose power can be cut anywhere.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

/// What one erased page costs of the units that `cut_after` counts. A written word of n bytes costs
/// n + 1: none means untouched, 1 to n torn.
const PAGE_UNITS: usize = 8;

/// What a cut leaves of the word or page that was being written or erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// Nothing happened yet.
    Nothing,
    /// All was done, but the caller never heard of it.
    Whole,
    /// The first bytes were done.
    Prefix,
    /// Some bits were done.
    Bits,
    /// Some words of the page were done.
    Words,
    /// Any bits at all.
    Noise,
    /// Some bits were done, and reads fail, as with ECC.
    Unreadable,
}

impl Tear {
    pub const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Whole,
        Self::Prefix,
        Self::Bits,
        Self::Words,
        Self::Noise,
        Self::Unreadable,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    PowerCut,
    Ecc,
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub words_written: usize,
    pub pages_erased: usize,
}

struct Chip {
    bytes: Vec<u8>,
    /// Per word: must be erased before it is written.
    written: Vec<bool>,
    /// Per word: an ECC error.
    unreadable: Vec<bool>,
    stats: Stats,
    /// A byte that stays erased whatever is written to it.
    worn: Option<usize>,
    /// The units until the cut, and what it leaves.
    cut: Option<(usize, Tear)>,
    off: bool,
    random: u64,
}

/// Clones are the same chip, so a test can cut the power under the store.
#[derive(Clone)]
pub struct MockFlash<const WORD: usize, const PAGE: usize>(Rc<RefCell<Chip>>);

impl<const WORD: usize, const PAGE: usize> MockFlash<WORD, PAGE> {
    pub fn new(pages: usize) -> Self {
        let len = pages * PAGE;
        Self(Rc::new(RefCell::new(Chip {
            bytes: vec![0xFF; len],
            written: vec![false; len / WORD],
            unreadable: vec![false; len / WORD],
            stats: Stats::default(),
            worn: None,
            cut: None,
            off: false,
            random: 1,
        })))
    }

    pub fn len_bytes(&self) -> u32 {
        self.0.borrow().bytes.len() as u32
    }

    /// The power fails after `units`; see `PAGE_UNITS`.
    pub fn cut_after(&self, units: usize, tear: Tear) {
        let mut chip = self.0.borrow_mut();
        chip.cut = Some((units, tear));
        chip.random = (units as u64) << 8 | tear as u64 | 1;
    }

    pub fn power_on(&self) {
        let mut chip = self.0.borrow_mut();
        chip.cut = None;
        chip.off = false;
    }

    pub fn stats(&self) -> Stats {
        self.0.borrow().stats
    }

    pub fn bytes(&self, range: Range<usize>) -> Vec<u8> {
        self.0.borrow().bytes[range].to_vec()
    }

    /// What no driver does: bytes changed behind the store's back.
    pub fn overwrite(&self, at: usize, bytes: &[u8]) {
        self.0.borrow_mut().bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub fn flip(&self, bit: usize) {
        self.0.borrow_mut().bytes[bit / 8] ^= 1 << (bit % 8);
    }

    pub fn wear_out(&self, at: Option<usize>) {
        self.0.borrow_mut().worn = at;
    }

    pub fn set_unreadable(&self, at: usize, unreadable: bool) {
        self.0.borrow_mut().unreadable[at / WORD] = unreadable;
    }
}

impl Chip {
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    fn random_byte(&mut self) -> u8 {
        (self.random() >> 24) as u8
    }

    /// Uses up `units`, or tells how many of them were left and what the cut leaves.
    fn spend(&mut self, units: usize) -> Result<(), (usize, Tear)> {
        match &mut self.cut {
            Some((left, tear)) if *left < units => {
                self.off = true;
                Err((*left, *tear))
            }
            Some((left, _)) => {
                *left -= units;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// `range` on its way from what it holds to `goal`, with `done` of `of` units spent.
    fn tear(&mut self, range: Range<usize>, word: usize, goal: &[u8], tear: Tear, done: f32) {
        let keep_word: Vec<bool> = range.clone().map(|_| self.random() & 0x400 == 0).collect();
        for (i, at) in range.clone().enumerate() {
            let (old, goal) = (self.bytes[at], goal[i]);
            let some = self.random_byte();
            self.bytes[at] = match tear {
                Tear::Nothing => old,
                Tear::Whole => goal,
                Tear::Prefix if (i as f32) < done * range.len() as f32 => goal,
                Tear::Prefix => old,
                Tear::Bits | Tear::Unreadable => old & !some | goal & some,
                Tear::Words if keep_word[i / word] => old,
                Tear::Words => goal,
                Tear::Noise => some,
            };
        }
        if tear == Tear::Unreadable {
            self.unreadable[range.start / word..range.end / word].fill(true);
        }
    }
}

impl<const WORD: usize, const PAGE: usize> ErrorType for MockFlash<WORD, PAGE> {
    type Error = FlashError;
}

impl<const WORD: usize, const PAGE: usize> ReadNorFlash for MockFlash<WORD, PAGE> {
    const READ_SIZE: usize = WORD;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let chip = self.0.borrow();
        if chip.off {
            return Err(FlashError::PowerCut);
        }
        let from = offset as usize;
        let to = from + bytes.len();
        assert_eq!((from % WORD, to % WORD), (0, 0), "read not aligned");
        if chip.unreadable[from / WORD..to / WORD].contains(&true) {
            return Err(FlashError::Ecc);
        }
        bytes.copy_from_slice(&chip.bytes[from..to]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.borrow().bytes.len()
    }
}

impl<const WORD: usize, const PAGE: usize> NorFlash for MockFlash<WORD, PAGE> {
    const WRITE_SIZE: usize = WORD;
    const ERASE_SIZE: usize = PAGE;

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let mut chip = self.0.borrow_mut();
        if chip.off {
            return Err(FlashError::PowerCut);
        }
        let from = offset as usize;
        assert_eq!(
            (from % WORD, bytes.len() % WORD),
            (0, 0),
            "write not aligned"
        );
        for (at, data) in (from..).step_by(WORD).zip(bytes.chunks(WORD)) {
            assert!(!chip.written[at / WORD], "word at {at:#x} written twice");
            let range = at..at + WORD;
            if let Err((left, tear)) = chip.spend(WORD + 1) {
                if left > 0 {
                    chip.tear(range.clone(), WORD, data, tear, left as f32 / WORD as f32);
                }
                // Nobody can tell a torn word that still reads as erased from one never written.
                chip.written[at / WORD] = chip.bytes[range].iter().any(|&byte| byte != 0xFF);
                return Err(FlashError::PowerCut);
            }
            chip.bytes[range.clone()].copy_from_slice(data);
            if let Some(worn) = chip.worn.filter(|worn| range.contains(worn)) {
                chip.bytes[worn] = 0xFF;
            }
            chip.written[at / WORD] = true;
            chip.stats.words_written += 1;
        }
        Ok(())
    }

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        let mut chip = self.0.borrow_mut();
        if chip.off {
            return Err(FlashError::PowerCut);
        }
        let (from, to) = (from as usize, to as usize);
        assert_eq!((from % PAGE, to % PAGE), (0, 0), "erase not aligned");
        for at in (from..to).step_by(PAGE) {
            let range = at..at + PAGE;
            let words = at / WORD..(at + PAGE) / WORD;
            if let Err((left, tear)) = chip.spend(PAGE_UNITS) {
                if left > 0 {
                    let done = left as f32 / PAGE_UNITS as f32;
                    chip.tear(range, WORD, &[0xFF; PAGE], tear, done);
                    for word in words {
                        let range = word * WORD..(word + 1) * WORD;
                        let erased = chip.bytes[range].iter().all(|&byte| byte == 0xFF);
                        chip.written[word] = match tear {
                            Tear::Nothing => chip.written[word],
                            Tear::Words => !erased,
                            _ => true,
                        };
                    }
                }
                return Err(FlashError::PowerCut);
            }
            chip.bytes[range].fill(0xFF);
            chip.written[words.clone()].fill(false);
            chip.unreadable[words].fill(false);
            chip.stats.pages_erased += 1;
        }
        Ok(())
    }
}
