//! Passes leave what a graph computes as it is.

mod support;

use ocelli_convert::arch::Arch;
use ocelli_convert::graph::{Clamp, Graph, GraphBuilder, Op, Shape, TensorId, Window};
use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::passes::canonicalize;
use ocelli_convert::{GraphError, PassError};
use support::{Numbers, relative_error};

fn outputs(graph: &Graph, input: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let mut embedding = Vec::new();
    let output = Interpreter::new(graph)
        .unwrap()
        .run(input, |id, values| {
            if Some(id) == graph.embedding {
                embedding = values.to_vec();
            }
        })
        .unwrap();
    (output, embedding)
}

fn assert_canonical_computes_the_same(graph: &Graph, input: &[f32], case: &str) -> Graph {
    let canonical = canonicalize(graph.clone()).unwrap();
    for node in &canonical.nodes {
        let kind = node.op.kind();
        assert!(!["batch_norm", "clamp"].contains(&kind), "{case}: {kind}");
    }
    let (before, before_embedding) = outputs(graph, input);
    let (after, after_embedding) = outputs(&canonical, input);
    let error = relative_error(&after, &before);
    assert!(error < 1e-4, "{case}: output off by {error}\n{graph}");
    if !before_embedding.is_empty() {
        let error = relative_error(&after_embedding, &before_embedding);
        assert!(error < 1e-4, "{case}: embedding off by {error}\n{graph}");
    }
    canonical
}

/// Any ops in any order, with branches; some of them read twice, one of them the embedding.
fn random_graph(numbers: &mut Numbers) -> Graph {
    let shape = Shape::new(6, 5, numbers.between(1, 9));
    let mut builder = GraphBuilder::new("random", shape);
    // Tensors by the order in which they were made, and those that nothing reads yet.
    let mut made = vec![builder.input()];
    let mut unread = vec![builder.input()];
    for number in 0..numbers.between(3, 12) {
        let from = made[made.len() - 1 - numbers.below(made.len().min(2))];
        let shape = builder.shape(from);
        let clamp = [Clamp::NONE, Clamp::NONE, Clamp::RELU6][numbers.below(3)];
        let window = Window::square(3, 1, 1);
        let c = shape.c;
        let op = match numbers.below(7) {
            0 | 1 => Op::BatchNorm {
                scale: numbers.values(c),
                shift: numbers.values(c),
            },
            2 => Op::Clamp([Clamp::RELU, Clamp::RELU6][numbers.below(2)]),
            3 => Op::Conv2d {
                window,
                weights: numbers.values(c * 9 * c),
                bias: numbers.values(c),
                clamp,
            },
            4 => Op::DepthwiseConv2d {
                window,
                depth_multiplier: 1,
                weights: numbers.values(9 * c),
                bias: numbers.values(c),
                clamp,
            },
            5 => Op::AveragePool { window, clamp },
            _ => Op::MaxPool { window, clamp },
        };
        let output = builder.push(format!("node{number}"), op, &[from]).unwrap();
        unread.retain(|&id| id != from);
        unread.push(output);
        made.push(output);
    }
    // Nothing may be made for nothing: what is left over is added up.
    let mut sum = unread[0];
    for (number, &other) in unread.iter().enumerate().skip(1) {
        let clamp = Clamp::NONE;
        let name = format!("sum{number}");
        sum = builder
            .push(name, Op::Add { clamp }, &[sum, other])
            .unwrap();
    }
    let pooled = builder.push("pool", Op::GlobalAveragePool, &[sum]).unwrap();
    let c = builder.shape(pooled).c;
    let dense = Op::Dense {
        weights: numbers.values(4 * c),
        bias: numbers.values(4),
        clamp: Clamp::NONE,
    };
    let logits = builder.push("dense", dense, &[pooled]).unwrap();
    let norm = Op::BatchNorm {
        scale: numbers.values(4),
        shift: numbers.values(4),
    };
    let output = builder.push("norm", norm, &[logits]).unwrap();
    let embedding = made[numbers.below(made.len())];
    builder.finish(output, Some(embedding)).unwrap()
}

