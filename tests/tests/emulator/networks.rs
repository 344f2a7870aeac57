//! Whole int8 TensorFlow Lite networks on every emulated core: every op equals TensorFlow Lite Micro, in every code.
//!
//! The golden digests are those of `ocelli-convert/tests/tflite.rs`, where the host does the same with more inputs.

use std::fs;
use std::sync::OnceLock;

use ocelli_convert::plan::{PlanKind, plan};
use ocelli_convert::tflite::import;
use ocelli_image::OpKind;
use ocelli_link::Request;

use crate::board::Board;
use crate::inputs::codes;
use crate::process::{Core, M0, M3, M4, M7, M33, M55, repository};

/// Inputs of each network: all -128, all 127, noise, a pattern, and other noise.
const INPUTS: usize = 5;

pub const NAMES: [&str; 5] = [
    "image_classification",
    "visual_wake_words",
    "keyword_spotting",
    "anomaly_detection",
    "person_detect",
];

/// A converted network.
struct Network {
    name: &'static str,
    bytes: Vec<u8>,
    input_elems: usize,
    row_elems: usize,
    kinds: Vec<OpKind>,
    /// For each input the digest of each op.
    golden: Vec<Vec<u32>>,
}

/// The networks, converted once for all cores.
fn networks() -> &'static [Network] {
    static NETWORKS: OnceLock<Vec<Network>> = OnceLock::new();
    NETWORKS.get_or_init(|| NAMES.map(network).into())
}

fn network(name: &'static str) -> Network {
    let file = repository().join(format!("target/assets/tflite/{name}.tflite"));
    let model = import(&file).unwrap_or_else(|error| panic!("{error}: run `cargo xtask fetch`"));
    let kinds = model.ops.iter().map(|op| op.body.kind()).collect();
    let planned = plan(model, PlanKind::Small).expect("a plan");
    let buffer = planned.encode().expect("an image");
    let image = buffer.parse().expect("a readable image");
    let golden = repository().join(format!("tests/reference/tflite_models/{name}.txt"));
    let golden = fs::read_to_string(golden).expect("golden digests");
    Network {
        name,
        bytes: image.bytes().to_vec(),
        input_elems: image.input().elems(),
        row_elems: image.input().row_elems(),
        kinds,
        golden: golden.lines().take(INPUTS).map(digests).collect(),
    }
}

fn digests(line: &str) -> Vec<u32> {
    line.split(' ')
        .map(|word| u32::from_str_radix(word, 16).expect("a digest"))
        .collect()
}

fn equal_in_every_op(core: Core) {
    for network in networks() {
        let mut board = Board::boot_on(core, Some(&network.bytes));
        println!(
            "{}, {}: {}",
            core.name,
            network.name,
            board.ask(&Request::Hello)
        );
        assert_eq!(network.golden.len(), INPUTS);
        for (at, golden) in (0..).zip(&network.golden) {
            let seen = board.see(&codes(at, network.input_elems), network.row_elems);
            assert_eq!(seen.digests.len(), golden.len());
            let differs = (0..golden.len()).find(|&op| seen.digests[op] != golden[op]);
            let differs = differs.map(|op| (op, network.kinds[op]));
            assert_eq!(
                differs, None,
                "{}, {}, input {at}: first op that differs",
                core.name, network.name
            );
        }
        board.end();
    }
}

#[test]
fn five_networks_equal_tensorflow_lite_micro_in_every_op_as_armv6m_code() {
    equal_in_every_op(M0);
}

#[test]
fn five_networks_equal_tensorflow_lite_micro_in_every_op_on_the_m3() {
    equal_in_every_op(M3);
}

#[test]
fn five_networks_equal_tensorflow_lite_micro_in_every_op_on_the_m4() {
    equal_in_every_op(M4);
}

#[test]
fn five_networks_equal_tensorflow_lite_micro_in_every_op_on_the_m7() {
    equal_in_every_op(M7);
}

#[test]
fn five_networks_equal_tensorflow_lite_micro_in_every_op_on_the_m33() {
    equal_in_every_op(M33);
}

#[test]
fn five_networks_equal_tensorflow_lite_micro_in_every_op_on_the_m55() {
    equal_in_every_op(M55);
}
