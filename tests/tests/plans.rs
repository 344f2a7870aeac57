//! Real networks under every kind of plan and under random ones: no code changes.
//!
//! Networks are the int8 files that `cargo xtask fetch` brings, the golden image, and every architecture with made-up
//! weights at a small input.

use std::path::Path;

use ocelli_convert::arch::Arch;
use ocelli_convert::cost::Sketch;
use ocelli_convert::plan::{self, PlanKind, plan};
use ocelli_convert::tflite::import;
use ocelli_image::Model;
use ocelli_tests::golden;
use ocelli_tests::memory::run;
use ocelli_tests::plan::plan as random_plan;
use ocelli_tests::random::Random;

/// Random plans of a small network.
const RANDOM_PLANS: usize = 20;
/// Products of a network that is run so often.
const SMALL_MACS: u64 = 10_000_000;

fn macs(model: &Model) -> u64 {
    let ops = model.ops.iter().zip(model.tensors.iter().skip(1));
    let macs = ops.map(|(op, output)| {
        let channels = op.body.channels();
        let weights = channels.map_or(0, |channels| channels.weights.len());
        weights as u64 * (output.h * output.w) as u64
    });
    macs.sum()
}

fn no_plan_changes_a_bit(name: &str, model: &Model) {
    let mut random = Random::new(7);
    let input = random.codes(model.tensors[0].elems());
    let planned = |kind: PlanKind| plan(model.clone(), kind).expect("a sound plan");
    let [layers, small] = [PlanKind::Layers, PlanKind::Small].map(planned);
    let expected = run(&layers, &input);
    let [least, most] = [&small, &layers].map(plan::arena_bytes);
    let middle = PlanKind::Within((least + most) / 2);
    let others = [PlanKind::Fast, PlanKind::Blocks, middle].map(planned);
    for other in others.iter().chain([&small]) {
        assert!(plan::arena_bytes(other) <= most, "{name}");
        assert!(run(other, &input) == expected, "{name}");
    }
    let count = if macs(model) <= SMALL_MACS {
        RANDOM_PLANS
    } else {
        1
    };
    let mut model = layers;
    for _ in 0..count {
        random_plan(&mut model, &mut random);
        plan::verify(&model).expect("a sound plan");
        assert!(run(&model, &input) == expected, "{name}");
    }
}

#[test]
fn the_golden_image_computes_the_same_under_every_plan() {
    no_plan_changes_a_bit("golden", &golden::model());
}

/// One of the files that `cargo xtask fetch` brings.
fn int8_file(name: &str) -> Model {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../target/assets/tflite/{name}.tflite"));
    import(&file).unwrap_or_else(|error| panic!("{error}: run `cargo xtask fetch`"))
}

#[test]
fn int8_files_compute_the_same_under_every_plan() {
    let names = [
        "image_classification",
        "visual_wake_words",
        "keyword_spotting",
        "anomaly_detection",
        "person_detect",
    ];
    for name in names {
        no_plan_changes_a_bit(name, &int8_file(name));
    }
}

#[test]
fn every_architecture_computes_the_same_under_every_plan() {
    for name in Arch::names() {
        let arch = Arch::parse(name).expect("a known name");
        let sketch = Sketch::new(&arch, (33, 32), 10).expect("a network");
        let planned = sketch.plan(PlanKind::Layers).expect("a sound plan");
        no_plan_changes_a_bit(name, &planned.model);
    }
}

#[test]
fn networks_of_full_size_compute_the_same_under_every_plan() {
    for name in ["mobilenet_v2", "efficientnet_lite0", "mobilenet_v1"] {
        let arch = Arch::parse(name).expect("a known name");
        let sketch = Sketch::new(&arch, (224, 224), 1000).expect("a network");
        let planned = sketch.plan(PlanKind::Layers).expect("a sound plan");
        no_plan_changes_a_bit(name, &planned.model);
    }
}

#[test]
fn the_smallest_arenas_are_as_small_as_they_are_said_to_be() {
    // KiB, at most.
    let targets = [
        ("mobilenet_v2", 224, 132),
        ("mobilenet_v2:0.5", 160, 54),
        ("mobilenet_v2:0.35", 96, 18),
        ("efficientnet_lite0", 224, 154),
        ("efficientnet_b0", 224, 610),
        ("resnet18", 224, 202),
        ("resnet50", 224, 570),
        ("convnext_tiny", 224, 340),
    ];
    for (name, side, target) in targets {
        let arch = Arch::parse(name).expect("a known name");
        let sketch = Sketch::new(&arch, (side, side), 1000).expect("a network");
        let planned = sketch.plan(PlanKind::Small).expect("a sound plan");
        let (least, most) = (planned.arena_bytes, target * 1024);
        assert!(least <= most, "{name} at {side}: {least} of {most} bytes");
    }
    let files = [
        ("visual_wake_words", 16 * 1024),
        ("image_classification", 16 * 1024),
        ("keyword_spotting", 6 * 1024 + 512),
    ];
    for (name, most) in files {
        let small = plan(int8_file(name), PlanKind::Small).expect("a sound plan");
        let least = plan::arena_bytes(&small);
        assert!(least <= most, "{name}: {least} of {most} bytes");
    }
}
