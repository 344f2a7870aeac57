//! Tensors of the file as both importers see them: ends, shapes, and constants of whole numbers.

use super::schema::{File, Operator, Tensor, builtin, elem};
use super::{Refusal, refuse, refuse_tensor};

impl File<'_> {
    /// The one tensor that an operator makes; a refusal says what is `supported`.
    pub fn output(&self, operator: &Operator<'_>, supported: &str) -> Result<usize, Refusal> {
        match operator.outputs[..] {
            [id] => self.id(Some(id)),
            _ => refuse(format!("is one of several outputs; {supported}")),
        }
    }

    /// The tensor that an operator reads.
    pub fn input(&self, operator: &Operator<'_>, at: usize) -> Result<usize, Refusal> {
        self.id(operator.inputs.get(at).copied())
    }

    /// The tensor that an operator reads, if it does: an input may be left out.
    pub fn optional(&self, operator: &Operator<'_>, at: usize) -> Result<Option<usize>, Refusal> {
        let id = operator.inputs.get(at).copied().filter(|&id| id >= 0);
        id.map(|id| self.id(Some(id))).transpose()
    }

    fn id(&self, id: Option<i32>) -> Result<usize, Refusal> {
        let id = id.and_then(|id| usize::try_from(id).ok());
        match id.filter(|&id| id < self.tensors.len()) {
            Some(id) => Ok(id),
            None => refuse("has an input that is no tensor of the file; copy it again"),
        }
    }
}

/// The network's one input and one output.
pub fn ends(file: &File<'_>) -> Result<(usize, usize), String> {
    if file.subgraphs != 1 {
        return Err(format!(
            "{} subgraphs; one is supported: export a network without control flow",
            file.subgraphs
        ));
    }
    let one = |ids: &[i32], what| match ids {
        &[id] => usize::try_from(id)
            .ok()
            .filter(|&id| id < file.tensors.len())
            .ok_or(format!(
                "the {what} is no tensor of the file; copy it again"
            )),
        _ => Err(format!(
            "{} {what}s; one is supported: export the part of the network between one input and one output",
            ids.len()
        )),
    };
    Ok((one(&file.inputs, "input")?, one(&file.outputs, "output")?))
}

/// Whether an operator only computes a shape: RESHAPE's output has that shape in the file as well.
pub fn computes_shape(file: &File<'_>, operator: &Operator<'_>) -> bool {
    let kind = matches!(
        operator.builtin,
        builtin::SHAPE | builtin::STRIDED_SLICE | builtin::PACK
    );
    let output = operator.outputs.first().copied();
    let output = output.and_then(|id| usize::try_from(id).ok());
    let output = output.and_then(|id| file.tensors.get(id));
    kind && output.is_some_and(|tensor| tensor.elem == elem::INT32)
}

/// Rows, columns and channels of a tensor with a batch of one in front.
pub fn map_shape(tensor: &Tensor<'_>, id: usize) -> Result<[usize; 3], Refusal> {
    let unknown = tensor.signature.iter().enumerate();
    if let Some((at, _)) = unknown.skip(1).find(|(_, side)| **side < 0) {
        return refuse_tensor(
            id,
            format!(
                "has a side that is not fixed (dimension {at}); only the batch may be: export with a fixed input size"
            ),
        );
    }
    let [h, w, c] = match tensor.shape[..] {
        [c] => [1, 1, c],
        [1, c] => [1, 1, c],
        [1, w, c] => [1, w, c],
        [1, h, w, c] => [h, w, c],
        _ => {
            return refuse_tensor(
                id,
                format!(
                    "is {:?}; a batch of one and at most height, width and channels are supported",
                    tensor.shape
                ),
            );
        }
    };
    let side = |side: i32| usize::from(u16::try_from(side).unwrap_or(0));
    let shape = [side(h), side(w), side(c)];
    let elems: usize = shape.iter().product();
    if elems == 0 || elems >= 1 << 31 {
        return refuse_tensor(
            id,
            format!("is {:?}; each side has to be 1 to 65535", tensor.shape),
        );
    }
    Ok(shape)
}

/// The shape of a constant whose data have to be there, so many bytes for each number.
pub fn constant_shape(tensor: &Tensor<'_>, id: usize, bytes: usize) -> Result<Vec<usize>, Refusal> {
    if let Some(exotic) = tensor.exotic {
        return refuse_tensor(id, exotic);
    }
    if tensor.data.is_empty() {
        return refuse_tensor(id, "has to be a constant here, and is computed");
    }
    let sides = tensor.shape.iter().map(|&side| usize::try_from(side));
    let shape: Option<Vec<usize>> = sides
        .map(|side| side.ok().filter(|&side| side > 0))
        .collect();
    let shape = shape.unwrap_or_default();
    let needed = shape
        .iter()
        .try_fold(bytes, |product, &side| product.checked_mul(side));
    if shape.len() == tensor.shape.len() && needed == Some(tensor.data.len()) {
        return Ok(shape);
    }
    refuse_tensor(
        id,
        format!(
            "is {:?} and has {} bytes of data, which do not fit together; the file is damaged: copy it again",
            tensor.shape,
            tensor.data.len()
        ),
    )
}

/// A constant of whole numbers.
pub fn integers(file: &File<'_>, id: usize) -> Result<Vec<i32>, Refusal> {
    let tensor = &file.tensors[id];
    if tensor.elem != elem::INT32 {
        return refuse_tensor(
            id,
            format!(
                "is {}; only int32 is supported here",
                elem::name(tensor.elem)
            ),
        );
    }
    // How biases are quantized follows from input and weights, whatever the file says of it: old files say
    // `quantized_dimension` 3 of a list.
    constant_shape(tensor, id, 4)?;
    let chunks = tensor.data.as_chunks().0.iter();
    Ok(chunks.map(|&bytes| i32::from_le_bytes(bytes)).collect())
}

/// Refuses an output whose shape in the file is not the one that its operator makes.
pub fn expect_shape(made: [usize; 3], needed: [usize; 3]) -> Result<(), Refusal> {
    if made == needed {
        return Ok(());
    }
    let text = |[h, w, c]: [usize; 3]| format!("{h}x{w}x{c}");
    refuse(format!(
        "is {} in the file, and its operator makes {}; the file is damaged: copy it again",
        text(made),
        text(needed)
    ))
}
