//! The golden images of each version of the format stay readable and give the same codes for ever.
//!
//! `data/golden-v1.ocl` was written by version 1 from [`golden::model`], and `data/golden-v1.txt` beside it says what it
//! makes of [`golden::input`]: the output codes, then a digest of every op. `golden-v1-later` is the same for the kinds of
//! ops that came to version 1 later. They are made once, when a version of the format or a kind is made:
//! `OCELLI_BLESS=1 cargo test -p ocelli-tests --test golden`.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use ocelli::{KernelTable, OpDigests, OpKind, Session, arena_bytes};
use ocelli_image::{Image, ImageBuffer, Model};
use ocelli_tests::memory::Arena;
use ocelli_tests::reference::Map;
use ocelli_tests::{golden, plan};

static KERNELS: KernelTable = KernelTable::all();

/// Name, model, input.
fn goldens() -> [(&'static str, Model, Map); 2] {
    [
        ("golden-v1", golden::model(), golden::input()),
        (
            "golden-v1-later",
            golden::later::model(),
            golden::later::input(),
        ),
    ]
}

fn file(name: &str, extension: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(name)
        .with_extension(extension)
}

/// The bytes of a golden image, made if it is not there and that is asked for.
fn golden_image(name: &str, model: &Model) -> ImageBuffer {
    let path = file(name, "ocl");
    if std::env::var_os("OCELLI_BLESS").is_some() && !path.exists() {
        let bytes = model.encode().expect("a valid model");
        fs::write(&path, bytes.bytes()).expect("the image is written");
    }
    ImageBuffer::new(&fs::read(&path).expect("the golden image"))
}

fn session<'a>(image: &Image<'a>, arena: &'a mut Arena) -> Session<'a> {
    Session::new(image, arena.bytes(), &KERNELS).expect("a plan that works")
}

#[test]
fn the_images_of_version_1_decode_to_the_models_they_were_made_from() {
    for (name, model, _) in goldens() {
        let buffer = golden_image(name, &model);
        let image = buffer.parse().expect("a readable image");
        assert_eq!(Model::decode(&image), model);
        assert!(plan::keeps_all_rows(&model));
    }
    for kind in OpKind::ALL {
        let occurs = |model: &Model| model.ops.iter().any(|op| op.body.kind() == kind);
        let occurs = goldens().iter().any(|(_, model, _)| occurs(model));
        assert!(occurs, "{} occurs", kind.name());
    }
}

#[test]
fn the_images_of_version_1_give_the_codes_that_they_always_gave() {
    for (name, model, input) in goldens() {
        let buffer = golden_image(name, &model);
        let image = buffer.parse().expect("a readable image");
        let mut arena = Arena::new(arena_bytes(&image));
        let mut session = session(&image, &mut arena);
        let mut numbers = vec![0; image.op_count()];
        let mut digests = OpDigests::new(&mut numbers);
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
        let path = file(name, "txt");
        if std::env::var_os("OCELLI_BLESS").is_some() && !path.exists() {
            fs::write(&path, &made).expect("the codes are written");
        }
        assert_eq!(made, fs::read_to_string(&path).expect("the golden codes"));
    }
}

#[test]
fn pixels_that_the_table_maps_to_the_same_codes_give_the_same_output() {
    let (name, model, input) = goldens().into_iter().next().expect("a golden image");
    let buffer = golden_image(name, &model);
    let image = buffer.parse().expect("a readable image");
    let mut arena = Arena::new(arena_bytes(&image));
    let mut session = session(&image, &mut arena);
    session.run_codes(&input.codes, &mut ()).expect("an input");
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
