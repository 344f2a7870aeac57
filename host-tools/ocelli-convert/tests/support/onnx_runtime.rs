//! What ONNX Runtime made of a network's input, and how far the float interpreter is from it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::onnx::{self, Imported};
use ocelli_convert::passes::canonicalize;
use serde::Deserialize;

use crate::support::relative_error;

/// What the script writes.
#[derive(Deserialize)]
pub struct Reference {
    pub logits: BTreeMap<String, Vec<f32>>,
}

pub fn reference(path: &Path) -> Reference {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The same numbers as the script makes.
pub fn made_input(imported: &Imported) -> Vec<f32> {
    let count: usize = imported.input.sizes().iter().product();
    let numbers = (0..count).map(|i| (i * 5 % 512).abs_diff(256) as f32 / 128.0 - 1.0);
    imported.input.to_graph(&numbers.collect::<Vec<_>>())
}

/// The largest error of a file as a part of the largest logit, before and after the passes.
pub fn errors(file: &Path, expected: &[f32]) -> [f32; 2] {
    let imported = onnx::import(file).unwrap();
    let input = made_input(&imported);
    let error = |graph| {
        let output = Interpreter::new(graph).unwrap().run(&input, |_, _| {});
        let output = imported.output.from_graph(&output.unwrap());
        relative_error(&output, expected)
    };
    let folded = canonicalize(imported.graph.clone()).unwrap();
    [error(&imported.graph), error(&folded)]
}
