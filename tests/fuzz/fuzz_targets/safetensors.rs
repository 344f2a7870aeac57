//! Any bytes as a safetensors file: an error, or weights that are whole.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| ocelli_fuzz::load_weights(bytes));
