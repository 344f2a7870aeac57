//! Networks in several memories: no code changes, and what is used most lies in the first.

use std::path::Path;

use ocelli::{Image, KernelTable, Session, arena_bytes, region_bytes};
use ocelli_convert::PlanError;
use ocelli_convert::arch::Arch;
use ocelli_convert::cost::Sketch;
use ocelli_convert::plan::{self, Memory, PlanKind, plan, plan_in, regions};
use ocelli_convert::tflite::import;
use ocelli_image::Model;
use ocelli_tests::golden;
use ocelli_tests::memory::{Arena, digested};
use ocelli_tests::random::Random;

static KERNELS: KernelTable = KernelTable::all();

fn memories(bytes: &[usize]) -> Vec<Memory> {
    let names = ["itcm", "dtcm", "sram", "dram"].into_iter();
    let memory = |(name, &bytes): (&str, &usize)| Memory {
        name: name.into(),
        bytes,
    };
    names.zip(bytes).map(memory).collect()
}

/// Digests of all ops, and the output, in memories of their own or in a single one.
fn run(model: &Model, input: &[i8], apart: bool) -> (Vec<u32>, Vec<i8>) {
    let buffer = model.encode().expect("a valid model");
    let image: Image<'_> = buffer.parse().expect("a valid image");
    let mut arenas = match apart {
        true => region_bytes(&image).map(Arena::new).into(),
        false => vec![Arena::new(arena_bytes(&image))],
    };
    let mut places = arenas.iter_mut().map(Arena::bytes);
    let session = match apart {
        true => Session::in_regions(&image, places, &KERNELS),
        false => Session::new(&image, places.next().expect("one"), &KERNELS),
    };
    digested(session.expect("a plan that works"), &image, input)
}

fn no_memory_changes_a_bit(name: &str, model: &Model) {
    let input = Random::new(7).codes(model.tensors[0].elems());
    let kinds = [
        PlanKind::Small,
        PlanKind::Fast,
        PlanKind::Blocks,
        PlanKind::Layers,
    ];
    for kind in kinds {
        let single = plan(model.clone(), kind).expect("a sound plan");
        let expected = run(&single, &input, false);
        let bytes = plan::arena_bytes(&single);
        // Half, a third and a fifth in the fast ones, and enough in the last.
        for sizes in [&[bytes / 2, bytes][..], &[bytes / 5, bytes / 3, 2 * bytes]] {
            let planned = plan_in(model.clone(), kind, &memories(sizes)).expect("a sound plan");
            assert!(planned.regions.len() > 1, "{name}");
            for (region, &size) in planned.regions.iter().zip(sizes) {
                assert!(region.bytes <= size, "{name}");
            }
            assert!(run(&planned, &input, true) == expected, "{name}");
            assert!(run(&planned, &input, false) == expected, "{name}");
        }
    }
}

#[test]
fn the_golden_image_computes_the_same_in_several_memories() {
    no_memory_changes_a_bit("golden", &golden::model());
    no_memory_changes_a_bit("golden later", &golden::later::model());
}

fn int8_file(name: &str) -> Model {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../target/assets/tflite/{name}.tflite"));
    import(&file).unwrap_or_else(|error| panic!("{error}: run `cargo xtask fetch`"))
}

#[test]
fn int8_files_compute_the_same_in_several_memories() {
    for name in [
        "image_classification",
        "visual_wake_words",
        "keyword_spotting",
        "anomaly_detection",
        "person_detect",
    ] {
        no_memory_changes_a_bit(name, &int8_file(name));
    }
}

fn mobilenet() -> Model {
    let arch = Arch::parse("mobilenet_v2:0.35").expect("a known name");
    let sketch = Sketch::new(&arch, (96, 96), 10).expect("a network");
    sketch.plan(PlanKind::Small).expect("a sound plan").model
}

#[test]
fn the_first_memory_has_what_is_read_and_written_most() {
    let model = mobilenet();
    let bytes = plan::arena_bytes(&model);
    let planned = plan_in(model, PlanKind::Small, &memories(&[bytes / 3, bytes]));
    let found = regions(&planned.expect("a sound plan"));
    let [fast, slow] = &found[..] else {
        panic!("two memories, not {}", found.len());
    };
    // Most of a third is used, and more is moved there than in the rest.
    assert!(fast.bytes > bytes / 3 * 9 / 10, "{found:?}");
    assert!(fast.traffic > slow.traffic, "{found:?}");
    assert_eq!((fast.start, slow.start), (0, fast.bytes));
}

#[test]
fn a_network_that_fits_into_the_first_memory_is_planned_as_for_that_alone() {
    let model = mobilenet();
    let bytes = plan::arena_bytes(&model).next_multiple_of(16);
    let both = memories(&[bytes, 1000]);
    let planned = plan_in(model, PlanKind::Small, &both).expect("a sound plan");
    assert!(planned.regions.is_empty() && regions(&planned).is_empty());
    assert!(plan::arena_bytes(&planned) <= bytes);
}

#[test]
fn what_memories_lack_is_named_and_enough() {
    let model = mobilenet();
    let mut given = memories(&[2000, 3000]);
    let refused = plan_in(model.clone(), PlanKind::Small, &given).expect_err("too little");
    let PlanError::MemoryTooSmall {
        memory,
        bytes,
        missing,
    } = refused
    else {
        panic!("{refused}");
    };
    assert_eq!((&*memory, bytes), ("dtcm", 3000));
    given[1].bytes += missing;
    let planned = plan_in(model, PlanKind::Small, &given).expect("enough");
    assert_eq!(planned.regions.len(), 2);
}

#[test]
fn the_verifier_finds_borders_in_the_wrong_place() {
    let model = mobilenet();
    let bytes = plan::arena_bytes(&model);
    let planned = plan_in(model, PlanKind::Small, &memories(&[bytes / 3, bytes]));
    let planned = planned.expect("a sound plan");
    plan::verify(&planned).expect("a sound plan");
    let fault = |change: &dyn Fn(&mut Model)| {
        let mut model = planned.clone();
        change(&mut model);
        let found = plan::verify(&model);
        assert!(matches!(found, Err(PlanError::Unsound { .. })), "{found:?}");
    };
    fault(&|model| {
        model.regions[0].bytes -= 16;
        model.regions[1].bytes += 16;
    });
    fault(&|model| model.regions[1].bytes -= 16);
    fault(&|model| {
        // The last tensor that lies behind the border begins before it.
        let border = model.regions[0].bytes;
        let behind = |tensor: &&mut ocelli_image::Tensor| tensor.offset >= border;
        let tensor = model.tensors.iter_mut().rev().find(behind);
        tensor.expect("one behind the border").offset = border - 1;
    });
}
