//! What the file says of activations, weights and biases, checked.

use super::super::schema::{File, Tensor, elem};
use super::super::shape::{constant_shape, map_shape};
use super::super::{Refusal, refuse_tensor};
use crate::graph::Clamp;

/// An int8 tensor that flows.
#[derive(Clone, Copy, PartialEq)]
pub struct Activation {
    /// Rows, columns and channels.
    pub shape: [usize; 3],
    pub scale: f32,
    pub zero_point: i8,
}

impl Activation {
    pub fn elems(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many steps a code is above zero.
    pub fn steps(&self, code: i32) -> i32 {
        code - i32::from(self.zero_point)
    }

    /// The code, yet to be clamped, that is so many steps above zero.
    pub fn code(&self, steps: i32) -> i32 {
        steps.saturating_add(self.zero_point.into())
    }

    /// The codes that an activation function lets through.
    ///
    /// # Source
    /// TensorFlow Lite `CalculateActivationRangeQuantized`, in f32.
    pub fn range(&self, clamp: Clamp) -> [i8; 2] {
        [clamp.min, clamp.max].map(|real| {
            self.code((real / self.scale).round() as i32)
                .clamp(-128, 127) as i8
        })
    }

    /// Refuses an `other` whose codes mean something else.
    pub fn expect_same_codes(&self, other: &Activation, id: usize) -> Result<(), Refusal> {
        if (self.scale, self.zero_point) == (other.scale, other.zero_point) {
            return Ok(());
        }
        refuse_tensor(
            id,
            format!(
                "has scale {} and zero point {}, but is made from codes of {} and {}; both have to be the same here, as TensorFlow Lite's converter makes them",
                other.scale, other.zero_point, self.scale, self.zero_point
            ),
        )
    }
}

/// An activation of the file.
pub fn activation(file: &File<'_>, id: usize) -> Result<Activation, Refusal> {
    let tensor = &file.tensors[id];
    expect_int8(tensor, id)?;
    if !tensor.data.is_empty() {
        return refuse_tensor(
            id,
            "is a constant; here the operator can only take what flows through the network",
        );
    }
    let shape = map_shape(tensor, id)?;
    codes_of(tensor, id, shape)
}

/// What the codes of a tensor of this shape mean.
fn codes_of(tensor: &Tensor<'_>, id: usize, shape: [usize; 3]) -> Result<Activation, Refusal> {
    let quantization = &tensor.quantization;
    let (&[scale], &[zero_point]) = (&quantization.scale[..], &quantization.zero_point[..]) else {
        return refuse_tensor(
            id,
            "has no scale and zero point of its own; quantize the network to int8 (full integer quantization)",
        );
    };
    expect_scale(scale, id)?;
    let Ok(zero_point) = i8::try_from(zero_point) else {
        return refuse_tensor(
            id,
            format!("has zero point {zero_point}; int8 has -128 to 127"),
        );
    };
    Ok(Activation {
        shape,
        scale,
        zero_point,
    })
}

/// A constant that flows in where most operators read what is computed.
pub struct Constant<'f> {
    /// What its codes mean; as channels of one pixel.
    pub meaning: Activation,
    pub codes: &'f [u8],
}

/// A constant of one number, or of one for each of so many channels.
pub fn constant<'f>(file: &File<'f>, id: usize, channels: usize) -> Result<Constant<'f>, Refusal> {
    let tensor = &file.tensors[id];
    expect_int8(tensor, id)?;
    let shape = constant_shape(tensor, id, 1)?;
    let count = tensor.data.len();
    if count != 1 && !(count == channels && shape.last() == Some(&channels)) {
        return refuse_tensor(
            id,
            format!(
                "is a constant of {shape:?} beside {channels} channels; one number, or one for each channel, are supported"
            ),
        );
    }
    Ok(Constant {
        meaning: codes_of(tensor, id, [1, 1, count])?,
        codes: tensor.data,
    })
}

/// Codes with a scale for all or for each output channel, zero point 0.
pub struct Weights<'f> {
    pub shape: Vec<usize>,
    pub codes: &'f [u8],
    /// One for each output channel.
    pub scale: Vec<f32>,
}

/// Weights of so many dimensions, of which `channels` is that of the output channels.
pub fn weights<'f>(
    file: &File<'f>,
    id: usize,
    dimensions: usize,
    channels: usize,
) -> Result<Weights<'f>, Refusal> {
    let tensor = &file.tensors[id];
    expect_int8(tensor, id)?;
    let shape = constant_shape(tensor, id, 1)?;
    if shape.len() != dimensions {
        return refuse_tensor(
            id,
            format!(
                "has {} dimensions; weights have {dimensions} here",
                shape.len()
            ),
        );
    }
    let count = shape[channels];
    let quantization = &tensor.quantization;
    let scale = match &quantization.scale[..] {
        &[scale] => vec![scale; count],
        scales if scales.len() == count && quantization.dimension == channels as i32 => {
            scales.to_vec()
        }
        scales => {
            return refuse_tensor(
                id,
                format!(
                    "has {} scales along dimension {}; one, or {count} along dimension {channels}, are supported",
                    scales.len(),
                    quantization.dimension
                ),
            );
        }
    };
    for &scale in &scale {
        expect_scale(scale, id)?;
    }
    if quantization.zero_point.iter().any(|&zero| zero != 0) {
        return refuse_tensor(
            id,
            "has zero points other than 0; only symmetric weights are supported: convert with int8 full integer quantization",
        );
    }
    Ok(Weights {
        shape,
        codes: tensor.data,
        scale,
    })
}

fn expect_int8(tensor: &Tensor<'_>, id: usize) -> Result<(), Refusal> {
    if let Some(exotic) = tensor.exotic {
        return refuse_tensor(id, exotic);
    }
    let why = match tensor.elem {
        elem::INT8 => return Ok(()),
        elem::FLOAT32 => {
            "is float32 where int8 is needed; a file has to be float throughout or int8 throughout: quantize the whole network (full integer quantization)"
                .to_string()
        }
        elem::UINT8 => {
            "is uint8, the older quantization; only int8 is supported: convert anew with inference type int8"
                .to_string()
        }
        other => format!(
            "is {}; only int8 is supported here: quantize the network to int8 (full integer quantization)",
            elem::name(other)
        ),
    };
    refuse_tensor(id, why)
}

fn expect_scale(scale: f32, id: usize) -> Result<(), Refusal> {
    if scale > 0.0 && scale.is_finite() {
        return Ok(());
    }
    refuse_tensor(
        id,
        format!("has scale {scale}; a scale is a positive number"),
    )
}
