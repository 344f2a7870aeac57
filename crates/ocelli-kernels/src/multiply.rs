//! Multiplication of two tensors, or of a tensor by a factor per channel.

use crate::error::ShapeError;
use crate::geometry::Shape;
use crate::requantize::{Clamp, Requant};
use crate::rows::Rows;

/// What a multiplication is made from; `factor = scale_a * scale_b / scale_output`.
///
/// # Shapes
/// The second input has the shape of the first, or is `[1, 1, c]`: one code for each channel, whatever the pixel.
#[derive(Clone, Copy, Debug)]
pub struct MultiplyParams {
    /// Extents of inputs a and b.
    pub inputs: [Shape; 2],
    /// Output extents.
    pub output: Shape,
    /// Codes of real zero: inputs a and b.
    pub zero_points: [i8; 2],
    /// From product to code.
    pub factor: Requant,
    /// Output code of real zero.
    pub output_zero_point: i8,
    /// Fused activation.
    pub clamp: Clamp,
}

/// The product of two tensors, element by element.
///
/// # Source
/// TensorFlow Lite Micro `reference_integer_ops::Mul`, equal in every code.
#[derive(Clone, Copy, Debug)]
pub struct Multiply(MultiplyParams);

impl Multiply {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where extents disagree or a product could leave 32 bits.
    pub fn new(params: MultiplyParams) -> Result<Self, ShapeError> {
        let [a, b] = params.inputs;
        if a.has_zero() || b.has_zero() {
            return Err(ShapeError::Zero);
        }
        a.expect(params.output)?;
        if b != Shape::new(1, 1, a.c) {
            a.expect(b)?;
        }
        params.factor.check(0, 255 * 255)?;
        params.clamp.check()?;
        Ok(Multiply(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: MultiplyParams) -> Self {
        Multiply(params)
    }

    /// Makes output rows `first_row..`, as many as `output` holds.
    pub fn run(&self, inputs: [&Rows<'_>; 2], first_row: usize, output: &mut [i8]) {
        let p = &self.0;
        let [a, b] = inputs;
        for (r, codes) in output.chunks_mut(p.output.row_elems().max(1)).enumerate() {
            let r = (first_row + r) as i32;
            let a = a.row(r).unwrap_or(&[]);
            let b = b.row(if p.inputs[1].h == 1 { 0 } else { r }).unwrap_or(&[]);
            // A row, or a pixel where the second input is one pixel.
            let run = b.len().max(1);
            for (codes, a) in codes.chunks_mut(run).zip(a.chunks(run)) {
                for ((code, &a), &b) in codes.iter_mut().zip(a).zip(b) {
                    *code = self.code(a, b);
                }
            }
        }
    }

    #[inline(always)]
    fn code(&self, a: i8, b: i8) -> i8 {
        let p = &self.0;
        let [zero_a, zero_b] = p.zero_points.map(i32::from);
        let product = (i32::from(a) - zero_a) * (i32::from(b) - zero_b);
        p.clamp
            .apply(p.factor.apply(product) + i32::from(p.output_zero_point))
    }
}
