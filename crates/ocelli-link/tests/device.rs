//! The device: what it answers, in which order things may be asked, and that nothing harms it.

mod support;

use ocelli::{Crc32, KernelTable, Session};
use ocelli_link::{
    Buffers, Codes, Device, Ending, FrameError, NoModel, Refusal, Reply, Request, Trained, Training,
};
use proptest::prelude::*;
use support::*;

const TRAINING: Training = Training {
    learning_rate: 0.05,
    momentum: 0.9,
    l2: 1e-4,
    batch: 4,
    epochs: 5,
    max_steps: u32::MAX,
    patience: 5,
    held_out_every: 4,
    seed: 1,
};

const COLLECT: Request<'static> = Request::Collect {
    samples: 24,
    classes: 2,
};

fn refused(refusal: Refusal) -> String {
    format!("{:?}", Reply::Refused(refusal))
}

/// Shows 24 pictures of two classes.
fn teach(device: &mut Device<'_>) {
    ask(device, &COLLECT);
    for picture in 0..24 {
        see(device, picture, false);
        let label = (picture % 2) as u16;
        let observed = Reply::Observed {
            count: picture as u32 + 1,
        };
        assert_eq!(
            ask(device, &Request::Observe { label }),
            [format!("{observed:?}")]
        );
    }
}

#[test]
fn a_picture_is_scored_as_a_session_scores_it_with_a_digest_of_every_op() {
    let buffer = image();
    let image = buffer.parse().unwrap();
    let kernels = KernelTable::all();
    let mut memory = Memory::new(4096);
    let mut session = Session::new(&image, memory.bytes(), &kernels).unwrap();
    let mut tensors = vec![Vec::new(); 3];
    let mut watch = |op: usize, rows: &[i8]| tensors[op].extend(rows.iter().map(|&c| c as u8));
    struct Watch<'w>(&'w mut dyn FnMut(usize, &[i8]));
    impl ocelli::Observer for Watch<'_> {
        fn rows(&mut self, op: usize, _first_row: usize, rows: &[i8]) {
            (self.0)(op, rows);
        }
    }
    for row in 0..ROWS {
        session
            .push_row(pixels(1, row).as_slice(), &mut Watch(&mut watch))
            .unwrap();
    }
    let scores = session.output().to_vec();
    let mut expected: Vec<String> = (0..)
        .zip(&tensors)
        .map(|(op, tensor)| Reply::Op {
            op,
            digest: Crc32::of(tensor),
        })
        .map(|reply| format!("{reply:?}"))
        .collect();
    let codes = Codes(&scores);
    expected.push(format!("{:?}", Reply::Scores { codes }));

    with_device(4096, |device| {
        assert_eq!(see(device, 1, true), expected);
        assert_eq!(see(device, 1, false), expected[3..]);
    });
}

#[test]
fn a_row_before_the_begin_or_behind_the_last_one_is_refused() {
    with_device(4096, |device| {
        let pixels = pixels(0, 0);
        let row = Request::Row { pixels: &pixels };
        assert_eq!(last(device, &row), refused(Refusal::Order));
        see(device, 0, false);
        assert_eq!(last(device, &row), refused(Refusal::Order));
    });
}

#[test]
fn a_row_of_the_wrong_length_is_refused_and_the_right_one_still_taken() {
    with_device(4096, |device| {
        ask(device, &Request::Begin { digests: false });
        let error = refused(Refusal::Length {
            needed: 15,
            got: 14,
        });
        assert_eq!(last(device, &Request::Row { pixels: &[0; 14] }), error);
        let codes = Codes(&[0; 14]);
        assert_eq!(last(device, &Request::Codes { codes }), error);
        let next = format!("{:?}", Reply::NeedsRow { row: 1 });
        assert_eq!(last(device, &Request::Row { pixels: &[0; 15] }), next);
    });
}

