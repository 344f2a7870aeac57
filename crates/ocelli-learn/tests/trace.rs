//! Follows the losses of a stock framework, made by `reference/sgd_trace.py`.

mod support;

use ocelli_learn::{EmbeddingScale, Event, Optimizer, Samples, TrainConfig, TrainMemory, Trainer};
use serde_json::Value;

fn floats(value: &Value) -> Vec<f64> {
    let values = value.as_array().expect("a list");
    values.iter().filter_map(Value::as_f64).collect()
}

#[track_caller]
fn assert_close(name: &str, ours: &[f32], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len());
    for (at, (&ours, &theirs)) in ours.iter().zip(theirs).enumerate() {
        let error = (f64::from(ours) - theirs).abs() / theirs;
        assert!(error < 1e-5, "{name} {at}: {ours}, torch has {theirs}");
    }
}

#[test]
fn fifty_steps_of_sgd_with_momentum_and_l2_follow_torch() {
    let trace: Value = serde_json::from_str(include_str!("reference/sgd_trace.json")).unwrap();
    let integer = |key: &str| trace[key].as_u64().unwrap();
    let float = |key: &str| trace[key].as_f64().unwrap() as f32;
    let (features, classes) = (integer("features") as usize, integer("classes") as usize);
    let (embeddings, labels) = support::pattern(
        integer("samples") as usize,
        features,
        classes,
        integer("pattern_seed") as u32,
    );
    let samples = Samples::new(&embeddings, &labels, features).unwrap();
    let config = TrainConfig {
        optimizer: Optimizer::Sgd {
            learning_rate: float("learning_rate"),
            momentum: float("momentum"),
            l2: float("l2"),
        },
        batch: integer("batch") as u16,
        epochs: u32::MAX,
        max_steps: integer("steps") as u32,
        patience: u32::MAX,
        held_out_every: integer("held_out_every") as u32,
        seed: integer("shuffle_seed"),
    };
    let mut memory = vec![f32::NAN; config.memory_elems(features, classes)];
    let mut order = vec![0; labels.len()];
    let embedding = EmbeddingScale {
        scale: 0.02,
        zero_point: -5,
    };
    let memory = TrainMemory {
        floats: &mut memory,
        order: &mut order,
    };
    let mut trainer = Trainer::new(samples, classes, embedding, config, memory).unwrap();

    let (mut losses, mut held_out_losses) = (Vec::new(), Vec::new());
    loop {
        match trainer.step() {
            Event::Stepped { loss, .. } => losses.push(loss),
            // Before the first step there is nothing to compare.
            Event::EpochScored { epoch: 0, .. } | Event::Scoring { .. } => {}
            Event::EpochScored { held_out, .. } => held_out_losses.push(held_out.loss),
            Event::Done { .. } => break,
        }
    }
    assert_close("step", &losses, &floats(&trace["losses"]));
    assert_close(
        "epoch",
        &held_out_losses,
        &floats(&trace["held_out_losses"]),
    );
}
