//! A board at the end of a line, and the host that compares it with the device in its own process.

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use ocelli::KernelTable;
use ocelli_image::{Body, ImageBuffer};
use ocelli_link::{
    Buffers, Client, Codes, CompareError, Device, FrameReader, Place, Reply, Request, Training,
    decode_request, encode,
};
use support::*;

/// What a board's firmware does, with a socket for a line.
fn serve(model: &ImageBuffer, mut line: UnixStream) {
    let image = model.parse().unwrap();
    let buffers = Buffers::new(Some(&image));
    let (mut request, mut reply) = (vec![0; buffers.request_bytes], vec![0; buffers.reply_bytes]);
    let kernels = KernelTable::all();
    let mut memory = Memory::new(16384);
    let mut device = Device::new(Some(&image), &kernels, memory.bytes());
    let mut frames = FrameReader::new(&mut request);
    let mut byte = [0];
    while line.read_exact(&mut byte).is_ok() {
        let Some(frame) = frames.push(byte[0]) else {
            continue;
        };
        let mut send = |message: &Reply<'_>| {
            // A host that has seen enough is gone.
            let _ = line.write_all(encode(message, &mut reply).unwrap());
        };
        match frame.and_then(decode_request) {
            Ok(request) => device.handle(&request, &mut send),
            Err(error) => device.refuse(error, &mut send),
        }
    }
}

/// Runs `test` with a client of a board that has `board_model`, and a device in this process.
fn with_board(
    board_model: ImageBuffer,
    test: impl FnOnce(&mut Client<UnixStream, UnixStream>, &mut Device<'_>),
) {
    let (host, board) = UnixStream::pair().unwrap();
    let board = thread::spawn(move || serve(&board_model, board));
    with_device(16384, |device| {
        let mut client = Client::new(host.try_clone().unwrap(), host).unwrap();
        test(&mut client, device);
    });
    board.join().unwrap();
}

/// Shows a picture to both and collects what they agree on.
fn see_both(
    client: &mut Client<UnixStream, UnixStream>,
    device: &mut Device<'_>,
) -> Result<Vec<String>, CompareError> {
    let mut agreed = Vec::new();
    let mut keep = |reply: &Reply<'_>| agreed.push(format!("{reply:?}"));
    client.ask_both(device, &Request::Begin { digests: true }, &mut keep)?;
    for row in 0..ROWS {
        let pixels = pixels(0, row);
        client.ask_both(device, &Request::Row { pixels: &pixels }, &mut keep)?;
    }
    Ok(agreed)
}

#[test]
fn equal_devices_agree_on_every_reply() {
    with_board(image(), |client, device| {
        let agreed = see_both(client, device).unwrap();
        // 4 rows asked for, 3 ops, the scores.
        assert_eq!(agreed.len(), 8);
    });
}

#[test]
fn one_weight_bit_is_found_in_the_op_that_has_it() {
    for (op, name) in ["convolution", "pooling", "classifier"].iter().enumerate() {
        let mut model = model();
        match &mut model.ops[op].body {
            Body::Pointwise { channels } | Body::Dense { channels } => channels.weights[0] ^= 64,
            Body::GlobalAveragePool { bias, .. } => *bias ^= 256,
            _ => unreachable!(),
        }
        with_board(model.encode().unwrap(), |client, device| {
            match see_both(client, device) {
                Err(CompareError::Differs { place, .. }) => {
                    assert_eq!(place, Place::Op(op as u32), "{name}");
                }
                other => panic!("{name}: {other:?}"),
            }
        });
    }
}

#[test]
fn the_first_training_step_that_differs_is_named() {
    let training = Request::Train(Training {
        learning_rate: 0.1,
        momentum: 0.9,
        l2: 0.0,
        batch: 2,
        epochs: 2,
        max_steps: 100,
        patience: 10,
        held_out_every: 0,
        seed: 3,
    });
    with_board(image(), |client, device| {
        let collect = Request::Collect {
            samples: 8,
            classes: 2,
        };
        client.ask_both(device, &collect, |_| ()).unwrap();
        for sample in 0..8 {
            let label = sample as u16 % 2;
            let codes = [sample * 15, 3, -sample, 7, 100, -100];
            let embedding = Codes(&codes);
            let shown = Request::Sample { label, embedding };
            client.ask(&shown, |_| ()).unwrap();
            // One code of the last sample arrives differently.
            let mut codes = codes;
            codes[0] += sample / 7;
            let embedding = Codes(&codes);
            device.handle(&Request::Sample { label, embedding }, &mut |_| ());
        }
        match client.ask_both(device, &training, |_| ()) {
            Err(CompareError::Differs { place, host, board }) => {
                assert!(matches!(place, Place::Step(1..=4)), "{place:?}");
                assert!(host.starts_with("Step") && board.starts_with("Step"));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn noise_on_the_line_is_refused_and_the_next_request_answered() {
    let (mut host, board) = UnixStream::pair().unwrap();
    let board = thread::spawn(move || serve(&image(), board));
    host.write_all(&[7; 5000]).unwrap();
    let mut client = Client::new(host.try_clone().unwrap(), host).unwrap();
    let mut replies = Vec::new();
    client
        .ask(&Request::Hello, |reply| replies.push(format!("{reply:?}")))
        .unwrap();
    assert_eq!(replies.len(), 1);
    assert!(replies[0].starts_with("Hello"), "{replies:?}");
    drop(client);
    board.join().unwrap();
}
