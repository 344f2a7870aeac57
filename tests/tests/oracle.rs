//! Kernels and references against an outside oracle: TensorFlow Lite for Microcontrollers, equal in every code.
//!
//! `reference/ops_of_tflite_micro.json` is made by the script beside it, which names the version.

use ocelli::{KernelTable, OpKind, Session, arena_bytes};
use ocelli_kernels::{Clamp, Padding, SoftmaxParams, Window};
use ocelli_tests::memory::Arena;
use ocelli_tests::network::{Layer, Network};
use ocelli_tests::reference::{Addition, Channels, Factor, Map, Multiplication};
use serde_json::Value;

const CASES: &str = include_str!("../reference/ops_of_tflite_micro.json");

fn numbers<T: TryFrom<i64>>(value: &Value) -> Vec<T> {
    let number = |value: &Value| value.as_i64().and_then(|number| number.try_into().ok());
    let values = value.as_array().expect("a list").iter();
    values
        .map(|value| number(value).expect("a number that fits"))
        .collect()
}

fn some<T: TryFrom<i64>, const N: usize>(value: &Value) -> [T; N] {
    numbers(value).try_into().ok().expect("as many numbers")
}

fn number<T: TryFrom<i64>>(value: &Value) -> T {
    let number = value.as_i64().and_then(|number| number.try_into().ok());
    number.expect("a number that fits")
}

fn map(value: &Value) -> Map {
    let [h, w, c] = some(&value["shape"]);
    let codes = numbers(&value["codes"]);
    Map { h, w, c, codes }
}

fn padding(value: &Value) -> Padding {
    let [top, bottom, left, right] = some(value);
    Padding {
        top,
        bottom,
        left,
        right,
    }
}

fn window(case: &Value) -> Window {
    let value = &case["window"];
    let [filter_h, filter_w] = some(&value["filter"]);
    let [stride_h, stride_w] = some(&value["stride"]);
    let [dilation_h, dilation_w] = some(&value["dilation"]);
    Window {
        filter_h,
        filter_w,
        stride_h,
        stride_w,
        dilation_h,
        dilation_w,
        padding: padding(&value["padding"]),
    }
}

fn clamp(case: &Value) -> Clamp {
    let [min, max] = some(&case["clamp"]);
    Clamp { min, max }
}

fn channels(case: &Value) -> Channels {
    Channels {
        bias: numbers(&case["bias"]),
        multiplier: numbers(&case["multiplier"]),
        shift: numbers(&case["shift"]),
        zero_point: number(&case["output"]["zero_point"]),
        clamp: clamp(case),
    }
}

fn factor(case: &Value, at: usize) -> Factor {
    let [multiplier, shift] = some(&case["factors"][at]);
    (multiplier, shift)
}

fn zero_point(case: &Value, input: usize) -> i8 {
    number(&case["inputs"][input]["zero_point"])
}

fn layer(case: &Value, kind: OpKind) -> Layer {
    match kind {
        OpKind::Conv2d => Layer::Conv2d {
            window: window(case),
            weights: numbers(&case["weights"]),
            channels: channels(case),
        },
        OpKind::Depthwise => Layer::Depthwise {
            window: window(case),
            depth_multiplier: number(&case["depth_multiplier"]),
            weights: numbers(&case["weights"]),
            channels: channels(case),
        },
        OpKind::Pointwise => Layer::Pointwise {
            weights: numbers(&case["weights"]),
            channels: channels(case),
        },
        OpKind::Dense => Layer::Dense {
            weights: numbers(&case["weights"]),
            channels: channels(case),
        },
        OpKind::Add => Layer::Add(Addition {
            zero_points: [zero_point(case, 0), zero_point(case, 1)],
            factors: [factor(case, 0), factor(case, 1)],
            output_factor: factor(case, 2),
            output_zero_point: number(&case["output"]["zero_point"]),
            clamp: clamp(case),
        }),
        OpKind::AveragePool => Layer::AveragePool(window(case), clamp(case)),
        OpKind::MaxPool => Layer::MaxPool(window(case), clamp(case)),
        OpKind::GlobalAveragePool => Layer::GlobalAveragePool(factor(case, 0), clamp(case)),
        OpKind::Pad => Layer::Pad(padding(&case["window"]["padding"])),
        OpKind::Softmax => Layer::Softmax(SoftmaxParams {
            multiplier: number(&case["multiplier"]),
            left_shift: number(&case["left_shift"]),
            difference_min: number(&case["difference_min"]),
        }),
        OpKind::Multiply => Layer::Multiply(Multiplication {
            zero_points: [zero_point(case, 0), zero_point(case, 1)],
            factor: factor(case, 0),
            output_zero_point: number(&case["output"]["zero_point"]),
            clamp: clamp(case),
        }),
        OpKind::Concat => Layer::Concat,
        OpKind::Table | OpKind::LayerNorm => unreachable!("not an op of TensorFlow Lite Micro"),
    }
}

