//! Standard convolution.

use core::ops::Range;

use crate::arch;
use crate::error::{Operand, ShapeError, expect};
use crate::filter::{BLOCK_PIXELS, Filters, Packing, Taps, block_pixels, next_block, words};
use crate::geometry::{Shape, Window};
use crate::requantize::ChannelRequant;
use crate::rows::Rows;

/// What a convolution is made from.
///
/// # Shapes
/// `weights`: `[output.c][filter_h][filter_w][input.c]`, or packed.
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
    /// The order in which they lie.
    pub packing: Packing,
    /// Bias (with the input zero point folded in), factors and activation.
    pub requant: ChannelRequant<'a>,
}

/// Scratch memory for a few pixels, of which `at` are in it.
struct Block<'a> {
    codes: &'a mut [i8],
    pixels: usize,
    at: usize,
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
            packing,
            requant,
            ..
        } = params;
        window.check(input, output)?;
        let taps = window.taps(input.c);
        expect(
            Operand::Weights,
            packing.filters_len(taps, output.c),
            weights.len(),
        )?;
        requant.check(output.c, taps.count(), packing)?;
        Ok(Conv2d(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: Conv2dParams<'a>) -> Self {
        Conv2d(params)
    }

    /// Scratch memory that [`run`](Self::run) makes good use of.
    pub const fn scratch_bytes(params: &Conv2dParams<'_>) -> usize {
        let taps = params.window.taps(params.input.c);
        params.packing.block_bytes(taps, BLOCK_PIXELS)
    }

    /// Makes output rows `first_row..`, as many as `output` holds; slower with less scratch memory, down to none.
    pub fn run(&self, input: &Rows<'_>, first_row: usize, scratch: &mut [i8], output: &mut [i8]) {
        let p = &self.0;
        let filters = Filters {
            weights: p.weights,
            packing: p.packing,
            taps: p.window.taps(p.input.c),
        };
        let scratch = words(scratch);
        let at_once = block_pixels(filters.taps, p.packing, scratch.len());
        let out_c = p.output.c.max(1);
        if at_once == 0 {
            let rows = output.chunks_mut(p.output.row_elems().max(1));
            for (r, row) in rows.enumerate() {
                let top = p.window.first_row(first_row + r);
                for (column, pixel) in row.chunks_mut(out_c).enumerate() {
                    self.pixel(input, &filters, top, column, pixel);
                }
            }
            return;
        }
        // Pixels of adjoining rows lie next to each other too: a block may begin in one row and end in the next.
        let inside = self.columns_inside();
        let (mut row, mut column) = (first_row, 0);
        let mut rows = self.rows_under(input, row);
        let mut left = output.len().checked_div(out_c).unwrap_or(0);
        let mut output = output;
        while left > 0 {
            let pixels = next_block(left, at_once);
            let Some((made, rest)) = output.split_at_mut_checked(pixels * out_c) else {
                return;
            };
            let mut block = Block {
                codes: scratch,
                pixels,
                at: 0,
            };
            if rows.is_some() && inside.start <= column && column + pixels <= inside.end {
                self.gather_inside(rows.unwrap_or(&[]), &filters, column, &mut block);
                column += pixels;
            } else {
                while block.at < pixels {
                    if column >= p.output.w {
                        (row, column) = (row + 1, 0);
                    }
                    let count = (pixels - block.at).min(p.output.w - column);
                    self.gather(
                        input,
                        &filters,
                        row,
                        column..column + count,
                        &inside,
                        &mut block,
                    );
                    block.at += count;
                    column += count;
                }
                rows = self.rows_under(input, row);
            }
            if column >= p.output.w {
                (row, column) = (row + 1, 0);
                rows = self.rows_under(input, row);
            }
            arch::multiply_block(scratch, pixels, &filters, &p.requant, made);
            (output, left) = (rest, left - pixels);
        }
    }

    /// The input rows under an output row's windows, where the filter's runs lie in them a row apart.
    fn rows_under<'i>(&self, input: &Rows<'i>, row: usize) -> Option<&'i [i8]> {
        let window = &self.0.window;
        let are_whole = window.dilation_w == 1;
        let rows = input.adjoining(window.first_row(row), window.span_h());
        rows.filter(|_| are_whole)
    }

    /// Brings windows inside of the input's rows into a block, from column `column` on.
    #[inline(always)]
    fn gather_inside(
        &self,
        rows: &[i8],
        filters: &Filters<'_>,
        column: usize,
        block: &mut Block<'_>,
    ) {
        let Conv2dParams {
            input,
            window,
            packing,
            ..
        } = &self.0;
        let first = (column * window.stride_w).wrapping_sub(window.padding.left);
        arch::fill_block_rows(
            block.codes,
            filters.taps,
            *packing,
            block.pixels,
            rows.get(first.wrapping_mul(input.c)..).unwrap_or(&[]),
            window.stride_w * input.c,
            window.dilation_h * input.row_elems(),
        );
    }

    /// Output columns whose windows lie inside the input's rows.
    fn columns_inside(&self) -> Range<usize> {
        let Conv2dParams { input, window, .. } = &self.0;
        let at = |column: usize| column.div_ceil(window.stride_w.max(1));
        let left = window.padding.left;
        // The first window that reaches over the right end begins here.
        let over = (input.w + left + 1).saturating_sub(window.span_w());
        at(left)..at(over)
    }

    /// Brings what the windows of some columns of one output row see of the input into a block.
    #[inline]
    fn gather(
        &self,
        input: &Rows<'_>,
        filters: &Filters<'_>,
        row: usize,
        columns: Range<usize>,
        inside: &Range<usize>,
        block: &mut Block<'_>,
    ) {
        let p = &self.0;
        let (taps, in_c) = (filters.taps, p.input.c);
        let step = p.window.stride_w * in_c;
        // Not `clamp`, which panics where its bounds are the wrong way round.
        let begin = inside.start.max(columns.start).min(columns.end);
        let end = inside.end.max(begin).min(columns.end);
        let runs_a_row = self.runs_a_row();
        let mut run = 0;
        let mut r = p.window.first_row(row);
        for _ in 0..p.window.filter_h {
            let codes = input.row(r).unwrap_or(&[]);
            let (begin, end) = if codes.is_empty() {
                (columns.end, columns.end)
            } else {
                (begin, end)
            };
            // The first code of a run under a column's window; left of the row it is negative.
            let mut left = -((p.window.padding.left * in_c) as i32);
            for _ in 0..runs_a_row {
                if begin < end {
                    let first = left + (step * begin) as i32;
                    arch::fill_block(
                        block.codes,
                        taps,
                        p.packing,
                        block.pixels,
                        block.at + begin - columns.start,
                        run,
                        codes.get(first as usize..).unwrap_or(&[]),
                        step,
                        end - begin,
                    );
                }
                if begin - columns.start + columns.end - end > 0 {
                    for column in (columns.start..begin).chain(end..columns.end) {
                        let first = left + (step * column) as i32;
                        let at = block.at + column - columns.start;
                        self.edge(filters, codes, first, run, block, at);
                    }
                }
                left += (p.window.dilation_w * in_c) as i32;
                run += 1;
            }
            r = r.wrapping_add(p.window.dilation_h as i32);
        }
    }

    /// Brings a run of one pixel into a block that begins at code `first` of a row and may reach over the row's ends.
    #[inline(never)]
    fn edge(
        &self,
        filters: &Filters<'_>,
        row: &[i8],
        first: i32,
        run: usize,
        block: &mut Block<'_>,
        pixel: usize,
    ) {
        let p = &self.0;
        let len = filters.taps.run;
        let before = (first.saturating_neg().max(0) as usize).min(len);
        let codes = row.get(first.max(0) as usize..).unwrap_or(&[]);
        arch::fill_block_edge(
            block.codes,
            filters.taps,
            p.packing,
            block.pixels,
            pixel,
            run,
            before,
            codes.get(..len - before).unwrap_or(codes),
            p.input_zero_point,
        );
    }

    /// Runs of codes that a filter row has.
    const fn runs_a_row(&self) -> usize {
        let window = &self.0.window;
        if window.dilation_w == 1 {
            1
        } else {
            window.filter_w
        }
    }

    /// One output pixel without scratch memory: all channels at the window whose first input row is `top`.
    fn pixel(
        &self,
        input: &Rows<'_>,
        filters: &Filters<'_>,
        top: i32,
        column: usize,
        pixel: &mut [i8],
    ) {
        let p = &self.0;
        let Taps { runs, run: len } = filters.taps;
        let runs_a_row = self.runs_a_row().max(1);
        let zero_point = i32::from(p.input_zero_point);
        let left = (column * p.window.stride_w) as i32 - p.window.padding.left as i32;
        for (out, ((bias, factor), code)) in p.requant.channels().zip(pixel).enumerate() {
            let mut acc = bias;
            for run in 0..runs {
                let (filter_row, k) = (run / runs_a_row, run % runs_a_row);
                let row = input.row(top + (filter_row * p.window.dilation_h) as i32);
                let first = (left + (k * p.window.dilation_w) as i32) * p.input.c as i32;
                let before = (first.saturating_neg().max(0) as usize).min(len);
                let codes = row.unwrap_or(&[]);
                let codes = codes.get(first.max(0) as usize..).unwrap_or(&[]);
                let codes = codes.get(..len - before).unwrap_or(codes);
                acc = acc.wrapping_add(filters.dot(out, run, before, codes));
                if codes.len() < len {
                    let padding = filters.sum(out, run, 0..before)
                        + filters.sum(out, run, before + codes.len()..len);
                    acc = acc.wrapping_add(zero_point * padding);
                }
            }
            *code = p.requant.code(acc, factor);
        }
    }
}
