//! Whole networks as PyTorch exports them, against ONNX Runtime.
//!
//! `reference/onnx_models.py` makes the files and the outputs. What is kept has the blocks of the architectures and few
//! channels; the real ones are compared by `cargo run --example onnx_parity`, with a folder that the script made.

#[path = "support/onnx_runtime.rs"]
mod onnx_runtime;
mod support;

use std::path::Path;

use ocelli::{KernelTable, Session};
use ocelli_convert::compare::Arena;
use ocelli_convert::network::Network;
use ocelli_convert::onnx;
use ocelli_convert::passes::canonicalize;
use ocelli_convert::plan::{PlanKind, plan};
use onnx_runtime::{errors, made_input, reference};

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
