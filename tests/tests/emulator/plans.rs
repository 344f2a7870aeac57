//! Whole networks on the emulated M4 under every kind of plan: the host's digests layer by layer, and its output.

use ocelli::{KernelTable, OpDigests, Session, arena_bytes};
use ocelli_convert::arch::Arch;
use ocelli_convert::cost::Sketch;
use ocelli_convert::plan::{self, PlanKind, plan};
use ocelli_convert::tflite::import;
use ocelli_image::Model;
use ocelli_tests::memory::Arena;

use crate::board::Board;
use crate::inputs::codes;
use crate::networks::NAMES;
use crate::process::{M4, repository};

static KERNELS: KernelTable = KernelTable::all();

/// Noise, of the inputs that `inputs` has.
const INPUT: u64 = 2;

const KINDS: [PlanKind; 4] = [
    PlanKind::Small,
    PlanKind::Fast,
    PlanKind::Blocks,
    PlanKind::Layers,
];

/// Digests of all ops, and the output.
fn on_the_host(model: &Model, input: &[i8]) -> (Vec<u32>, Vec<i8>) {
    let buffer = model.encode().expect("an image");
    let image = buffer.parse().expect("a readable image");
    let mut arena = Arena::new(arena_bytes(&image));
    let mut session = Session::new(&image, arena.bytes(), &KERNELS).expect("a session");
    let mut digests = vec![0; image.op_count()];
    session
        .run_codes(input, &mut OpDigests::new(&mut digests))
        .expect("an input of the right size");
    (digests, session.output().to_vec())
}

fn no_plan_changes_a_bit(name: &str, model: &Model) {
    let plans = KINDS.map(|kind| plan(model.clone(), kind).expect("a plan"));
    let tensor = &model.tensors[0];
    let input = codes(INPUT, tensor.elems());
    let [small, .., layers] = &plans;
    let expected = on_the_host(layers, &input);
    assert!(plan::arena_bytes(small) <= plan::arena_bytes(layers));
    for (kind, planned) in KINDS.iter().zip(&plans) {
        let buffer = planned.encode().expect("an image");
        let image = buffer.parse().expect("a readable image");
        let mut board = Board::boot_on(M4, Some(image.bytes()));
        let seen = board.see(&input, tensor.row_elems());
        let digests = expected.0.iter().zip(&seen.digests);
        let equal = digests.take_while(|(host, board)| host == board).count();
        assert_eq!(seen.digests.len(), expected.0.len(), "{name}, {kind:?}");
        assert_eq!(
            equal,
            expected.0.len(),
            "{name}, {kind:?}: ops before the first that differs"
        );
        assert_eq!(seen.codes, expected.1, "{name}, {kind:?}");
        println!("{name}, {kind:?}: {} ops", seen.digests.len());
        board.end();
    }
}

#[test]
fn small_networks_compute_on_the_m4_under_every_plan_what_the_host_computes_layer_by_layer() {
    for name in NAMES {
        let file = repository().join(format!("target/assets/tflite/{name}.tflite"));
        let model =
            import(&file).unwrap_or_else(|error| panic!("{error}: run `cargo xtask fetch`"));
        no_plan_changes_a_bit(name, &model);
    }
}

#[test]
fn mobilenet_v2_computes_on_the_m4_under_every_plan_what_the_host_computes_layer_by_layer() {
    let arch = Arch::parse("mobilenet_v2").expect("a known name");
    let sketch = Sketch::new(&arch, (96, 96), 10).expect("a network");
    let planned = sketch.plan(PlanKind::Layers).expect("a plan");
    no_plan_changes_a_bit("mobilenet_v2", &planned.model);
}
