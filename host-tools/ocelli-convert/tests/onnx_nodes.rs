//! The ONNX project's own test models, one an operator.
//!
//! Each model's first input flows; the others are made constants, as weights are in real networks, and outputs behind the
//! first are dropped. Which models pass and which are refused, and why, is `reference/onnx_nodes.json`.

#[path = "support/protobuf.rs"]
mod protobuf;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::onnx;
use protobuf::{field, fields, tensor};

/// Models whose expected numbers have no more than four digits.
const ROUNDED: &[&str] = &["test_averagepool_2d_ceil_last_window_starts_on_pad"];

/// The model with all inputs but the first as initializers, and the first one's bytes.
fn with_constants(folder: &Path) -> (Vec<u8>, Vec<u8>) {
    let model = fs::read(folder.join("model.onnx")).unwrap();
    let mut made = vec![];
    let mut first = vec![];
    for (number, whole, content) in fields(&model) {
        if number != 7 {
            made.extend(whole);
            continue;
        }
        let parts = fields(content.bytes());
        let of = |wanted| parts.iter().filter(move |(number, ..)| *number == wanted);
        let others = parts.iter().filter(|(number, ..)| *number != 12);
        let mut graph: Vec<u8> = others
            .chain(of(12).take(1))
            .fold(vec![], |graph, part| [&graph[..], part.1].concat());
        for (at, (_, _, info)) in of(11).enumerate() {
            let path = folder.join(format!("test_data_set_0/input_{at}.pb"));
            let mut constant = fs::read(path).unwrap();
            if at == 0 {
                first = constant;
                continue;
            }
            let name = fields(info.bytes())[0].2.text();
            constant.extend(field(8, name.as_bytes()));
            graph.extend(field(5, &constant));
        }
        made.extend(field(7, &graph));
    }
    (made, first)
}

/// Runs one model: the largest error, or why it was refused. None for whole numbers, which networks have not.
fn run(folder: &Path) -> Option<Result<f32, String>> {
    let (model, input) = with_constants(folder);
    let (_, input) = tensor(&input)?;
    let expected = fs::read(folder.join("test_data_set_0/output_0.pb")).unwrap();
    let (dims, expected) = tensor(&expected)?;
    let imported = match onnx::import_bytes(&model, Path::new("model.onnx")) {
        Ok(imported) => imported,
        Err(refusal) => {
            // What is behind the semicolon is advice.
            let text = refusal.to_string();
            let text = text.trim_start_matches("model.onnx: ");
            return Some(Err(text.split(';').next().unwrap_or(text).to_string()));
        }
    };
    assert_eq!(imported.output.sizes(), dims, "{}", folder.display());
    let input = imported.input.to_graph(&input);
    let interpreter = Interpreter::new(&imported.graph).unwrap();
    let output = interpreter.run(&input, |_, _| {}).unwrap();
    let output = imported.output.from_graph(&output);
    Some(Ok(support::relative_error(&output, &expected)))
}

#[test]
fn the_onnx_projects_test_models_pass_or_are_refused_as_listed() {
    /// With the reason for those that are refused.
    type List = BTreeMap<String, Option<String>>;
    let list = fs::read(support::reference("onnx_nodes.json")).unwrap();
    let listed: List = serde_json::from_slice(&list).unwrap();
    let mut got = List::new();
    let mut wrong = vec![];
    for entry in fs::read_dir(support::asset("onnx-node")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match run(&path) {
            None => {}
            Some(Err(why)) => {
                got.insert(name, Some(why));
            }
            Some(Ok(error)) => {
                let allowed = if ROUNDED.contains(&&name[..]) {
                    2e-4
                } else {
                    1e-4
                };
                if error.is_nan() || error > allowed {
                    wrong.push(format!("{name} by {error}"));
                }
                got.insert(name, None);
            }
        }
    }
    assert!(wrong.is_empty(), "wrong are {wrong:#?}");
    let all = serde_json::to_string_pretty(&got).unwrap();
    assert!(got == listed, "the list is now\n{all}");
    let passing = got.values().filter(|reason| reason.is_none()).count();
    println!("{passing} of {} pass", got.len());
    assert!(passing >= 245);
}
