//! The ONNX file of a quantized network: ONNX Runtime has run it, and what it found is what the device finds.

mod support;

use std::path::PathBuf;

use ocelli::{KernelTable, Observer, Session};
use ocelli_convert::calibrate::{RangeMethod, calibrate};
use ocelli_convert::compare::{Arena, first_largest};
use ocelli_convert::emit_onnx::emit;
use ocelli_convert::graph::{
    Clamp, Graph, GraphBuilder, Op, Padding, Shape, TensorId, Unary, Window,
};
use ocelli_convert::grid::{Grid, GridOptions};
use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::network::Network;
use ocelli_convert::onnx;
use ocelli_convert::passes::canonicalize;
use ocelli_convert::plan::{PlanKind, plan};
use ocelli_convert::quantize::quantize;
use ocelli_image::Model;
use serde::Deserialize;

/// What `qdq.py` wrote.
#[derive(Deserialize)]
struct Golden {
    /// Codes of the last layer before the softmax, for each image, as ONNX Runtime makes them: operators by themselves,
    /// and joined to those on codes.
    plain: Vec<Vec<i8>>,
    joined: Vec<Vec<i8>>,
    /// For the first images, what each operator by itself makes of the codes that the device makes before it, in rows,
    /// columns and channels.
    each: Vec<Vec<Vec<i8>>>,
}

const IMAGES: usize = 32;
const INPUT: Shape = Shape::new(12, 11, 3);

/// Between -2 and 2, each image in another pattern.
fn image(image: usize) -> Vec<f32> {
    let period = 7 + 5 * image;
    let value = |at: usize| (at * (2 * image + 3) % period) as f32 / period as f32 * 4.0 - 2.0;
    (0..INPUT.elems()).map(value).collect()
}

/// Puts layers behind each other.
struct Net {
    builder: GraphBuilder,
    numbers: support::Numbers,
}

impl Net {
    fn push(&mut self, name: &str, op: Op, inputs: &[TensorId]) -> TensorId {
        self.builder.push(name, op, inputs).expect("a sound op")
    }

    fn weights(&mut self, count: usize, inputs: usize) -> Vec<f32> {
        let unit = 1.7 / (inputs as f32).sqrt();
        let values = self.numbers.values(count);
        values.into_iter().map(|value| value * unit).collect()
    }

    fn biases(&mut self, count: usize) -> Vec<f32> {
        let values = self.numbers.values(count);
        values.into_iter().map(|value| value * 0.3).collect()
    }

    /// An activation with a name of its own, as networks come; the passes fuse it.
    fn clamped(&mut self, from: TensorId, name: &str, clamp: Clamp) -> TensorId {
        match clamp {
            Clamp::NONE => from,
            _ => self.push(&format!("{name}_clamp"), Op::Clamp(clamp), &[from]),
        }
    }

    fn conv(
        &mut self,
        name: &str,
        from: TensorId,
        out: usize,
        window: Window,
        clamp: Clamp,
    ) -> TensorId {
        let inputs = self.builder.shape(from).c * window.taps();
        let op = Op::Conv2d {
            window,
            weights: self.weights(out * inputs, inputs),
            bias: self.biases(out),
            clamp: Clamp::NONE,
        };
        let made = self.push(name, op, &[from]);
        self.clamped(made, name, clamp)
    }

    fn depthwise(
        &mut self,
        name: &str,
        from: TensorId,
        multiplier: usize,
        window: Window,
    ) -> TensorId {
        let channels = self.builder.shape(from).c * multiplier;
        let op = Op::DepthwiseConv2d {
            window,
            depth_multiplier: multiplier,
            weights: self.weights(window.taps() * channels, window.taps()),
            bias: self.biases(channels),
            clamp: Clamp::NONE,
        };
        let made = self.push(name, op, &[from]);
        self.clamped(made, name, Clamp::RELU)
    }

    fn dense(&mut self, name: &str, from: TensorId, out: usize) -> TensorId {
        let inputs = self.builder.shape(from).elems();
        let op = Op::Dense {
            weights: self.weights(out * inputs, inputs),
            bias: self.biases(out),
            clamp: Clamp::NONE,
        };
        self.push(name, op, &[from])
    }

    fn unary(&mut self, name: &str, from: TensorId, function: Unary) -> TensorId {
        self.push(name, Op::Unary(function), &[from])
    }
}

