//! Named f32 tensors out of a weights file, whatever its container.
//!
//! Nothing in a file is ever executed: pickles are parsed into plain data by `pytorch-reader`, which bounds every
//! length by what the file holds.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::ImportError;

mod pytorch;
mod safetensors;

/// One tensor of a weights file.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightTensor {
    /// Its sides, outermost first, in the source's order (PyTorch: out, in, height, width).
    pub shape: Vec<usize>,
    /// Its elements, the last side running fastest.
    pub data: Vec<f32>,
}

/// All tensors of a weights file by name.
pub type StateDict = BTreeMap<String, WeightTensor>;

/// Keys under which training scripts keep the weights beside other things.
const WRAPPERS: [&str; 3] = ["state_dict.", "model_state_dict.", "model."];
/// What wrappers of modules put before every name.
const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];

/// Reads a weights file: PyTorch (`.pth`, zip or legacy pickle) or safetensors, told apart by content.
///
/// Wrappers such as `{"state_dict": …}` and the prefix `module.` are taken off. Batch norm's
/// `num_batches_tracked` is left out: it counts training steps.
///
/// # Errors
/// A file that cannot be read, is damaged or of another kind, a tensor that is no f32, f16, bf16 or f64, and
/// a value that is not finite.
pub fn load(path: impl AsRef<Path>) -> Result<StateDict, ImportError> {
    let path = path.as_ref();
    let raw = match container(path)? {
        Container::PyTorch => pytorch::read(path)?,
        Container::SafeTensors => safetensors::read(path)?,
    };
    let mut dict = StateDict::new();
    for (name, tensor) in unwrapped(raw) {
        if name.ends_with("num_batches_tracked") {
            continue;
        }
        let tensor = tensor.decode(path, &name)?;
        dict.insert(name, tensor);
    }
    if dict.is_empty() {
        return Err(bad_file(path, "holds no tensors; expected a state dict"));
    }
    Ok(dict)
}

enum Container {
    PyTorch,
    SafeTensors,
}

fn container(path: &Path) -> Result<Container, ImportError> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(9).read_to_end(&mut start))
        .map_err(|source| ImportError::Io {
            path: path.to_path_buf(),
            source,
        })?;
    match start.as_slice() {
        // Eight bytes of header length, then JSON. It may begin like a pickle: first, then.
        [_, _, _, _, _, 0, 0, 0, b'{'] => Ok(Container::SafeTensors),
        // A zip's signature, and the first opcode of a pickle with a protocol number.
        [b'P', b'K', 3, 4, ..] | [0x80, 1..=5, ..] => Ok(Container::PyTorch),
        _ => Err(ImportError::UnknownFormat {
            path: path.to_path_buf(),
        }),
    }
}

fn bad_file(path: &Path, why: impl Into<String>) -> ImportError {
    ImportError::BadFile {
        path: path.to_path_buf(),
        why: why.into(),
    }
}

/// How a file stores the elements of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Element {
    F16,
    Bf16,
    F32,
    F64,
}

/// A tensor as stored: little-endian bytes, or what else it is.
struct RawTensor {
    shape: Vec<usize>,
    /// The element type, or the name of one that weights cannot have.
    element: Result<Element, String>,
    bytes: Vec<u8>,
}

impl RawTensor {
    fn decode(self, path: &Path, name: &str) -> Result<WeightTensor, ImportError> {
        let element = self.element.map_err(|found| {
            bad_file(
                path,
                format!(
                    "tensor `{name}` holds {found}; supported: f32, f16, bf16 and f64 \
                     (an integer-quantized network has to be exported in float)"
                ),
            )
        })?;
        let data: Vec<f32> = match element {
            Element::F16 => elements(&self.bytes, |b| half::f16::from_le_bytes(b).to_f32()),
            Element::Bf16 => elements(&self.bytes, |b| half::bf16::from_le_bytes(b).to_f32()),
            Element::F32 => elements(&self.bytes, f32::from_le_bytes),
            Element::F64 => elements(&self.bytes, |b| f64::from_le_bytes(b) as f32),
        };
        if let Some((at, &value)) = data.iter().enumerate().find(|(_, x)| !x.is_finite()) {
            return Err(ImportError::NotFinite {
                path: path.to_path_buf(),
                tensor: name.to_string(),
                at,
                value,
            });
        }
        Ok(WeightTensor {
            shape: self.shape,
            data,
        })
    }
}

fn elements<const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| decode(chunk)).collect()
}

/// The tensors without wrappers around the dict and prefixes before every name.
fn unwrapped(mut tensors: BTreeMap<String, RawTensor>) -> BTreeMap<String, RawTensor> {
    for wrapper in WRAPPERS {
        let (inside, outside): (Vec<&String>, Vec<&String>) =
            tensors.keys().partition(|name| name.starts_with(wrapper));
        // A layer beside it (`fc.weight` beside `model.0.weight`) makes it a part of the network.
        let is_layer = |name: &&String| name.split_once('.').is_some_and(|(_, x)| x == "weight");
        if !inside.is_empty() && !outside.iter().any(is_layer) {
            // Beside the weights there are the optimizer's tensors and the like.
            tensors.retain(|name, _| name.starts_with(wrapper));
            tensors = stripped(tensors, wrapper);
        }
    }
    while let Some(prefix) = PREFIXES
        .into_iter()
        .find(|prefix| !tensors.is_empty() && tensors.keys().all(|name| name.starts_with(prefix)))
    {
        tensors = stripped(tensors, prefix);
    }
    tensors
}

fn stripped(tensors: BTreeMap<String, RawTensor>, prefix: &str) -> BTreeMap<String, RawTensor> {
    let strip = |(name, tensor): (String, RawTensor)| {
        let short = name.strip_prefix(prefix).map(str::to_string);
        (short.unwrap_or(name), tensor)
    };
    tensors.into_iter().map(strip).collect()
}
