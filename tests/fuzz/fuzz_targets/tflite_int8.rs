//! Any bytes as an int8 TensorFlow Lite file: an error, or a model that plans and runs.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ocelli_convert::tflite::import_bytes;
use ocelli_fuzz::run_model;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = import_bytes(bytes, Path::new("fuzz.tflite")) {
        run_model(model);
    }
});
