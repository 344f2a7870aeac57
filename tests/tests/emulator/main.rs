//! The emulated boards say what the host says: every op, every training step, and every refusal.
//!
//! Feature `emulator`. Needs QEMU, the firmware that `cargo xtask firmware` builds and, for whole networks, what
//! `cargo xtask fetch` fills; whatever is missing fails the tests.

mod bench;
mod board;
#[path = "../../reference/tflite_models.rs"]
mod inputs;
mod networks;
mod plans;
mod process;
mod ram;
mod sweep;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use ocelli_image::{ImageBuffer, SectionKind};
use ocelli_link::{NoModel, Place, Refusal, Reply, Request};
use ocelli_tests::golden;
use ocelli_tests::surgery::{Surgery, channels};
use serde_json::Value;
use tempfile::TempDir;

use board::Board;
use process::{CORES, ocelli, repository, run};

/// Training steps of the large network.
const STEPS: u64 = 200;

fn golden_bytes() -> Vec<u8> {
    fs::read(repository().join("tests/data/golden-v1.ocl")).expect("the golden image")
}

#[test]
fn every_kind_of_op_gives_the_digests_and_codes_of_the_golden_images_on_every_core() {
    let goldens = [
        ("golden-v1", golden::input()),
        ("golden-v1-later", golden::later::input()),
    ];
    for (name, input) in goldens {
        let data = repository().join("tests/data");
        let bytes = fs::read(data.join(name).with_extension("ocl")).expect("the golden image");
        let codes = fs::read_to_string(data.join(name).with_extension("txt"));
        let codes = codes.expect("the golden codes");
        let buffer = ImageBuffer::new(&bytes);
        let image = buffer.parse().expect("a readable image");
        for core in CORES {
            let mut board = Board::boot_on(core, Some(&bytes));
            let seen = board.see(&input.codes, image.input().row_elems());
            let mut made = String::from("codes");
            for code in &seen.codes {
                write!(made, " {code}").expect("text");
            }
            for (op, digest) in seen.digests.iter().enumerate() {
                let kind = image.op_kind(op).expect("an op").name();
                write!(made, "\n{op} {kind} {digest:08x}").expect("text");
            }
            made.push('\n');
            assert_eq!(made, codes, "{name}, {}", core.name);
            board.end();
        }
    }
}

#[test]
fn one_other_bit_of_a_weight_is_found_at_its_op() {
    let bytes = golden_bytes();
    let buffer = ImageBuffer::new(&bytes);
    let image = buffer.parse().expect("a readable image");
    let input = golden::input().codes;
    let mut wounded = 0;
    for op in 0..image.op_count() {
        if image
            .op(op)
            .and_then(|op| op.body.channels().copied())
            .is_none()
        {
            continue;
        }
        let mut surgery = Surgery(bytes.clone());
        let record = surgery.params(op) + channels::WEIGHTS;
        let end = surgery.u32(record) + surgery.u32(record + 4);
        // The last weight: the first class is so unlikely that its code is the smallest anyway.
        let last = surgery.section(SectionKind::Weights).start + end as usize - 1;
        surgery.0[last] ^= 0x40;
        surgery.seal();
        surgery.parse().expect("an image with a right checksum");
        let mut board = Board::boot(Some(&surgery.0));
        let found = board.first_difference(&image, &input);
        assert_eq!(found, Some(Place::Op(op as u32)));
        wounded += 1;
    }
    assert_eq!(wounded, 4, "convolution, depthwise, pointwise, dense");
    let mut board = Board::boot(Some(&bytes));
    assert_eq!(board.first_difference(&image, &input), None);
    board.end();
}

#[test]
fn a_damaged_image_is_refused_and_the_board_lives_on() {
    let mut bytes = golden_bytes();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    refuses_to_see(Board::boot(Some(&bytes)));
}

#[test]
fn a_truncated_image_is_refused_and_the_board_lives_on() {
    let bytes = golden_bytes();
    refuses_to_see(Board::boot(Some(&bytes[..bytes.len() / 2])));
}

#[test]
fn an_empty_memory_is_refused_and_the_board_lives_on() {
    refuses_to_see(Board::boot(None));
}

