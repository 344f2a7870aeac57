//! QuantizeLinear and DequantizeLinear: the scales that a file prescribes.

use std::rc::Rc;

use super::array::{Array, Data, WeightScales};
use super::import::{Flow, Importer, Inputs, Value, axis};
use super::model::elem;
use super::{Refusal, refuse};
use crate::grid::Quantization;

impl<'m, 'f> Importer<'m, 'f> {
    pub fn quantize_linear(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let flow = inputs.flow(0)?;
        let quantization = self.activation(inputs)?;
        // Codes end: what is outside is forced into their range. Exporters leave out a ReLU that this does already.
        let (id, _) = self.tensor(flow)?;
        let flow = if self.clampable.get(id.0) == Some(&true) {
            let [low, high] = [-128, 127].map(|code| f64::from(quantization.value(code)));
            Flow {
                expr: self.clip(flow, low, high)?,
                layout: flow.layout.clone(),
            }
        } else {
            flow.clone()
        };
        Ok(Value::Codes(flow, quantization))
    }

    pub fn dequantize_linear(&mut self, inputs: &Inputs<'m, 'f>) -> Result<Value, Refusal> {
        let (flow, quantization) = match inputs.get(0) {
            Some(Value::Codes(flow, quantization)) => (flow.clone(), *quantization),
            _ => {
                return refuse(
                    "reads what no QuantizeLinear made; quantize the network with a float input",
                );
            }
        };
        let same = self.activation(inputs)?;
        if same != quantization {
            return refuse(format!(
                "has scale {} and zero point {}, and the QuantizeLinear before it {} and {} (as int8); both have to be the same",
                same.scale, same.zero_point, quantization.scale, quantization.zero_point
            ));
        }
        let (id, _) = self.tensor(&flow)?;
        let name = self.builder.name(id).to_string();
        let known = self.fixed.tensors.insert(name, quantization);
        if known.is_some_and(|known| known != quantization) {
            return refuse(
                "quantizes a tensor in a second way; one scale for each tensor is supported: quantize again so",
            );
        }
        Ok(self.flow(id, flow.layout))
    }

    /// Scale and zero point of what flows.
    fn activation(&self, inputs: &Inputs<'m, 'f>) -> Result<Quantization, Refusal> {
        let scale = inputs.weights(1)?;
        let Some(scale) = scale.scalar().map(|scale| scale as f32) else {
            return refuse(format!(
                "has {} scales for what the network computes; one is supported: quantize activations per tensor",
                scale.len()
            ));
        };
        expect_scale(scale)?;
        // Without a zero point the codes are uint8 and it is 0.
        let (zero_point, kind) = match inputs.constant(2)? {
            None => (0, inputs.node.int("output_dtype")?.unwrap_or(elem::UINT8)),
            Some(array) => {
                let zero = array.as_ints().filter(|zero| zero.len() == 1);
                let Some(&zero) = zero.and_then(|zero| zero.first()) else {
                    return refuse("has a zero point that is no whole number");
                };
                (zero, array.elem)
            }
        };
        let zero_point = match kind {
            elem::UINT8 => zero_point - 128,
            elem::INT8 => zero_point,
            other => {
                return refuse(format!(
                    "has codes of type {other}; int8 and uint8 are supported: quantize to these"
                ));
            }
        };
        match i8::try_from(zero_point) {
            Ok(zero_point) => Ok(Quantization { scale, zero_point }),
            Err(_) => refuse(format!("has the zero point {zero_point}, which is no code")),
        }
    }

