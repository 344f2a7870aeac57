use std::fs;

use serde_json::json;

use crate::{BLUE, Desk, RED, known, small};

#[test]
fn every_photo_is_counted_under_what_it_was_taken_for() {
    let desk = Desk::new();
    desk.pictures("mixed", &[("red", RED), ("green", BLUE)], 10);
    let report = desk.json(&["eval", "m.ocl", "mixed"]);
    assert_eq!(report["images"], 20);
    assert_eq!(report["correct"], 10);
    assert_eq!(report["accuracy"], 0.5);
    // Green: never right. Red: always, and nothing else was taken for it.
    assert_eq!(report["macro_f1"], 0.5);
    let columns = ["green", "red", "(other)"];
    assert_eq!(report["confusion"]["columns"], json!(columns));
    let counts = [[0, 0, 10], [0, 10, 0]];
    assert_eq!(report["confusion"]["counts"], json!(counts));
    assert_eq!(report["classes"][1]["recall"], 1.0);
}

#[test]
fn people_get_the_accuracy_and_the_matrix() {
    let desk = Desk::new();
    known(&desk, 3);
    let text = desk.text(&["eval", "m.ocl", "known"]);
    assert!(text.contains("accuracy 1.000 (9 of 9 images)"), "{text}");
    assert!(text.contains("green"), "{text}");
}

#[test]
fn folders_that_are_no_class_are_listed() {
    let desk = Desk::new();
    desk.pictures("p", &[("red", RED), ("teal", BLUE), ("ochre", RED)], 1);
    let error = desk.error(&["eval", "m.ocl", "p"]);
    assert!(error.contains("p: 2 of 3 folders"), "{error}");
    assert!(error.contains("ochre, teal"), "{error}");
}

#[test]
fn a_folder_that_is_none_or_holds_no_classes_is_refused() {
    let desk = Desk::new();
    let error = desk.error(&["eval", "m.ocl", "nowhere"]);
    assert!(error.starts_with("error: nowhere: "), "{error}");
    fs::create_dir(desk.path("empty")).unwrap();
    let error = desk.error(&["eval", "m.ocl", "empty"]);
    assert!(error.starts_with("error: empty: "), "{error}");
}

#[test]
fn a_photo_that_is_none_fails_the_whole_count() {
    let desk = Desk::new();
    known(&desk, 2);
    fs::write(desk.path("known/red/bad.png"), "no picture").unwrap();
    let error = desk.error(&["eval", "m.ocl", "known"]);
    assert!(error.contains("known/red/bad.png"), "{error}");
}

#[test]
fn a_model_without_labels_is_told_how_to_get_some() {
    let desk = Desk::new();
    known(&desk, 1);
    let mut model = small::colours();
    model.labels.clear();
    desk.model("m.ocl", &model);
    let error = desk.error(&["eval", "m.ocl", "known"]);
    assert!(error.contains("m.ocl: the image has no labels"), "{error}");
    assert!(error.contains("--labels"), "{error}");
}
