//! Hugging Face's container: a JSON header and raw little-endian tensors.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::{Element, RawTensor, bad_file};
use crate::error::ImportError;

/// All tensors of a `.safetensors` file.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, RawTensor>, ImportError> {
    let bytes = std::fs::read(path).map_err(|source| ImportError::Io {
        path: path.to_path_buf(),
        source,
    })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| {
        bad_file(
            path,
            format!("cannot be read as safetensors: {error}; is it complete?"),
        )
    })?;
    let tensors = file.iter().map(|(name, view)| {
        let raw = RawTensor {
            shape: view.shape().to_vec(),
            element: element(view.dtype()),
            bytes: view.data().to_vec(),
        };
        (name.to_string(), raw)
    });
    Ok(tensors.collect())
}

fn element(dtype: Dtype) -> Result<Element, String> {
    match dtype {
        Dtype::F16 => Ok(Element::F16),
        Dtype::BF16 => Ok(Element::Bf16),
        Dtype::F32 => Ok(Element::F32),
        Dtype::F64 => Ok(Element::F64),
        other => Err(format!("{other:?}").to_lowercase()),
    }
}
