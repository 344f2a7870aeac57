//! Whole networks as PyTorch exports them, against ONNX Runtime.
//!
//! `reference/onnx_models.py` makes the files and the outputs. What is kept has the blocks of the architectures and few
//! channels; the real ones are tried by `real_networks_equal_onnx_runtime`, which needs a folder that the script made.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::onnx::{self, Imported};
use ocelli_convert::passes::canonicalize;
use serde::Deserialize;

/// What the script writes.
#[derive(Deserialize)]
struct Reference {
    logits: BTreeMap<String, Vec<f32>>,
}

fn reference(path: &Path) -> Reference {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The same numbers as the script makes.
fn made_input(imported: &Imported) -> Vec<f32> {
    let count: usize = imported.input.sizes().iter().product();
    let numbers = (0..count).map(|i| (i * 5 % 512).abs_diff(256) as f32 / 128.0 - 1.0);
    imported.input.to_graph(&numbers.collect::<Vec<_>>())
}

/// The largest error of a file as a part of the largest logit, before and after the passes.
fn errors(file: &Path, expected: &[f32]) -> [f32; 2] {
    let imported = onnx::import(file).unwrap();
    let input = made_input(&imported);
    let error = |graph| {
        let output = Interpreter::new(graph).unwrap().run(&input, |_, _| {});
        let output = imported.output.from_graph(&output.unwrap());
        support::relative_error(&output, expected)
    };
    let folded = canonicalize(imported.graph.clone()).unwrap();
    [error(&imported.graph), error(&folded)]
}

#[test]
fn exported_networks_equal_onnx_runtime() {
    let folder = support::reference("onnx_models");
    let reference = reference(&support::reference("onnx_models.json"));
    for (name, expected) in &reference.logits {
        // Activations of these are rounded by ONNX Runtime and not by the float interpreter.
        let allowed = if name.contains("_qdq_") { 0.05 } else { 1e-4 };
        let file = folder.join(name);
        let errors = errors(&file, expected);
        println!("{name}: {errors:?}");
        assert!(errors.iter().all(|&error| error <= allowed), "{name}");
        let graph = onnx::import(&file).unwrap().graph;
        let embedding = graph.embedding.expect("all have a dense layer at the end");
        assert_ne!(embedding, graph.output);
    }
    assert!(reference.logits.len() >= 15);
}

#[test]
#[ignore = "needs the folder OCELLI_ONNX_MODELS, made by reference/onnx_models.py with --full"]
fn real_networks_equal_onnx_runtime() {
    let folder = std::env::var("OCELLI_ONNX_MODELS").expect("the folder that the script made");
    let folder = Path::new(&folder);
    let reference = reference(&folder.join("logits.json"));
    assert!(!reference.logits.is_empty());
    for (name, expected) in &reference.logits {
        let errors = errors(&folder.join(name), expected);
        println!("{name}: {errors:?}");
        assert!(errors.iter().all(|&error| error <= 1e-4), "{name}");
    }
}
