//! The f32 interpreter against plain sums in f64, written from the ops' definitions.

mod support;

use ocelli_convert::InputError;
use ocelli_convert::graph::{Clamp, Graph, GraphBuilder, Op, Padding, Shape, TensorId, Window};
use ocelli_convert::interpreter::Interpreter;
use support::{Numbers, relative_error};

fn single(op: Op, input: Shape) -> Graph {
    let mut builder = GraphBuilder::new("single", input);
    let fed = builder.input();
    let output = builder.push("op", op, &[fed]).unwrap();
    builder.finish(output, None).unwrap()
}

fn run(graph: &Graph, input: &[f32]) -> Vec<f32> {
    let interpreter = Interpreter::new(graph).unwrap();
    interpreter.run(input, |_, _| {}).unwrap()
}

/// For each output pixel the taps inside the input: (tap, offset of the input pixel).
fn met(window: &Window, input: Shape, row: usize, col: usize) -> Vec<(usize, usize)> {
    let mut met = Vec::new();
    for tap in 0..window.taps() {
        let (tap_h, tap_w) = (tap / window.filter_w, tap % window.filter_w);
        let h = (row * window.stride_h + tap_h * window.dilation_h) as isize
            - window.padding.top as isize;
        let w = (col * window.stride_w + tap_w * window.dilation_w) as isize
            - window.padding.left as isize;
        if (0..input.h as isize).contains(&h) && (0..input.w as isize).contains(&w) {
            met.push((tap, (h as usize * input.w + w as usize) * input.c));
        }
    }
    met
}

/// The op's output, one element at a time.
fn reference(op: &Op, x: &[f32], input: Shape, output: Shape) -> Vec<f32> {
    let mut result = Vec::new();
    for row in 0..output.h {
        for col in 0..output.w {
            for channel in 0..output.c {
                let at = |offset: usize, c: usize| f64::from(x[offset + c]);
                let value = match op {
                    Op::Conv2d {
                        window,
                        weights,
                        bias,
                        ..
                    } => met(window, input, row, col).iter().fold(
                        f64::from(bias[channel]),
                        |sum, &(tap, offset)| {
                            let w = (channel * window.taps() + tap) * input.c;
                            (0..input.c).fold(sum, |sum, c| {
                                sum + at(offset, c) * f64::from(weights[w + c])
                            })
                        },
                    ),
                    Op::DepthwiseConv2d {
                        window,
                        depth_multiplier,
                        weights,
                        bias,
                        ..
                    } => met(window, input, row, col).iter().fold(
                        f64::from(bias[channel]),
                        |sum, &(tap, offset)| {
                            let w = f64::from(weights[tap * output.c + channel]);
                            sum + at(offset, channel / depth_multiplier) * w
                        },
                    ),
                    Op::AveragePool { window, .. } => {
                        let met = met(window, input, row, col);
                        let sum: f64 = met.iter().map(|&(_, offset)| at(offset, channel)).sum();
                        sum / met.len() as f64
                    }
                    Op::MaxPool { window, .. } => met(window, input, row, col)
                        .iter()
                        .map(|&(_, offset)| at(offset, channel))
                        .fold(f64::NEG_INFINITY, f64::max),
                    _ => panic!("no reference for {}", op.kind()),
                };
                let clamp = op.clamp().unwrap();
                result.push(clamp.apply(value as f32));
            }
        }
    }
    result
}

fn random_window(numbers: &mut Numbers, dilated: bool) -> Window {
    let (filter_h, filter_w) = (numbers.between(1, 4), numbers.between(1, 4));
    let dilation = |numbers: &mut Numbers| if dilated { numbers.between(1, 2) } else { 1 };
    Window {
        filter_h,
        filter_w,
        stride_h: numbers.between(1, 3),
        stride_w: numbers.between(1, 3),
        dilation_h: dilation(numbers),
        dilation_w: dilation(numbers),
        padding: Padding {
            top: numbers.below(filter_h),
            bottom: numbers.below(filter_h),
            left: numbers.below(filter_w),
            right: numbers.below(filter_w),
        },
    }
}