fn refuses_to_see(mut board: Board) {
    let hello = board.ask(&Request::Hello);
    assert!(hello.contains("model: Err(Image)"), "{hello}");
    let refused = format!("{:?}", Reply::Refused(Refusal::NoModel(NoModel::Image)));
    assert_eq!(board.ask(&Request::Begin { digests: true }), refused);
    assert_eq!(board.ask(&Request::Classify), refused);
    board.end();
}

#[test]
fn a_board_ends_with_success_after_a_goodbye() {
    Board::boot(Some(&golden_bytes())).end();
}

#[test]
fn a_failing_program_ends_with_a_line_and_a_code_on_every_core() {
    for core in CORES {
        let (code, text) = run(core, "fault", "panic");
        assert_eq!(code, Some(71), "{}: {text}", core.name);
        assert!(text.starts_with("ocelli: panicked at "), "{text}");
        assert!(text.ends_with("asked to\n"), "{text}");
        let (code, text) = run(core, "fault", "stack");
        assert_eq!(code, Some(70), "{}: {text}", core.name);
        assert!(
            text.starts_with("ocelli: hard fault, stack overflow"),
            "{text}"
        );
        let (code, text) = run(core, "fault", "instruction");
        assert_eq!(code, Some(70), "{}: {text}", core.name);
        assert!(text.starts_with("ocelli: hard fault at pc 0x"), "{text}");
    }
}

#[test]
fn mobilenet_v2_infers_and_trains_bit_for_bit_as_on_the_host() {
    let assets = repository().join("target/assets");
    let animals = assets.join("animal-mnist/train");
    let folder = TempDir::new().expect("a folder");
    let pictures = folder.path().join("pictures");
    one_of_each_class(&animals, &pictures);
    let model = folder.path().join("mnv2.ocl");
    let program = ocelli();
    json(
        Command::new(&program)
            .arg("convert")
            .arg(assets.join("mobilenet_v2-b0353104.pth"))
            .args(["--arch", "mobilenet_v2", "--input", "96", "--calib"])
            .arg(&pictures)
            .arg("-o")
            .arg(&model),
    );
    let steps = STEPS.to_string();
    let verified = json(
        Command::new(&program)
            .arg("verify")
            .arg(&model)
            .args(["--on", "m4", "--samples", "20", "--steps", &steps])
            .args(["--time-limit", "60", "--train"])
            .arg(&animals)
            .arg("--firmware")
            .arg(repository().join("target/firmware/device-m4.elf"))
            .env("OCELLI_QEMU", process::qemu()),
    );
    assert_eq!(verified["equal"], true, "{verified}");
    let number = |name: &str| verified[name].as_u64().expect("a number");
    // 52 convolutions, 10 sums, global pooling and the classifier, for 20 images to learn from and a pattern.
    assert_eq!(number("ops"), 64);
    assert_eq!(number("images"), 21);
    assert_eq!(number("equal_ops"), 64 * 21);
    assert_eq!(number("equal_steps"), STEPS);
    // The last are those of the new int8 classifier.
    assert_eq!(number("equal_scores"), 21 + 1);
    assert_eq!(verified["training"]["steps"], STEPS);
}

/// Copies the first picture of each class.
fn one_of_each_class(from: &Path, to: &Path) {
    let entries = fs::read_dir(from).unwrap_or_else(|error| {
        panic!("{}: {error}: run `cargo xtask fetch`", from.display());
    });
    fs::create_dir(to).expect("a folder");
    for class in entries.map(|entry| entry.expect("a class").path()) {
        let files = fs::read_dir(&class).expect("pictures");
        let first = files.map(|file| file.expect("a picture").path()).min();
        let name = class.file_name().expect("a name").to_owned();
        let copy = to.join(name).with_extension("png");
        fs::copy(first.expect("a picture"), copy).expect("a copy");
    }
}

/// Runs a command of `ocelli` and gives what it printed.
fn json(command: &mut Command) -> Value {
    let output = command.arg("--json").output().expect("ocelli");
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{errors}{text}");
    serde_json::from_slice(&output.stdout).expect("json")
}
