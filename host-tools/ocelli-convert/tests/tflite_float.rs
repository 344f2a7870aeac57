//! Float TensorFlow Lite files against LiteRT, op by op and as whole networks.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use ocelli_convert::graph::{Graph, Op};
use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::passes::canonicalize;
use ocelli_convert::tflite::{Precision, import, import_float, import_float_bytes, precision};
use serde_json::Value;

use support::{Numbers, asset, relative_error};

/// Of the largest number of an output; both sides add in an order of their own.
const TOLERANCE: f32 = 2e-6;

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference")
        .join(name)
}

fn cases(kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(reference("tflite_float.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    cases
        .into_iter()
        .filter(|case| case["kind"] == kind)
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn file(case: &Value) -> Vec<u8> {
    let hex = text(&case["file"]).as_bytes();
    hex.chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn case(kind: &str, name: &str) -> Graph {
    let cases = cases(kind);
    let case = cases.iter().find(|case| case["name"] == name).unwrap();
    import_float_bytes(&file(case), Path::new("net.tflite")).unwrap()
}

/// How far a graph is from what LiteRT computes, as it is and canonical.
fn error(graph: &Graph, case: &Value) -> f32 {
    let list = |key: &str| -> Vec<f32> { serde_json::from_value(case[key].clone()).unwrap() };
    let run = |graph: &Graph| {
        let output = Interpreter::new(graph).unwrap();
        let output = output.run(&list("input"), |_, _| {}).unwrap();
        relative_error(&output, &list("output"))
    };
    run(graph).max(run(&canonicalize(graph.clone()).unwrap()))
}

#[test]
fn files_of_every_op_give_what_litert_gives() {
    let cases = cases("equal");
    assert!(cases.len() >= 60);
    let mut largest = 0.0f32;
    for case in &cases {
        let name = text(&case["name"]);
        let graph = import_float_bytes(&file(case), Path::new(name)).unwrap();
        let error = error(&graph, case);
        println!("{name}: {error:e}");
        assert!(error < TOLERANCE, "{name}: {error:e}");
        largest = largest.max(error);
    }
    println!("{} files, largest relative error {largest:e}", cases.len());
}

#[test]
fn whole_networks_give_what_litert_gives() {
    for case in cases("network") {
        let name = text(&case["name"]);
        let graph = import_float(&reference(text(&case["file"]))).unwrap();
        let error = error(&graph, &case);
        println!("{name}: {} nodes, {error:e}", graph.nodes.len());
        assert!(error < TOLERANCE, "{name}: {error:e}");
        assert_eq!(graph.name, name);
        // Both end in a classifier, one of them with a softmax behind it.
        let embedding = graph.shape(graph.embedding.unwrap());
        assert_eq!((embedding.h, embedding.w), (1, 1));
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name_with_what_to_do() {
    let cases = cases("refused");
    assert!(cases.len() >= 30);
    for case in &cases {
        let name = text(&case["name"]);
        let error = import_float_bytes(&file(case), Path::new("net.tflite")).unwrap_err();
        let error = error.to_string();
        println!("{name}: {error}");
        for says in case["says"].as_array().unwrap() {
            let says = text(says);
            assert!(error.contains(says), "{name}: {error}: lacks {says}");
        }
        assert!(error.starts_with("net.tflite: "), "{name}: {error}");
    }
}

#[test]
fn nodes_have_the_names_of_the_file_each_once() {
    let names = |graph: &Graph| -> Vec<String> {
        graph
            .tensors
            .iter()
            .map(|tensor| tensor.name.clone())
            .collect()
    };
    assert_eq!(
        names(&case("equal", "one name for all")),
        ["same", "same#2", "same#3", "same#4"]
    );
    assert_eq!(
        names(&case("equal", "no names")),
        ["", "CONV_2D 0", "RELU 1", "TANH 2"]
    );
    assert_eq!(
        names(&case("equal", "names as ours")),
        ["x", "input#2", "input#2#2", "x#2"]
    );
}

#[test]
fn a_view_before_a_dense_layer_is_no_node() {
    let graph = case("equal", "the shape of any batch");
    let kinds: Vec<&str> = graph.nodes.iter().map(|node| node.op.kind()).collect();
    assert_eq!(kinds, ["conv2d", "dense"]);
    assert_eq!(graph.embedding, Some(graph.nodes[1].inputs[0]));
}

#[test]
fn a_tensor_times_its_sigmoid_is_one_function_unless_the_sigmoid_is_read_again() {
    let kinds = |name| -> Vec<&str> {
        let graph = case("equal", name);
        graph.nodes.iter().map(|node| node.op.kind()).collect()
    };
    assert_eq!(kinds("swish"), ["silu"]);
    assert_eq!(kinds("swish with relu"), ["silu", "clamp"]);
    assert_eq!(
        kinds("swish and its sigmoid"),
        ["sigmoid", "multiply", "add"]
    );
}

#[test]
fn the_input_is_seen_as_its_first_reader_sees_it() {
    let graph = case("equal", "views");
    assert_eq!(graph.input_shape().to_string(), "2x5x3");
    assert!(matches!(graph.nodes[0].op, Op::Conv2d { .. }));
}

#[test]
fn a_file_says_whether_it_is_int8_or_float() {
    let path = Path::new("net.tflite");
    let of = |path: &Path| precision(&fs::read(path).unwrap(), path).unwrap();
    for name in ["resnet_8_f16", "mobilenet_v3_like"] {
        let path = reference(&format!("tflite_float/{name}.tflite"));
        assert_eq!(of(&path), Precision::Float);
        let error = import(&path).unwrap_err().to_string();
        assert!(
            error.contains("a float network, not an int8 one"),
            "{error}"
        );
    }
    for case in cases("equal") {
        assert_eq!(precision(&file(&case), path).unwrap(), Precision::Float);
    }
    // Floats at the border leave the inside int8.
    for name in ["visual_wake_words", "keyword_spotting", "anomaly_detection"] {
        let path = asset(&format!("tflite/{name}.tflite"));
        assert_eq!(of(&path), Precision::Int8);
        let error = import_float(&path).unwrap_err().to_string();
        assert!(error.contains("int8"), "{error}");
    }
    assert!(precision(b"no file", path).is_err());
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let path = reference("tflite_float/mobilenet_v3_like.tflite");
    let file = fs::read(&path).unwrap();
    let whole = import_float(&path).unwrap();
    let mut kept = 0;
    for bytes in 0..file.len() {
        // Padding at the end may be missed by nobody; then the graph is the same.
        if let Ok(graph) = import_float_bytes(&file[..bytes], &path) {
            assert!(graph == whole, "{bytes} of {} bytes", file.len());
            kept += 1;
        }
    }
    println!("{} lengths, {kept} give the whole graph", file.len());
    assert!(kept < 64, "{kept}");
}

#[test]
fn a_mutated_file_is_an_error_or_a_graph_and_never_a_panic() {
    let mut files: Vec<Vec<u8>> = cases("equal").iter().map(file).collect();
    files.push(fs::read(reference("tflite_float/mobilenet_v3_like.tflite")).unwrap());
    let mut numbers = Numbers(1);
    let (mut refused, mut taken) = (0, 0);
    for trial in 0..40_000 {
        let mut file = files[trial % files.len()].clone();
        for _ in 0..numbers.between(1, 4) {
            let at = numbers.below(file.len());
            file[at] = match numbers.below(4) {
                0 => 0,
                1 => 0xFF,
                2 => file[at].wrapping_add(1),
                _ => numbers.below(256) as u8,
            };
        }
        match import_float_bytes(&file, Path::new("mutated.tflite")) {
            Ok(graph) => {
                graph.verify().unwrap();
                taken += 1;
            }
            Err(_) => refused += 1,
        }
    }
    println!("{refused} refused, {taken} taken");
    assert!(refused > 1_000 && taken > 1_000);
}
