//! PyTorch's own containers.

use std::collections::BTreeMap;
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};

use super::{Element, RawTensor, bad_file};
use crate::error::ImportError;

/// All tensors of a `.pth` file, named by their path through its dicts.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, RawTensor>, ImportError> {
    let reader = PytorchReader::new(path).map_err(|error| {
        bad_file(
            path,
            format!(
                "cannot be read as a PyTorch file: {error}; is it complete? Save it with \
                 torch.save(model.state_dict(), path)"
            ),
        )
    })?;
    let file_bytes = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let mut tensors = BTreeMap::new();
    for (name, tensor) in reader.into_tensors() {
        // A view may repeat one element without end; torch stores no tensor compressed.
        let bytes = tensor.byte_len() as u64;
        if bytes > file_bytes {
            return Err(bad_file(
                path,
                format!(
                    "tensor `{name}` claims {bytes} bytes of a file of {file_bytes}; if it is an \
                     expanded view, save it after contiguous()"
                ),
            ));
        }
        let bytes = tensor
            .read()
            .map_err(|error| bad_file(path, error.to_string()))?;
        let raw = RawTensor {
            shape: tensor.shape().to_vec(),
            element: element(tensor.dtype()),
            bytes: little_endian(bytes, tensor.dtype().size()),
        };
        tensors.insert(name, raw);
    }
    Ok(tensors)
}

fn element(dtype: DType) -> Result<Element, String> {
    match dtype {
        DType::F16 => Ok(Element::F16),
        DType::BF16 => Ok(Element::Bf16),
        DType::F32 => Ok(Element::F32),
        DType::F64 => Ok(Element::F64),
        DType::I64
        | DType::I32
        | DType::I16
        | DType::I8
        | DType::U64
        | DType::U32
        | DType::U16
        | DType::U8
        | DType::Bool => Err(format!("{dtype:?}").to_lowercase()),
    }
}

/// The reader gives elements in this machine's byte order.
fn little_endian(mut bytes: Vec<u8>, element_bytes: usize) -> Vec<u8> {
    if cfg!(target_endian = "big") {
        bytes
            .chunks_mut(element_bytes)
            .for_each(|chunk| chunk.reverse());
    }
    bytes
}
