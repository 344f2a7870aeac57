//! One mutation per rule of `parse`: exactly that error.

use std::collections::BTreeSet;

use ocelli_image::{Image, Model, ParseError, SectionKind};
use ocelli_tests::golden;
use ocelli_tests::surgery::{Surgery, header};

use crate::wounds::{Wound, wounds};
use crate::{later, regions};

/// A number for each reason, by a match that does not compile when a reason is forgotten.
fn reason(error: ParseError) -> usize {
    use ParseError::*;
    match error {
        TooShort { .. } => 0,
        TrailingBytes { .. } => 1,
        Misaligned => 2,
        Magic => 3,
        Version { .. } => 4,
        Checksum { .. } => 5,
        Reserved => 6,
        SectionBounds { .. } => 7,
        SectionAlignment { .. } => 8,
        SectionUnknown { .. } => 9,
        SectionTwice { .. } => 10,
        SectionMissing { .. } => 11,
        SectionSize { .. } => 12,
        Empty => 13,
        TensorExtent { .. } => 14,
        RowsHeld { .. } => 15,
        TensorBounds { .. } => 16,
        TensorNotWhole { .. } => 17,
        OpKind { .. } => 18,
        OpPacking { .. } => 19,
        OpInput { .. } => 20,
        OpRowsPerStep { .. } => 21,
        OpParams { .. } => 22,
        OpWeights { .. } => 23,
        OpScratch { .. } => 24,
        Segments => 25,
        Head => 26,
        Text { .. } => 27,
        Preprocess => 28,
        Scale => 29,
        Region { .. } => 30,
        Regions => 31,
        TensorRegion { .. } => 32,
        ScratchRegion { .. } => 33,
    }
}
const REASONS: usize = 34;

fn healthy() -> Surgery {
    surgery(&golden::model())
}

fn surgery(model: &Model) -> Surgery {
    let buffer = model.encode().expect("a valid model");
    Surgery(buffer.bytes().to_vec())
}

/// Every wound, with the image that gets it.
fn wounded() -> impl Iterator<Item = (Surgery, Wound)> {
    let later_kinds = surgery(&golden::later::model());
    let wounds = wounds().into_iter().map(|wound| (healthy(), wound));
    let later = later::wounds().into_iter();
    let several_memories = surgery(&regions::model());
    let regions = regions::wounds().into_iter();
    wounds
        .chain(later.map(move |wound| (later_kinds.clone(), wound)))
        .chain(regions.map(move |wound| (several_memories.clone(), wound)))
}

#[test]
fn each_broken_rule_has_its_own_error_and_every_error_occurs() {
    let mut seen = BTreeSet::new();
    for (mut surgery, (wound, cut, error)) in wounded() {
        cut(&mut surgery);
        surgery.seal();
        assert_eq!(surgery.parse(), Err(error), "{wound}");
        seen.insert(reason(error));
    }
    // The rules that are looked at before the checksum, or are not about bytes alone.
    for error in [
        cut_short(healthy(), 2399),
        prolonged(healthy()),
        misaligned(healthy()),
        damaged(healthy()),
    ] {
        seen.insert(reason(error));
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        Vec::from_iter(0..REASONS)
    );
}

#[test]
fn every_error_says_something_else() {
    let texts: BTreeSet<String> = wounded()
        .map(|(_, (_, _, error))| error.to_string())
        .collect();
    let errors: BTreeSet<String> = wounded()
        .map(|(_, (_, _, error))| format!("{error:?}"))
        .collect();
    assert_eq!(texts.len(), errors.len());
}

fn cut_short(mut surgery: Surgery, bytes: usize) -> ParseError {
    let needed = if bytes < header::BYTES {
        header::BYTES
    } else {
        surgery.0.len()
    };
    surgery.0.truncate(bytes);
    let error = ParseError::TooShort { needed, got: bytes };
    assert_eq!(surgery.parse(), Err(error));
    error
}

fn prolonged(mut surgery: Surgery) -> ParseError {
    let needed = surgery.0.len();
    surgery.0.extend([0; 16]);
    let error = ParseError::TrailingBytes {
        needed,
        got: needed + 16,
    };
    assert_eq!(surgery.parse(), Err(error));
    // In flash the image is followed by whatever is there.
    assert!(Image::parse(surgery.buffer().bytes()).is_ok());
    error
}

fn misaligned(mut surgery: Surgery) -> ParseError {
    for shift in 1..16 {
        surgery.0.insert(0, 0);
        let buffer = surgery.buffer();
        let parsed = Image::parse(&buffer.bytes()[shift..]).map(|_| ());
        assert_eq!(parsed, Err(ParseError::Misaligned), "{shift} bytes askew");
    }
    ParseError::Misaligned
}

fn damaged(mut surgery: Surgery) -> ParseError {
    let stored = surgery.u32(header::CRC);
    surgery.set(1000, &[surgery.0[1000] ^ 0x10]);
    match surgery.parse() {
        Err(error @ ParseError::Checksum { stored: s, .. }) if s == stored => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_truncated_file_is_refused_with_its_length() {
    for bytes in 0..healthy().0.len() {
        cut_short(healthy(), bytes);
    }
}

#[test]
fn a_truncated_file_that_says_so_itself_is_refused() {
    let healthy = healthy();
    // Behind the last section there are only bytes that fill up to a multiple of sixteen.
    let end = healthy.section(SectionKind::Scales).end;
    for bytes in header::BYTES..end {
        let mut surgery = healthy.clone();
        surgery.0.truncate(bytes);
        surgery.set_u32(header::IMAGE_BYTES, bytes as u32);
        surgery.seal();
        match surgery.parse() {
            Err(ParseError::SectionBounds { .. } | ParseError::TooShort { .. }) => {}
            other => panic!("{other:?} at {bytes} bytes"),
        }
    }
}

#[test]
fn a_file_of_another_kind_is_refused() {
    for bytes in [&b"\x7fELF"[..], b"PK\x03\x04", b"TFL3"] {
        let mut file = vec![0; 64];
        file[..bytes.len()].copy_from_slice(bytes);
        assert_eq!(Surgery(file).parse(), Err(ParseError::Magic));
    }
    let erased = Surgery(vec![0xff; 4096]);
    assert_eq!(erased.parse(), Err(ParseError::Magic));
}

#[test]
fn a_one_bit_change_anywhere_in_the_image_is_found() {
    let healthy = healthy();
    // As a file, and at the start of erased flash of which more is read when the length grows.
    let mut flash = healthy.0.clone();
    flash.resize(64 * 1024, 0xff);
    for (name, memory) in [("file", healthy.0.clone()), ("flash", flash)] {
        let mut buffer = ocelli_image::ImageBuffer::new(&memory);
        assert!(Image::parse(buffer.bytes()).is_ok());
        for bit in 0..healthy.0.len() * 8 {
            let mut changed = memory.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            buffer = ocelli_image::ImageBuffer::new(&changed);
            assert!(
                Image::parse(buffer.bytes()).is_err(),
                "bit {} of byte {} in {name}",
                bit % 8,
                bit / 8
            );
        }
    }
}
