//! The executor against the references: random networks under random plans, every tensor equal, however rows come.

use ocelli::{
    Crc32, Image, InputError, KernelTable, OpDigests, Progress, Session, Step, arena_bytes,
};
use ocelli_image::{ImageBuffer, Model, PreprocessRecord};
use ocelli_tests::memory::{Arena, Rows};
use ocelli_tests::network::Network;
use ocelli_tests::plan;
use ocelli_tests::random::{Random, cases};
use ocelli_tests::reference::Map;
use zerocopy::IntoBytes;

static KERNELS: KernelTable = KernelTable::all();

/// A network with what the references make of an input.
struct Case {
    model: Model,
    tensors: Vec<Map>,
}

impl Case {
    fn random(random: &mut Random) -> Case {
        Case::of(Network::random(random), random)
    }

    fn of(network: Network, random: &mut Random) -> Case {
        let input = Map::random(network.shapes[0], random);
        Case {
            model: network.model(),
            tensors: network.run(&input),
        }
    }

    fn input(&self) -> &[i8] {
        &self.tensors[0].codes
    }

    fn input_rows(&self) -> impl Iterator<Item = &[i8]> {
        self.input().chunks(self.tensors[0].row_elems())
    }

    fn output(&self) -> &[i8] {
        &self.tensors[self.tensors.len() - 1].codes
    }

    fn rows(&self) -> Rows {
        Rows::new(self.tensors.iter().skip(1).map(Map::row_elems).collect())
    }

    fn encoded(&self) -> ImageBuffer {
        self.model.encode().expect("a valid model")
    }

    /// That every op has made the rows that something reads, as the references make them.
    fn check(&self, session: &Session<'_>, rows: &Rows) {
        let read = plan::rows_read(&self.model);
        for (op, made) in rows.made.iter().enumerate() {
            let tensor = &self.tensors[op + 1];
            let wanted = &tensor.codes[..read[op + 1] * tensor.row_elems()];
            assert_eq!(
                made,
                wanted,
                "op {op}, {}",
                self.model.ops[op].body.kind().name()
            );
        }
        assert_eq!(session.output(), self.output());
        if let Some(head) = self.model.head {
            let embedding = self.model.ops[head].inputs[0];
            assert_eq!(session.embedding(), self.tensors[embedding].codes);
        }
    }
}

fn session<'a>(image: &Image<'a>, arena: &'a mut Arena) -> Session<'a> {
    Session::new(image, arena.bytes(), &KERNELS).expect("a plan that works")
}

fn arena(image: &Image<'_>) -> Arena {
    Arena::new(arena_bytes(image))
}

#[test]
fn random_networks_under_random_plans_make_the_tensors_of_the_references() {
    let mut streamed = 0;
    cases(600, |random| {
        let mut case = Case::random(random);
        for _ in 0..4 {
            plan::plan(&mut case.model, random);
            let rings = case.model.tensors.iter().filter(|t| t.rows_held < t.h);
            streamed += rings.count();
            let buffer = case.encoded();
            let image = buffer.parse().expect("a valid image");
            let mut arena = arena(&image);
            let mut session = session(&image, &mut arena);
            let mut rows = case.rows();
            session
                .run_codes(case.input(), &mut rows)
                .expect("an input");
            case.check(&session, &rows);
        }
    });
    // The plans above do stream: rings that are no whole tensors are common.
    assert!(streamed > 2000, "only {streamed} tensors were rings");
}

#[test]
fn extents_and_windows_at_the_ends_of_their_ranges_equal_the_references() {
    cases(400, |random| {
        let network = Network::extreme(1_000_000, random);
        let mut case = Case::of(network, random);
        plan::plan(&mut case.model, random);
        let buffer = case.encoded();
        let image = buffer.parse().expect("a valid image");
        let mut arena = arena(&image);
        let mut session = session(&image, &mut arena);
        let mut rows = case.rows();
        session
            .run_codes(case.input(), &mut rows)
            .expect("an input");
        case.check(&session, &rows);
    });
}

#[test]
fn digests_of_ops_do_not_depend_on_the_plan() {
    cases(300, |random| {
        let mut case = Case::random(random);
        let read = plan::rows_read(&case.model);
        let wanted: Vec<u32> = (1..case.tensors.len())
            .map(|at| {
                let tensor = &case.tensors[at];
                Crc32::of(tensor.codes[..read[at] * tensor.row_elems()].as_bytes())
            })
            .collect();
        for planned in 0..4 {
            if planned > 0 {
                plan::plan(&mut case.model, random);
            }
            let buffer = case.encoded();
            let image = buffer.parse().expect("a valid image");
            let mut arena = arena(&image);
            let mut session = session(&image, &mut arena);
            let mut numbers = vec![1; image.op_count()];
            let mut digests = OpDigests::new(&mut numbers);
            session
                .run_codes(case.input(), &mut digests)
                .expect("an input");
            assert_eq!(digests.digests(), wanted);
        }
    });
}

#[test]
fn rows_that_come_one_by_one_give_the_same_tensors() {
    cases(300, |random| {
        let mut case = Case::random(random);
        plan::plan(&mut case.model, random);
        let buffer = case.encoded();
        let image = buffer.parse().expect("a valid image");
        let mut arena = arena(&image);
        let mut session = session(&image, &mut arena);
        let mut rows = case.rows();
        let mut last = Progress::NeedsRow(0);
        for (r, row) in case.input_rows().enumerate() {
            if last != Progress::Done {
                assert_eq!(last, Progress::NeedsRow(r));
            }
            last = session.push_row(row, &mut rows).expect("a row");
        }
        assert_eq!(last, Progress::Done);
        case.check(&session, &rows);
        let row = case.input_rows().next().expect("a row");
        assert_eq!(session.push_row(row, &mut rows), Err(InputError::NotNeeded));
        case.check(&session, &rows);
    });
}

