//! Graphs: shapes, counts, and each fault that verification finds.

use ocelli_convert::GraphError;
use ocelli_convert::graph::{
    Clamp, Graph, GraphBuilder, Node, Op, Padding, Shape, Tensor, TensorId, Window,
};

fn conv(window: Window, in_channels: usize, out_channels: usize) -> Op {
    Op::Conv2d {
        window,
        weights: vec![0.0; out_channels * window.taps() * in_channels],
        bias: vec![0.0; out_channels],
        clamp: Clamp::NONE,
    }
}

/// input 5x7x3 -> conv -> pool -> dense, and an addition of the pool to itself.
fn small() -> Graph {
    let mut builder = GraphBuilder::new("small", Shape::new(5, 7, 3));
    let input = builder.input();
    let window = Window::square(3, 2, 1);
    let at = builder.push("conv", conv(window, 3, 4), &[input]).unwrap();
    let at = builder.push("pool", Op::GlobalAveragePool, &[at]).unwrap();
    let sum = builder
        .push("sum", Op::Add { clamp: Clamp::RELU }, &[at, at])
        .unwrap();
    let dense = Op::Dense {
        weights: vec![0.0; 8],
        bias: vec![0.0; 2],
        clamp: Clamp::NONE,
    };
    let output = builder.push("dense", dense, &[sum]).unwrap();
    builder.finish(output, Some(sum)).unwrap()
}

#[test]
fn shapes_and_macs_follow_from_the_ops() {
    let graph = small();
    assert_eq!(graph.shape(TensorId(1)), Shape::new(3, 4, 4));
    assert_eq!(graph.output_shape(), Shape::new(1, 1, 2));
    // 3 * 4 * 4 outputs of 3 * 3 * 3 products, and 2 of 4.
    assert_eq!(graph.macs(), 48 * 27 + 8);
    assert_eq!(graph.readers(TensorId(2)), 2);
    let printed = graph.to_string();
    assert!(
        printed.contains("conv: conv2d of input 5x7x3 -> 3x4x4 (1296 MACs)"),
        "{printed}"
    );
}

#[test]
fn windows_cover_every_geometry() {
    let cases = [
        // filter, stride, dilation, padding before and after, input -> output
        (3, 1, 1, (1, 1), 7, 7),
        (3, 2, 1, (1, 1), 7, 4),
        (3, 2, 1, (0, 1), 8, 4),
        (3, 1, 2, (0, 0), 7, 3),
        (5, 3, 1, (2, 2), 1, 1),
        (2, 2, 1, (0, 0), 5, 2),
    ];
    for (filter, stride, dilation, (before, after), side, expected) in cases {
        let window = Window {
            dilation_h: dilation,
            dilation_w: dilation,
            padding: Padding {
                top: before,
                bottom: after,
                left: before,
                right: after,
            },
            ..Window::square(filter, stride, 0)
        };
        let mut builder = GraphBuilder::new("window", Shape::new(side, side, 2));
        let input = builder.input();
        let output = builder.push("conv", conv(window, 2, 1), &[input]).unwrap();
        assert_eq!(builder.shape(output), Shape::new(expected, expected, 1));
    }
}

