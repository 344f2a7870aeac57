//! The golden image of each version of the format stays readable and gives the same codes for ever.
//!
//! `data/golden-v1.ocl` was written by version 1 from [`golden::model`], and `data/golden-v1.txt` beside it says what it
//! makes of [`golden::input`]: the output codes, then a digest of every op. They are made once, when a version of the
//! format is made: `OCELLI_BLESS=1 cargo test -p ocelli-tests --test golden`.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use ocelli::{KernelTable, OpDigests, OpKind, Session, arena_bytes};
use ocelli_image::{ImageBuffer, Model};
use ocelli_tests::memory::Arena;
use ocelli_tests::{golden, plan};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(name)
}

fn golden_image() -> ImageBuffer {
    let path = file("golden-v1.ocl");
    if std::env::var_os("OCELLI_BLESS").is_some() {
        let bytes = golden::model().encode().expect("a valid model");
        fs::write(&path, bytes.bytes()).expect("the image is written");
    }
    ImageBuffer::new(&fs::read(&path).expect("the golden image"))
}

#[test]
fn the_image_of_version_1_decodes_to_the_model_it_was_made_from() {
    let buffer = golden_image();
    let image = buffer.parse().expect("a readable image");
    let model = golden::model();
    assert_eq!(Model::decode(&image), model);
    for kind in OpKind::ALL {
        assert!(
            model.ops.iter().any(|op| op.body.kind() == kind),
            "{} occurs",
            kind.name()
        );
    }
    assert!(plan::keeps_all_rows(&model));
}

#[test]
fn the_image_of_version_1_gives_the_codes_that_it_always_gave() {
    let buffer = golden_image();
    let image = buffer.parse().expect("a readable image");
    let mut arena = Arena::new(arena_bytes(&image));
    let kernels = KernelTable::all();
    let mut session = Session::new(&image, arena.bytes(), &kernels).expect("a plan that works");
    let mut numbers = vec![0; image.op_count()];
    let mut digests = OpDigests::new(&mut numbers);
    let input = golden::input();
    session
        .run_codes(&input.codes, &mut digests)
        .expect("an input");
    let mut made = String::from("codes");
    for code in session.output() {
        write!(made, " {code}").expect("text");
    }
    for (op, digest) in digests.digests().iter().enumerate() {
        let kind = image.op_kind(op).expect("an op").name();
        write!(made, "\n{op} {kind} {digest:08x}").expect("text");
    }
    made.push('\n');
    let path = file("golden-v1.txt");
    if std::env::var_os("OCELLI_BLESS").is_some() {
        fs::write(&path, &made).expect("the codes are written");
    }
    assert_eq!(made, fs::read_to_string(&path).expect("the golden codes"));
    // Pixels that the table maps to the same codes give the same output.
    let codes = session.output().to_vec();
    let table = image.preprocess().expect("preprocessing").table;
    let pixels = input.codes.iter().enumerate().map(|(at, code)| {
        let value = table[at % 3].iter().position(|value| value == code);
        value.expect("a code that a pixel can have") as u8
    });
    let pixels: Vec<u8> = pixels.collect();
    session.run_pixels(&pixels, &mut ()).expect("pixels");
    assert_eq!(session.output(), codes);
}