#[test]
fn windowed_ops_equal_plain_sums_on_random_geometry() {
    let mut numbers = Numbers(1);
    for case in 0..400 {
        let input = Shape::new(
            numbers.between(7, 12),
            numbers.between(7, 12),
            numbers.between(1, 37),
        );
        let kind = case % 4;
        let window = random_window(&mut numbers, kind < 2);
        let clamp = [Clamp::NONE, Clamp::RELU, Clamp::RELU6][numbers.below(3)];
        let op = match kind {
            0 => {
                let out = numbers.between(1, 19);
                Op::Conv2d {
                    window,
                    weights: numbers.values(out * window.taps() * input.c),
                    bias: numbers.values(out),
                    clamp,
                }
            }
            1 => {
                let depth_multiplier = numbers.between(1, 3);
                let out = depth_multiplier * input.c;
                Op::DepthwiseConv2d {
                    window,
                    depth_multiplier,
                    weights: numbers.values(window.taps() * out),
                    bias: numbers.values(out),
                    clamp,
                }
            }
            2 => Op::AveragePool { window, clamp },
            _ => Op::MaxPool { window, clamp },
        };
        let x = numbers.values(input.elems());
        let graph = single(op, input);
        let expected = reference(&graph.nodes[0].op, &x, input, graph.output_shape());
        let error = relative_error(&run(&graph, &x), &expected);
        assert!(error < 1e-5, "case {case}: {error} {window:?} {input}");
    }
}

#[test]
fn a_large_convolution_is_the_same_in_several_patch_blocks() {
    // 40 * 40 patches of 9 * 32 elements do not fit one block.
    let mut numbers = Numbers(2);
    let input = Shape::new(40, 40, 32);
    let window = Window::square(3, 1, 1);
    let op = Op::Conv2d {
        window,
        weights: numbers.values(8 * 9 * 32),
        bias: numbers.values(8),
        clamp: Clamp::NONE,
    };
    let x = numbers.values(input.elems());
    let graph = single(op, input);
    let expected = reference(&graph.nodes[0].op, &x, input, graph.output_shape());
    assert!(relative_error(&run(&graph, &x), &expected) < 1e-5);
}

#[test]
fn small_ops_give_hand_computed_numbers() {
    let cases: [(Op, Shape, &[f32], &[f32]); 7] = [
        (
            // 1 * 1 + 2 * 2 + 3 * 3 + 4 * 4 - 1 = 29; 4 + 6 + 6 + 4 - 25 < 0.
            Op::Dense {
                weights: vec![1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 1.0],
                bias: vec![-1.0, -25.0],
                clamp: Clamp::RELU,
            },
            Shape::new(1, 2, 2),
            &[1.0, 2.0, 3.0, 4.0],
            &[29.0, 0.0],
        ),
        (
            Op::GlobalAveragePool,
            Shape::new(2, 1, 2),
            &[1.0, 2.0, 3.0, 6.0],
            &[2.0, 4.0],
        ),
        (
            Op::Pad {
                padding: Padding {
                    top: 1,
                    bottom: 0,
                    left: 0,
                    right: 2,
                },
            },
            Shape::new(2, 1, 1),
            &[5.0, 6.0],
            &[0.0, 0.0, 0.0, 5.0, 0.0, 0.0, 6.0, 0.0, 0.0],
        ),
        (
            Op::BatchNorm {
                scale: vec![2.0, -1.0],
                shift: vec![1.0, 0.5],
            },
            Shape::new(1, 2, 2),
            &[1.0, 2.0, 3.0, 4.0],
            &[3.0, -1.5, 7.0, -3.5],
        ),
        (
            Op::Clamp(Clamp::RELU6),
            Shape::new(1, 1, 3),
            &[-1.0, 3.0, 7.0],
            &[0.0, 3.0, 6.0],
        ),
        (
            // Equal logits; the next pixel's differ by 2 ln 3 / 2.
            Op::Softmax { beta: 2.0 },
            Shape::new(1, 2, 2),
            &[1000.0, 1000.0, 0.0, 0.549_306_15],
            &[0.5, 0.5, 0.25, 0.75],
        ),
        (
            // The corner's window has one pixel inside; padding takes no part.
            Op::AveragePool {
                window: Window::square(2, 2, 1),
                clamp: Clamp::NONE,
            },
            Shape::new(2, 2, 1),
            &[1.0, 2.0, 3.0, 4.0],
            &[1.0, 2.0, 3.0, 4.0],
        ),
    ];
    for (op, shape, input, expected) in cases {
        let kind = op.kind();
        let output = run(&single(op, shape), input);
        assert!(
            relative_error(&output, expected) < 1e-6,
            "{kind}: {output:?}"
        );
    }
}

