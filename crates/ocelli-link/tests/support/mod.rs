//! A small network with every seam of the link: pixels, an embedding, a classifier.
#![allow(dead_code, reason = "each test program uses its own part")]

use ocelli::{KernelTable, arena_bytes};
use ocelli_image::{
    Body, Channels, Factor, ImageBuffer, Model, ModelOp, PreprocessRecord, Tensor, WeightPacking,
};
use ocelli_link::{Device, Reply, Request, decode_reply, encode_reply};
use zerocopy::IntoBytes;

pub const ROWS: usize = 4;
pub const ROW_PIXELS: usize = 5;
pub const FEATURES: usize = 6;
pub const CLASSES: usize = 3;

/// Memory as an arena wants it.
pub struct Memory(Vec<u128>);

impl Memory {
    pub fn new(bytes: usize) -> Self {
        Self(vec![0; bytes.div_ceil(16)])
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        self.0.as_mut_slice().as_mut_bytes()
    }
}

/// Pointwise convolution to [`FEATURES`] channels, global pooling, a dense classifier of [`CLASSES`].
pub fn model() -> Model {
    let tensor = |h, w, c, zero_point, offset| Tensor {
        h,
        w,
        c,
        zero_point,
        offset,
        rows_held: h,
    };
    let map = ROWS * ROW_PIXELS;
    let (conv_offset, pooled_offset) = (map * 3 + 4, map * 3 + 4 + map * FEATURES);
    let (scores_offset, sums_offset) = (pooled_offset + FEATURES + 2, pooled_offset + 12);
    let tensors = vec![
        tensor(ROWS, ROW_PIXELS, 3, 0, 0),
        tensor(ROWS, ROW_PIXELS, FEATURES, -128, conv_offset),
        tensor(1, 1, FEATURES, -128, pooled_offset),
        tensor(1, 1, CLASSES, 0, scores_offset),
    ];
    let op = |body, input: usize, scratch| ModelOp {
        body,
        inputs: [input; 2],
        weight_packing: WeightPacking::Canonical,
        rows_per_step: 1,
        scratch,
    };
    let pool = Body::GlobalAveragePool {
        bias: 128 * map as i32,
        // 1 / 20 = 0.8 / 16.
        factor: Factor {
            multiplier: 0x6666_6666,
            shift: -4,
        },
        clamp: [-128, 127],
    };
    let (conv, dense) = (channels(FEATURES, 3, 7), channels(CLASSES, FEATURES, 11));
    Model {
        arena_bytes: (sums_offset + 4 * FEATURES).next_multiple_of(16),
        tensors,
        ops: vec![
            op(Body::Pointwise { channels: conv }, 0, (0, 0)),
            op(pool, 1, (sums_offset, 4 * FEATURES)),
            op(Body::Dense { channels: dense }, 2, (0, 0)),
        ],
        segments: vec![3],
        head: Some(2),
        preprocess: Some(PreprocessRecord {
            table: [std::array::from_fn(|value| (value as i32 - 128) as i8); 3],
            resize_shorter: 5.into(),
            filter: 0,
            reserved: 0,
            mean: [0.5.into(); 3],
            std: [0.5.into(); 3],
        }),
        labels: Vec::new(),
        names: Vec::new(),
        tensor_scale: vec![0.02; 4],
        regions: vec![],
    }
}

fn channels(outputs: usize, inputs: usize, seed: usize) -> Channels {
    Channels {
        weights: (0..outputs * inputs)
            .map(|at| ((at * seed * 37 + 11) % 255) as i8)
            .collect(),
        bias: vec![100; outputs],
        multiplier: vec![0x5555_5555; outputs],
        shift: vec![-7; outputs],
        clamp: [-128, 127],
        weight_scale: vec![0.01; outputs],
    }
}

pub fn image() -> ImageBuffer {
    model().encode().unwrap()
}

/// A row of pixels of the test picture with this number.
pub fn pixels(picture: usize, row: usize) -> Vec<u8> {
    (0..ROW_PIXELS * 3)
        .map(|at| ((at * 31 + row * 17 + picture * 59 + picture * picture * at) % 256) as u8)
        .collect()
}

/// The replies to a request, as text.
pub fn ask(device: &mut Device<'_>, request: &Request<'_>) -> Vec<String> {
    let mut replies = Vec::new();
    device.handle(request, &mut |reply| {
        let mut frame = encode_reply(reply);
        assert_eq!(decode_reply(&mut frame), Ok(*reply));
        replies.push(format!("{reply:?}"));
    });
    replies
}

/// The last reply to a request.
pub fn last(device: &mut Device<'_>, request: &Request<'_>) -> String {
    ask(device, request).pop().unwrap()
}

/// Shows a picture and returns what the last row was answered by.
pub fn see(device: &mut Device<'_>, picture: usize, digests: bool) -> Vec<String> {
    let mut replies = ask(device, &Request::Begin { digests });
    for row in 0..ROWS {
        assert_eq!(
            replies,
            [format!("{:?}", Reply::NeedsRow { row: row as u32 })]
        );
        replies = ask(
            device,
            &Request::Row {
                pixels: &pixels(picture, row),
            },
        );
    }
    replies
}

/// Memory that a device takes for inference: the session's, up to a multiple of 16, and the digests of 3 ops.
pub fn inference_bytes() -> u32 {
    let buffer = image();
    let arena = arena_bytes(&buffer.parse().unwrap());
    arena.next_multiple_of(16) as u32 + 3 * 4
}

/// Runs a test on a device with `memory_bytes`.
pub fn with_device<T>(memory_bytes: usize, test: impl FnOnce(&mut Device<'_>) -> T) -> T {
    let buffer = image();
    let image = buffer.parse().unwrap();
    let kernels = KernelTable::all();
    let mut memory = Memory::new(memory_bytes);
    test(&mut Device::new(Some(&image), &kernels, memory.bytes()))
}
