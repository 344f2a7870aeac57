//! What ONNX files become, and what is refused.

#[path = "support/onnx_network.rs"]
mod network;
#[path = "support/protobuf.rs"]
mod protobuf;
mod support;

use std::path::Path;

use network::{Network, floats, info, int, ints, node, raw};
use ocelli_convert::graph::{Clamp, Graph, Op, Padding, Unary};
use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::onnx::{self, Imported};
use ocelli_convert::passes::canonicalize;
use protobuf::{field, int_field};

fn kinds(graph: &Graph) -> Vec<&'static str> {
    graph.nodes.iter().map(|node| node.op.kind()).collect()
}

fn run(imported: &Imported, input: &[f32]) -> Vec<f32> {
    let input = imported.input.to_graph(input);
    let interpreter = Interpreter::new(&imported.graph).unwrap();
    let output = interpreter.run(&input, |_, _| {}).unwrap();
    imported.output.from_graph(&output)
}

#[test]
fn a_function_is_one_op_however_it_is_spelled() {
    let net = || Network::new(&[1, 3, 4, 4]);
    let spelled = net()
        .scalar("three", 3.0)
        .scalar("zero", 0.0)
        .scalar("six", 6.0)
        .node("Add", &["x", "three"], "a", &[])
        .node("Clip", &["a", "zero", "six"], "b", &[])
        .node("Mul", &["b", "x"], "c", &[])
        .node("Div", &["c", "six"], "y", &[]);
    assert_eq!(spelled.ops(), [Op::Unary(Unary::HardSwish)]);
    let silu = net()
        .node("Sigmoid", &["x"], "a", &[])
        .node("Mul", &["x", "a"], "y", &[]);
    assert_eq!(silu.ops(), [Op::Unary(Unary::Silu)]);
    let gelu = net()
        .scalar("root", std::f32::consts::SQRT_2)
        .scalar("one", 1.0)
        .scalar("half", 0.5)
        .node("Div", &["x", "root"], "a", &[])
        .node("Erf", &["a"], "b", &[])
        .node("Add", &["b", "one"], "c", &[])
        .node("Mul", &["x", "c"], "d", &[])
        .node("Mul", &["d", "half"], "y", &[]);
    assert_eq!(gelu.ops(), [Op::Unary(Unary::Gelu)]);
}

#[test]
fn a_chain_that_is_no_single_function_becomes_several_ops() {
    let net = Network::new(&[1, 3, 4, 4])
        .scalar("two", 2.0)
        .node("Tanh", &["x"], "a", &[])
        .node("Mul", &["a", "two"], "b", &[])
        .node("Mul", &["b", "x"], "y", &[]);
    let imported = net.import().unwrap();
    assert_eq!(kinds(&imported.graph), ["tanh", "batch_norm", "multiply"]);
    let input: Vec<f32> = (0..48).map(|i| i as f32 / 10.0 - 2.0).collect();
    for (x, y) in input.iter().zip(run(&imported, &input)) {
        assert!((y - 2.0 * x.tanh() * x).abs() < 1e-5);
    }
}

#[test]
fn a_flattened_map_meets_weights_in_its_own_order() {
    // One row of weights, which picks channel 1 at row 0, column 2 of a map of 2 channels, 2 rows, 3 columns.
    let mut row = [0.0; 12];
    row[6 + 2] = 1.0;
    let net = Network::new(&[1, 2, 2, 3])
        .tensor(floats("w", &[1, 12], &row))
        .list("shape", &[0, -1])
        .node("Reshape", &["x", "shape"], "flat", &[])
        .node("Gemm", &["flat", "w"], "y", &[int("transB", 1)]);
    let imported = net.import().unwrap();
    let Op::Dense { weights, .. } = &imported.graph.nodes[0].op else {
        panic!("{}", imported.graph);
    };
    // Rows, columns, channels: 2 columns on, and the second channel.
    assert_eq!(weights.iter().position(|&weight| weight == 1.0), Some(5));
    let input: Vec<f32> = (0..12).map(|i| i as f32).collect();
    assert_eq!(run(&imported, &input), [8.0]);
    assert_eq!(imported.graph.embedding, Some(imported.graph.input));
}

