//! Any bytes as PyTorch's containers, zip and legacy: an error, or weights that are whole.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| ocelli_fuzz::load_weights(bytes));
