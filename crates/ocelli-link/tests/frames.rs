//! Frames: everything that is sent arrives, and nothing that arrives can do harm.

use std::io::Cursor;

use ocelli_link::{
    Codes, FrameError, FrameReader, Hello, NoModel, PROTOCOL, Refusal, Reply, ReplyReader, Request,
    Training, decode_reply, decode_request, encode, encode_reply, encode_request, frame_bytes,
};
use proptest::prelude::*;

const TRAINING: Training = Training {
    learning_rate: 0.05,
    momentum: 0.9,
    l2: 1e-4,
    batch: 16,
    epochs: 60,
    max_steps: u32::MAX,
    patience: 10,
    held_out_every: 10,
    seed: u64::MAX,
};

fn requests(bytes: &[u8]) -> Vec<Request<'_>> {
    vec![
        Request::Hello,
        Request::Begin { digests: true },
        Request::Row { pixels: bytes },
        Request::Collect {
            samples: 2000,
            classes: 10,
        },
        Request::Observe { label: 7 },
        Request::Train(TRAINING),
        Request::Classify,
        Request::Bye,
    ]
}

#[test]
fn every_request_survives_the_line() {
    let bytes: Vec<u8> = (0..1000).map(|i| (i % 7) as u8).collect();
    for request in requests(&bytes) {
        let mut frame = encode_request(&request);
        assert_eq!(frame.pop(), Some(0), "{request:?}");
        assert!(!frame.contains(&0), "{request:?}");
        assert_eq!(decode_request(&mut frame), Ok(request));
    }
}

#[test]
fn codes_arrive_as_they_were() {
    let codes: Vec<i8> = (-128..=127).collect();
    for request in [
        Request::Codes {
            codes: Codes(&codes),
        },
        Request::Sample {
            label: 3,
            embedding: Codes(&codes),
        },
    ] {
        let mut frame = encode_request(&request);
        frame.pop();
        assert_eq!(decode_request(&mut frame), Ok(request));
    }
}

#[test]
fn the_largest_frame_fits_the_bytes_that_are_told() {
    for length in [0, 1, 252, 253, 254, 255, 507, 508, 509, 2016] {
        for value in [0, 1] {
            let pixels = vec![value; length];
            // One byte for the variant and two for the length at most.
            let mut buffer = vec![0; frame_bytes(length + 3)];
            let request = Request::Row { pixels: &pixels };
            assert!(
                encode(&request, &mut buffer).is_some(),
                "{length} bytes of {value}"
            );
        }
    }
}

#[test]
fn a_frame_that_does_not_fit_is_refused_with_the_limit_and_the_next_one_is_read() {
    let mut buffer = [0; 8];
    let mut reader = FrameReader::new(&mut buffer);
    let mut line = vec![1; 9];
    line.push(0);
    line.extend(encode_request(&Request::Hello));
    let mut seen = Vec::new();
    for byte in line {
        if let Some(frame) = reader.push(byte) {
            seen.push(frame.and_then(|frame| decode_request(frame).map(|r| r == Request::Hello)));
        }
    }
    assert_eq!(seen, [Err(FrameError::TooLong { limit: 8 }), Ok(true)]);
}

#[test]
fn empty_frames_are_skipped() {
    let mut buffer = [0; 8];
    let mut reader = FrameReader::new(&mut buffer);
    assert!((0..5).all(|_| reader.push(0).is_none()));
}

#[test]
fn broken_stuffing_is_refused() {
    // The first byte promises four more.
    assert_eq!(decode_request(&mut [5, 1, 1]), Err(FrameError::Stuffing));
}

#[test]
fn an_unknown_variant_is_refused() {
    assert_eq!(decode_request(&mut [2, 200]), Err(FrameError::Message));
}

#[test]
fn bytes_behind_a_message_are_refused() {
    // Variant 9, which is the goodbye, and one byte more.
    assert_eq!(decode_request(&mut [2, 9]), Ok(Request::Bye));
    assert_eq!(decode_request(&mut [3, 9, 9]), Err(FrameError::Message));
}

#[test]
fn replies_are_read_from_a_stream_one_after_another() {
    let hello = Reply::Hello(Hello {
        protocol: PROTOCOL,
        backend: "plain",
        memory_bytes: 1 << 20,
        model: Err(NoModel::Memory { needed: 5, got: 4 }),
    });
    let refused = Reply::Refused(Refusal::Length {
        needed: 288,
        got: 0,
    });
    let mut line = encode_reply(&hello);
    line.extend(encode_reply(&refused));
    let mut reader = ReplyReader::new(Cursor::new(line));
    assert_eq!(reader.read().unwrap(), hello);
    assert_eq!(reader.read().unwrap(), refused);
    let end = reader.read().unwrap_err().to_string();
    assert_eq!(end, "the board ended the connection");
}

proptest! {
    #[test]
    fn no_bytes_at_all_make_a_reader_or_decoder_panic(
        bytes in proptest::collection::vec(prop_oneof![3 => 0u8..12, 1 => any::<u8>()], 0..600)
    ) {
        let mut buffer = [0; 300];
        let mut reader = FrameReader::new(&mut buffer);
        for &byte in &bytes {
            if let Some(Ok(frame)) = reader.push(byte) {
                let _ = decode_request(&mut frame.to_vec());
                let _ = decode_reply(frame);
            }
        }
        let _ = decode_request(&mut bytes.clone());
        let _ = decode_reply(&mut bytes.clone());
    }

    #[test]
    fn any_pixels_survive_the_line(
        pixels in proptest::collection::vec(prop_oneof![Just(0u8), Just(1), any::<u8>()], 0..1200)
    ) {
        let request = Request::Row { pixels: &pixels };
        let mut frame = encode_request(&request);
        frame.pop();
        prop_assert_eq!(decode_request(&mut frame), Ok(request));
    }
}