#[test]
fn a_spelled_out_layer_norm_is_the_one_op_with_its_scale() {
    let read = |name| {
        let path = support::reference("onnx_models").join(name);
        canonicalize(onnx::import(&path).unwrap().graph).unwrap()
    };
    let spelled = read("convnext_spelled_out.onnx");
    assert_eq!(kinds(&spelled), kinds(&read("convnext.onnx")));
    assert!(kinds(&spelled).contains(&"layer_norm"));
}

#[test]
fn computed_padding_becomes_the_convolutions_own() {
    let path = support::reference("onnx_models/plain.onnx");
    let graph = canonicalize(onnx::import(&path).unwrap().graph).unwrap();
    let Op::Conv2d { window, .. } = &graph.nodes[0].op else {
        panic!("{graph}");
    };
    let (top, left) = (0, 0);
    let (bottom, right) = (1, 1);
    let padding = Padding {
        top,
        bottom,
        left,
        right,
    };
    assert_eq!(window.padding, padding);
}

#[test]
fn quantized_networks_keep_their_scales() {
    // One channel of 1x1: x in codes of 0.5 around 10, weights 2 and -3 in steps of 0.25 and 0.125.
    let net = |zero: u8| {
        Network::new(&[1, 1, 2, 2])
            .scalar("xs", 0.5)
            .tensor(raw("xz", &[], 2, &[zero]))
            .tensor(raw("w8", &[2, 1, 1, 1], 3, &[8, 0u8.wrapping_sub(24)]))
            .tensor(floats("ws", &[2], &[0.25, 0.125]))
            .tensor(raw("wz", &[2], 3, &[0, 0]))
            .scalar("ys", 0.75)
            .tensor(raw("yz", &[], 3, &[0u8.wrapping_sub(128)]))
            .node("QuantizeLinear", &["x", "xs", "xz"], "xq", &[])
            .node("DequantizeLinear", &["xq", "xs", "xz"], "xd", &[])
            .node(
                "DequantizeLinear",
                &["w8", "ws", "wz"],
                "w",
                &[int("axis", 0)],
            )
            .node("Conv", &["xd", "w"], "c", &[])
            .node("QuantizeLinear", &["c", "ys", "yz"], "cq", &[])
            .node("DequantizeLinear", &["cq", "ys", "yz"], "y", &[])
    };
    let imported = net(10).import().unwrap();
    let fixed = imported.quantization.unwrap();
    assert_eq!(fixed.weights["the Conv"], [0.25, 0.125]);
    let graph = canonicalize(imported.graph).unwrap();
    let [node] = &graph.nodes[..] else {
        panic!("{graph}");
    };
    let Op::Conv2d { weights, clamp, .. } = &node.op else {
        panic!("{graph}");
    };
    assert_eq!(weights, &[2.0, -3.0]);
    // Codes from -128 on, where zero is: a ReLU that the file does not spell.
    let (min, max) = (0.0, 255.0 * 0.75);
    assert_eq!(*clamp, Clamp { min, max });
    let of = |id| fixed.tensors[&graph.tensor(id).name];
    let (input, output) = (of(graph.input), of(graph.output));
    // Codes of uint8 are 128 more than those of int8.
    assert_eq!((input.scale, input.zero_point), (0.5, -118));
    assert_eq!((output.scale, output.zero_point), (0.75, -128));
}

