//! Concatenation of two tensors along their channels.

use crate::error::{Operand, ShapeError, expect};
use crate::geometry::Shape;
use crate::rows::Rows;

/// What a concatenation is made from; all three tensors share scale and zero point.
#[derive(Clone, Copy, Debug)]
pub struct ConcatParams {
    /// Extents of the two inputs.
    pub inputs: [Shape; 2],
    /// Output extents.
    pub output: Shape,
}

/// The channels of one tensor and then those of another.
///
/// # Source
/// TensorFlow Lite Micro `reference_ops::Concatenation`, equal in every code.
#[derive(Clone, Copy, Debug)]
pub struct Concat(ConcatParams);

impl Concat {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where the extents disagree.
    pub fn new(params: ConcatParams) -> Result<Self, ShapeError> {
        let ConcatParams {
            inputs: [a, b],
            output,
        } = params;
        if a.has_zero() || b.has_zero() {
            return Err(ShapeError::Zero);
        }
        for input in [a, b] {
            expect(Operand::OutputHeight, input.h, output.h)?;
            expect(Operand::OutputWidth, input.w, output.w)?;
        }
        expect(Operand::OutputChannels, a.c.saturating_add(b.c), output.c)?;
        Ok(Concat(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: ConcatParams) -> Self {
        Concat(params)
    }

    /// Makes output rows `first_row..`, as many as `output` holds.
    pub fn run(&self, inputs: [&Rows<'_>; 2], first_row: usize, output: &mut [i8]) {
        let p = &self.0;
        let [a_c, b_c] = p.inputs.map(|input| input.c.max(1));
        for (r, row) in output.chunks_mut(p.output.row_elems().max(1)).enumerate() {
            let [a, b] = inputs.map(|input| input.row((first_row + r) as i32).unwrap_or(&[]));
            let pixels = a.chunks_exact(a_c).zip(b.chunks_exact(b_c));
            for ((a, b), pixel) in pixels.zip(row.chunks_mut(p.output.c.max(1))) {
                for (code, &source) in pixel.iter_mut().zip(a.iter().chain(b)) {
                    *code = source;
                }
            }
        }
    }
}
