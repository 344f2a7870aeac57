//! PyTorch's own containers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use pytorch_reader::{DType, PytorchReader};
use zip::{CompressionMethod, ZipArchive};

use super::{Element, RawTensor, bad_file};
use crate::error::ImportError;

/// The tensors may be so many times as large as the file: some share their bytes with others.
const SHARES: u64 = 4;
/// The description of the tensors; that of the largest networks takes a tenth.
const PICKLE_BYTES: u64 = 4 << 20;

/// All tensors of a `.pth` file, named by their path through its dicts.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, RawTensor>, ImportError> {
    check_archive(path)?;
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
    let mut all_bytes = 0u64;
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
        all_bytes = all_bytes.saturating_add(bytes);
        if all_bytes > file_bytes.saturating_mul(SHARES) {
            return Err(bad_file(
                path,
                format!(
                    "its tensors claim more than {SHARES} times the {file_bytes} bytes of the file; save \
                     a state dict alone, without copies of it"
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

/// Refuses archives that unpack into much more than they are. `torch.save` compresses nothing.
fn check_archive(path: &Path) -> Result<(), ImportError> {
    let unreadable = |source| ImportError::Io {
        path: path.to_path_buf(),
        source,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut start = Vec::new();
    file.by_ref()
        .take(2)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    if start != b"PK" {
        return Ok(());
    }
    let damaged = |error| {
        bad_file(
            path,
            format!("cannot be read as a zip archive: {error}; is it complete?"),
        )
    };
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).map_err(damaged)?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(bad_file(
                path,
                "is a compressed archive, which torch.save does not make; load it in PyTorch and save it again",
            ));
        }
        let name = entry.name().map_err(damaged)?;
        if name.ends_with("data.pkl") && entry.size() > PICKLE_BYTES {
            return Err(bad_file(
                path,
                format!(
                    "describes its tensors in {} bytes; up to {PICKLE_BYTES} are supported: save a \
                     state dict alone",
                    entry.size()
                ),
            ));
        }
    }
    Ok(())
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