#[test]
fn the_observer_sees_every_tensor_once_in_order() {
    // Branches keep the first tensor alive while others come and go.
    let mut builder = GraphBuilder::new("branches", Shape::new(1, 1, 2));
    let input = builder.input();
    let relu = builder
        .push("relu", Op::Clamp(Clamp::RELU), &[input])
        .unwrap();
    let clamp = Clamp::NONE;
    let double = builder
        .push("double", Op::Add { clamp }, &[relu, relu])
        .unwrap();
    let triple = builder
        .push("triple", Op::Add { clamp }, &[double, relu])
        .unwrap();
    let output = builder
        .push("sum", Op::Add { clamp }, &[triple, input])
        .unwrap();
    let graph = builder.finish(output, Some(double)).unwrap();
    let mut seen = Vec::new();
    let interpreter = Interpreter::new(&graph).unwrap();
    let result = interpreter
        .run(&[-1.0, 2.0], |id, values| seen.push((id, values.to_vec())))
        .unwrap();
    assert_eq!(result, [-1.0, 8.0]);
    let expected: [(usize, [f32; 2]); 5] = [
        (0, [-1.0, 2.0]),
        (1, [0.0, 2.0]),
        (2, [0.0, 4.0]),
        (3, [0.0, 6.0]),
        (4, [-1.0, 8.0]),
    ];
    for ((id, values), (at, numbers)) in seen.iter().zip(expected) {
        assert_eq!((*id, values.as_slice()), (TensorId(at), numbers.as_slice()));
    }
    assert_eq!(seen.len(), 5);
}

#[test]
fn an_input_of_the_wrong_length_is_refused() {
    let graph = single(Op::GlobalAveragePool, Shape::new(2, 2, 3));
    let interpreter = Interpreter::new(&graph).unwrap();
    let error = interpreter.run(&[0.0; 11], |_, _| {}).unwrap_err();
    assert_eq!(
        error,
        InputError {
            needed: 12,
            got: 11
        }
    );
}

#[test]
fn threads_may_share_an_interpreter() {
    fn is_sync<T: Sync + Send>(_: &T) {}
    let graph = single(Op::GlobalAveragePool, Shape::new(2, 2, 3));
    is_sync(&Interpreter::new(&graph).unwrap());
}

#[test]
fn a_product_with_one_pixel_scales_every_pixel_by_channel() {
    let mut builder = GraphBuilder::new("gate", Shape::new(2, 1, 2));
    let fed = builder.input();
    let pooled = builder.push("pool", Op::GlobalAveragePool, &[fed]).unwrap();
    let clamp = Clamp {
        min: f32::NEG_INFINITY,
        max: 7.0,
    };
    let product = builder
        .push("gate", Op::Multiply { clamp }, &[fed, pooled])
        .unwrap();
    let graph = builder.finish(product, None).unwrap();
    // Means of the channels: 2 and 3.
    assert_eq!(run(&graph, &[1.0, 2.0, 3.0, 4.0]), [2.0, 6.0, 6.0, 7.0]);
}

#[test]
fn a_layer_norm_brings_each_pixel_to_mean_zero_and_variance_one() {
    let op = Op::LayerNorm {
        scale: vec![1.0, 2.0],
        shift: vec![0.0, 10.0],
        epsilon: 0.0,
    };
    let graph = single(op, Shape::new(1, 2, 2));
    assert_eq!(run(&graph, &[1.0, 5.0, 7.0, 7.0]), [-1.0, 12.0, 0.0, 10.0]);
}

#[test]
fn a_concatenation_puts_channels_behind_each_other() {
    let mut builder = GraphBuilder::new("concat", Shape::new(1, 2, 1));
    let fed = builder.input();
    let tanh = builder
        .push("relu", Op::Clamp(Clamp::RELU), &[fed])
        .unwrap();
    let both = builder.push("both", Op::Concat, &[fed, tanh]).unwrap();
    let graph = builder.finish(both, None).unwrap();
    assert_eq!(run(&graph, &[-1.0, 2.0]), [-1.0, 0.0, 2.0, 2.0]);
}