/// Two inputs as one input with the channels of both, and identities that take it apart again; a second input of one
/// pixel stands at every pixel, and is their maximum.
fn taken_apart(network: &mut Network, inputs: &[Map]) -> Map {
    let [a, b] = inputs else {
        return inputs[0].clone();
    };
    let is_pixel = b.h * b.w == 1;
    let both = Map::new([a.h, a.w, a.c + b.c], |y, x, k| match k.checked_sub(a.c) {
        None => a.at(y, x, k),
        Some(k) if is_pixel => b.at(0, 0, k),
        Some(k) => b.at(y, x, k),
    });
    let [zero_a, zero_b] = [network.zero_points[0], network.zero_points[1]];
    let output = (network.shapes[1], network.zero_points[2]);
    let op = network.layers.remove(0);
    let identity = |count: usize, skip: usize, zero_point: i8| {
        // One times the code, less the zero point of the output, which is added again.
        let weights = (0..count).flat_map(|k| (0..both.c).map(move |at| (at == k + skip).into()));
        Layer::Pointwise {
            weights: weights.collect(),
            channels: Channels {
                bias: vec![-i32::from(zero_point); count],
                multiplier: vec![1 << 30; count],
                shift: vec![1; count],
                zero_point,
                clamp: Clamp::NONE,
            },
        }
    };
    let whole = Window {
        filter_h: a.h,
        filter_w: a.w,
        ..Window::POINT
    };
    network.layers = vec![
        identity(a.c, 0, zero_a),
        identity(b.c, a.c, zero_b),
        Layer::MaxPool(if is_pixel { whole } else { Window::POINT }, Clamp::NONE),
        op,
    ];
    network.shapes = vec![
        both.shape(),
        a.shape(),
        [a.h, a.w, b.c],
        b.shape(),
        output.0,
    ];
    network.zero_points = vec![0, zero_a, zero_b, zero_b, output.1];
    network.inputs = vec![[0; 2], [0; 2], [2; 2], [1, 3]];
    both
}

#[test]
fn every_op_equals_tensorflow_lite_micro_in_every_code() {
    let cases: Vec<Value> = serde_json::from_str(CASES).expect("cases");
    let mut counts = [0; OpKind::ALL.len()];
    let mut wrong = vec![];
    for (number_of_case, case) in cases.iter().enumerate() {
        let name = case["op"].as_str().expect("a name");
        let kind = OpKind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = kind.expect("a kind of op");
        let inputs: Vec<Map> = case["inputs"]
            .as_array()
            .expect("inputs")
            .iter()
            .map(map)
            .collect();
        let expected = map(&case["output"]);
        let mut zero_points: Vec<i8> = (0..inputs.len()).map(|at| zero_point(case, at)).collect();
        zero_points.push(number(&case["output"]["zero_point"]));
        let mut network = Network {
            shapes: vec![inputs[0].shape(), expected.shape()],
            zero_points,
            layers: vec![layer(case, kind)],
            inputs: vec![[0; 2]],
            head: None,
        };
        let input = taken_apart(&mut network, &inputs);
        let by_reference = network.run(&input).pop().expect("an output");
        let buffer = network.model().encode().expect("a valid model");
        let image = buffer.parse().expect("a valid image");
        let mut arena = Arena::new(arena_bytes(&image));
        let kernels = KernelTable::all();
        let mut session = Session::new(&image, arena.bytes(), &kernels).expect("a plan that works");
        session.run_codes(&input.codes, &mut ()).expect("an input");
        counts[kind as usize] += 1;
        if session.output() != expected.codes || by_reference != expected {
            wrong.push((number_of_case, name));
        }
    }
    assert_eq!(wrong, [], "of {} cases", cases.len());
    // Every kind of op that both know is among the cases.
    for (kind, count) in OpKind::ALL.into_iter().zip(counts) {
        let ours_only = matches!(kind, OpKind::Table | OpKind::LayerNorm);
        assert_eq!(count >= 3, !ours_only, "{}: {count} cases", kind.name());
    }
}
