//! Pointwise convolution: one by one, stride one.

use crate::arch;
use crate::error::{Operand, ShapeError, expect};
use crate::filter::{BLOCK_PIXELS, Filters, Packing, Taps, block_pixels, next_block, words};
use crate::geometry::Shape;
use crate::requantize::ChannelRequant;
use crate::rows::Rows;

/// What a pointwise convolution is made from.
///
/// # Shapes
/// `weights`: `[output.c][input.c]`, or packed. Input and output have the same height and width.
#[derive(Clone, Copy, Debug)]
pub struct PointwiseParams<'a> {
    /// Input extents.
    pub input: Shape,
    /// Output extents.
    pub output: Shape,
    /// Filters.
    pub weights: &'a [i8],
    /// The order in which they lie.
    pub packing: Packing,
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
            packing,
            requant,
        } = params;
        if input.has_zero() || output.has_zero() {
            return Err(ShapeError::Zero);
        }
        expect(Operand::OutputHeight, input.h, output.h)?;
        expect(Operand::OutputWidth, input.w, output.w)?;
        expect(
            Operand::Weights,
            packing.filters_len(Taps::one(input.c), output.c),
            weights.len(),
        )?;
        requant.check(output.c, input.c, packing)?;
        Ok(Pointwise(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: PointwiseParams<'a>) -> Self {
        Pointwise(params)
    }

    /// Scratch memory that [`run`](Self::run) makes good use of.
    pub const fn scratch_bytes(params: &PointwiseParams<'_>) -> usize {
        let taps = Taps::one(params.input.c);
        params.packing.block_bytes(taps, BLOCK_PIXELS)
    }

    /// Makes output rows `first_row..`, as many as `output` holds.
    ///
    /// Rows that lie next to each other are one run of pixels. With less scratch memory, down to none, it is slower.
    pub fn run(&self, input: &Rows<'_>, first_row: usize, scratch: &mut [i8], output: &mut [i8]) {
        let p = &self.0;
        let filters = Filters {
            weights: p.weights,
            packing: p.packing,
            taps: Taps::one(p.input.c),
        };
        let rows = output.len().checked_div(p.output.row_elems()).unwrap_or(0);
        let [head, tail] = input.runs(first_row, rows);
        let pixels = head.len().checked_div(p.input.c).unwrap_or(0);
        let (first, second) = output
            .split_at_mut_checked(pixels * p.output.c)
            .unwrap_or_default();
        multiply(&filters, &p.requant, head, scratch, first);
        multiply(&filters, &p.requant, tail, scratch, second);
    }
}

/// Pixels that lie next to each other times the filters, a block of them at a time.
pub(crate) fn multiply(
    filters: &Filters<'_>,
    requant: &ChannelRequant<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) {
    let Filters { taps, packing, .. } = *filters;
    let (in_c, out_c) = (taps.count().max(1), requant.bias.len().max(1));
    let mut left = output.len().checked_div(out_c).unwrap_or(0);
    if !arch::is_expanded(packing) {
        return arch::multiply_block(input, left, filters, requant, output);
    }
    let scratch = words(scratch);
    let at_once = block_pixels(taps, packing, scratch.len());
    if at_once < arch::LEAST_PIXELS || out_c < arch::LEAST_CHANNELS {
        return arch::multiply_codes(input, left, filters, requant, output);
    }
    let (mut input, mut output) = (input, output);
    while left > 0 {
        let pixels = next_block(left, at_once);
        let Some((codes, more)) = input.split_at_checked(pixels * in_c) else {
            return;
        };
        let Some((made, rest)) = output.split_at_mut_checked(pixels * out_c) else {
            return;
        };
        arch::fill_block(scratch, taps, packing, pixels, 0, 0, codes, in_c, pixels);
        arch::multiply_block(scratch, pixels, filters, requant, made);
        (input, output, left) = (more, rest, left - pixels);
    }
}
