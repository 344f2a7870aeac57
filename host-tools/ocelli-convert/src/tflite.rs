//! TensorFlow Lite files: int8 ones become a model, every code kept; float ones become a graph.
//!
//! [`import`]: a full-integer file says all that a device needs: nothing is quantized here, only written down in another
//! form. The model gives the codes of TensorFlow Lite Micro's reference kernels, op by op. Where a file has floats at its
//! border, QUANTIZE and DEQUANTIZE are left out, and the codes inside are the model's input and output.
//!
//! [`import_float`]: weights may be f32, f16 or int8, behind DEQUANTIZE or read by the operator itself. Such int8 weights
//! ("dynamic range quantization") become the numbers that they stand for; that TensorFlow Lite also rounds activations
//! to int8 in between when it runs such a file is left to our own quantization.
//!
//! In both, operators that only look at the same numbers in another shape (RESHAPE, SQUEEZE, EXPAND_DIMS, and what
//! computes a shape for them) are left out.
//!
//! Files are read by a small checked reader of FlatBuffers instead of generated code, which is large and full of `unsafe`;
//! a damaged or hostile file is an error and never a panic.

mod flatbuffer;
mod float;
mod int8;
mod options;
mod schema;
mod shape;

use std::path::Path;

use ocelli_image::Model;

use crate::error::ImportError;
use crate::graph::Graph;
use schema::{File, Operator, elem};

/// What a file computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Codes, floats at most at its border: for [`import`].
    Int8,
    /// Floats, whatever its weights are stored as: for [`import_float`].
    Float,
}

/// Whether bytes are a TensorFlow Lite file, by its identifier.
pub fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

/// Reads an int8 TensorFlow Lite file. The plan is the simplest: everything whole, one op after another.
///
/// # Errors
/// [`ImportError`], naming file, operator and tensor, for what is damaged or not supported.
///
/// # Source
/// Bit-exact with TensorFlow Lite Micro's reference kernels, PyPI `tflite-micro` 0.dev20261023182759.
pub fn import(path: &Path) -> Result<Model, ImportError> {
    import_bytes(&load(path)?, path)
}

/// The same for a file in memory; `path` is only named in errors.
///
/// # Errors
/// As [`import`].
pub fn import_bytes(bytes: &[u8], path: &Path) -> Result<Model, ImportError> {
    let file = read(bytes, path)?;
    if precision_of(&file) == Precision::Float {
        let why = "a float network, not an int8 one: it has to be quantized, here from its floats or by TensorFlow Lite's converter (full integer quantization)";
        return Err(bad(path, why.to_string()));
    }
    let mut importer = int8::Importer::new(&file).map_err(|why| bad(path, why))?;
    for (at, operator) in file.operators.iter().enumerate() {
        importer
            .operator(at, operator)
            .map_err(|refusal| refusal.error(path, &file, at))?;
    }
    importer.finish().map_err(|why| bad(path, why))
}

/// Reads a float TensorFlow Lite file, a network of one input and one output with a batch of one or any.
///
/// # Errors
/// [`ImportError`], naming file, operator and tensor, for what is damaged or not supported.
///
/// # Example
/// ```no_run
/// use ocelli_convert::{passes::canonicalize, tflite};
/// let graph = canonicalize(tflite::import_float("net.tflite".as_ref())?)?;
/// println!("{graph}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn import_float(path: &Path) -> Result<Graph, ImportError> {
    import_float_bytes(&load(path)?, path)
}

/// The same for a file in memory; `path` names the graph, and the file in errors.
///
/// # Errors
/// As [`import_float`].
pub fn import_float_bytes(bytes: &[u8], path: &Path) -> Result<Graph, ImportError> {
    let file = read(bytes, path)?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut importer = float::Importer::new(&file, &name).map_err(|why| bad(path, why))?;
    for (at, operator) in file.operators.iter().enumerate() {
        importer
            .operator(at, operator)
            .map_err(|refusal| refusal.error(path, &file, at))?;
    }
    importer.finish().map_err(|why| bad(path, why))
}

/// Which of the importers a file is for: int8 if codes flow between its operators.
///
/// # Errors
/// [`ImportError::BadFile`] for what is no TensorFlow Lite file, or damaged.
pub fn precision(bytes: &[u8], path: &Path) -> Result<Precision, ImportError> {
    Ok(precision_of(&read(bytes, path)?))
}

fn precision_of(file: &File<'_>) -> Precision {
    let made = file.operators.iter().flat_map(|operator| &operator.outputs);
    let mut flows = made.chain(&file.inputs).filter_map(|&id| {
        let id = usize::try_from(id).ok()?;
        file.tensors.get(id)
    });
    let codes = [elem::INT8, elem::UINT8, elem::INT16];
    if flows.any(|tensor| codes.contains(&tensor.elem)) {
        Precision::Int8
    } else {
        Precision::Float
    }
}

fn load(path: &Path) -> Result<Vec<u8>, ImportError> {
    std::fs::read(path).map_err(|source| ImportError::Io {
        path: path.to_path_buf(),
        source,
    })
}

fn read<'f>(bytes: &'f [u8], path: &Path) -> Result<File<'f>, ImportError> {
    if !is_tflite(bytes) {
        let why = "not a TensorFlow Lite file (no TFL3 at byte 4)";
        return Err(bad(path, why.to_string()));
    }
    File::read(bytes).map_err(|damage| bad(path, damage.to_string()))
}

fn bad(path: &Path, why: String) -> ImportError {
    ImportError::BadFile {
        path: path.to_path_buf(),
        why,
    }
}

/// Why an operator cannot be taken over.
struct Refusal {
    /// The tensor in question; otherwise the operator's output.
    tensor: Option<usize>,
    why: String,
}

impl Refusal {
    fn error(self, path: &Path, file: &File<'_>, at: usize) -> ImportError {
        let operator = &file.operators[at];
        ImportError::Operator {
            path: path.to_path_buf(),
            at,
            kind: operator.kind.clone(),
            tensor: self.name(file, operator),
            why: self.why,
        }
    }

    fn name(&self, file: &File<'_>, operator: &Operator<'_>) -> String {
        let first = operator.outputs.first();
        let output = first.and_then(|&id| usize::try_from(id).ok());
        let tensor = self.tensor.or(output).and_then(|id| file.tensors.get(id));
        tensor.map_or(String::new(), |tensor| tensor.name.clone())
    }
}

/// A refusal of the operator as a whole.
fn refuse<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        tensor: None,
        why: why.into(),
    })
}

/// A refusal because of one tensor.
fn refuse_tensor<T>(id: usize, why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        tensor: Some(id),
        why: why.into(),
    })
}
