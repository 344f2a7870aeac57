//! Int8 TensorFlow Lite files against TensorFlow Lite Micro: every op of whole networks, equal in every code.

#[path = "../../../tests/reference/tflite_models.rs"]
mod inputs;
mod support;

use std::fs;
use std::path::{Path, PathBuf};

use ocelli::{KernelTable, OpDigests, Session};
use ocelli_convert::compare::Arena;
use ocelli_convert::plan::{PlanKind, plan};
use ocelli_convert::tflite::{import, import_bytes};
use ocelli_image::{ImageBuffer, Model, OpKind};
use serde_json::Value;

use inputs::codes;
use support::{Numbers, asset};

const KERNELS: KernelTable = KernelTable::all();

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference")
        .join(name)
}

fn planned(model: &Model, kind: PlanKind) -> ImageBuffer {
    plan(model.clone(), kind).unwrap().encode().unwrap()
}

/// Runs codes; the output and the digest of each op.
fn run(buffer: &ImageBuffer, input: &[i8]) -> (Vec<i8>, Vec<u32>) {
    let image = buffer.parse().unwrap();
    let mut arena = Arena::new(&image);
    let mut session = Session::new(&image, arena.bytes(), &KERNELS).unwrap();
    let mut digests = vec![0; image.op_count()];
    session
        .run_codes(input, &mut OpDigests::new(&mut digests))
        .unwrap();
    (session.output().to_vec(), digests)
}

/// Compares every op's digest on every input, for each way to plan; the imported model.
fn equal_in_every_op(name: &str) -> Model {
    let model = import(&asset(&format!("tflite/{name}.tflite"))).unwrap();
    let golden = fs::read_to_string(reference(&format!("tflite_models/{name}.txt"))).unwrap();
    for kind in [PlanKind::Small, PlanKind::Layers] {
        let buffer = planned(&model, kind);
        let mut inputs = 0;
        for (at, line) in golden.lines().enumerate() {
            let input = codes(at as u64, model.tensors[0].elems());
            let (_, digests) = run(&buffer, &input);
            let digests: Vec<String> = digests.iter().map(|crc| format!("{crc:08x}")).collect();
            let expected: Vec<&str> = line.split(' ').collect();
            assert_eq!(digests.len(), expected.len());
            let differs = (0..expected.len()).find(|&op| digests[op] != expected[op]);
            let differs = differs.map(|op| (op, model.ops[op].body.kind()));
            assert_eq!(
                differs, None,
                "{name}, input {at}, {kind:?}: first op that differs"
            );
            inputs += 1;
        }
        assert!(inputs >= 100);
        println!(
            "{name} {kind:?}: {inputs} inputs, {} ops, equal",
            model.ops.len()
        );
    }
    model
}

#[test]
fn resnet_8_equals_tensorflow_lite_micro_in_every_op() {
    let model = equal_in_every_op("image_classification");
    let head = model.head.unwrap();
    assert_eq!(model.ops[head].body.kind(), OpKind::Dense);
    assert_eq!(model.tensors[model.ops[head].inputs[0]].elems(), 64);
    assert_eq!(model.tensors[0].elems(), 32 * 32 * 3);
}

#[test]
fn visual_wake_words_with_floats_at_the_border_equals_tensorflow_lite_micro_in_every_op() {
    let model = equal_in_every_op("visual_wake_words");
    assert_eq!(model.ops.len(), 30);
    assert_eq!(model.head, Some(28));
}

#[test]
fn keyword_spotting_equals_tensorflow_lite_micro_in_every_op() {
    equal_in_every_op("keyword_spotting");
}

#[test]
fn an_autoencoder_that_computes_its_shape_equals_tensorflow_lite_micro_in_every_op() {
    equal_in_every_op("anomaly_detection");
}

#[test]
fn a_file_of_an_old_converter_equals_tensorflow_lite_micro_in_every_op() {
    let model = equal_in_every_op("person_detect");
    // Its classifier is spelled as a convolution of a single pixel.
    let head = model.head.unwrap();
    assert_eq!(model.ops[head].body.kind(), OpKind::Dense);
}

