use ocelli_image::{ImageBuffer, Model};

use crate::Desk;

fn model(desk: &Desk, name: &str) -> Model {
    let buffer = ImageBuffer::new(&desk.read(name));
    Model::decode(&buffer.parse().unwrap())
}

/// The same without its plan.
fn unplanned(mut model: Model) -> Model {
    model.arena_bytes = 0;
    model.segments.clear();
    for tensor in &mut model.tensors {
        (tensor.offset, tensor.rows_held) = (0, tensor.h);
    }
    for op in &mut model.ops {
        (op.rows_per_step, op.scratch) = (1, (0, 0));
    }
    model
}

#[test]
fn the_plan_changes_and_nothing_else_does() {
    let desk = Desk::new();
    for kind in ["layers", "fast", "blocks", "small"] {
        let report = desk.json(&["replan", "m.ocl", "--plan", kind, "-o", "other.ocl"]);
        let (before, after) = (model(&desk, "m.ocl"), model(&desk, "other.ocl"));
        assert_eq!(report["after"]["segments"], after.segments.len());
        assert_eq!(unplanned(before), unplanned(after), "{kind}");
    }
    // The plan that it was made with, byte for byte.
    assert_eq!(desk.read("other.ocl"), desk.read("m.ocl"));
}

#[test]
fn without_another_name_the_image_itself_is_planned_anew() {
    let desk = Desk::new();
    let small = model(&desk, "m.ocl").arena_bytes;
    desk.json(&["replan", "m.ocl", "--plan", "layers"]);
    assert!(model(&desk, "m.ocl").arena_bytes > small);
}

#[test]
fn memory_can_be_limited_and_too_little_is_refused_with_the_least_named() {
    let desk = Desk::new();
    let before = desk.read("m.ocl");
    let report = desk.json(&["inspect", "m.ocl"]);
    let least = report["arena_bytes"].as_u64().unwrap();
    desk.json(&[
        "replan",
        "m.ocl",
        "--ram",
        &least.to_string(),
        "-o",
        "least.ocl",
    ]);
    let said = desk.run(&["replan", "m.ocl", "--ram", &(least - 1).to_string()]);
    assert_eq!(said.code, Some(1));
    let named = format!("needs {least} bytes");
    assert!(said.stderr.contains(&named), "{}", said.stderr);
    assert_eq!(desk.read("m.ocl"), before);
    let both = desk.run(&["replan", "m.ocl", "--ram", "64K", "--plan", "fast"]);
    assert_eq!(both.code, Some(2));
}
