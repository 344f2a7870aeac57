//! The planner against the executor, and the plan verifier against planted faults.

use ocelli::{Image, KernelTable, Session, arena_bytes};
use ocelli_convert::PlanError;
use ocelli_convert::plan::{self, PlanKind, plan, verify};
use ocelli_convert::target::{Target, pack};
use ocelli_image::{Body, Model};
use ocelli_tests::memory::{Arena, run};
use ocelli_tests::network::Network;
use ocelli_tests::plan::{keeps_all_rows, plan as random_plan};
use ocelli_tests::random::cases;
use ocelli_tests::reference::Map;

static KERNELS: KernelTable = KernelTable::all();

/// Digests and output under a plan that may be wrong; `None` if a device refuses it.
fn run_if_taken(model: &Model, input: &[i8]) -> Option<(Vec<u32>, Vec<i8>)> {
    let buffer = model.encode().ok()?;
    let image: Image<'_> = buffer.parse().ok()?;
    let mut arena = Arena::new(arena_bytes(&image));
    let taken = Session::new(&image, arena.bytes(), &KERNELS).is_ok();
    taken.then(|| run(model, input))
}

fn planned(network: &Network, kind: PlanKind) -> Model {
    plan(network.model(), kind).expect("a sound plan")
}

#[test]
fn no_kind_of_plan_changes_a_bit_and_none_needs_more_than_layers() {
    cases(500, |random| {
        let network = Network::of_any_height(random);
        let input = Map::random(network.shapes[0], random);
        let layers = planned(&network, PlanKind::Layers);
        let expected = run(&layers, &input.codes);
        let small = planned(&network, PlanKind::Small);
        let [least, most] = [&small, &layers].map(plan::arena_bytes);
        assert!(least <= most);
        let allowed = random.size(least..=most);
        let within = planned(&network, PlanKind::Within(allowed));
        assert!(plan::arena_bytes(&within) <= allowed);
        let others = [PlanKind::Fast, PlanKind::Blocks].map(|kind| planned(&network, kind));
        assert!(plan::arena_bytes(&others[0]) <= most);
        for model in [small, within].iter().chain(&others) {
            assert!(keeps_all_rows(model));
            assert_eq!(run(model, &input.codes), expected);
        }
    });
}

#[test]
fn less_memory_than_the_smallest_plan_is_refused_and_the_smallest_named() {
    cases(50, |random| {
        let network = Network::random(random);
        let model = || packed(&network);
        let refused = |bytes| match plan(model(), PlanKind::Within(bytes)) {
            Err(PlanError::DoesNotFit { least, .. }) => Some(least),
            _ => None,
        };
        let least = refused(0).expect("no network runs in no memory");
        assert_eq!(refused(least - 1), Some(least));
        assert_eq!(refused(least), None);
        // Without large blocks for the kernels a plan may be smaller than the smallest one that has them.
        let small = plan(model(), PlanKind::Small).expect("a sound plan");
        assert!(least <= plan::arena_bytes(&small));
    });
}

#[test]
fn packed_weights_and_blocks_of_any_size_change_no_code() {
    cases(60, |random| {
        let network = Network::random(random);
        let input = Map::random(network.shapes[0], random);
        let expected = run(&planned(&network, PlanKind::Layers), &input.codes);
        let large = plan(packed(&network), PlanKind::Layers).expect("a sound plan");
        for model in [large, least(&network)] {
            assert_eq!(run(&model, &input.codes), expected);
        }
    });
}

/// The plan with the least memory, for which kernels go without blocks.
fn least(network: &Network) -> Model {
    let least = match plan(packed(network), PlanKind::Within(0)) {
        Err(PlanError::DoesNotFit { least, .. }) => least,
        _ => panic!("no network runs in no memory"),
    };
    plan(packed(network), PlanKind::Within(least)).expect("enough memory")
}

fn packed(network: &Network) -> Model {
    let mut model = network.model();
    pack(&mut model, Target::M4.packing());
    model
}

#[test]
fn rings_are_as_small_as_they_can_be() {
    let mut rings = 0;
    cases(300, |random| {
        let network = Network::of_any_height(random);
        let input = Map::random(network.shapes[0], random);
        let small = least(&network);
        for at in 0..small.tensors.len() {
            let tensor = &small.tensors[at];
            if tensor.rows_held < 2 || tensor.rows_held == tensor.h {
                continue;
            }
            let mut smaller = small.clone();
            smaller.tensors[at].rows_held -= 1;
            let refused =
                verify(&smaller).is_err() || run_if_taken(&smaller, &input.codes).is_none();
            assert!(refused, "tensor {at} could hold a row less");
            rings += 1;
        }
    });
    assert!(rings > 150, "only {rings} rings");
}

