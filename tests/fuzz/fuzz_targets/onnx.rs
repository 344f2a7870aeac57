//! Any bytes as an ONNX file: an error, or a graph that runs.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ocelli_convert::onnx::import_bytes;
use ocelli_fuzz::run_graph;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(imported) = import_bytes(bytes, Path::new("fuzz.onnx")) {
        run_graph(imported.graph);
    }
});
