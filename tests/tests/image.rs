//! Writing and reading images: what goes in comes out.

use ocelli_image::{
    Channels, Crc32, EncodeError, Image, ImageBuffer, Model, ParseError, PreprocessRecord,
};
use ocelli_tests::network::Network;
use ocelli_tests::random::{Random, cases};
use ocelli_tests::{golden, plan};

fn scale(random: &mut Random) -> f32 {
    f32::from_bits(random.number(1..=0x7f7f_ffff) as u32)
}

fn word(random: &mut Random) -> String {
    let letters = ['a', 'Z', '0', ' ', '.', '/', 'é', '猫', '🐈', '\t', '\0'];
    (0..random.below(9))
        .map(|_| random.pick(&letters))
        .collect()
}

fn channels_of(model: &mut Model) -> Vec<&mut Channels> {
    use ocelli_image::Body::*;
    let ops = model.ops.iter_mut();
    ops.filter_map(|op| match &mut op.body {
        Conv2d { channels, .. }
        | Depthwise { channels, .. }
        | Pointwise { channels }
        | Dense { channels }
        | LayerNorm { channels, .. } => Some(channels),
        _ => None,
    })
    .collect()
}

/// A random network with a random plan and random parts that are optional.
fn random_model(random: &mut Random) -> Model {
    let mut model = Network::random(random).model();
    plan::plan(&mut model, random);
    let classes = model.tensors[model.ops.len()].elems();
    if random.once_in(2) {
        model.labels = (0..classes).map(|_| word(random)).collect();
    }
    if random.once_in(2) {
        let count = model.tensors.len() + model.ops.len();
        model.names = (0..count).map(|_| word(random)).collect();
    }
    if random.once_in(2) {
        model.tensor_scale = model.tensors.iter().map(|_| scale(random)).collect();
        for channels in channels_of(&mut model) {
            channels.weight_scale = channels.bias.iter().map(|_| scale(random)).collect();
        }
    }
    if model.tensors[0].c == 3 {
        let mut table = [[0; 256]; 3];
        for values in &mut table {
            values.copy_from_slice(&random.codes(256));
        }
        model.preprocess = Some(PreprocessRecord {
            table,
            resize_shorter: (random.size(1..=65_535) as u16).into(),
            filter: random.below(2) as u8,
            reserved: 0,
            mean: [0; 3].map(|_: i32| scale(random).into()),
            std: [0; 3].map(|_: i32| scale(random).into()),
        });
    }
    model
}

#[test]
fn decoding_is_the_inverse_of_encoding() {
    cases(1000, |random| {
        let model = random_model(random);
        let buffer = model.encode().expect("a valid model");
        let image = buffer.parse().expect("a valid image");
        let decoded = Model::decode(&image);
        assert_eq!(decoded, model);
        let again = decoded.encode().expect("a valid model");
        assert_eq!(again.bytes(), buffer.bytes());
        // Where the bytes lie does not matter, nor what follows them.
        let mut longer = buffer.bytes().to_vec();
        longer.extend(random.codes(100).iter().map(|&code| code as u8));
        let longer = ImageBuffer::new(&longer);
        let image = Image::parse(longer.bytes()).expect("a valid image");
        assert_eq!(image.bytes(), buffer.bytes());
        assert_eq!(Model::decode(&image), model);
    });
}

#[test]
#[cfg(target_pointer_width = "64")]
fn what_does_not_fit_its_field_is_refused_instead_of_cut_off() {
    type Change = fn(&mut Model);
    let changes: [(Change, EncodeError); 15] = [
        (|m| m.labels[0].push('\n'), EncodeError::DoesNotFit),
        (|m| m.names[0].push('\n'), EncodeError::DoesNotFit),
        (|m| m.tensors[4].offset += 1 << 32, EncodeError::DoesNotFit),
        (|m| m.tensors[4].h += 1 << 16, EncodeError::DoesNotFit),
        (|m| m.arena_bytes += 1 << 32, EncodeError::DoesNotFit),
        (
            |m| m.ops[0].rows_per_step += 1 << 16,
            EncodeError::DoesNotFit,
        ),
        (|m| m.ops[0].scratch.1 += 1 << 32, EncodeError::DoesNotFit),
        (|m| m.ops[0].inputs = [0, 1], EncodeError::DoesNotFit),
        (|m| m.segments[0] += 1 << 16, EncodeError::DoesNotFit),
        (|m| m.head = Some(8 + (1 << 16)), EncodeError::DoesNotFit),
        (
            |m| channels_of(m)[0].bias.push(0),
            EncodeError::Rule(ParseError::SectionSize {
                kind: ocelli_image::SectionKind::Scales,
            }),
        ),
        (
            |m| channels_of(m)[0].shift.truncate(3),
            EncodeError::DoesNotFit,
        ),
        (
            |m| m.tensor_scale[3] = 0.0,
            EncodeError::Rule(ParseError::Scale),
        ),
        (
            |m| m.segments.push(1),
            EncodeError::Rule(ParseError::Segments),
        ),
        (|m| m.ops.clear(), EncodeError::Rule(ParseError::Empty)),
    ];
    for (number, (change, error)) in changes.into_iter().enumerate() {
        let mut model = golden::model();
        change(&mut model);
        assert_eq!(model.encode().err(), Some(error), "change {number}");
    }
}

#[test]
fn scales_belong_to_their_tensors_and_ops() {
    let mut model = golden::model();
    let buffer = model.encode().expect("a valid model");
    let image = buffer.parse().expect("a valid image");
    for (at, &scale) in model.tensor_scale.iter().enumerate() {
        assert_eq!(image.tensor_scale(at), Some(scale));
    }
    assert_eq!(image.tensor_scale(model.tensors.len()), None);
    for (at, op) in model.ops.iter().enumerate() {
        let scales = image.weight_scales(at).map(Vec::from_iter);
        let expected = op.body.channels().map(|c| c.weight_scale.clone());
        assert_eq!(scales, expected);
    }
    model.tensor_scale.clear();
    for channels in channels_of(&mut model) {
        channels.weight_scale.clear();
    }
    let buffer = model.encode().expect("a valid model");
    let image = buffer.parse().expect("a valid image");
    assert_eq!(image.tensor_scale(0), None);
    assert!(image.weight_scales(0).is_none());
}

#[test]
fn the_checksum_is_the_crc_32_of_the_catalogue() {
    // "check" of CRC-32/ISO-HDLC.
    assert_eq!(Crc32::of(b"123456789"), 0xcbf4_3926);
    assert_eq!(Crc32::of(b""), 0);
    cases(200, |random| {
        let length = random.below(300);
        let bytes: Vec<u8> = (0..length).map(|_| random.bits() as u8).collect();
        // Bit by bit, from the polynomial.
        let mut crc = u32::MAX;
        for &byte in &bytes {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                let carry = crc & 1;
                crc >>= 1;
                if carry == 1 {
                    crc ^= 0xedb8_8320;
                }
            }
        }
        assert_eq!(Crc32::of(&bytes), !crc);
        let (a, b) = bytes.split_at(random.below(length + 1));
        let mut running = Crc32::new();
        running.update(a);
        let mut resumed = Crc32::resume(running.value());
        resumed.update(b);
        running.update(b);
        assert_eq!([running.value(), resumed.value()], [!crc; 2]);
    });
}