/// Every op that devices have, every function, every way in which maps and vectors meet.
fn network() -> Graph {
    let mut net = Net {
        builder: GraphBuilder::new("every op", INPUT),
        numbers: support::Numbers(7),
    };
    let odd = Padding {
        top: 0,
        bottom: 1,
        left: 1,
        right: 2,
    };
    let window = |filter, stride, padding| Window::square(filter, stride, padding);
    let none = Clamp::NONE;
    let stem = Window {
        padding: odd,
        ..window(3, 2, 0)
    };
    let input = net.builder.input();
    let x = net.conv("stem", input, 6, stem, Clamp::RELU6);
    let dilated = Window {
        dilation_w: 2,
        padding: Padding {
            left: 3,
            right: 3,
            ..Padding::same(2)
        },
        ..window(3, 1, 0)
    };
    let deep = net.depthwise("depthwise", x, 2, dilated);
    let deep = net.unary("silu", deep, Unary::Silu);
    // Squeeze and excite, its middle a vector.
    let squeezed = net.push("squeeze", Op::GlobalAveragePool, &[deep]);
    let squeezed = net.dense("reduce", squeezed, 4);
    let squeezed = net.unary("hard_swish", squeezed, Unary::HardSwish);
    let gate = net.dense("expand", squeezed, 12);
    let (alpha, beta) = (1.0 / 6.0, 0.5);
    let gate = net.unary("hard_sigmoid", gate, Unary::HardSigmoid { alpha, beta });
    let excited = net.push("excite", Op::Multiply { clamp: none }, &[deep, gate]);
    let pooled = Op::MaxPool {
        window: window(3, 1, 0),
        clamp: none,
    };
    let pooled = net.push("max_pool", pooled, &[excited]);
    let projected = net.conv("pointwise", pooled, 6, Window::POINT, none);
    let ends = Clamp {
        min: -1.5,
        max: 4.0,
    };
    let sum = net.push("add", Op::Add { clamp: none }, &[x, projected]);
    let sum = net.clamped(sum, "add", ends);
    let norm = Op::LayerNorm {
        scale: net.weights(6, 2),
        shift: net.numbers.values(6),
        epsilon: 1e-3,
    };
    let x = net.push("layer_norm", norm, &[sum]);
    let wide = net.conv("widen", x, 8, Window::POINT, none);
    let gelu = net.unary("gelu", wide, Unary::Gelu);
    let tanh = net.unary("gelu_tanh", wide, Unary::GeluTanh);
    let both = net.push("product", Op::Multiply { clamp: none }, &[gelu, tanh]);
    let both = net.clamped(both, "product", Clamp::RELU);
    let x = net.push("concat", Op::Concat, &[x, both]);
    let padded = net.push("pad", Op::Pad { padding: odd }, &[x]);
    let average = Op::AveragePool {
        window: window(3, 2, 1),
        clamp: none,
    };
    let x = net.push("average_pool", average, &[padded]);
    let x = net.clamped(x, "average_pool", Clamp::RELU);
    let x = net.conv("last", x, 5, window(2, 1, 0), none);
    let x = net.unary("leaky_relu", x, Unary::LeakyRelu { alpha: 0.1 });
    let a = net.dense("dense", x, 9);
    let elu = net.unary("elu", a, Unary::Elu { alpha: 1.0 });
    let tanh = net.unary("tanh", a, Unary::Tanh);
    let sigmoid = net.unary("sigmoid", a, Unary::Sigmoid);
    let gated = net.push("gated", Op::Multiply { clamp: none }, &[elu, sigmoid]);
    let sum = net.push("vector_add", Op::Add { clamp: none }, &[gated, tanh]);
    let norm = Op::LayerNorm {
        scale: vec![1.0; 9],
        shift: vec![0.0; 9],
        epsilon: 0.1,
    };
    let sum = net.push("vector_norm", norm, &[sum]);
    let logits = net.dense("logits", sum, 10);
    let output = net.push("probabilities", Op::Softmax { beta: 0.5 }, &[logits]);
    let graph = net.builder.finish(output, Some(sum));
    canonicalize(graph.expect("a sound graph")).expect("passes that keep it sound")
}

/// The codes that the committed file prescribes; without it (to make it anew) those that calibration finds.
fn grid(graph: &Graph) -> Grid {
    if let Ok(imported) = onnx::import(&support::reference("qdq.onnx")) {
        let prescribed = imported.quantization.expect("a file in QDQ form");
        // What is forced into the codes' range is read as an op of its own, named like the rounding.
        let made = |name: &str| name.trim_end_matches("/quantize").to_string();
        let tensors = prescribed.tensors.iter();
        let tensors = tensors.map(|(name, codes)| (made(name), *codes)).collect();
        return Grid::prescribed(graph, &tensors, &prescribed.weights).expect("scales of all");
    }
    let images: Vec<_> = (0..8).map(|at| move || image(at)).collect();
    let interpreter = Interpreter::new(graph).expect("a sound graph");
    let calibration = calibrate(&interpreter, graph, &images, || ()).expect("inputs that fit");
    let options = GridOptions {
        range: RangeMethod::MinMax,
        ..GridOptions::default()
    };
    Grid::choose(graph, &calibration, (-2.0, 2.0), options)
}

