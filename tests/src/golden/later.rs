//! A model of the kinds of ops that came to version 1 later; never changed either.

use ocelli_image::{Body, Channels, Factor, Model, ModelOp, Tensor};

use super::{ALL, Record, channels};
use crate::reference::Map;

/// The input that the golden output belongs to.
pub fn input() -> Map {
    Map::new([4, 6, 4], |y, x, k| {
        (y * 53 + x * 19 + k * 29) as i64 % 256 - 128
    })
}

/// The model that the golden image of the later kinds was made from: a gate in one segment, all else in the next.
pub fn model() -> Model {
    Model {
        arena_bytes: 524,
        tensors: tensors(),
        ops: ops(),
        segments: vec![2, 4],
        head: None,
        preprocess: None,
        labels: vec![],
        names: vec![],
        tensor_scale: (0..7).map(|at| 0.25 / (at + 1) as f32).collect(),
        regions: vec![],
    }
}

fn tensors() -> Vec<Tensor> {
    // Height, width, channels, zero point, offset, rows held.
    let tensors: [(usize, usize, usize, i8, usize, usize); 7] = [
        (4, 6, 4, -3, 0, 4),
        (4, 6, 4, 12, 96, 4),
        (1, 1, 4, -100, 192, 1),
        (4, 6, 4, 5, 196, 2),
        (4, 6, 4, -7, 244, 1),
        (4, 6, 4, 12, 268, 2),
        (4, 6, 8, 12, 316, 4),
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

/// Goes down and comes up again, past no code twice in the same way.
fn table() -> Box<[i8; 256]> {
    Box::new(std::array::from_fn(|at| {
        (at as i64 * at as i64 / 256 - at as i64 / 3 + 40 - (at as i64 % 7)) as i8
    }))
}

fn ops() -> Vec<ModelOp> {
    let factor = |multiplier, shift| Factor { multiplier, shift };
    let norm = Channels {
        bias: vec![0, 1_000_000, -2_000_000, 77_777],
        ..channels(4, 4, -14, [-120, 127])
    };
    let ops: [Record; 6] = [
        (Body::Table { table: table() }, [0, 0], 1, (0, 0)),
        (
            Body::GlobalAveragePool {
                bias: -12 * 24,
                factor: factor(1_400_000_000, -4),
                clamp: ALL,
            },
            [1, 1],
            1,
            (508, 16),
        ),
        (
            Body::Multiply {
                factor: factor(1_717_986_918, -7),
                clamp: ALL,
            },
            [1, 2],
            2,
            (0, 0),
        ),
        (
            Body::Multiply {
                factor: factor(1_234_567_890, -6),
                clamp: [-90, 110],
            },
            [3, 0],
            1,
            (0, 0),
        ),
        (
            Body::LayerNorm {
                epsilon: 1234,
                channels: norm,
            },
            [4, 4],
            1,
            (0, 0),
        ),
        (Body::Concat, [5, 1], 2, (0, 0)),
    ];
    ops.map(super::op).to_vec()
}
