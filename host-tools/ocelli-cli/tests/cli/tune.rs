use std::fs;

use ocelli_image::Body;
use serde_json::json;

use crate::{BLUE, Desk, GREEN, RED, YELLOW, entries, small};

/// Four classes, one of which the small model does not know.
const NEW: [(&str, [u8; 3]); 4] = [
    ("cherry", RED),
    ("leaf", GREEN),
    ("lemon", YELLOW),
    ("sky", BLUE),
];

fn desk() -> Desk {
    let desk = Desk::new();
    desk.pictures("new", &NEW, 20);
    desk
}

#[test]
fn the_new_classes_are_learnt_and_written_as_int8() {
    let desk = desk();
    let report = desk.json(&["tune", "m.ocl", "new", "-o", "t.ocl"]);
    let names: Vec<&str> = NEW.iter().map(|(name, _)| *name).collect();
    assert_eq!(report["classes"], json!(names));
    assert_eq!(report["trained_on"], 72);
    assert_eq!(report["held_out"], 8);
    // Of zeros the first is the largest: all are taken for cherries.
    assert_eq!(report["before"]["accuracy"], 0.25);
    assert_eq!(report["after"]["accuracy"], 1.0);
    assert_eq!(report["after"]["images"], 8);

    assert_eq!(desk.json(&["eval", "t.ocl", "new"])["accuracy"], 1.0);
    let inspected = desk.json(&["inspect", "t.ocl"]);
    assert_eq!(inspected["labels"], json!(names));
    assert_eq!(inspected["output"]["shape"], json!([1, 1, 4]));
    assert_eq!(inspected["ops"][2]["name"], "logits");
    assert_eq!(inspected["image_bytes"], report["image_bytes"]);
    // A classifier can be replaced again.
    desk.pictures("other", &NEW[..2], 4);
    desk.text(&["tune", "t.ocl", "other", "-o", "t.ocl"]);
    assert_eq!(desk.json(&["eval", "t.ocl", "other"])["accuracy"], 1.0);
    assert_eq!(entries(desk.0.path()), ["m.ocl", "new", "other", "t.ocl"]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let desk = desk();
    for (output, seed) in [("a.ocl", "1"), ("b.ocl", "1"), ("c.ocl", "2")] {
        let args = ["tune", "m.ocl", "new", "-o", output, "--epochs", "3"];
        desk.text(&[&args[..], &["--seed", seed]].concat());
    }
    assert_eq!(desk.read("a.ocl"), desk.read("b.ocl"));
    assert_ne!(desk.read("a.ocl"), desk.read("c.ocl"));
}

#[test]
fn people_are_told_every_epoch_and_what_came_of_it() {
    let desk = desk();
    let said = desk.run(&["tune", "m.ocl", "new", "-o", "t.ocl", "--epochs", "2"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(
        said.stderr.contains("epoch 0: held-out accuracy 0.250"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("epoch 2: "), "{}", said.stderr);
    assert!(
        said.stdout
            .contains("held-out images, untrained: accuracy 0.250 (2 of 8 images)")
    );
    assert!(said.stdout.contains("cherry"), "{}", said.stdout);
}

#[test]
fn the_softmax_behind_a_classifier_follows_its_new_scale() {
    let desk = desk();
    desk.model("s.ocl", &small::with_softmax());
    desk.text(&["tune", "s.ocl", "new", "-o", "t.ocl"]);
    assert_eq!(desk.json(&["eval", "t.ocl", "new"])["accuracy"], 1.0);
    let inspected = desk.json(&["inspect", "t.ocl"]);
    assert_eq!(inspected["output"]["zero_point"], -128);
    assert_eq!(inspected["ops"][3]["kind"], "softmax");

    // Shares of one, as close to those of the logits as 256 codes can be.
    desk.model("plain.ocl", &small::colours());
    desk.text(&["tune", "plain.ocl", "new", "-o", "p.ocl"]);
    let [soft, plain] = ["t.ocl", "p.ocl"].map(|model| {
        let report = desk.json(&["run", model, "new/sky/07.png", "--top", "1"]);
        let best = &report["results"][0]["top"][0];
        assert_eq!(best["label"], "sky");
        best["probability"].as_f64().unwrap()
    });
    assert!((soft - plain).abs() < 0.01, "{soft} {plain}");
}

#[test]
fn without_held_out_images_no_accuracy_is_claimed() {
    let desk = desk();
    let report = desk.json(&["tune", "m.ocl", "new", "-o", "t.ocl", "--held-out", "0"]);
    assert_eq!(report["trained_on"], 80);
    assert_eq!(report["after"], json!(null));
    let text = desk.text(&["tune", "m.ocl", "new", "-o", "t.ocl", "--held-out", "0"]);
    assert!(text.contains("no images held out"), "{text}");
}

#[test]
fn a_failure_leaves_the_output_as_it_was() {
    let desk = desk();
    fs::write(desk.path("t.ocl"), "precious").unwrap();
    let tune =
        |more: &[&str]| desk.error(&[&["tune", "m.ocl", "new", "-o", "t.ocl"], more].concat());
    let error = tune(&["--momentum", "1"]);
    assert!(error.contains("momentum must be"), "{error}");
    let error = tune(&["--held-out", "1"]);
    assert!(error.contains("held_out_every"), "{error}");
    fs::write(desk.path("new/sky/bad.png"), "no picture").unwrap();
    let error = tune(&[]);
    assert!(error.contains("new/sky/bad.png"), "{error}");
    assert_eq!(desk.read("t.ocl"), b"precious");
    assert_eq!(entries(desk.0.path()), ["m.ocl", "new", "t.ocl"]);
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_any_work() {
    let desk = desk();
    let error = desk.error(&["tune", "m.ocl", "new", "-o", "no/t.ocl"]);
    assert!(error.contains("no/t.ocl: there is no folder no"), "{error}");
    let error = desk.error(&["tune", "m.ocl", "new", "-o", "new"]);
    assert!(error.contains("new: is a folder"), "{error}");
}

#[test]
fn a_single_class_cannot_be_learnt() {
    let desk = Desk::new();
    desk.pictures("one", &NEW[..1], 4);
    let error = desk.error(&["tune", "m.ocl", "one", "-o", "t.ocl"]);
    assert!(error.contains("one: 1 classes"), "{error}");
}

#[test]
fn models_that_cannot_be_taught_are_told_why() {
    let desk = desk();
    let mut model = small::colours();
    model.head = None;
    desk.model("no_head.ocl", &model);
    let error = desk.error(&["tune", "no_head.ocl", "new", "-o", "t.ocl"]);
    assert!(
        error.contains("no_head.ocl: the network has no classifier"),
        "{error}"
    );

    let mut model = small::colours();
    model.tensor_scale.clear();
    for op in &mut model.ops {
        if let Body::Conv2d { channels, .. } | Body::Dense { channels } = &mut op.body {
            channels.weight_scale.clear();
        }
    }
    desk.model("no_scale.ocl", &model);
    let error = desk.error(&["tune", "no_scale.ocl", "new", "-o", "t.ocl"]);
    assert!(error.contains("carries no scales"), "{error}");
}
