//! The conversation with a board that is a thread of this process.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::path::Path;
use std::thread;

use indicatif::ProgressBar;
use ocelli_image::ImageBuffer;
use ocelli_link::{Device, FrameReader, Reply, decode_request, encode_reply};
use zerocopy::IntoBytes;

use super::conversation::{Broken, Conversation, Difference, Input, Taught, Teaching};
use super::{compare, small};
use crate::model::{KERNELS, Model};

/// What a board does to its replies before it sends them.
type Tamper = for<'r> fn(Reply<'r>) -> Reply<'r>;

const ENOUGH_BYTES: usize = 1 << 16;

/// A board in a thread; its end of the line for the host.
fn board(image: Vec<u8>, memory_bytes: usize, tamper: Tamper) -> (PipeReader, PipeWriter) {
    let (requests, to_board) = pipe().unwrap();
    let (from_board, replies) = pipe().unwrap();
    thread::spawn(move || serve(&image, memory_bytes, tamper, requests, replies));
    (from_board, to_board)
}

fn serve(
    image: &[u8],
    memory_bytes: usize,
    tamper: Tamper,
    mut requests: PipeReader,
    mut replies: PipeWriter,
) {
    let buffer = ImageBuffer::new(image);
    let image = buffer.parse().unwrap();
    let mut memory = vec![0u128; memory_bytes / 16];
    let mut device = Device::new(Some(&image), &KERNELS, memory.as_mut_bytes());
    let mut frame = vec![0; 4096];
    let mut frames = FrameReader::new(&mut frame);
    let mut byte = [0];
    while let Ok(1) = requests.read(&mut byte) {
        if let Some(frame) = frames.push(byte[0]) {
            let request = decode_request(frame.unwrap()).unwrap();
            device.handle(&request, &mut |reply| {
                // The host may have left after a difference.
                let _ = replies.write_all(&encode_reply(&tamper(*reply)));
            });
        }
    }
}

fn honest(reply: Reply<'_>) -> Reply<'_> {
    reply
}

/// Pixels of one colour, a little darker each time.
fn pixels(colour: usize, darker: u8) -> Input {
    let pixel = |at: usize| if at % 3 == colour { 250 - darker } else { 10 };
    Input::Pixels((0..small::SIDE * small::SIDE * 3).map(pixel).collect())
}

fn teaching() -> Teaching {
    let sample = |at: u8| (pixels((at % 3).into(), at), u16::from(at % 3));
    Teaching {
        samples: (0..12).map(sample).collect(),
        classes: 3,
        steps: 200,
        held_out_every: 4,
    }
}

/// Talks about the small model with a board that runs it.
fn talk(tamper: Tamper) -> (Result<Option<Taught>, Broken>, [u64; 3]) {
    let bytes = small::bytes(&small::colours());
    let buffer = ImageBuffer::new(&bytes);
    let model = Model {
        path: Path::new("m.ocl"),
        image: buffer.parse().unwrap(),
    };
    let mut memory = Vec::new();
    let line = board(bytes.clone(), ENOUGH_BYTES, tamper);
    let mut conversation = Conversation::start(&model, line, &mut memory).unwrap();
    let inputs = [Input::pattern(&model), pixels(0, 0)];
    let bar = ProgressBar::hidden();
    let taught = compare(&mut conversation, Some(&teaching()), &inputs, &bar);
    let facts = conversation.facts();
    let counts = [facts.equal_ops, facts.equal_scores, facts.equal_steps];
    (taught, counts)
}

fn difference(tamper: Tamper) -> Difference {
    match talk(tamper).0 {
        Err(Broken::Differs(difference)) => difference,
        Err(Broken::Failed(error)) => panic!("{error:#}"),
        Ok(_) => panic!("no difference"),
    }
}

#[test]
fn every_answer_of_an_equal_board_is_counted() {
    let (taught, counts) = talk(honest);
    let Ok(Some(taught)) = taught else {
        panic!("the same sources give the same answers");
    };
    // 12 images to learn from and 2 others, 3 ops each; the 2 others are scored by the new classifier as well.
    assert_eq!(counts, [14 * 3, 14 + 2, 200]);
    let told = taught.to_string();
    assert!(
        told.starts_with("12 images of 3 classes; of 3 held-out images 1 right before and 3 after"),
        "{told}"
    );
}

#[test]
fn the_first_op_that_differs_is_named() {
    let difference = difference(|reply| match reply {
        Reply::Op { op: 1, digest } => Reply::Op {
            op: 1,
            digest: digest ^ 1,
        },
        reply => reply,
    });
    let told = difference.to_string();
    assert!(
        told.starts_with("op 1 (pool): the device says Op { op: 1, "),
        "{told}"
    );
}

#[test]
fn the_first_training_step_that_differs_is_named() {
    let difference = difference(|reply| match reply {
        Reply::Step {
            step: 77,
            loss_bits,
            digest,
        } => Reply::Step {
            step: 77,
            loss_bits,
            digest: digest ^ (1 << 31),
        },
        reply => reply,
    });
    assert!(difference.to_string().starts_with("step 77: "));
}

#[test]
fn a_board_with_another_image_or_too_little_memory_is_refused() {
    let bytes = small::bytes(&small::colours());
    let buffer = ImageBuffer::new(&bytes);
    let model = Model {
        path: Path::new("m.ocl"),
        image: buffer.parse().unwrap(),
    };
    let refused = |line| {
        let mut memory = Vec::new();
        let started = Conversation::start(&model, line, &mut memory);
        started.err().map(|error| error.to_string())
    };
    let other = small::bytes(&small::with_softmax());
    assert_eq!(
        refused(board(other, ENOUGH_BYTES, honest)).as_deref(),
        Some("the board runs another model image")
    );
    let small = refused(board(bytes.clone(), 64, honest)).unwrap();
    assert!(small.contains("bytes of memory, there are 64"), "{small}");
}

#[test]
fn a_refusal_on_both_sides_is_no_equality() {
    let bytes = small::bytes(&small::colours());
    let buffer = ImageBuffer::new(&bytes);
    let model = Model {
        path: Path::new("m.ocl"),
        image: buffer.parse().unwrap(),
    };
    let mut memory = Vec::new();
    let line = board(bytes.clone(), ENOUGH_BYTES, honest);
    let mut conversation = Conversation::start(&model, line, &mut memory).unwrap();
    let Err(Broken::Failed(error)) = conversation.classify() else {
        panic!("there is no classifier yet");
    };
    assert!(error.to_string().contains("refuse alike"), "{error}");
}

#[test]
fn the_pattern_has_the_shape_of_the_input_and_never_changes() {
    let bytes = small::bytes(&small::colours());
    let buffer = ImageBuffer::new(&bytes);
    let model = Model {
        path: Path::new("m.ocl"),
        image: buffer.parse().unwrap(),
    };
    let [a, b] = [Input::pattern(&model), Input::pattern(&model)];
    let (Input::Pixels(a), Input::Pixels(b)) = (a, b) else {
        panic!("the model takes pixels");
    };
    assert_eq!(a.len(), 192);
    assert_eq!(a, b);
    assert!(a.iter().collect::<std::collections::BTreeSet<_>>().len() > 90);
}
