//! Pointwise convolution: one by one, stride one.

use crate::arch::dot;
use crate::error::{Operand, ShapeError, expect};
use crate::geometry::Shape;
use crate::requantize::ChannelRequant;
use crate::rows::Rows;

/// What a pointwise convolution is made from.
///
/// # Shapes
/// `weights`: `[output.c][input.c]`. Input and output have the same height and width.
#[derive(Clone, Copy, Debug)]
pub struct PointwiseParams<'a> {
    /// Input extents.
    pub input: Shape,
    /// Output extents.
    pub output: Shape,
    /// Filters.
    pub weights: &'a [i8],
    /// Bias (with the input zero point folded in), factors and activation.
    pub requant: ChannelRequant<'a>,
}

/// A convolution of single pixels.
///
/// # Source
/// TensorFlow Lite Micro `reference_integer_ops::ConvPerChannel`, equal in every code.
#[derive(Clone, Copy, Debug)]
pub struct Pointwise<'a>(PointwiseParams<'a>);

impl<'a> Pointwise<'a> {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where extents disagree or a sum could leave 32 bits.
    pub fn new(params: PointwiseParams<'a>) -> Result<Self, ShapeError> {
        let PointwiseParams {
            input,
            output,
            weights,
            requant,
        } = params;
        if input.has_zero() || output.has_zero() {
            return Err(ShapeError::Zero);
        }
        expect(Operand::OutputHeight, input.h, output.h)?;
        expect(Operand::OutputWidth, input.w, output.w)?;
        expect(
            Operand::Weights,
            input.c.saturating_mul(output.c),
            weights.len(),
        )?;
        requant.check(output.c, input.c)?;
        Ok(Pointwise(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: PointwiseParams<'a>) -> Self {
        Pointwise(params)
    }

    /// Makes output rows `first_row..`, as many as `output` holds.
    ///
    /// Rows that lie next to each other are one run of pixels.
    pub fn run(&self, input: &Rows<'_>, first_row: usize, output: &mut [i8]) {
        let p = &self.0;
        let rows = output.len().checked_div(p.output.row_elems()).unwrap_or(0);
        let (in_c, out_c) = (p.input.c.max(1), p.output.c.max(1));
        let [head, tail] = input.runs(first_row, rows);
        let pixels = head.chunks_exact(in_c).chain(tail.chunks_exact(in_c));
        for (pixel, codes) in pixels.zip(output.chunks_exact_mut(out_c)) {
            let filters = p.weights.chunks_exact(in_c);
            for ((filter, (bias, requant)), code) in filters.zip(p.requant.channels()).zip(codes) {
                *code = p.requant.code(dot(bias, pixel, filter), requant);
            }
        }
    }
}
