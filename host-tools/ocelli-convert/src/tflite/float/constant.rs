//! Constants as floats, whatever they are stored as.

use super::super::schema::{Operator, Tensor, elem};
use super::super::shape::constant_shape;
use super::super::{Refusal, refuse_tensor};
use super::Importer;

/// More constant numbers than any network for a microcontroller has: a file may use one buffer very often.
const MAX_NUMBERS: usize = 1 << 26;

/// Weights, biases, or what is added or multiplied.
pub(super) struct Constant {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

impl Importer<'_> {
    pub(super) fn is_constant(&self, id: usize) -> bool {
        self.constant[id].is_some() || !self.file.tensors[id].data.is_empty()
    }

    /// Another name for a constant, which is read as floats anyway.
    pub(super) fn dequantize(
        &mut self,
        operator: &Operator<'_>,
        output: usize,
    ) -> Result<(), Refusal> {
        let id = self.file.input(operator, 0)?;
        if !self.is_constant(id) {
            return refuse_tensor(
                id,
                "is no constant: a network that is int8 in parts is not supported; quantize the whole of it to int8, or export it as float32",
            );
        }
        self.constant[output] = Some(self.constant[id].unwrap_or(id));
        Ok(())
    }

    /// A constant that an operator reads, by the file's number of the tensor.
    pub(super) fn numbers(&mut self, id: usize) -> Result<Constant, Refusal> {
        let source = self.constant[id].unwrap_or(id);
        let tensor = &self.file.tensors[source];
        let bytes = match tensor.elem {
            elem::FLOAT32 => 4,
            elem::FLOAT16 => 2,
            elem::INT8 => 1,
            other => {
                return refuse_tensor(
                    id,
                    format!(
                        "is a constant of {}; float32, float16 and int8 are supported: export the network as float32",
                        elem::name(other)
                    ),
                );
            }
        };
        let stored = constant_shape(tensor, source, bytes)?;
        self.count(id, stored.iter().product())?;
        let values: Vec<f32> = match tensor.elem {
            elem::FLOAT32 => {
                let chunks = tensor.data.as_chunks().0.iter();
                chunks.map(|&bytes| f32::from_le_bytes(bytes)).collect()
            }
            elem::FLOAT16 => {
                let chunks = tensor.data.as_chunks().0.iter();
                let half = |&bytes| half::f16::from_le_bytes(bytes).to_f32();
                chunks.map(half).collect()
            }
            _ => codes(tensor, source, &stored)?,
        };
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return refuse_tensor(
                id,
                format!(
                    "holds {} at element {at}; constants must be finite: train or export the network anew",
                    values[at]
                ),
            );
        }
        let shape = if id == source {
            stored
        } else {
            self.view_of(id, values.len())?
        };
        Ok(Constant { shape, values })
    }

    /// Refuses a constant with which the graph would have more numbers than is reasonable.
    pub(super) fn count(&mut self, id: usize, more: usize) -> Result<(), Refusal> {
        self.numbers += more;
        if self.numbers <= MAX_NUMBERS {
            return Ok(());
        }
        refuse_tensor(
            id,
            format!("is one constant too many: at most {MAX_NUMBERS} numbers are supported"),
        )
    }

    /// The shape of another view of a constant.
    fn view_of(&self, id: usize, elems: usize) -> Result<Vec<usize>, Refusal> {
        let sides = self.file.tensors[id].shape.iter();
        let shape: Option<Vec<usize>> = sides.map(|&side| usize::try_from(side).ok()).collect();
        let shape = shape.unwrap_or_default();
        let product = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        if product == Some(elems) {
            return Ok(shape);
        }
        refuse_tensor(
            id,
            "has another number of elements than what it is made from",
        )
    }
}

/// The numbers that codes stand for, with one scale or one for each place along a dimension.
fn codes(tensor: &Tensor<'_>, id: usize, shape: &[usize]) -> Result<Vec<f32>, Refusal> {
    let quantization = &tensor.quantization;
    let scales = &quantization.scale;
    let zeros = &quantization.zero_point;
    let dimension = usize::try_from(quantization.dimension).unwrap_or(usize::MAX);
    let fits = match scales.len() {
        0 => false,
        1 => true,
        count => shape.get(dimension) == Some(&count),
    };
    if !fits || !(zeros.is_empty() || zeros.len() == scales.len()) {
        return refuse_tensor(
            id,
            format!(
                "is int8 with {} scales and {} zero points along dimension {dimension}; one of each, or one for each channel, are supported",
                scales.len(),
                zeros.len()
            ),
        );
    }
    let inner: usize = match scales.len() {
        1 => 1,
        _ => shape.iter().skip(dimension + 1).product(),
    };
    let value = |(at, &code): (usize, &u8)| {
        let channel = at / inner % scales.len();
        let zero = zeros.get(channel).copied().unwrap_or(0) as f64;
        (f64::from(scales[channel]) * (f64::from(code as i8) - zero)) as f32
    };
    Ok(tensor.data.iter().enumerate().map(value).collect())
}