/// What each op of the model makes of an image: codes in rows, columns and channels.
fn run(model: &Model, grid: &Grid, graph: &Graph, image: &[f32]) -> Vec<Vec<i8>> {
    struct Tensors(Vec<Vec<i8>>);
    impl Observer for Tensors {
        fn rows(&mut self, op: usize, _first_row: usize, rows: &[i8]) {
            self.0[op].extend(rows);
        }
    }
    let model = plan(model.clone(), PlanKind::Layers).expect("a sound plan");
    let buffer = model.encode().expect("a valid model");
    let parsed = buffer.parse().expect("a valid image");
    let (kernels, mut arena) = (KernelTable::all(), Arena::new(&parsed));
    let mut session = Session::new(&parsed, arena.bytes(), &kernels).expect("a plan that works");
    let codes = grid.tensor(graph.input);
    let image: Vec<i8> = image.iter().map(|&value| codes.code(value)).collect();
    let mut tensors = Tensors(vec![vec![]; model.ops.len()]);
    session
        .run_codes(&image, &mut tensors)
        .expect("an input that fits");
    tensors.0
}

/// A place for what the script reads.
fn scratch(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn first(codes: &[i8]) -> Option<usize> {
    let values: Vec<f32> = codes.iter().map(|&code| f32::from(code)).collect();
    first_largest(&values)
}

fn largest_difference(ours: &[i8], theirs: &[i8]) -> u8 {
    assert_eq!(ours.len(), theirs.len());
    let pairs = ours.iter().zip(theirs);
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn the_onnx_file_of_every_op_is_the_one_that_onnx_runtime_has_run() {
    let graph = network();
    let model = quantize(&graph, &grid(&graph)).expect("a canonical graph");
    let bytes = emit(&graph, &model).expect("a canonical graph");
    let made = scratch("qdq.onnx");
    std::fs::write(&made, &bytes).expect("a folder for temporary files");
    let committed = std::fs::read(support::reference("qdq.onnx")).unwrap_or_default();
    assert!(
        bytes == committed,
        "the file differs from tests/reference/qdq.onnx; the new one is {}",
        made.display()
    );
}

#[test]
fn onnx_runtime_finds_what_the_device_finds() {
    let graph = network();
    let grid = grid(&graph);
    let model = quantize(&graph, &grid).expect("a canonical graph");
    let ours: Vec<Vec<Vec<i8>>> = (0..IMAGES)
        .map(|at| run(&model, &grid, &graph, &image(at)))
        .collect();
    let made = scratch("qdq_tensors.json");
    let text = serde_json::to_string(&ours).expect("numbers");
    std::fs::write(&made, text).expect("a folder for temporary files");
    let golden = std::fs::read_to_string(support::reference("qdq.json")).expect("a golden file");
    let golden: Golden = serde_json::from_str(&golden).expect("what qdq.py writes");

    // From the same codes, every op makes the same ones but for rounding: ONNX sends halves to even codes.
    assert_eq!(golden.each.len(), 2);
    for (ours, theirs) in ours.iter().zip(&golden.each) {
        assert_eq!(theirs.len(), graph.nodes.len());
        for ((node, ours), theirs) in graph.nodes.iter().zip(ours).zip(theirs) {
            assert!(largest_difference(ours, theirs) <= 1, "{}", node.name);
        }
    }
    // Through the whole network such differences grow, the more so as its weights are no trained ones.
    let logits = graph.nodes.len() - 2;
    for theirs in [&golden.plain, &golden.joined] {
        assert_eq!(theirs.len(), IMAGES);
        let pairs = || ours.iter().map(|ours| &ours[logits]).zip(theirs);
        let agreeing = pairs().filter(|(ours, theirs)| first(ours) == first(theirs));
        assert!(agreeing.count() >= IMAGES - 2);
        let largest = pairs().map(|(ours, theirs)| largest_difference(ours, theirs));
        assert!(largest.max() <= Some(6));
    }
}

#[test]
fn what_is_written_is_read_as_a_network_with_the_same_codes() {
    let graph = network();
    let grid = grid(&graph);
    let model = quantize(&graph, &grid).expect("a canonical graph");
    let file = scratch("qdq_again.onnx");
    let bytes = emit(&graph, &model).expect("a canonical graph");
    std::fs::write(&file, bytes).expect("a folder for temporary files");
    let Ok(Network::Int8(again)) = Network::load(&file, None, None, None) else {
        panic!("a network with codes");
    };
    for at in 0..IMAGES {
        let [ours, theirs] = [&model, &again].map(|model| run(model, &grid, &graph, &image(at)));
        assert_eq!(ours.last(), theirs.last(), "image {at}");
    }
}
