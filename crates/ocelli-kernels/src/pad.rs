//! Padding as an op of its own.

use crate::error::{Operand, ShapeError, expect};
use crate::geometry::{Padding, Shape, padded};
use crate::rows::Rows;

/// What a pad is made from.
#[derive(Clone, Copy, Debug)]
pub struct PadParams {
    /// Input extents.
    pub input: Shape,
    /// Output extents.
    pub output: Shape,
    /// Rows and columns added.
    pub padding: Padding,
    /// Code of the added pixels.
    pub value: i8,
}

/// Rows and columns of one code around a tensor.
#[derive(Clone, Copy, Debug)]
pub struct Pad(PadParams);

impl Pad {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where the extents disagree.
    pub fn new(params: PadParams) -> Result<Self, ShapeError> {
        let PadParams {
            input,
            output,
            padding,
            ..
        } = params;
        if input.has_zero() {
            return Err(ShapeError::Zero);
        }
        expect(
            Operand::OutputHeight,
            padded(input.h, padding.top, padding.bottom),
            output.h,
        )?;
        expect(
            Operand::OutputWidth,
            padded(input.w, padding.left, padding.right),
            output.w,
        )?;
        expect(Operand::OutputChannels, input.c, output.c)?;
        Ok(Pad(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: PadParams) -> Self {
        Pad(params)
    }

    /// Makes output rows `first_row..`, as many as `output` holds.
    pub fn run(&self, input: &Rows<'_>, first_row: usize, output: &mut [i8]) {
        let p = &self.0;
        let (left, width) = (p.padding.left * p.input.c, p.input.row_elems());
        for (r, codes) in output.chunks_mut(p.output.row_elems().max(1)).enumerate() {
            codes.fill(p.value);
            let source = input
                .row((first_row + r) as i32 - p.padding.top as i32)
                .unwrap_or(&[]);
            let inner = codes
                .get_mut(left..)
                .and_then(|codes| codes.get_mut(..width))
                .unwrap_or(&mut []);
            for (code, &source) in inner.iter_mut().zip(source) {
                *code = source;
            }
        }
    }
}
