//! Compares exported networks of any size with ONNX Runtime: `cargo run --example onnx_parity -- FOLDER`.
//!
//! `tests/reference/onnx_models.py` makes the folder, with `--full` of the real architectures.

use std::path::PathBuf;
use std::process::ExitCode;

#[path = "../tests/support/onnx_runtime.rs"]
mod onnx_runtime;
#[path = "../tests/support/mod.rs"]
mod support;

use onnx_runtime::{errors, reference};

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("give the folder that tests/reference/onnx_models.py made");
        return ExitCode::from(2);
    };
    let mut far = 0;
    for (name, expected) in &reference(&folder.join("logits.json")).logits {
        let errors = errors(&folder.join(name), expected);
        println!("{name}: {errors:?} of the largest logit, before and after the passes");
        far += usize::from(errors.iter().any(|&error| error > 1e-4));
    }
    println!("{far} are off by more than 1e-4");
    ExitCode::from(u8::from(far > 0))
}
