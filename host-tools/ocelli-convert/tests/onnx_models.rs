//! Whole networks as PyTorch exports them, against ONNX Runtime.
//!
//! `reference/onnx_models.py` makes the files and the outputs. What is kept has the blocks of the architectures and few
//! channels; the real ones are tried by `real_networks_equal_onnx_runtime`, which needs a folder that the script made.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ocelli::{KernelTable, Session};
use ocelli_convert::compare::Arena;
use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::network::Network;
use ocelli_convert::onnx::{self, Imported};
use ocelli_convert::passes::canonicalize;
use ocelli_convert::plan::{PlanKind, plan};
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

/// What the codes stand for that a file in QDQ form gives on a device.
fn on_a_device(file: &Path) -> Vec<f32> {
    let imported = onnx::import(file).unwrap();
    let fixed = imported.quantization.as_ref().unwrap();
    let graph = canonicalize(imported.graph.clone()).unwrap();
    let of = |id| fixed.tensors[&graph.tensor(id).name];
    let input = made_input(&imported);
    let input: Vec<i8> = input.iter().map(|&x| of(graph.input).code(x)).collect();

    let Network::Int8(model) = Network::load(file, None, None, None).unwrap() else {
        panic!("{} has codes", file.display());
    };
    let buffer = plan(*model, PlanKind::Small).unwrap().encode().unwrap();
    let image = buffer.parse().unwrap();
    let (kernels, mut arena) = (KernelTable::all(), Arena::new(&image));
    let mut session = Session::new(&image, arena.bytes(), &kernels).unwrap();
    session.run_codes(&input, &mut ()).unwrap();
    let codes = session.output().iter();
    codes.map(|&code| of(graph.output).value(code)).collect()
}

#[test]
fn files_in_qdq_form_run_on_devices_with_their_own_codes() {
    let folder = support::reference("onnx_models");
    let reference = reference(&support::reference("onnx_models.json"));
    let files = reference
        .logits
        .iter()
        .filter(|(name, _)| name.contains("_qdq_"));
    for (name, expected) in files.clone() {
        let numbers = on_a_device(&folder.join(name));
        let error = support::relative_error(&numbers, expected);
        println!("{name}: {error}");
        // Codes are 1/127 of the largest logit or less apart; halves are rounded in another way.
        assert!(error <= 0.012, "{name}");
    }
    assert_eq!(files.count(), 2);
}
