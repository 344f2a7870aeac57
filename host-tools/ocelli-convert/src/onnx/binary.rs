//! Sums and products of tensors with constants for each channel, and of two tensors.

use super::array::Array;
use super::elementwise::Argument;
use super::function::Function;
use super::import::{Flow, Importer, Value};
use super::layout::Layout;
use super::{Refusal, refuse, refuse_layout};
use crate::graph::{Op, Shape};

impl Importer<'_, '_> {
    /// For each channel its number in a constant that is stretched over a layout.
    pub fn channels(
        &self,
        array: &Array,
        layout: &Layout,
        shape: Shape,
    ) -> Result<Vec<f32>, Refusal> {
        let picked = layout
            .channel_indices(&array.dims, shape.c)
            .and_then(|indices| array.pick(vec![shape.c], &indices));
        match picked {
            Some(array) => Ok(array.to_floats()),
            None => refuse_layout(format!(
                "combines a tensor of {:?} with a constant of {:?}; supported are constants with a number for each channel, or one for all",
                layout.sizes(),
                array.dims
            )),
        }
    }

    /// A function of a tensor and a constant that differs between channels.
    pub fn with_channels(
        &mut self,
        function: Function,
        flow: &Flow,
        array: &Array,
        is_swapped: bool,
    ) -> Result<Value, Refusal> {
        let (id, shape) = self.tensor(flow)?;
        let numbers = self.channels(array, &flow.layout, shape)?;
        let ones = vec![1.0; shape.c];
        let zeros = vec![0.0; shape.c];
        let each = |map: fn(f32) -> f32| numbers.iter().map(|&number| map(number)).collect();
        let (scale, shift) = match (function, is_swapped) {
            (Function::Add, _) => (ones, numbers),
            (Function::Sub, false) => (ones, each(|number| -number)),
            (Function::Sub, true) => (vec![-1.0; shape.c], numbers),
            (Function::Mul, _) => (numbers, zeros),
            (Function::Div, false) => (each(|number| 1.0 / number), zeros),
            (Function::PRelu, false) => return self.prelu(flow, numbers),
            _ => {
                return refuse(
                    "combines a tensor with a constant for each channel; Add, Sub, Mul, Div (by the constant) and PRelu can: use one of these",
                );
            }
        };
        let op = Op::BatchNorm { scale, shift };
        self.push_flow(op, id, flow.layout.clone())
    }

    /// What is above zero, and what is below it by a factor for each channel.
    fn prelu(&mut self, flow: &Flow, slopes: Vec<f32>) -> Result<Value, Refusal> {
        let mut clip = |low: f64, high: f64| {
            let ends = [low, high].map(Argument::Number);
            let [low, high] = ends;
            self.apply(Function::Clip, vec![Argument::Expr(flow.expr), low, high])
        };
        let above = clip(0.0, f64::INFINITY)?;
        let below = clip(f64::NEG_INFINITY, 0.0)?;
        let (above, below) = (self.materialize(above)?, self.materialize(below)?);
        let op = Op::BatchNorm {
            shift: vec![0.0; slopes.len()],
            scale: slopes,
        };
        let (below, _) = self.push(op, &[below], ".below")?;
        let sum = self.push_pair(self.at, Function::Add, above, below)?;
        Ok(self.flow(sum, flow.layout.clone()))
    }

    /// A function of two different tensors.
    pub fn of_two(
        &mut self,
        function: Function,
        first: &Flow,
        second: &Flow,
    ) -> Result<Value, Refusal> {
        let (a, shape_a) = self.tensor(first)?;
        let (b, shape_b) = self.tensor(second)?;
        if first.layout == second.layout && shape_a == shape_b {
            let made = self.push_pair(self.at, function, a, b)?;
            return Ok(self.flow(made, first.layout.clone()));
        }
        let is_pixel = |shape: Shape, of: Shape| shape == Shape::new(1, 1, of.c);
        if function == Function::Mul {
            // The larger one is the first of a product.
            let pairs = [
                (first, a, shape_a, second, b, shape_b),
                (second, b, shape_b, first, a, shape_a),
            ];
            for (map, map_id, map_shape, pixel, pixel_id, pixel_shape) in pairs {
                if is_pixel(pixel_shape, map_shape)
                    && map.layout.is_scaled_by(&pixel.layout, map_shape.c)
                {
                    let made = self.push_pair(self.at, function, map_id, pixel_id)?;
                    return Ok(self.flow(made, map.layout.clone()));
                }
            }
        }
        refuse_layout(format!(
            "combines tensors of {:?} and {:?}; two of the same shape can be added, subtracted or multiplied, and a map multiplied by one number for each channel",
            first.layout.sizes(),
            second.layout.sizes()
        ))
    }
}
