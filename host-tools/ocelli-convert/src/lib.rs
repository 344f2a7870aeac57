//! From a pretrained network's file to a model image for a microcontroller.
//!
//! Each stage is one function from one type to the next: [`weights::load`] reads a file into a state dict,
//! [`arch::Arch::build`] gives it the form of a [`graph::Graph`], as [`onnx::import`] and [`tflite::import_float`] do with
//! their files, and [`passes::canonicalize`] brings that into the few ops that devices run. [`grid::Grid`] says what codes
//! stand for, [`reconstruct::reconstruct`] fits the weights to it, [`quantize::quantize`] rounds.
//! [`interpreter::Interpreter`] runs a graph in f32 at any point of the way. A file that is int8 already,
//! [`tflite::import`] takes over as it is. [`convert()`] goes the whole way.
#![forbid(unsafe_code)]

pub mod arch;
pub mod calibrate;
pub mod compare;
pub mod convert;
pub mod cost;
pub mod dataset;
pub mod emit_onnx;
pub mod equalize;
pub mod error;
pub mod graph;
pub mod grid;
pub mod interpreter;
pub mod network;
pub mod onnx;
pub mod passes;
pub mod plan;
pub mod preprocess;
pub mod quantize;
pub mod reconstruct;
pub mod report;
pub mod target;
pub mod tflite;
pub mod weights;

pub use convert::{Conversion, ConvertOptions, Progress, Quantized, convert};
pub use error::{
    ConvertError, GraphError, ImportError, InputError, PassError, PlanError, QuantizeError,
};
