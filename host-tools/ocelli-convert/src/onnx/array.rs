//! Constants: what initializers, Constant nodes and folded nodes hold.

use std::path::Path;
use std::rc::Rc;

use half::{bf16, f16};

use super::Refusal;
use super::model::{Tensor, elem};
use super::refuse;

/// The most elements that one constant may have; no network for a microcontroller comes near.
const MAX_ELEMS: usize = 1 << 27;

/// A constant of any rank, its last dimension innermost.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    pub dims: Vec<usize>,
    pub data: Data,
    /// The type of the elements in the file.
    pub elem: i64,
    /// What it was quantized with, if it comes out of a DequantizeLinear.
    pub scales: Option<Rc<WeightScales>>,
}

/// The elements of a constant.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Real numbers of any precision.
    Floats(Vec<f32>),
    /// Whole numbers of any width, and truth values as 0 and 1.
    Ints(Vec<i64>),
}

/// How dequantized weights were quantized.
#[derive(Debug, PartialEq)]
pub struct WeightScales {
    /// One for all, or one for each index of the dimension.
    pub scales: Vec<f32>,
    /// The dimension.
    pub axis: usize,
    /// Whether codes mean as much above zero as below.
    pub is_symmetric: bool,
}

impl Array {
    pub fn floats(dims: Vec<usize>, values: Vec<f32>) -> Self {
        Self::of(dims, Data::Floats(values))
    }

    pub fn ints(dims: Vec<usize>, values: Vec<i64>) -> Self {
        Self::of(dims, Data::Ints(values))
    }

    /// A list of whole numbers, which shapes are.
    pub fn list(values: Vec<i64>) -> Self {
        Self::ints(vec![values.len()], values)
    }

    /// Elements of the usual type of their kind.
    pub fn of(dims: Vec<usize>, data: Data) -> Self {
        let elem = match data {
            Data::Floats(_) => elem::FLOAT,
            Data::Ints(_) => elem::INT64,
        };
        Array {
            dims,
            data,
            elem,
            scales: None,
        }
    }

    pub fn len(&self) -> usize {
        match &self.data {
            Data::Floats(values) => values.len(),
            Data::Ints(values) => values.len(),
        }
    }

    /// The same elements in other dimensions of the same number.
    pub fn with_dims(&self, dims: Vec<usize>) -> Self {
        Array {
            dims,
            data: self.data.clone(),
            elem: self.elem,
            scales: None,
        }
    }

    /// The elements at these places.
    pub fn pick(&self, dims: Vec<usize>, places: &[usize]) -> Option<Self> {
        fn of<T: Copy>(values: &[T], places: &[usize]) -> Option<Vec<T>> {
            places.iter().map(|&at| values.get(at).copied()).collect()
        }
        let data = match &self.data {
            Data::Floats(values) => Data::Floats(of(values, places)?),
            Data::Ints(values) => Data::Ints(of(values, places)?),
        };
        Some(Array {
            dims,
            data,
            elem: self.elem,
            scales: None,
        })
    }

    /// An element as a real number.
    pub fn real(&self, at: usize) -> Option<f64> {
        match &self.data {
            Data::Floats(values) => values.get(at).map(|&value| value.into()),
            Data::Ints(values) => values.get(at).map(|&value| value as f64),
        }
    }

    /// The number that it is, if it is a single one.
    pub fn scalar(&self) -> Option<f64> {
        (self.len() == 1).then(|| self.real(0)).flatten()
    }

    /// All elements as real numbers.
    pub fn to_floats(&self) -> Vec<f32> {
        match &self.data {
            Data::Floats(values) => values.clone(),
            Data::Ints(values) => values.iter().map(|&value| value as f32).collect(),
        }
    }

    /// All elements, if they are whole numbers.
    pub fn as_ints(&self) -> Option<&[i64]> {
        match &self.data {
            Data::Ints(values) => Some(values),
            Data::Floats(_) => None,
        }
    }
}

/// The number of elements of dimensions, if it is below the limit.
pub fn count(dims: &[usize]) -> Option<usize> {
    cost(dims).map(|_| dims.iter().product())
}

/// What going through dimensions costs: as [`count`], but a dimension of 0 does not make up for large ones.
pub fn cost(dims: &[usize]) -> Option<usize> {
    let mut dims = dims.iter().filter(|&&dim| dim != 0);
    let product = dims.try_fold(1, |product: usize, &dim| product.checked_mul(dim));
    product.filter(|&product| product <= MAX_ELEMS)
}

/// Gets bytes of a file beside the model's: path, first byte, and how many (none: up to the end).
pub type External<'e> = dyn Fn(&Path, u64, Option<u64>) -> Result<Vec<u8>, String> + 'e;

/// What a constant of the file holds.
pub fn decode(tensor: &Tensor<'_>, external: &External<'_>) -> Result<Array, Refusal> {
    if tensor.odd {
        return refuse("holds texts or lies in several parts; save it as one tensor of numbers");
    }
    let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok());
    let dims: Option<Vec<usize>> = dims.collect();
    let Some((dims, elems)) = dims.and_then(|dims| count(&dims).map(|count| (dims, count))) else {
        return refuse(format!(
            "has the dimensions {:?}, which no constant of a small network has; copy the file again",
            tensor.dims
        ));
    };
    let bytes;
    let raw = match &tensor.external {
        Some(place) => {
            bytes = outside(place, external)?;
            Some(&bytes[..])
        }
        None => tensor.raw,
    };
    let data = match raw {
        Some(raw) => from_bytes(tensor.elem, raw),
        None => from_fields(tensor),
    };
    let Some(data) = data else {
        return refuse(format!(
            "has elements of type {}, or bytes that are none; supported are FLOAT, FLOAT16, BFLOAT16, DOUBLE, BOOL and integers of 8 to 64 bits: convert it",
            tensor.elem
        ));
    };
    let array = Array {
        elem: tensor.elem,
        ..Array::of(dims, data)
    };
    if array.len() != elems {
        return refuse(format!(
            "has {} elements for the dimensions {:?}; the file is damaged or cut short: copy it again",
            array.len(),
            array.dims
        ));
    }
    Ok(array)
}