#[test]
fn names_and_scales_of_the_file_are_kept() {
    let model = import(&asset("tflite/image_classification.tflite")).unwrap();
    assert_eq!(model.names.len(), model.tensors.len() + model.ops.len());
    assert_eq!(model.names[model.tensors.len()], "CONV_2D 0");
    assert_eq!(model.tensor_scale.len(), model.tensors.len());
    let image = planned(&model, PlanKind::Small);
    assert_eq!(Model::decode(&image.parse().unwrap()).names, model.names);
}

fn cases(kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(reference("tflite_ops.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    cases
        .into_iter()
        .filter(|case| case["kind"] == kind)
        .collect()
}

fn file(case: &Value) -> Vec<u8> {
    let hex = case["file"].as_str().unwrap().as_bytes();
    hex.chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn files_of_one_op_equal_tensorflow_lite_micro_in_every_code() {
    let cases = cases("equal");
    assert!(cases.len() >= 120);
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let model = import_bytes(&file(case), Path::new(name)).unwrap();
        let list = |key: &str| -> Vec<i8> { serde_json::from_value(case[key].clone()).unwrap() };
        for kind in [PlanKind::Small, PlanKind::Layers] {
            let (output, _) = run(&planned(&model, kind), &list("input"));
            assert_eq!(output, list("output"), "{name}");
        }
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name_with_what_to_do() {
    let cases = cases("refused");
    assert!(cases.len() >= 30);
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        let error = import_bytes(&file(case), Path::new("net.tflite")).unwrap_err();
        let error = error.to_string();
        println!("{name}: {error}");
        for says in case["says"].as_array().unwrap() {
            let says = says.as_str().unwrap();
            assert!(error.contains(says), "{name}: {error}: lacks {says}");
        }
        assert!(error.starts_with("net.tflite: "), "{name}: {error}");
    }
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let file = fs::read(asset("tflite/keyword_spotting.tflite")).unwrap();
    let path = Path::new("cut.tflite");
    let whole = import_bytes(&file, path).unwrap();
    let mut kept = 0;
    for bytes in 0..file.len() {
        // Padding at the end may be missed by nobody; then the model is the same.
        if let Ok(model) = import_bytes(&file[..bytes], path) {
            assert!(model == whole, "{bytes} of {} bytes", file.len());
            kept += 1;
        }
    }
    println!("{} lengths, {kept} give the whole model", file.len());
    assert!(kept < 64, "{kept}");
}

#[test]
fn a_mutated_file_is_an_error_or_a_model_and_never_a_panic() {
    let mut files = ["keyword_spotting", "image_classification"]
        .map(|name| fs::read(asset(&format!("tflite/{name}.tflite"))).unwrap())
        .to_vec();
    files.extend(cases("equal").iter().map(file));
    let mut numbers = Numbers(1);
    let (mut refused, mut taken, mut loaded) = (0, 0, 0);
    for trial in 0..30_000 {
        // As often a whole network as a file of one op.
        let pick = if trial % 2 == 0 {
            trial / 2 % 2
        } else {
            trial / 2 % files.len()
        };
        let mut file = files[pick].clone();
        for _ in 0..numbers.between(1, 4) {
            let at = numbers.below(file.len());
            file[at] = match numbers.below(4) {
                0 => 0,
                1 => 0xFF,
                2 => file[at].wrapping_add(1),
                _ => numbers.below(256) as u8,
            };
        }
        let Ok(model) = import_bytes(&file, Path::new("mutated.tflite")) else {
            refused += 1;
            continue;
        };
        taken += 1;
        // Those that are taken go on to the door of the device: a plan, and a session or an error.
        if taken % 64 == 0
            && let Ok(buffer) = plan(model, PlanKind::Layers).unwrap().encode()
        {
            let image = buffer.parse().unwrap();
            let mut arena = Arena::new(&image);
            loaded += usize::from(Session::new(&image, arena.bytes(), &KERNELS).is_ok());
        }
    }
    println!("{refused} refused, {taken} taken, {loaded} of every 64th loaded");
    assert!(refused > 1_000 && taken > 1_000);
}
