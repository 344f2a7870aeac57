//! The model of the golden image: every section, every kind of op that version 1 began with, written down by hand and
//! never changed. [`later`] has the kinds that came to it.
//!
//! Weights and factors follow patterns of whole numbers, so that no generator can move it.

use ocelli_image::{
    Body, Channels, Factor, Model, ModelOp, PaddingRecord, PreprocessRecord, Tensor, WeightPacking,
    WindowRecord,
};

use crate::reference::Map;

pub mod later;

const ALL: [i8; 2] = [-128, 127];

/// The input that the golden output belongs to; codes that pixels can have in every channel.
pub fn input() -> Map {
    Map::new([12, 12, 3], |y, x, k| {
        (y * 31 + x * 17 + k * 7) as i64 % 240 - 120
    })
}

/// The model that the golden image of version 1 was made from.
pub fn model() -> Model {
    Model {
        arena_bytes: 620,
        tensors: tensors(),
        ops: ops(),
        segments: vec![6, 1, 3],
        head: Some(8),
        preprocess: Some(preprocess()),
        labels: ["cat", "espresso", "Käfer", "", "owl"]
            .map(String::from)
            .to_vec(),
        names: names(),
        tensor_scale: (0..11).map(|at| 0.5 / (at + 1) as f32).collect(),
        regions: vec![],
    }
}

fn names() -> Vec<String> {
    let tensors = (0..11).map(|at| format!("tensor.{at}"));
    tensors
        .chain((0..10).map(|at| format!("node/{at}")))
        .collect()
}

fn preprocess() -> PreprocessRecord {
    let mut table = [[0; 256]; 3];
    for (channel, values) in table.iter_mut().enumerate() {
        for (value, code) in values.iter_mut().enumerate() {
            *code = (value as i64 - 128 + channel as i64).min(127) as i8;
        }
    }
    PreprocessRecord {
        table,
        resize_shorter: 14.into(),
        filter: 1,
        reserved: 0,
        mean: [0.25, 0.5, 0.75].map(Into::into),
        std: [0.5, 0.25, 0.125].map(Into::into),
    }
}

fn tensors() -> Vec<Tensor> {
    // Height, width, channels, zero point, offset, rows held.
    let tensors: [(usize, usize, usize, i8, usize, usize); 11] = [
        (12, 12, 3, -5, 0, 4),
        (6, 6, 4, 3, 144, 4),
        (6, 6, 8, -128, 240, 2),
        (6, 6, 4, 10, 336, 2),
        (6, 6, 4, -2, 384, 3),
        (8, 8, 4, -2, 456, 4),
        (3, 3, 4, -2, 584, 3),
        (3, 3, 4, -2, 0, 3),
        (1, 1, 4, 7, 36, 1),
        (1, 1, 5, -1, 40, 1),
        (1, 1, 5, -128, 48, 1),
    ];
    let tensor = |(h, w, c, zero_point, offset, rows_held)| Tensor {
        h,
        w,
        c,
        zero_point,
        offset,
        rows_held,
    };
    tensors.map(tensor).to_vec()
}

fn window(filter: u8, stride: u8, [top, bottom, left, right]: [u8; 4]) -> WindowRecord {
    WindowRecord {
        filter_h: filter,
        filter_w: filter,
        stride_h: stride,
        stride_w: stride,
        dilation_h: 1,
        dilation_w: 1,
        padding: PaddingRecord {
            top,
            bottom,
            left,
            right,
        },
    }
}

fn channels(count: usize, weights: usize, shift: i8, clamp: [i8; 2]) -> Channels {
    Channels {
        weights: (0..weights)
            .map(|at| (at * 37 % 255) as i64 - 127)
            .map(|weight| weight as i8)
            .collect(),
        bias: (0..count).map(|at| at as i32 * 501 - 700).collect(),
        multiplier: (0..count)
            .map(|at| (1 << 30) + at as i32 * 12_345_678)
            .collect(),
        shift: (0..count).map(|at| shift - (at % 2) as i8).collect(),
        clamp,
        weight_scale: (0..count).map(|at| 0.125 * (at + 1) as f32).collect(),
    }
}

/// What an op does, what it reads, rows a step, scratch memory.
type Record = (Body<Channels>, [usize; 2], usize, (usize, usize));

fn ops() -> Vec<ModelOp> {
    let factor = |multiplier, shift| Factor { multiplier, shift };
    let ops: [Record; 10] = [
        (
            Body::Conv2d {
                window: window(3, 2, [0, 1, 0, 1]),
                channels: channels(4, 3 * 3 * 3 * 4, -7, ALL),
            },
            [0, 0],
            1,
            (0, 0),
        ),
        (
            Body::Depthwise {
                window: window(3, 1, [1; 4]),
                depth_multiplier: 2,
                channels: channels(8, 3 * 3 * 8, -6, [-128, 100]),
            },
            [1, 1],
            2,
            (0, 0),
        ),
        (
            Body::Pointwise {
                channels: channels(4, 8 * 4, -6, ALL),
            },
            [2, 2],
            2,
            (0, 0),
        ),
        (
            Body::Add {
                factors: [factor(1 << 30, 0), factor(2_000_000_000, -1)],
                output_factor: factor(1_500_000_000, -18),
                clamp: [-2, 127],
            },
            [1, 3],
            1,
            (0, 0),
        ),
        (
            Body::Pad {
                padding: PaddingRecord {
                    top: 1,
                    bottom: 1,
                    left: 2,
                    right: 0,
                },
            },
            [4, 4],
            1,
            (0, 0),
        ),
        (
            Body::MaxPool {
                window: window(3, 2, [0; 4]),
                clamp: ALL,
            },
            [5, 5],
            1,
            (0, 0),
        ),
        (
            Body::AveragePool {
                window: window(2, 1, [1, 0, 1, 0]),
                clamp: ALL,
            },
            [6, 6],
            3,
            (0, 0),
        ),
        (
            Body::GlobalAveragePool {
                bias: 2 * 9,
                factor: factor(1_908_874_354, -3),
                clamp: ALL,
            },
            [7, 7],
            1,
            (64, 16),
        ),
        (
            Body::Dense {
                channels: channels(5, 4 * 5, -6, ALL),
            },
            [8, 8],
            1,
            (0, 0),
        ),
        (
            Body::Softmax {
                multiplier: 1 << 30,
                left_shift: 23,
                difference_min: -248,
            },
            [9, 9],
            1,
            (0, 0),
        ),
    ];
    ops.map(op).to_vec()
}

fn op((body, inputs, rows_per_step, scratch): Record) -> ModelOp {
    ModelOp {
        body,
        inputs,
        weight_packing: WeightPacking::Canonical,
        rows_per_step,
        scratch,
    }
}
