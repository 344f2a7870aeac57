//! A small network that tells red, green and blue apart, written by hand.

use ocelli_convert::plan::{PlanKind, plan};
use ocelli_image::{
    Body, Channels, Factor, Model, ModelOp, PaddingRecord, PreprocessRecord, Tensor, WeightPacking,
    WindowRecord,
};

/// Rows and columns of the input.
pub const SIDE: usize = 8;

/// A convolution, global pooling and a classifier. The embedding is half of each colour's mean, and its negative.
pub fn colours() -> Model {
    let conv = Body::Conv2d {
        window: WindowRecord {
            filter_h: 3,
            filter_w: 3,
            stride_h: 2,
            stride_w: 2,
            dilation_h: 1,
            dilation_w: 1,
            padding: PaddingRecord {
                top: 0,
                bottom: 1,
                left: 0,
                right: 1,
            },
        },
        channels: colour_filters(),
    };
    let pool = Body::GlobalAveragePool {
        bias: 0,
        // 1/16 = 2^30 * 2^(-3 - 31).
        factor: Factor {
            multiplier: 1 << 30,
            shift: -3,
        },
        clamp: [-128, 127],
    };
    let mut weights = vec![0; 3 * 6];
    for class in 0..3 {
        weights[class * 6 + class] = 64;
    }
    let dense = Body::Dense {
        channels: channels(weights, vec![0; 3], -5),
    };
    let model = Model {
        arena_bytes: 0,
        tensors: vec![
            tensor(SIDE, SIDE, 3, -128),
            tensor(4, 4, 6, 0),
            tensor(1, 1, 6, 0),
            tensor(1, 1, 3, 0),
        ],
        ops: vec![op(conv, 0), op(pool, 1), op(dense, 2)],
        segments: vec![1, 1, 1],
        head: Some(2),
        preprocess: Some(PreprocessRecord {
            table: [std::array::from_fn(|value| (value as i16 - 128) as i8); 3],
            resize_shorter: (SIDE as u16).into(),
            filter: 0,
            reserved: 0,
            mean: [0.0.into(); 3],
            std: [1.0.into(); 3],
        }),
        labels: ["red", "green", "blue"].map(str::to_string).to_vec(),
        names: ["input", "conv", "pool", "logits", "conv", "pool", "logits"]
            .map(str::to_string)
            .to_vec(),
        tensor_scale: vec![1.0 / 255.0, 2.0 / 255.0, 2.0 / 255.0, 0.05],
        regions: vec![],
    };
    planned(model)
}

/// The same with a softmax behind the classifier.
pub fn with_softmax() -> Model {
    let mut model = colours();
    model
        .ops
        .push(op(ocelli_convert::quantize::softmax(1.0, 0.05), 3));
    model.tensors.push(tensor(1, 1, 3, -128));
    model.tensor_scale.push(1.0 / 256.0);
    model.names.insert(4, "probabilities".to_string());
    model.names.push("probabilities".to_string());
    planned(model)
}

/// The file's bytes.
pub fn bytes(model: &Model) -> Vec<u8> {
    model.encode().expect("a sound model").bytes().to_vec()
}

fn planned(model: Model) -> Model {
    plan(model, PlanKind::Small).expect("a plan")
}

/// Each filter looks at the middle pixel: three at a colour, three at its negative.
fn colour_filters() -> Channels {
    let mut weights = vec![0i8; 6 * 27];
    for channel in 0..6 {
        let middle = channel * 27 + 4 * 3 + channel % 3;
        weights[middle] = if channel < 3 { 64 } else { -64 };
    }
    // The zero point of -128 folded in: 128 times the sum of weights.
    let bias = (0..6).map(|channel| if channel < 3 { 8192 } else { -8192 });
    channels(weights, bias.collect(), -6)
}

/// Channels with the factor 2^(shift - 1).
fn channels(weights: Vec<i8>, bias: Vec<i32>, shift: i8) -> Channels {
    let count = bias.len();
    Channels {
        weights,
        bias,
        multiplier: vec![1 << 30; count],
        shift: vec![shift; count],
        clamp: [-128, 127],
        weight_scale: vec![0.01; count],
    }
}

fn tensor(h: usize, w: usize, c: usize, zero_point: i8) -> Tensor {
    Tensor {
        h,
        w,
        c,
        zero_point,
        offset: 0,
        rows_held: h,
    }
}

fn op(body: Body<Channels>, input: usize) -> ModelOp {
    ModelOp {
        body,
        inputs: [input; 2],
        weight_packing: WeightPacking::Canonical,
        rows_per_step: 1,
        scratch: (0, 0),
    }
}
