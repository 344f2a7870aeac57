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
    let small = model(&desk, "m.ocl");
    desk.json(&["replan", "m.ocl", "--plan", "layers"]);
    let layers = model(&desk, "m.ocl");
    assert!(layers.segments.len() > small.segments.len());
}

#[test]
fn memory_can_be_limited_and_too_little_is_refused_with_the_least_named() {
    let desk = Desk::new();
    let before = desk.read("m.ocl");
    let said = desk.run(&["replan", "m.ocl", "--ram", "1"]);
    assert_eq!(said.code, Some(1));
    let named = said.stderr.split_once("needs ").expect("the least").1;
    let least = named.split_once(" bytes").expect("bytes").0;
    let within = ["replan", "m.ocl", "-o", "least.ocl", "--ram", least];
    let report = desk.json(&within);
    assert_eq!(report["after"]["arena_bytes"].to_string(), least);
    let less = (least.parse::<usize>().unwrap() - 1).to_string();
    let said = desk.run(&["replan", "m.ocl", "--ram", &less]);
    assert_eq!(said.code, Some(1));
    assert_eq!(desk.read("m.ocl"), before);
    let both = desk.run(&["replan", "m.ocl", "--ram", "64K", "--plan", "fast"]);
    assert_eq!(both.code, Some(2));
}

#[test]
fn a_plan_for_several_memories_runs_and_shows_what_lies_where() {
    let desk = Desk::new();
    let report = desk.json(&["inspect", "m.ocl"]);
    assert_eq!(report["regions"], serde_json::json!([]));
    let bytes = report["arena_bytes"].as_u64().unwrap();
    let memories = format!("dtcm={},sram=4K", bytes / 2);
    desk.json(&["replan", "m.ocl", "--memory", &memories, "-o", "two.ocl"]);
    let two = model(&desk, "two.ocl");
    let names: Vec<&str> = two.regions.iter().map(|region| &*region.name).collect();
    assert_eq!(names, ["dtcm", "sram"]);
    assert_eq!(
        unplanned(model(&desk, "m.ocl")),
        unplanned(Model {
            regions: vec![],
            ..two
        })
    );
    for args in [
        &["inspect", "two.ocl"][..],
        &["inspect", "two.ocl", "--plan"],
    ] {
        let regions = &desk.json(args)["regions"];
        let tensors = |at: usize| regions[at]["tensors"].as_array().unwrap().len();
        assert_eq!(tensors(0) + tensors(1), 4, "{regions}");
        assert!(tensors(0) > 0 && tensors(1) > 0, "{regions}");
        let text = desk.run(args);
        assert!(text.stdout.contains("dtcm") && text.stdout.contains("sram"));
    }
    desk.picture("red.png", [200, 30, 30]);
    let results = |name: &str| desk.json(&["run", name, "red.png"])["results"].clone();
    assert_eq!(results("two.ocl"), results("m.ocl"));
    let said = desk.run(&["replan", "m.ocl", "--memory", "dtcm=64,sram=64"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("memory `sram`"), "{}", said.stderr);
    for wrong in ["dtcm", "a=1K,a=1K", "a=1,b=1,c=1,d=1,e=1"] {
        let said = desk.run(&["replan", "m.ocl", "--memory", wrong]);
        assert_ne!(said.code, Some(0), "{wrong}");
    }
}