#[test]
fn single_steps_give_the_same_tensors_and_are_as_many_as_the_rows_at_most() {
    cases(300, |random| {
        let mut case = Case::random(random);
        plan::plan(&mut case.model, random);
        let buffer = case.encoded();
        let image = buffer.parse().expect("a valid image");
        let mut arena = arena(&image);
        let mut session = session(&image, &mut arena);
        let mut rows = case.rows();
        let mut input = case.input_rows().enumerate();
        let mut steps = vec![0; image.op_count()];
        loop {
            match session.step(&mut rows) {
                Step::Ran(op) => steps[op] += 1,
                Step::NeedsRow(needed) => {
                    // Asking again changes nothing.
                    assert_eq!(session.step(&mut rows), Step::NeedsRow(needed));
                    let (r, row) = input.next().expect("not more rows than the input has");
                    assert_eq!(needed, r);
                    session.push_row(row, &mut rows).expect("a needed row");
                }
                Step::Done => break,
            }
        }
        assert_eq!(session.step(&mut rows), Step::Done);
        case.check(&session, &rows);
        for (op, steps) in steps.into_iter().enumerate() {
            let most = case.tensors[op + 1]
                .h
                .max(case.tensors[case.model.ops[op].inputs[0]].h);
            assert!(steps <= most, "{steps} steps of op {op}");
        }
    });
}

#[test]
fn a_session_can_be_used_again_also_after_a_run_that_was_left_in_the_middle() {
    cases(200, |random| {
        let mut case = Case::random(random);
        plan::plan(&mut case.model, random);
        let buffer = case.encoded();
        let image = buffer.parse().expect("a valid image");
        let mut arena = arena(&image);
        let mut session = session(&image, &mut arena);
        for _ in 0..3 {
            let garbage = Map::random(case.tensors[0].shape(), random);
            let rows = random.below(garbage.h + 1);
            for row in garbage.codes.chunks(garbage.row_elems()).take(rows) {
                session.push_row(row, &mut ()).expect("a row");
            }
            for _ in 0..random.below(4) {
                session.step(&mut ());
            }
            if random.once_in(2) {
                session.reset();
                // There are outputs that are made of padding alone.
                let first = match plan::rows_read(&case.model)[0] {
                    0 => Progress::Done,
                    _ => Progress::NeedsRow(0),
                };
                assert_eq!(session.advance(&mut ()), first);
            }
            // A whole input starts anew by itself.
            let mut rows = case.rows();
            session
                .run_codes(case.input(), &mut rows)
                .expect("an input");
            case.check(&session, &rows);
            session.reset();
        }
    });
}

#[test]
fn an_input_of_the_wrong_size_is_refused_and_changes_nothing() {
    cases(50, |random| {
        let mut case = Case::random(random);
        plan::plan(&mut case.model, random);
        let buffer = case.encoded();
        let image = buffer.parse().expect("a valid image");
        let mut arena = arena(&image);
        let mut session = session(&image, &mut arena);
        let needed = case.tensors[0].row_elems();
        let mut rows = case.rows();
        for row in case.input_rows() {
            let long = vec![0; needed + 1];
            for wrong in [&row[1..], &long] {
                let got = wrong.len();
                assert_eq!(
                    session.push_row(wrong, &mut rows),
                    Err(InputError::Length { needed, got })
                );
            }
            assert_eq!(
                session.push_row(vec![0u8; needed].as_slice(), &mut rows),
                Err(InputError::NoPreprocess)
            );
            session.push_row(row, &mut rows).expect("a row");
        }
        case.check(&session, &rows);
        let (needed, got) = (case.input().len(), case.input().len() + 1);
        let long = vec![0; got];
        assert_eq!(
            session.run_codes(&long, &mut ()),
            Err(InputError::Length { needed, got })
        );
        assert_eq!(
            session.run_pixels(&vec![0; needed], &mut ()),
            Err(InputError::NoPreprocess)
        );
        case.check(&session, &rows);
    });
}

#[test]
fn pixels_go_through_the_table_of_their_channel() {
    let mut photos = 0;
    cases(200, |random| {
        let mut case = Case::random(random);
        if case.tensors[0].c != 3 {
            return;
        }
        photos += 1;
        let mut table = [[0; 256]; 3];
        for values in &mut table {
            values.copy_from_slice(&random.codes(256));
        }
        case.model.preprocess = Some(PreprocessRecord {
            table,
            resize_shorter: 1.into(),
            filter: 0,
            reserved: 0,
            mean: [0.0.into(); 3],
            std: [1.0.into(); 3],
        });
        plan::plan(&mut case.model, random);
        let count = case.input().len();
        let pixels: Vec<u8> = random.codes(count).iter().map(|&code| code as u8).collect();
        let codes: Vec<i8> = pixels
            .iter()
            .enumerate()
            .map(|(at, &value)| table[at % 3][usize::from(value)])
            .collect();
        let buffer = case.encoded();
        let image = buffer.parse().expect("a valid image");
        let mut arena = arena(&image);
        let mut session = session(&image, &mut arena);
        session.run_codes(&codes, &mut ()).expect("an input");
        let expected = session.output().to_vec();
        session.run_pixels(&pixels, &mut ()).expect("an input");
        assert_eq!(session.output(), expected);
        let best = *expected.iter().max().expect("an output");
        let first = expected.iter().position(|&code| code == best);
        assert_eq!(session.top(), first.map(|class| (class, best)));
    });
    assert!(photos > 20);
}
