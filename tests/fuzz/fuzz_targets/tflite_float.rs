//! Any bytes as a float TensorFlow Lite file: an error, or a graph that runs.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ocelli_convert::tflite::import_float_bytes;
use ocelli_fuzz::run_graph;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(graph) = import_float_bytes(bytes, Path::new("fuzz.tflite")) {
        run_graph(graph);
    }
});
