//! The planner against the executor, and the plan verifier against planted faults.

use ocelli::{Image, KernelTable, OpDigests, Session, arena_bytes};
use ocelli_convert::PlanError;
use ocelli_convert::plan::{PlanKind, plan, verify};
use ocelli_image::{Body, Model};
use ocelli_tests::memory::Arena;
use ocelli_tests::network::Network;
use ocelli_tests::plan::keeps_all_rows;
use ocelli_tests::random::cases;
use ocelli_tests::reference::Map;

static KERNELS: KernelTable = KernelTable::all();

/// Digests of all ops, and the output.
fn run(model: &Model, input: &[i8]) -> (Vec<u32>, Vec<i8>) {
    let buffer = model.encode().expect("a valid model");
    let image: Image<'_> = buffer.parse().expect("a valid image");
    let mut arena = Arena::new(arena_bytes(&image));
    let mut session = Session::new(&image, arena.bytes(), &KERNELS).expect("a plan that works");
    let mut digests = vec![0; image.op_count()];
    session
        .run_codes(input, &mut OpDigests::new(&mut digests))
        .expect("an input of the right size");
    let output = session.output().to_vec();
    (digests, output)
}

#[test]
fn a_streaming_plan_changes_no_bit_and_never_needs_more_than_layers() {
    cases(1000, |random| {
        let network = Network::random(random);
        let input = Map::random(network.shapes[0], random);
        let small = plan(network.model(), PlanKind::Small).expect("a sound plan");
        let layers = plan(network.model(), PlanKind::Layers).expect("a sound plan");
        assert!(keeps_all_rows(&small) && keeps_all_rows(&layers));
        assert_eq!(run(&small, &input.codes), run(&layers, &input.codes));
        // Packing may leave gaps of less than a word between tensors.
        let slack = 4 * small.tensors.len();
        assert!(small.arena_bytes <= layers.arena_bytes + slack);
    });
}

/// What a faulty planner might do to a sound plan; `None` where it cannot be done to this one.
type Fault = fn(&mut Model) -> Option<()>;

const FAULTS: [(&str, Fault); 10] = [
    ("a ring is a row too small", |model| {
        let tensor = model
            .tensors
            .iter_mut()
            .find(|t| t.rows_held > 1 && t.rows_held < t.h)?;
        tensor.rows_held -= 1;
        Some(())
    }),
    ("a whole tensor is a row too small", |model| {
        let tensor = model
            .tensors
            .iter_mut()
            .find(|t| t.rows_held > 1 && t.rows_held == t.h)?;
        tensor.rows_held -= 1;
        Some(())
    }),
    ("an output lies one byte into its input", |model| {
        let input = model.tensors[model.ops[0].inputs[0]];
        model.tensors[1].offset = input.offset + input.held_bytes() - 1;
        let end = model.tensors[1].offset + model.tensors[1].held_bytes();
        model.arena_bytes = model.arena_bytes.max(end);
        Some(())
    }),
    ("an output lies on its input", |model| {
        model.tensors[1].offset = model.tensors[0].offset;
        Some(())
    }),
    ("a tensor lies beyond the arena", |model| {
        model.tensors[1].offset = model.arena_bytes;
        Some(())
    }),
    ("the arena is a byte too small", |model| {
        model.arena_bytes -= 1;
        Some(())
    }),
    ("a shortcut is overwritten before it is added", |model| {
        let add = model.ops.iter().position(|op| {
            matches!(op.body, Body::Add { .. }) && op.inputs[0].abs_diff(op.inputs[1]) > 1
        })?;
        let [a, b] = model.ops[add].inputs;
        // What is made between the two, in another segment or not, takes the older one's place.
        model.tensors[a.min(b) + 1].offset = model.tensors[a.min(b)].offset;
        Some(())
    }),
    (
        "the sums of a global pooling are written over by its input",
        |model| {
            let pool = model
                .ops
                .iter()
                .position(|op| matches!(op.body, Body::GlobalAveragePool { .. }))?;
            let input = &model.tensors[model.ops[pool].inputs[0]];
            (input.h > 1).then_some(())?;
            model.ops[pool].scratch.0 = input.offset;
            Some(())
        },
    ),
    ("an op is in no segment", |model| {
        *model.segments.last_mut()? -= 1;
        Some(())
    }),
    (
        "a segment is cut in two although its rings are not whole",
        |model| {
            let start: Vec<usize> = model
                .segments
                .iter()
                .scan(0, |at, n| Some(std::mem::replace(at, *at + n)))
                .collect();
            let at = (0..start.len()).find(|&at| {
                let made = start[at] + 1;
                model.segments[at] > 1 && model.tensors[made].rows_held < model.tensors[made].h
            })?;
            let rest = model.segments[at] - 1;
            model.segments[at] = 1;
            model.segments.insert(at + 1, rest);
            Some(())
        },
    ),
];

#[test]
fn the_verifier_finds_each_kind_of_planted_fault() {
    let mut tried = [0; FAULTS.len()];
    cases(300, |random| {
        let sound = plan(Network::random(random).model(), PlanKind::Small).expect("a sound plan");
        for ((name, fault), tried) in FAULTS.iter().zip(&mut tried) {
            let mut faulty = sound.clone();
            if fault(&mut faulty).is_none() || faulty == sound {
                continue;
            }
            // A fault that costs no row is none: rows that nothing reads may be lost.
            let found: Result<(), PlanError> = verify(&faulty);
            if found.is_ok() {
                assert!(keeps_all_rows(&faulty), "not found: {name}");
            } else {
                *tried += 1;
            }
        }
    });
    for ((name, _), found) in FAULTS.iter().zip(tried) {
        assert!(found > 0, "never found: {name}");
    }
}