#[test]
fn things_asked_in_the_wrong_order_are_refused() {
    with_device(4096, |device| {
        let embedding = Codes(&[0; FEATURES]);
        let early = [
            Request::Observe { label: 0 },
            Request::Sample {
                label: 0,
                embedding,
            },
            Request::Train(TRAINING),
            Request::Classify,
        ];
        for request in early {
            assert_eq!(
                last(device, &request),
                refused(Refusal::Order),
                "{request:?}"
            );
        }
        // Seen, but not collecting; collecting, but not trained.
        see(device, 0, false);
        assert_eq!(last(device, &early[0]), refused(Refusal::Order));
        ask(device, &COLLECT);
        assert_eq!(last(device, &Request::Classify), refused(Refusal::Order));
        assert_eq!(
            last(device, &Request::Train(TRAINING)),
            refused(Refusal::Samples)
        );
    });
}

#[test]
fn training_tells_every_step_and_ends_in_a_head_that_classifies() {
    with_device(16384, |device| {
        teach(device);
        let replies = ask(device, &Request::Train(TRAINING));
        let steps = replies.iter().filter(|r| r.starts_with("Step")).count();
        let epochs = replies.iter().filter(|r| r.starts_with("Epoch")).count();
        // 24 samples, every fourth of each class of 12 held out: 18 make 5 steps an epoch.
        assert_eq!((steps, epochs), (25, 6));
        let trained = replies.last().unwrap();
        assert!(trained.contains("steps: 25, ending: Epochs"), "{trained}");
        assert!(
            trained.contains("held_out: 6, correct_before: 3"),
            "{trained}"
        );
        see(device, 3, false);
        let scores = last(device, &Request::Classify);
        assert!(scores.starts_with("Scores"), "{scores}");
        // A training that is refused takes nothing away.
        let wrong = Training {
            batch: 0,
            ..TRAINING
        };
        assert_eq!(
            last(device, &Request::Train(wrong)),
            refused(Refusal::Setting)
        );
        assert_eq!(last(device, &Request::Classify), scores);
    });
}

#[test]
fn the_same_lessons_give_the_same_answers_to_the_last_bit() {
    let lesson = |device: &mut Device<'_>| {
        teach(device);
        ask(device, &Request::Train(TRAINING))
    };
    let first = with_device(16384, lesson);
    assert_eq!(with_device(16384, lesson), first);
    // More memory changes nothing, and neither does what was learnt before.
    assert_eq!(
        with_device(1 << 20, |device| [lesson(device), lesson(device)][1]
            .clone()),
        first
    );
}

#[test]
fn embeddings_that_the_host_sends_count_like_those_that_were_seen() {
    let seen = with_device(16384, |device| {
        teach(device);
        ask(device, &Request::Train(TRAINING))
    });
    let buffer = image();
    let image = buffer.parse().unwrap();
    let kernels = KernelTable::all();
    let mut memory = Memory::new(4096);
    let mut session = Session::new(&image, memory.bytes(), &kernels).unwrap();
    let sent = with_device(16384, |device| {
        ask(device, &COLLECT);
        for picture in 0..24 {
            let picture_pixels: Vec<u8> = (0..ROWS).flat_map(|row| pixels(picture, row)).collect();
            session.run_pixels(&picture_pixels, &mut ()).unwrap();
            let request = Request::Sample {
                label: (picture % 2) as u16,
                embedding: Codes(session.embedding()),
            };
            assert!(last(device, &request).starts_with("Observed"));
        }
        ask(device, &Request::Train(TRAINING))
    });
    assert_eq!(sent, seen);
}

