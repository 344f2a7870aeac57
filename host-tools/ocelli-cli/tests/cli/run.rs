use std::fs;

use ocelli::{KernelTable, Session};
use ocelli_convert::compare::Arena;
use ocelli_image::ImageBuffer;

use crate::{BLUE, Desk, RED, entries, small};

#[test]
fn photos_are_told_with_their_best_classes_first() {
    let desk = Desk::new();
    desk.picture("a.png", RED);
    desk.picture("b.jpg", BLUE);
    let report = desk.json(&["run", "m.ocl", "a.png", "b.jpg", "--top", "2"]);
    let results = report["results"].as_array().unwrap();
    assert_eq!(results.len(), 2);
    let [red, blue] = [&results[0], &results[1]];
    assert_eq!(red["image"], "a.png");
    assert_eq!(red["top"].as_array().unwrap().len(), 2);
    let best = &red["top"][0];
    assert_eq!(best["label"], "red");
    assert_eq!(best["class"], 0);
    // 250 / 2 through the convolution, 125 * 64 / 64 through the classifier.
    assert_eq!(best["code"], 125);
    // Logits of 0.05 * 125 and twice 0.05 * 5.
    let expected = 1.0 / (1.0 + 2.0 * f64::exp(-0.05 * 120.0));
    assert!((best["probability"].as_f64().unwrap() - expected).abs() < 1e-6);
    assert_eq!(blue["top"][0]["label"], "blue");
}

#[test]
fn a_softmax_at_the_end_tells_the_probabilities_itself() {
    let desk = Desk::new();
    desk.model("s.ocl", &small::with_softmax());
    desk.picture("a.png", RED);
    let report = desk.json(&["run", "s.ocl", "a.png"]);
    let best = &report["results"][0]["top"][0];
    let code = best["code"].as_f64().unwrap();
    assert_eq!(
        best["probability"].as_f64().unwrap(),
        (code + 128.0) / 256.0
    );
}

#[test]
fn people_get_a_table_for_each_photo() {
    let desk = Desk::new();
    desk.picture("a.png", RED);
    let text = desk.text(&["run", "m.ocl", "a.png"]);
    assert!(text.starts_with("a.png\n"), "{text}");
    assert!(text.contains("0.995"), "{text}");
    assert!(text.lines().nth(2).unwrap().ends_with("red"), "{text}");
}

#[test]
fn a_photo_that_is_none_is_named() {
    let desk = Desk::new();
    fs::write(desk.path("a.png"), "no picture").unwrap();
    let error = desk.error(&["run", "m.ocl", "a.png"]);
    assert!(error.starts_with("error: a.png: "), "{error}");
    let error = desk.error(&["run", "m.ocl", "missing.png"]);
    assert!(error.starts_with("error: missing.png: "), "{error}");
}

#[test]
fn a_model_without_preprocessing_takes_codes_only() {
    let desk = Desk::new();
    let mut model = small::colours();
    model.preprocess = None;
    desk.model("m.ocl", &model);
    desk.picture("a.png", RED);
    let error = desk.error(&["run", "m.ocl", "a.png"]);
    assert!(error.contains("--raw-input"), "{error}");
}

#[test]
fn raw_codes_come_out_as_a_session_makes_them() {
    let desk = Desk::new();
    let codes: Vec<u8> = (0..3 * 192u32).map(|at| (at * 89 % 251) as u8).collect();
    fs::write(desk.path("in.bin"), &codes).unwrap();
    let report = desk.json(&[
        "run",
        "m.ocl",
        "--raw-input",
        "in.bin",
        "--raw-output",
        "out.bin",
    ]);
    assert_eq!(report["samples"], 3);

    let buffer = ImageBuffer::new(&desk.read("m.ocl"));
    let image = buffer.parse().unwrap();
    let (kernels, mut arena) = (KernelTable::all(), Arena::new(&image));
    let mut session = Session::new(&image, arena.bytes(), &kernels).unwrap();
    let mut expected = Vec::new();
    for sample in codes.chunks(192) {
        let sample: Vec<i8> = sample.iter().map(|&code| code as i8).collect();
        session.run_codes(&sample, &mut ()).unwrap();
        expected.extend(session.output().iter().map(|&code| code as u8));
    }
    assert_eq!(desk.read("out.bin"), expected);
}

#[test]
fn raw_codes_that_are_no_whole_samples_are_refused_and_nothing_is_written() {
    let desk = Desk::new();
    for bytes in [0, 191, 200] {
        fs::write(desk.path("in.bin"), vec![0; bytes]).unwrap();
        let args = [
            "run",
            "m.ocl",
            "--raw-input",
            "in.bin",
            "--raw-output",
            "out.bin",
        ];
        let error = desk.error(&args);
        assert!(error.contains(&format!("in.bin: {bytes} bytes")), "{error}");
        assert!(error.contains("one is 192 codes (8x8x3)"), "{error}");
    }
    assert_eq!(entries(desk.0.path()), ["in.bin", "m.ocl"]);
}
