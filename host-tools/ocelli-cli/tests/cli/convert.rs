//! `ocelli convert` of TensorFlow Lite files.

use std::path::Path;

use crate::Desk;

/// A file that `cargo xtask fetch` provides.
pub fn tflite(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/assets/tflite")
        .join(name);
    assert!(path.exists(), "{name} is missing: run cargo xtask fetch");
    path.display().to_string()
}

#[test]
fn an_int8_tflite_file_becomes_an_image_that_says_what_it_costs() {
    let desk = Desk::new();
    let source = tflite("person_detect.tflite");
    let report = desk.json(&["convert", &source, "-o", "person.ocl"]);
    assert_eq!(report["input"], serde_json::json!([96, 96, 1]));
    assert_eq!(report["classes"], 2);
    assert_eq!(report["arch"], serde_json::Value::Null);
    assert_eq!(report["ops"][0]["name"], "DEPTHWISE_CONV_2D 0");
    let inspection = desk.json(&["inspect", "person.ocl"]);
    for key in ["image_bytes", "arena_bytes", "macs"] {
        assert_eq!(report[key], inspection[key], "{key}");
    }
    assert_eq!(inspection["ops"][0]["name"], "DEPTHWISE_CONV_2D 0");
    let text = desk.text(&["convert", &source, "-o", "person.ocl"]);
    assert!(!text.contains("SQNR"), "{text}");
    assert!(text.contains("every code as in"), "{text}");
}

#[test]
fn what_a_tflite_file_has_already_is_refused_beside_it() {
    let desk = Desk::new();
    let source = tflite("keyword_spotting.tflite");
    for option in [
        ["--arch", "mobilenet_v2"],
        ["--calib", "photos"],
        ["--input", "96"],
        ["--range", "minmax"],
        ["--per-tensor", ""],
        ["--no-equalize", ""],
        ["--round-to-nearest", ""],
        ["--no-bias-correction", ""],
    ] {
        let mut args = vec!["convert", &source, "-o", "k.ocl", option[0]];
        args.extend(option.get(1).filter(|value| !value.is_empty()));
        let error = desk.error(&args);
        assert!(
            error.contains(&format!("leave out {}", option[0])),
            "{error}"
        );
        assert!(!desk.path("k.ocl").exists());
    }
}

#[test]
fn photos_for_codes_without_a_meaning_are_refused() {
    let desk = Desk::new();
    let source = tflite("keyword_spotting.tflite");
    let error = desk.error(&["convert", &source, "-o", "k.ocl", "--resize", "32"]);
    assert!(error.contains("need --normalize"), "{error}");
    assert!(!desk.path("k.ocl").exists());
}

#[test]
fn a_damaged_tflite_file_leaves_the_output_as_it_was() {
    let desk = Desk::new();
    let file = std::fs::read(tflite("keyword_spotting.tflite")).unwrap();
    std::fs::write(desk.path("cut.tflite"), &file[..30_000]).unwrap();
    let before = desk.read("m.ocl");
    let error = desk.error(&["convert", "cut.tflite", "-o", "m.ocl"]);
    assert!(
        error.contains("cut.tflite: the file is damaged or cut short"),
        "{error}"
    );
    assert_eq!(desk.read("m.ocl"), before);
}

#[test]
fn weights_without_an_architecture_or_images_say_what_they_need() {
    let desk = Desk::new();
    std::fs::write(desk.path("w.pth"), b"weights").unwrap();
    let error = desk.error(&["convert", "w.pth", "-o", "w.ocl"]);
    assert!(
        error.contains("w.pth: weights have no structure"),
        "{error}"
    );
    assert!(error.contains("--arch"), "{error}");
    let weights =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/assets/mobilenet_v2-b0353104.pth");
    let weights = weights.display().to_string();
    let error = desk.error(&["convert", &weights, "-o", "w.ocl", "--arch", "mobilenet_v2"]);
    assert!(error.contains("needs --calib"), "{error}");
}