#[test]
fn training_with_too_little_memory_is_refused_with_what_it_needs() {
    with_device(4096, |device| {
        let many = Request::Collect {
            samples: 1000,
            classes: 2,
        };
        // 1000 samples of 6 codes, a label and an index; 2 classes of 6 weights and 14 bytes; the zero point.
        let memory = Refusal::Memory {
            needed: 1000 * 12 + 2 * 20 + 1,
            got: 4096 - inference_bytes(),
        };
        assert_eq!(last(device, &many), refused(memory));
        let far_too_many = Request::Collect {
            samples: u32::MAX,
            classes: 2,
        };
        let refusal = last(device, &far_too_many);
        assert!(
            refusal.contains(&format!("needed: {}", u32::MAX)),
            "{refusal}"
        );
        teach(device);
        let large = Training {
            batch: 2000,
            ..TRAINING
        };
        // 3 * 2 * (6 + 1) values, 6 means, 2000 * 2 logits.
        let refusal = last(device, &Request::Train(large));
        assert!(
            refusal.contains(&format!("needed: {}", 4 * (42 + 6 + 4000))),
            "{refusal}"
        );
        assert!(ask(device, &Request::Train(TRAINING)).len() > 20);
    });
}

#[test]
fn labels_classes_settings_and_full_buffers_are_refused() {
    with_device(16384, |device| {
        for got in [0, 1, 1025] {
            let request = Request::Collect {
                samples: 1,
                classes: got,
            };
            assert_eq!(last(device, &request), refused(Refusal::Classes { got }));
        }
        let one = Request::Collect {
            samples: 1,
            classes: 2,
        };
        ask(device, &one);
        see(device, 0, false);
        let label = refused(Refusal::Label { classes: 2, got: 2 });
        assert_eq!(last(device, &Request::Observe { label: 2 }), label);
        ask(device, &Request::Observe { label: 1 });
        let full = refused(Refusal::Full { count: 1 });
        assert_eq!(last(device, &Request::Observe { label: 1 }), full);
        let short = Request::Sample {
            label: 1,
            embedding: Codes(&[0; 5]),
        };
        let length = Refusal::Length { needed: 6, got: 5 };
        assert_eq!(last(device, &short), refused(length));
        let wrong = Training {
            learning_rate: f32::NAN,
            ..TRAINING
        };
        assert_eq!(
            last(device, &Request::Train(wrong)),
            refused(Refusal::Setting)
        );
    });
}

#[test]
fn a_run_that_diverges_says_so() {
    with_device(16384, |device| {
        teach(device);
        let wild = Training {
            learning_rate: 1e30,
            ..TRAINING
        };
        let trained = last(device, &Request::Train(wild));
        assert!(trained.contains("ending: Diverged"), "{trained}");
    });
}

#[test]
fn a_device_without_a_model_says_why_and_says_goodbye() {
    let buffer = image();
    let image = buffer.parse().unwrap();
    let (all, none) = (KernelTable::all(), KernelTable::new());
    let mut memory = Memory::new(16);
    let mut large = Memory::new(4096);
    let small = NoModel::Memory {
        needed: inference_bytes(),
        got: 16,
    };
    let check = |device: &mut Device<'_>, reason: NoModel| {
        let hello = last(device, &Request::Hello);
        assert!(
            hello.contains(&format!("model: Err({reason:?})")),
            "{hello}"
        );
        let error = refused(Refusal::NoModel(reason));
        assert_eq!(last(device, &Request::Begin { digests: true }), error);
        assert_eq!(last(device, &Request::Bye), "Bye");
    };
    check(&mut Device::new(None, &all, memory.bytes()), NoModel::Image);
    check(&mut Device::new(Some(&image), &all, memory.bytes()), small);
    let lacking = NoModel::Kernel { op: 0 };
    check(
        &mut Device::new(Some(&image), &none, large.bytes()),
        lacking,
    );
    let askew = &mut large.bytes()[1..];
    check(
        &mut Device::new(Some(&image), &all, askew),
        NoModel::Misaligned,
    );
}

#[test]
fn hello_tells_the_model_and_its_memory() {
    with_device(4096, |device| {
        let hello = last(device, &Request::Hello);
        let crc = format!("image_crc: {}", image().parse().unwrap().crc());
        assert!(hello.contains(&crc), "{hello}");
        assert!(hello.contains("memory_bytes: 4096"), "{hello}");
        let extents = "ops: 3, input_rows: 4, input_row_elems: 15, outputs: 3, features: 6";
        assert!(hello.contains(extents), "{hello}");
    });
}