fn outside(place: &[(&str, &str)], external: &External<'_>) -> Result<Vec<u8>, Refusal> {
    let find = |wanted| place.iter().find(|(key, _)| *key == wanted);
    let number = |wanted| match find(wanted).map(|(_, text)| text.parse::<u64>()) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => refuse(format!(
            "lies in another file, at an {wanted} that is no number; export the model again"
        )),
    };
    let Some((_, path)) = find("location") else {
        return refuse("lies in a file that is not named; export the model again");
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    external(Path::new(path), offset, length).map_err(|why| Refusal::new(format!("{why} ({path})")))
}

fn from_bytes(kind: i64, raw: &[u8]) -> Option<Data> {
    fn each<const N: usize, T>(raw: &[u8], number: impl Fn([u8; N]) -> T) -> Option<Vec<T>> {
        let (numbers, rest) = raw.as_chunks();
        rest.is_empty()
            .then(|| numbers.iter().map(|&bytes| number(bytes)).collect())
    }
    let floats = match kind {
        elem::FLOAT => each(raw, f32::from_le_bytes),
        elem::FLOAT16 => each(raw, |bytes| f16::from_le_bytes(bytes).to_f32()),
        elem::BFLOAT16 => each(raw, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        elem::DOUBLE => each(raw, |bytes| f64::from_le_bytes(bytes) as f32),
        _ => None,
    };
    let ints = match kind {
        elem::UINT8 => each(raw, |bytes| u8::from_le_bytes(bytes).into()),
        elem::INT8 => each(raw, |bytes| i8::from_le_bytes(bytes).into()),
        elem::UINT16 => each(raw, |bytes| u16::from_le_bytes(bytes).into()),
        elem::INT16 => each(raw, |bytes| i16::from_le_bytes(bytes).into()),
        elem::INT32 => each(raw, |bytes| i32::from_le_bytes(bytes).into()),
        elem::UINT32 => each(raw, |bytes| u32::from_le_bytes(bytes).into()),
        elem::INT64 | elem::UINT64 => each(raw, i64::from_le_bytes),
        elem::BOOL => each(raw, |[byte]| i64::from(byte != 0)),
        _ => None,
    };
    floats.map(Data::Floats).or(ints.map(Data::Ints))
}

/// Elements that are not raw lie in the field of a wider type.
fn from_fields(tensor: &Tensor<'_>) -> Option<Data> {
    let narrow = |number: fn(u16) -> f32| {
        let bits = tensor.ints.iter().map(|&int| u16::try_from(int).ok());
        bits.map(|bits| bits.map(number))
            .collect::<Option<Vec<f32>>>()
    };
    let floats = match tensor.elem {
        elem::FLOAT => tensor.floats.clone(),
        elem::DOUBLE => tensor.doubles.iter().map(|&value| value as f32).collect(),
        elem::FLOAT16 => narrow(|bits| f16::from_bits(bits).to_f32())?,
        elem::BFLOAT16 => narrow(|bits| bf16::from_bits(bits).to_f32())?,
        kind if elem::is_int(kind) => return Some(Data::Ints(tensor.ints.clone())),
        _ => return None,
    };
    Some(Data::Floats(floats))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nowhere(_: &Path, _: u64, _: Option<u64>) -> Result<Vec<u8>, String> {
        Err("not here".into())
    }

    #[test]
    fn elements_of_every_type_are_read_raw() {
        let read = |kind, raw: &[u8]| from_bytes(kind, raw);
        let one = Some(Data::Floats(vec![1.0]));
        assert_eq!(read(elem::FLOAT, &[0, 0, 0x80, 0x3f]), one);
        assert_eq!(read(elem::FLOAT16, &[0, 0x3c]), one);
        assert_eq!(read(elem::BFLOAT16, &[0x80, 0x3f]), one);
        assert_eq!(read(elem::DOUBLE, &1f64.to_le_bytes()), one);
        assert_eq!(read(elem::INT8, &[0xff]), Some(Data::Ints(vec![-1])));
        assert_eq!(read(elem::UINT8, &[0xff]), Some(Data::Ints(vec![255])));
        assert_eq!(read(elem::BOOL, &[2]), Some(Data::Ints(vec![1])));
        assert_eq!(read(elem::FLOAT, &[0, 0, 0x80]), None);
        assert_eq!(read(8, &[0]), None);
    }

    #[test]
    fn a_tensor_with_too_few_elements_or_too_many_dimensions_is_refused() {
        let mut tensor = Tensor {
            dims: vec![3],
            elem: elem::FLOAT,
            floats: vec![1.0, 2.0],
            ..Tensor::default()
        };
        let why = decode(&tensor, &nowhere).unwrap_err().why;
        assert!(why.contains("2 elements"), "{why}");
        tensor.dims = vec![1 << 40, 1 << 40];
        let why = decode(&tensor, &nowhere).unwrap_err().why;
        assert!(why.contains("no constant"), "{why}");
        tensor.dims = vec![-1];
        assert!(decode(&tensor, &nowhere).is_err());
        tensor.dims = vec![2];
        assert_eq!(
            decode(&tensor, &nowhere).unwrap(),
            Array::floats(vec![2], vec![1.0, 2.0])
        );
    }
}