#[test]
fn codes_change_where_a_file_changes_scales_in_ops_that_keep_codes() {
    let zero = || raw("z", &[], 3, &[0]);
    let through = |net: Network, scale: &str, from: &str, to: &str| {
        let codes = format!("{to} codes");
        net.node("QuantizeLinear", &[from, scale, "z"], &codes, &[])
            .node("DequantizeLinear", &[&codes, scale, "z"], to, &[])
    };
    let mut net = Network::new(&[1, 2, 4, 4])
        .tensor(zero())
        .scalar("s1", 0.5)
        .scalar("s2", 0.25)
        .scalar("s3", 1.0);
    net = through(net, "s1", "x", "xd");
    net = through(net.node("Tanh", &["xd"], "t", &[]), "s2", "t", "td");
    let axis = int("axis", 1);
    net = through(
        net.node("Concat", &["xd", "td"], "c", &[axis]),
        "s1",
        "c",
        "cd",
    );
    let sides = [ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
    net = through(
        net.node("AveragePool", &["cd"], "p", &sides),
        "s3",
        "p",
        "y",
    );
    let imported = net.import().unwrap();
    let mut fixed = imported.quantization.clone().unwrap();
    let graph = canonicalize(imported.graph.clone()).unwrap();
    let settled = fixed.settle(graph.clone());
    settled.verify().unwrap();
    let change = "depthwise_conv2d";
    // One input of the concatenation has its scale already.
    assert_eq!(
        kinds(&settled),
        ["tanh", change, "concat", "average_pool", change]
    );
    let scales: Vec<f32> = settled
        .nodes
        .iter()
        .map(|node| fixed.tensors[&settled.tensor(node.output).name].scale)
        .collect();
    assert_eq!(scales, [0.25, 0.5, 0.5, 0.5, 1.0]);
    let input: Vec<f32> = (0..32).map(|i| i as f32 / 8.0 - 2.0).collect();
    let output = |graph| Interpreter::new(graph).unwrap().run(&input, |_, _| {});
    assert_eq!(output(&settled), output(&graph));
}

#[test]
fn quantization_that_a_device_has_not_is_refused() {
    let net = |scales: &[f32], kind, zero: &[u8]| {
        Network::new(&[1, 2, 2, 2])
            .tensor(floats("s", &[scales.len()], scales))
            .tensor(raw("z", &[scales.len()], kind, zero))
            .node("QuantizeLinear", &["x", "s", "z"], "q", &[int("axis", 1)])
            .node("DequantizeLinear", &["q", "s", "z"], "y", &[int("axis", 1)])
            .refusal()
    };
    let why = net(&[0.5, 0.5], 3, &[0, 0]);
    assert!(why.contains("per tensor"), "{why}");
    let why = net(&[0.5], 4, &[0, 0]);
    assert!(why.contains("int8 and uint8"), "{why}");
    let why = net(&[0.0], 3, &[0]);
    assert!(why.contains("scale 0"), "{why}");
    let why = Network::new(&[1, 2, 2, 2])
        .scalar("s", 0.5)
        .node("QuantizeLinear", &["x", "s"], "y", &[])
        .refusal();
    assert!(why.contains("without DequantizeLinear"), "{why}");
}

#[test]
fn refusals_name_file_node_operator_and_what_to_do() {
    let net = || Network::new(&[1, 3, 8, 8]);
    let weights = || floats("w", &[4, 3, 3, 3], &[0.5; 108]);
    let cases: Vec<(&str, Network, &[&str])> = vec![
        (
            "an unknown operator",
            net().node("Einsum", &["x"], "y", &[]),
            &[
                "net.onnx: node `the Einsum` (Einsum) is not supported",
                "export",
            ],
        ),
        (
            "an operator of another domain",
            {
                let node = [
                    node("FusedConv", &["x"], "y", &[]),
                    field(7, b"com.microsoft"),
                ];
                let mut net = net();
                net.graph.extend(field(1, &node.concat()));
                net
            },
            &["(FusedConv) is an operator of `com.microsoft`", "QDQ"],
        ),
        (
            "control flow",
            {
                // A subgraph in an attribute.
                let body = [field(1, b"body"), field(6, b""), int_field(20, 5)].concat();
                net().node("Loop", &["x"], "y", &[body])
            },
            &["(Loop) is not supported"],
        ),
        (
            "an unknown attribute",
            net()
                .tensor(weights())
                .node("Conv", &["x", "w"], "y", &[int("winograd", 1)]),
            &[
                "node `the Conv` (Conv) has an attribute `winograd`",
                "strides",
            ],
        ),
        (
            "a group that is neither",
            Network::new(&[1, 6, 8, 8]).tensor(weights()).node(
                "Conv",
                &["x", "w"],
                "y",
                &[int("group", 2)],
            ),
            &["(Conv) attribute `group` is 2 for 6 channels"],
        ),
        (
            "one dimension",
            Network::new(&[1, 3, 8])
                .tensor(floats("w", &[4, 3, 3], &[0.5; 36]))
                .node("Conv", &["x", "w"], "y", &[]),
            &["only convolutions of two dimensions"],
        ),
        (
            "an open side",
            Network::new(&[0, 3, 0, 8]).node("Relu", &["x"], "y", &[]),
            &[
                "dimension 2 of the input `x` is open (`open`)",
                "fixed input size",
            ],
        ),
        (
            "a batch",
            Network::new(&[8, 3, 8, 8])
                .tensor(weights())
                .node("Conv", &["x", "w"], "y", &[]),
            &["(Conv) runs a batch of 8", "batch of 1"],
        ),
        (
            "two inputs",
            {
                let mut net = net().node("Add", &["x", "z"], "y", &[]);
                net.graph.extend(field(11, &info("z", &[1, 3, 8, 8])));
                net
            },
            &["net.onnx: 2 inputs (x, z)"],
        ),
        (
            "weights that are not finite",
            net()
                .tensor(floats("w", &[1, 3, 1, 1], &[0.5, f32::NAN, 1.0]))
                .node("Conv", &["x", "w"], "y", &[]),
            &["node `the Conv` (Conv) has NaN among its weights"],
        ),
        (
            "weights that are computed",
            net().node("Conv", &["x", "x"], "y", &[]),
            &["computes its input 1 (`x`)"],
        ),
        (
            "weights of texts",
            net()
                .tensor(
                    [
                        int_field(1, 1),
                        int_field(2, 8),
                        field(8, b"w"),
                        field(6, b"hi"),
                    ]
                    .concat(),
                )
                .node("Add", &["x", "w"], "y", &[]),
            &["constant `w` holds texts"],
        ),
        (
            "sparse weights",
            {
                let mut net = net().node("Relu", &["x"], "y", &[]);
                net.graph.extend(field(15, b""));
                net
            },
            &["sparse weights"],
        ),
        (
            "too few weights",
            net().tensor(floats("w", &[4, 3, 3, 3], &[0.5; 107])).node(
                "Conv",
                &["x", "w"],
                "y",
                &[],
            ),
            &["constant `w` has 107 elements", "cut short"],
        ),
        (
            "another padding",
            net().node(
                "Pad",
                &["x"],
                "y",
                &[ints("pads", &[0; 8]), {
                    [field(1, b"mode"), field(4, b"reflect"), int_field(20, 3)].concat()
                }],
            ),
            &["(Pad) attribute `mode` is `reflect`"],
        ),
        (
            "a function that there is not",
            net().node("Exp", &["x"], "y", &[]),
            &["node `the Exp` (Exp) makes a function of its input that devices do not have"],
        ),
        (
            "a huge constant",
            net()
                .list("shape", &[1 << 20, 1 << 20])
                .node("ConstantOfShape", &["shape"], "c", &[])
                .node("Add", &["x", "c"], "y", &[]),
            &["(ConstantOfShape) asks for a constant of a shape that no small network has"],
        ),
        (
            "a reader before its maker",
            net()
                .node("Relu", &["a"], "y", &[])
                .node("Relu", &["x"], "a", &[]),
            &["reads `a`, which nothing before it makes"],
        ),
    ];
    for (what, net, expected) in cases {
        let why = net.refusal();
        for part in expected {
            assert!(why.contains(part), "{what}: {why}");
        }
    }
}

#[test]
fn weights_outside_the_models_folder_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    std::fs::write(folder.path().join("w.bin"), 2f32.to_le_bytes()).unwrap();
    std::fs::write(inside.join("w.bin"), 2f32.to_le_bytes()).unwrap();
    let import = |place: &str, offset: &str| {
        let pair = |key: &str, value: &str| {
            field(
                13,
                &[field(1, key.as_bytes()), field(2, value.as_bytes())].concat(),
            )
        };
        let parts = [
            int_field(1, 1),
            int_field(2, 1),
            field(8, b"w"),
            pair("location", place),
            pair("offset", offset),
            pair("length", "4"),
            int_field(14, 1),
        ];
        let net =
            Network::new(&[1, 1, 2, 2])
                .tensor(parts.concat())
                .node("Mul", &["x", "w"], "y", &[]);
        std::fs::write(inside.join("net.onnx"), net.bytes()).unwrap();
        onnx::import(&inside.join("net.onnx")).map_err(|error| error.to_string())
    };
    let imported = import("w.bin", "0").unwrap();
    assert_eq!(run(&imported, &[1.0; 4]), [2.0; 4]);
    for place in ["../w.bin", "/w.bin", "", "../inside/w.bin"] {
        let why = import(place, "0").unwrap_err();
        assert!(why.contains("not in the model's folder"), "{place}: {why}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../w.bin", inside.join("link.bin")).unwrap();
        let why = import("link.bin", "0").unwrap_err();
        assert!(why.contains("not in the model's folder"), "{why}");
    }
    let why = import("w.bin", "1").unwrap_err();
    assert!(why.contains("behind its end (4 bytes)"), "{why}");
    let why = import("other.bin", "0").unwrap_err();
    assert!(why.contains("put it beside the model"), "{why}");
}

