//! Standard convolution.

use crate::arch::{dot, sum};
use crate::error::{Operand, ShapeError, expect};
use crate::geometry::{Shape, Window, inside};
use crate::requantize::ChannelRequant;
use crate::rows::Rows;

/// What a convolution is made from.
///
/// # Shapes
/// `weights`: `[output.c][filter_h][filter_w][input.c]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dParams<'a> {
    /// Input extents.
    pub input: Shape,
    /// Output extents.
    pub output: Shape,
    /// Filter, stride, dilation and padding.
    pub window: Window,
    /// Code that padding pixels have.
    pub input_zero_point: i8,
    /// Filters.
    pub weights: &'a [i8],
    /// Bias (with the input zero point folded in), factors and activation.
    pub requant: ChannelRequant<'a>,
}

/// A convolution with any filter, stride, dilation and padding.
///
/// # Source
/// TensorFlow Lite Micro `reference_integer_ops::ConvPerChannel`, equal in every code.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<'a>(Conv2dParams<'a>);

impl<'a> Conv2d<'a> {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where extents disagree or a sum could leave 32 bits.
    pub fn new(params: Conv2dParams<'a>) -> Result<Self, ShapeError> {
        let Conv2dParams {
            input,
            output,
            window,
            weights,
            requant,
            ..
        } = params;
        window.check(input, output)?;
        let taps = window
            .filter_h
            .saturating_mul(window.filter_w)
            .saturating_mul(input.c);
        expect(
            Operand::Weights,
            taps.saturating_mul(output.c),
            weights.len(),
        )?;
        requant.check(output.c, taps)?;
        Ok(Conv2d(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: Conv2dParams<'a>) -> Self {
        Conv2d(params)
    }

    /// Makes output rows `first_row..`, as many as `output` holds.
    pub fn run(&self, input: &Rows<'_>, first_row: usize, output: &mut [i8]) {
        let p = &self.0;
        let rows = output.chunks_mut(p.output.row_elems().max(1));
        for (r, row) in rows.enumerate() {
            let top = p.window.first_row(first_row + r);
            for (column, pixel) in row.chunks_mut(p.output.c.max(1)).enumerate() {
                self.pixel(input, top, column, pixel);
            }
        }
    }

    /// One output pixel: all channels at the window whose first input row is `top`.
    fn pixel(&self, input: &Rows<'_>, top: i32, column: usize, pixel: &mut [i8]) {
        let p = &self.0;
        let zero_point = i32::from(p.input_zero_point);
        let filter_row = (p.window.filter_w * p.input.c).max(1);
        let filters = p
            .weights
            .chunks_exact((filter_row * p.window.filter_h).max(1));
        // Filter columns `left..right` lie inside the input, from input column `from` on.
        let (left, right, from) = inside(&p.window, column, p.input.w);
        let (head, tail, at) = (left * p.input.c, right * p.input.c, from * p.input.c);
        for ((filter, (bias, requant)), code) in filters.zip(p.requant.channels()).zip(pixel) {
            let mut acc = bias;
            let mut r = top;
            for taps in filter.chunks_exact(filter_row) {
                acc = match input.row(r) {
                    None => acc.wrapping_add(zero_point * sum(taps)),
                    Some(row) if p.window.dilation_w == 1 => {
                        // The pixels of a filter row lie next to each other: one dot product for all of them.
                        let (before, rest) = taps.split_at_checked(head).unwrap_or((&[], taps));
                        let (within, after) =
                            rest.split_at_checked(tail - head).unwrap_or((rest, &[]));
                        let outside = if before.len() + after.len() > 0 {
                            sum(before) + sum(after)
                        } else {
                            0
                        };
                        dot(
                            acc.wrapping_add(zero_point * outside),
                            row.get(at..).unwrap_or(&[]),
                            within,
                        )
                    }
                    Some(row) => self.dilated_taps(acc, row, column, taps),
                };
                r = r.wrapping_add(p.window.dilation_h as i32);
            }
            *code = p.requant.code(acc, requant);
        }
    }

    /// One filter row whose columns lie `dilation_w` apart.
    fn dilated_taps(&self, mut acc: i32, row: &[i8], column: usize, taps: &[i8]) -> i32 {
        let p = &self.0;
        let mut at = (column * p.window.stride_w) as i32 - p.window.padding.left as i32;
        for tap in taps.chunks_exact(p.input.c.max(1)) {
            let pixel = usize::try_from(at)
                .ok()
                .and_then(|at| row.chunks_exact(p.input.c.max(1)).nth(at));
            acc = match pixel {
                Some(pixel) => dot(acc, pixel, tap),
                None => acc.wrapping_add(i32::from(p.input_zero_point) * sum(tap)),
            };
            at += p.window.dilation_w as i32;
        }
        acc
    }
}