    /// The codes of a constant.
    pub fn quantized(&mut self, inputs: &Inputs<'m, 'f>, array: &Array) -> Result<Array, Refusal> {
        let steps = Steps::of(inputs, array)?;
        self.budget.hold(array.len())?;
        let range = match steps.elem {
            elem::UINT8 => 0..=255,
            elem::INT8 => -128..=127,
            other => {
                return refuse(format!(
                    "makes codes of type {other}; int8 and uint8 are supported: quantize to these"
                ));
            }
        };
        let values = array.to_floats();
        let codes = values
            .iter()
            .zip(steps.each())
            .map(|(value, (scale, zero))| {
                let code = (value / scale).round_ties_even() as i64;
                code.saturating_add(zero)
                    .clamp(*range.start(), *range.end())
            });
        Ok(Array {
            elem: steps.elem,
            ..Array::ints(array.dims.clone(), codes.collect())
        })
    }

    /// Real numbers of a quantized constant.
    pub fn dequantized(
        &mut self,
        inputs: &Inputs<'m, 'f>,
        array: &Array,
    ) -> Result<Array, Refusal> {
        let Data::Ints(codes) = &array.data else {
            return refuse("dequantizes a constant that is no whole numbers");
        };
        let steps = Steps::of(inputs, array)?;
        self.budget.hold(codes.len())?;
        let real =
            |(&code, (scale, zero)): (&i64, (f32, i64))| scale * code.saturating_sub(zero) as f32;
        let values = codes.iter().zip(steps.each()).map(real).collect();
        let mut made = Array::floats(array.dims.clone(), values);
        // Biases have 32 bits, and a scale that follows from input and weights.
        let middle = match array.elem {
            elem::INT8 => 0,
            elem::UINT8 => 128,
            _ => return Ok(made),
        };
        made.scales = Some(Rc::new(WeightScales {
            is_symmetric: steps.zeros.iter().all(|&zero| zero == middle),
            scales: steps.scales,
            axis: steps.axis,
        }));
        Ok(made)
    }
}

/// Scales and zero points of a constant, one for all or for each index of a dimension.
struct Steps {
    scales: Vec<f32>,
    zeros: Vec<i64>,
    axis: usize,
    /// Elements from one index of the dimension to the next.
    inner: usize,
    elem: i64,
}

impl Steps {
    fn of(inputs: &Inputs<'_, '_>, array: &Array) -> Result<Self, Refusal> {
        if inputs.node.int("block_size")?.unwrap_or(0) != 0 {
            return refuse("attribute `block_size` is set; scales for blocks are not supported");
        }
        let scales = inputs.weights(1)?.to_floats();
        scales.iter().try_for_each(|&scale| expect_scale(scale))?;
        let (zeros, elem) = match inputs.constant(2)? {
            None => (vec![0; scales.len()], elem::UINT8),
            Some(zeros) => match zeros.as_ints() {
                Some(list) if list.len() == scales.len() => (list.to_vec(), zeros.elem),
                _ => return refuse("has another number of zero points than of scales"),
            },
        };
        let dims = &array.dims;
        if scales.len() == 1 {
            let (axis, inner) = (0, array.len().max(1));
            return Ok(Steps {
                scales,
                zeros,
                axis,
                inner,
                elem,
            });
        }
        let axis = axis(inputs.node.int("axis")?.unwrap_or(1), dims.len())?;
        if scales.is_empty() || dims.get(axis) != Some(&scales.len()) {
            return refuse(format!(
                "has {} scales for dimension {axis} of {dims:?}",
                scales.len()
            ));
        }
        let inner = dims.iter().skip(axis + 1).product::<usize>().max(1);
        Ok(Steps {
            scales,
            zeros,
            axis,
            inner,
            elem,
        })
    }

    /// Scale and zero point of each element in turn, without end.
    fn each(&self) -> impl Iterator<Item = (f32, i64)> {
        let steps = self.scales.iter().zip(&self.zeros).cycle();
        steps.flat_map(|(&scale, &zero)| std::iter::repeat_n((scale, zero), self.inner))
    }
}

fn expect_scale(scale: f32) -> Result<(), Refusal> {
    if scale.is_normal() && scale > 0.0 {
        Ok(())
    } else {
        refuse(format!("has the scale {scale}; quantize the network again"))
    }
}