#[test]
fn damaged_files_are_refused_and_never_panic() {
    let path = support::reference("onnx_models/resnet18_qdq_uint8.onnx");
    let file = std::fs::read(path).unwrap();
    let name = Path::new("net.onnx");
    let whole = onnx::import_bytes(&file, name).unwrap();
    for len in 0..file.len() {
        // What stands behind the network says who made it.
        if let Ok(imported) = onnx::import_bytes(&file[..len], name) {
            assert!(len > file.len() - 1000, "{len}");
            assert_eq!(imported, whole);
        }
    }
    let mut numbers = support::Numbers(1);
    let mut refused = 0;
    for _ in 0..1500 {
        let mut damaged = file.clone();
        for _ in 0..numbers.between(1, 4) {
            let at = numbers.below(damaged.len());
            damaged[at] = numbers.below(256) as u8;
        }
        refused += usize::from(onnx::import_bytes(&damaged, name).is_err());
    }
    assert!(refused > 300, "{refused}");
}

#[test]
fn small_files_that_ask_for_much_are_refused_soon() {
    let names: Vec<String> = (0..=3000).map(|at| format!("t{at}")).collect();
    let chain = |op: &str, twice: bool| {
        let mut net = Network::new(&[1, 3, 4, 4]);
        let mut input = "x";
        for name in &names {
            let inputs = [input, input];
            net = net.node(op, &inputs[..1 + usize::from(twice)], name, &[]);
            input = name;
        }
        net.node("Identity", &[input], "y", &[])
    };
    let start = std::time::Instant::now();
    // Each value is the square of the last: written out, no file could hold it.
    assert_eq!(chain("Mul", true).import().unwrap().graph.nodes.len(), 3001);
    let why = chain("Exp", false).refusal();
    assert!(why.contains("(Exp) makes a function"), "{why}");
    let why = Network::new(&[65535, 65535, 65535, 65535])
        .node("Relu", &["x"], "y", &[])
        .refusal();
    assert!(why.contains("up to four dimensions"), "{why}");
    let why = Network::new(&[1, 65535, 65535, 65535])
        .tensor(floats("w", &[2, 1], &[0.5; 2]))
        .node("Flatten", &["x"], "flat", &[])
        .node("MatMul", &["flat", "w"], "y", &[])
        .refusal();
    assert!(why.contains("by a matrix of 2 rows"), "{why}");
    // A constant without elements, whose other side is long.
    let why = Network::new(&[1, 3, 4, 4])
        .tensor(raw("none", &[0, 1 << 26], 1, b""))
        .list("starts", &[0])
        .list("ends", &[1 << 26])
        .list("axes", &[1])
        .node("Slice", &["none", "starts", "ends", "axes"], "c", &[])
        .node("Add", &["x", "c"], "y", &[])
        .refusal();
    assert!(why.contains("(Slice) asks for more constants"), "{why}");
    let mut net = Network::new(&[1, 3, 4, 4]).list("side", &[1 << 20]);
    let mut sums = vec!["x".to_string()];
    for name in &names[..100] {
        let sum = format!("{name}s");
        net = net.node("ConstantOfShape", &["side"], name, &[]);
        net = net.node("Add", &[&sums[sums.len() - 1], name], &sum, &[]);
        sums.push(sum);
    }
    let last = &sums[sums.len() - 1];
    let why = net.node("Identity", &[last], "y", &[]).refusal();
    assert!(why.contains("combines a tensor"), "{why}");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