#[test]
fn whatever_the_verifier_passes_runs_on_a_device_and_changes_no_bit() {
    let mut overlapping = 0;
    cases(400, |random| {
        let network = Network::of_any_height(random);
        let input = Map::random(network.shapes[0], random);
        let mut model = network.model();
        random_plan(&mut model, random);
        let expected = run(&model, &input.codes);
        // Things are pushed onto each other as far as they go.
        for _ in 0..20 {
            let mut pushed = model.clone();
            let at = random.below(pushed.tensors.len());
            let tensor = &mut pushed.tensors[at];
            let nearer =
                tensor
                    .offset
                    .min(random.pick(&[1, 4, 16, tensor.w * tensor.c, usize::MAX]));
            tensor.offset = random.size(tensor.offset - nearer..=tensor.offset);
            if verify(&pushed).is_ok() {
                model = pushed;
            }
        }
        assert_eq!(run(&model, &input.codes), expected);
        overlapping += usize::from(shares_bytes(&model));
    });
    assert!(
        overlapping > 100,
        "only {overlapping} plans with tensors on each other"
    );
}

/// Whether an op's output lies on one of its inputs.
fn shares_bytes(model: &Model) -> bool {
    let held = |tensor: usize| {
        let tensor = &model.tensors[tensor];
        tensor.offset..tensor.offset + tensor.held_bytes()
    };
    model.ops.iter().enumerate().any(|(op, record)| {
        let (a, b) = (held(record.inputs[0]), held(op + 1));
        a.start < b.end && b.start < a.end
    })
}

/// What a faulty planner might do to a sound plan; `None` where it cannot be done to this one.
type Fault = fn(&mut Model) -> Option<()>;

const FAULTS: [(&str, Fault); 16] = [
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
    ("a tensor lies one byte too low", |model| {
        let tensor = model.tensors.iter_mut().find(|t| t.offset > 0)?;
        tensor.offset -= 1;
        Some(())
    }),
    ("a tensor lies one row too low", |model| {
        let tensor = model
            .tensors
            .iter_mut()
            .find(|t| t.offset >= t.row_elems() && t.h > 1)?;
        tensor.offset -= tensor.row_elems();
        Some(())
    }),
    ("two rings share bytes while both are alive", |model| {
        let mut rings =
            (0..model.tensors.len()).filter(|&t| model.tensors[t].rows_held < model.tensors[t].h);
        let [first, second] = [rings.next()?, rings.next()?];
        model.tensors[second].offset = model.tensors[first].offset;
        Some(())
    }),
    (
        "a step makes more rows than may overwrite its input",
        |model| {
            let op = (0..model.ops.len()).find(|&op| {
                let (a, b) = (
                    &model.tensors[model.ops[op].inputs[0]],
                    &model.tensors[op + 1],
                );
                let share =
                    a.offset < b.offset + b.held_bytes() && b.offset < a.offset + a.held_bytes();
                share && a.rows_held == a.h && b.rows_held == b.h
            })?;
            model.ops[op].rows_per_step = model.tensors[op + 1].h;
            Some(())
        },
    ),
    ("the embedding is overwritten", |model| {
        let head = model.head?;
        model.tensors[head + 1].offset = model.tensors[model.ops[head].inputs[0]].offset;
        Some(())
    }),
    ("two segments are run as one", |model| {
        (model.segments.len() > 1).then_some(())?;
        let ops = model.segments.remove(0);
        model.segments[0] += ops;
        Some(())
    }),
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
        let network = Network::of_any_height(random);
        let input = Map::random(network.shapes[0], random);
        let sound = planned(&network, PlanKind::Small);
        let expected = run(&sound, &input.codes);
        for ((name, fault), tried) in FAULTS.iter().zip(&mut tried) {
            let mut faulty = sound.clone();
            if fault(&mut faulty).is_none() || faulty == sound {
                continue;
            }
            if verify(&faulty).is_err() {
                *tried += 1;
            } else if let Some(result) = run_if_taken(&faulty, &input.codes) {
                // A fault that costs no row is none: rows that nothing reads may be lost.
                assert_eq!(result, expected, "not found: {name}");
            }
        }
    });
    for ((name, _), found) in FAULTS.iter().zip(tried) {
        assert!(found > 0, "never found: {name}");
    }
}
