//! Arenas of several memories: their rules at the door, and what a session says to the memories it is given.

use ocelli::{KernelTable, LoadError, Session, region_bytes};
use ocelli_image::{EncodeError, Model, ModelRegion, ParseError, SectionKind};
use ocelli_tests::golden;
use ocelli_tests::memory::Arena;
use ocelli_tests::surgery::{Surgery, op, section, tensor};

use crate::wounds::Wound;

/// The golden model with a border where its plan has one by chance.
pub fn model() -> Model {
    let region = |name: &str, bytes| ModelRegion {
        name: name.into(),
        bytes,
    };
    Model {
        arena_bytes: 640,
        regions: vec![region("DTCM", 336), region("sram-1_bank0", 304)],
        ..golden::model()
    }
}

/// Where the record of a region is; four bytes of length, then twelve of name.
fn region(s: &Surgery, at: usize) -> usize {
    s.section(SectionKind::Regions).start + at * 16
}

/// Makes a region longer and the other one shorter.
fn move_border(s: &mut Surgery, by: u32) {
    let [first, second] = [0, 1].map(|at| region(s, at));
    s.set_u32(first, s.u32(first).wrapping_add(by));
    s.set_u32(second, s.u32(second).wrapping_sub(by));
}

/// Wounds of the golden image in two memories.
pub fn wounds() -> Vec<Wound> {
    use ParseError as E;
    use SectionKind as K;
    vec![
        (
            "a single region",
            |s| s.set_u32(s.entry(K::Regions) + section::LENGTH, 16),
            E::SectionSize { kind: K::Regions },
        ),
        (
            "no region at all",
            |s| s.set_u32(s.entry(K::Regions) + section::LENGTH, 0),
            E::SectionSize { kind: K::Regions },
        ),
        (
            "a region and a half",
            |s| s.set_u32(s.entry(K::Regions) + section::LENGTH, 24),
            E::SectionSize { kind: K::Regions },
        ),
        (
            "a region that ends at no multiple of sixteen",
            |s| move_border(s, 8),
            E::Region { at: 0 },
        ),
        (
            "a region without a name",
            |s| s.set(region(s, 0) + 4, &[0; 12]),
            E::Region { at: 0 },
        ),
        (
            "a name with a space",
            |s| s.set(region(s, 1) + 6, b" "),
            E::Region { at: 1 },
        ),
        (
            "a name that is not ASCII",
            |s| s.set(region(s, 1) + 6, "ä".as_bytes()),
            E::Region { at: 1 },
        ),
        (
            "letters behind the end of a name",
            |s| s.set(region(s, 0) + 4 + 11, b"x"),
            E::Region { at: 0 },
        ),
        (
            "regions that are less than the arena",
            |s| s.set_u32(region(s, 1), 288),
            E::Regions,
        ),
        (
            "regions that are more than the arena, and more than 32 bits",
            |s| move_border(s, 0u32.wrapping_sub(336 + 16)),
            E::Regions,
        ),
        (
            "a tensor that ends behind the border",
            |s| s.set_u32(s.tensor(2) + tensor::OFFSET, 241),
            E::TensorRegion { at: 2 },
        ),
        (
            "a tensor that starts before the border",
            |s| move_border(s, 16),
            E::TensorRegion { at: 3 },
        ),
        (
            "scratch memory on both sides of the border",
            |s| s.set_u32(s.op(7) + op::SCRATCH, 335),
            E::ScratchRegion { at: 7 },
        ),
    ]
}

#[test]
fn more_memories_than_four_and_names_that_do_not_fit_are_not_written() {
    let mut five = model();
    five.regions = vec![five.regions[0].clone(); 5];
    let size = ParseError::SectionSize {
        kind: SectionKind::Regions,
    };
    assert_eq!(five.encode().err(), Some(EncodeError::Rule(size)));
    let mut long = model();
    long.regions[1].name.push('0');
    assert_eq!(long.encode().err(), Some(EncodeError::DoesNotFit));
}

/// What a session says to memories of so many bytes.
fn load(model: &Model, bytes: &[usize]) -> Result<(), LoadError> {
    let buffer = model.encode().expect("a well-made image");
    let image = buffer.parse().expect("a well-made image");
    let mut arenas: Vec<Arena> = bytes.iter().map(|&bytes| Arena::new(bytes)).collect();
    let memories = arenas.iter_mut().map(Arena::bytes);
    Session::in_regions(&image, memories, &KernelTable::all()).map(|_| ())
}

/// Memories that are too small or missing.
pub fn refused() -> Vec<LoadError> {
    let model = model();
    // The executor's state lies in the last memory, six bytes an op.
    let [first, second] = [336, 304 + 60];
    let short = |at, needed, got| LoadError::Region { at, needed, got };
    let mut errors = vec![short(0, first, 0), short(1, second, 0)];
    assert_eq!(load(&model, &[]), Err(errors[0]));
    assert_eq!(load(&model, &[first]), Err(errors[1]));
    for got in 0..first {
        assert_eq!(load(&model, &[got, second]), Err(short(0, first, got)));
    }
    for got in 0..second {
        let error = short(1, second, got);
        assert_eq!(load(&model, &[first, got]), Err(error));
        errors.push(error);
    }
    assert_eq!(load(&model, &[first, second]), Ok(()));
    assert_eq!(load(&model, &[first + 5, second + 9, 3]), Ok(()));
    // A model of one memory takes the first and leaves the others alone.
    let whole = golden::model();
    assert_eq!(load(&whole, &[620 + 60, 0]), Ok(()));
    let (needed, got) = (680, 679);
    let error = LoadError::Arena { needed, got };
    assert_eq!(load(&whole, &[got, 999]), Err(error));
    errors
}

#[test]
fn memories_that_are_askew_are_refused() {
    let buffer = model().encode().expect("a well-made image");
    let image = buffer.parse().expect("a well-made image");
    let [mut first, mut second] = [Arena::new(336), Arena::new(400)];
    let memories = [first.bytes(), &mut second.bytes()[1..]];
    let kernels = KernelTable::all();
    let refused = Session::in_regions(&image, memories, &kernels);
    assert_eq!(refused.err(), Some(LoadError::ArenaMisaligned));
}

#[test]
fn whatever_is_said_about_regions_is_refused_or_runs_to_its_end() {
    let healthy = Surgery(model().encode().expect("a valid model").bytes().to_vec());
    let kernels = KernelTable::all();
    let (mut refused, mut ran) = (0, 0);
    for at in healthy.section(SectionKind::Regions) {
        for value in 0..=255 {
            let mut surgery = healthy.clone();
            surgery.set(at, &[value]);
            surgery.seal();
            let buffer = surgery.buffer();
            let Ok(image) = buffer.parse() else {
                refused += 1;
                continue;
            };
            let mut arenas = region_bytes(&image).map(Arena::new);
            let memories = arenas.iter_mut().map(Arena::bytes);
            let mut session = Session::in_regions(&image, memories, &kernels).expect("memory");
            session
                .run_codes(&golden::input().codes, &mut ())
                .expect("codes");
            ran += 1;
        }
    }
    // 94 letters at each place of a name; a name may lose its last letter or get one more. Zeros and lengths stay.
    let names = 94 * (4 + 12) + 2 + 95;
    assert_eq!((ran, refused), (names + 7 + 8, 256 * 32 - names - 15));
}