#[test]
fn random_graphs_compute_the_same_before_and_after() {
    let mut numbers = Numbers(11);
    for case in 0..300 {
        let graph = random_graph(&mut numbers);
        let input = numbers.values(graph.input_shape().elems());
        assert_canonical_computes_the_same(&graph, &input, &format!("case {case}"));
    }
}

#[test]
fn a_random_mobilenet_computes_the_same_before_and_after() {
    let graph = Arch::parse("mobilenet_v2:0.35")
        .unwrap()
        .random(1, 48, 64, 10)
        .unwrap();
    let input = Numbers(3).values(graph.input_shape().elems());
    let canonical = assert_canonical_computes_the_same(&graph, &input, "mobilenet_v2:0.35");
    assert_eq!(canonical.nodes.len(), 64);
}

fn chain(shape: Shape, ops: Vec<Op>) -> Graph {
    let mut builder = GraphBuilder::new("chain", shape);
    let mut at = builder.input();
    for (number, op) in ops.into_iter().enumerate() {
        at = builder.push(format!("node{number}"), op, &[at]).unwrap();
    }
    builder.finish(at, None).unwrap()
}

fn point(weights: Vec<f32>, bias: Vec<f32>) -> Op {
    Op::Conv2d {
        window: Window::POINT,
        weights,
        bias,
        clamp: Clamp::NONE,
    }
}

#[test]
fn a_batch_norm_and_an_activation_disappear_into_the_convolution() {
    let norm = Op::BatchNorm {
        scale: vec![2.0, 3.0],
        shift: vec![0.5, -1.0],
    };
    let ops = vec![
        point(vec![1.0, 4.0], vec![1.0, 2.0]),
        norm,
        Op::Clamp(Clamp::RELU),
        Op::Clamp(Clamp::RELU6),
    ];
    let graph = canonicalize(chain(Shape::new(2, 2, 1), ops)).unwrap();
    assert_eq!(graph.nodes.len(), 1);
    assert_eq!(graph.tensors.len(), 2);
    assert_eq!(graph.nodes[0].name, "node0");
    assert_eq!(graph.tensors[1].name, "node3");
    // 2 * 1 + 0.5 and 3 * 2 - 1.
    let expected = Op::Conv2d {
        window: Window::POINT,
        weights: vec![2.0, 12.0],
        bias: vec![2.5, 5.0],
        clamp: Clamp::RELU6,
    };
    assert_eq!(graph.nodes[0].op, expected);
}

#[test]
fn what_another_reads_is_not_swallowed() {
    // The convolution's own output is the embedding: its activation stays a node of its own.
    let ops = vec![point(vec![1.0], vec![0.0]), Op::Clamp(Clamp::RELU)];
    let mut graph = chain(Shape::new(2, 2, 1), ops);
    graph.embedding = Some(TensorId(1));
    let graph = canonicalize(graph).unwrap();
    let kinds: Vec<&str> = graph.nodes.iter().map(|node| node.op.kind()).collect();
    assert_eq!(kinds, ["conv2d", "max_pool"]);
    assert_eq!(graph.embedding, Some(TensorId(1)));
}

#[test]
fn a_batch_norm_with_nothing_before_it_becomes_a_depthwise_convolution() {
    let norm = Op::BatchNorm {
        scale: vec![2.0],
        shift: vec![1.0],
    };
    let graph = chain(Shape::new(2, 2, 1), vec![norm, Op::Clamp(Clamp::RELU)]);
    let graph = canonicalize(graph).unwrap();
    assert_eq!(graph.nodes.len(), 1);
    assert_eq!(graph.nodes[0].op.kind(), "depthwise_conv2d");
    assert_eq!(graph.nodes[0].op.clamp(), Some(Clamp::RELU));
}

#[test]
fn a_broken_graph_is_refused_before_the_first_pass() {
    let mut graph = chain(Shape::new(2, 2, 1), vec![Op::Clamp(Clamp::RELU)]);
    graph.output = TensorId(5);
    let expected = PassError {
        pass: "import",
        source: GraphError::NoSuchTensor {
            role: "output",
            tensor: 5,
        },
    };
    assert_eq!(canonicalize(graph), Err(expected));
}