#[test]
fn ops_that_do_not_fit_their_input_are_refused() {
    let huge = Window {
        dilation_h: usize::MAX,
        ..Window::square(3, 1, 0)
    };
    let pool = |window| Op::AveragePool {
        window,
        clamp: Clamp::NONE,
    };
    let short = Op::Dense {
        weights: vec![0.0; 5],
        bias: vec![0.0; 1],
        clamp: Clamp::NONE,
    };
    let upside_down = Op::Clamp(Clamp { min: 1.0, max: 0.0 });
    let not_a_number = Op::Clamp(Clamp {
        min: f32::NAN,
        max: 0.0,
    });
    let cases = [
        (
            conv(Window::square(9, 1, 0), 2, 1),
            "larger than the padded",
        ),
        (conv(Window::square(3, 0, 1), 2, 1), "at least 1"),
        (
            conv(Window::POINT, 3, 1),
            "weights has 3 values, expected 2",
        ),
        (conv(Window::POINT, 2, 0), "each side must be 1 to 65535"),
        (
            Op::Conv2d {
                window: huge,
                weights: vec![],
                bias: vec![],
                clamp: Clamp::NONE,
            },
            "below 65536",
        ),
        (pool(Window::square(2, 1, 2)), "smaller than the window"),
        (
            pool(Window {
                dilation_h: 2,
                ..Window::square(2, 1, 0)
            }),
            "no dilation",
        ),
        (short, "expected 32"),
        (upside_down, "minimum is above"),
        (not_a_number, "minimum is above"),
        (Op::Softmax { beta: f32::NAN }, "beta"),
        (
            Op::Pad {
                padding: Padding::same(40_000),
            },
            "each side must be 1 to 65535",
        ),
        (
            Op::DepthwiseConv2d {
                window: Window::POINT,
                depth_multiplier: 0,
                weights: vec![],
                bias: vec![],
                clamp: Clamp::NONE,
            },
            "each side must be 1 to 65535",
        ),
        (
            Op::BatchNorm {
                scale: vec![1.0; 2],
                shift: vec![0.0; 1],
            },
            "shift has 1 values, expected 2",
        ),
        (Op::Add { clamp: Clamp::NONE }, "takes 2 input(s), got 1"),
    ];
    for (op, says) in cases {
        let mut builder = GraphBuilder::new("bad", Shape::new(4, 4, 2));
        let input = builder.input();
        let error = builder.push("node", op, &[input]).unwrap_err().to_string();
        assert!(error.contains("`node`") && error.contains(says), "{error}");
    }
    let mut builder = GraphBuilder::new("bad", Shape::new(4, 4, 2));
    let input = builder.input();
    let pooled = builder
        .push("pool", Op::GlobalAveragePool, &[input])
        .unwrap();
    let error = builder
        .push("add", Op::Add { clamp: Clamp::NONE }, &[input, pooled])
        .unwrap_err();
    assert!(error.to_string().contains("differ in shape"), "{error}");
}

/// One fault put into a sound graph, and whether an error is that fault's.
type Fault = (fn(&mut Graph), fn(&GraphError) -> bool);

#[test]
fn each_fault_of_a_graph_has_its_own_error() {
    let faults: [Fault; 9] = [
        (
            |graph| graph.output = TensorId(99),
            |error| matches!(error, GraphError::NoSuchTensor { role: "output", .. }),
        ),
        (
            |graph| graph.embedding = Some(TensorId(99)),
            |error| {
                matches!(
                    error,
                    GraphError::NoSuchTensor {
                        role: "embedding",
                        ..
                    }
                )
            },
        ),
        (
            |graph| graph.nodes[1].output = TensorId(99),
            |error| {
                matches!(
                    error,
                    GraphError::NoSuchTensor {
                        role: "node output",
                        ..
                    }
                )
            },
        ),
        (
            |graph| graph.nodes.swap(0, 1),
            |error| matches!(error, GraphError::NotMade { tensor: 1, .. }),
        ),
        (
            |graph| graph.tensors[1].shape.h = 4,
            |error| matches!(error, GraphError::OutputShape { .. }),
        ),
        (
            |graph| {
                let again = Node {
                    name: "again".into(),
                    ..graph.nodes[1].clone()
                };
                graph.nodes.push(again);
            },
            |error| matches!(error, GraphError::MadeTimes { times: 2, .. }),
        ),
        (
            |graph| {
                graph.tensors.push(Tensor {
                    name: "loose".into(),
                    shape: Shape::new(1, 1, 1),
                });
            },
            |error| matches!(error, GraphError::MadeTimes { times: 0, .. }),
        ),
        (
            |graph| {
                graph.output = TensorId(3);
                graph.embedding = None;
            },
            |error| matches!(error, GraphError::Unused { tensor } if tensor == "dense"),
        ),
        (
            |graph| graph.nodes[2].name = "conv".into(),
            |error| matches!(error, GraphError::NameTwice { name } if name == "conv"),
        ),
    ];
    for (number, (damage, is_expected)) in faults.iter().enumerate() {
        let mut graph = small();
        graph.verify().unwrap();
        damage(&mut graph);
        let error = graph.verify().unwrap_err();
        assert!(is_expected(&error), "fault {number}: {error}");
    }
}

#[test]
fn clamps_compose_like_functions() {
    let clamps = [
        Clamp::NONE,
        Clamp::RELU,
        Clamp::RELU6,
        Clamp {
            min: -3.0,
            max: -1.0,
        },
        Clamp { min: 7.0, max: 8.0 },
    ];
    for first in clamps {
        for second in clamps {
            for x in [-9.0, -2.0, 0.0, 3.0, 6.5, 7.5, 100.0] {
                let both = first.then(second).apply(x);
                assert_eq!(
                    both,
                    second.apply(first.apply(x)),
                    "{first:?} {second:?} {x}"
                );
            }
        }
    }
}