#[test]
fn a_refused_frame_leaves_the_picture_as_it_was() {
    let expected = with_device(4096, |device| see(device, 2, true));
    with_device(4096, |device| {
        ask(device, &Request::Begin { digests: true });
        let mut replies = Vec::new();
        for row in 0..ROWS {
            device.refuse(FrameError::Stuffing, &mut |reply| {
                assert_eq!(*reply, Reply::Refused(Refusal::Frame(FrameError::Stuffing)));
            });
            let pixels = pixels(2, row);
            replies = ask(device, &Request::Row { pixels: &pixels });
        }
        assert_eq!(replies, expected);
    });
}

#[test]
fn the_buffers_hold_every_frame_of_the_model() {
    let buffer = image();
    let buffers = Buffers::new(Some(&buffer.parse().unwrap()));
    let pixels = [1; ROW_PIXELS * 3];
    let request = ocelli_link::encode_request(&Request::Row { pixels: &pixels });
    assert!(request.len() <= buffers.request_bytes);
    let request = ocelli_link::encode_request(&Request::Train(Training {
        seed: u64::MAX,
        max_steps: u32::MAX,
        epochs: u32::MAX,
        patience: u32::MAX,
        held_out_every: u32::MAX,
        batch: u16::MAX,
        ..TRAINING
    }));
    assert!(request.len() <= Buffers::new(None).request_bytes);
    let codes = [1; 1024];
    let scores = Reply::Scores {
        codes: Codes(&codes),
    };
    assert!(ocelli_link::encode_reply(&scores).len() <= buffers.reply_bytes);
    let trained = Reply::Trained(Trained {
        steps: u32::MAX,
        ending: Ending::Diverged,
        head_digest: u32::MAX,
        held_out: u32::MAX,
        correct_before: u32::MAX,
        correct_after: u32::MAX,
    });
    assert!(ocelli_link::encode_reply(&trained).len() <= buffers.reply_bytes);
}

fn any_request(bytes: &'static [u8; 16]) -> impl Strategy<Value = Request<'static>> {
    const CODES: [i8; 16] = [5; 16];
    let length = prop_oneof![4 => Just(15usize), 2 => Just(FEATURES), 1 => 0..16usize];
    let label = 0..3u16;
    let (rate, batch, every) = (prop_oneof![Just(0.1f32), any::<f32>()], 0..9u16, 0..5u32);
    prop_oneof![
        1 => Just(Request::Hello),
        1 => Just(Request::Classify),
        1 => any::<bool>().prop_map(|digests| Request::Begin { digests }),
        8 => length.clone().prop_map(|n| Request::Row { pixels: &bytes[..n] }),
        1 => length.clone().prop_map(|n| Request::Codes { codes: Codes(&CODES[..n]) }),
        1 => (0..40u32, 0..5u16).prop_map(|(samples, classes)| Request::Collect { samples, classes }),
        1 => label.clone().prop_map(|label| Request::Observe { label }),
        4 => (label, length).prop_map(|(label, n)| Request::Sample {
            label,
            embedding: Codes(&CODES[..n]),
        }),
        1 => (rate, batch, every).prop_map(|(learning_rate, batch, held_out_every)| {
            Request::Train(Training { learning_rate, batch, held_out_every, ..TRAINING })
        }),
    ]
}

proptest! {
    #[test]
    fn every_request_in_any_order_gets_exactly_one_final_reply_and_it_is_the_last(
        requests in proptest::collection::vec(any_request(&[7; 16]), 1..60)
    ) {
        with_device(1536, |device| {
            for request in &requests {
                let mut finals = Vec::new();
                device.handle(request, &mut |reply| finals.push(reply.is_final()));
                let last = finals.pop();
                prop_assert_eq!(last, Some(true));
                prop_assert!(!finals.contains(&true));
            }
            Ok(())
        })?;
    }
}
