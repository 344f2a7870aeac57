//! Shapes and sliding windows.

use crate::error::{Operand, ShapeError, expect};
use crate::filter::Taps;
use core::ops::Range;

/// Extents of an activation tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Shape {
    /// Rows.
    pub h: usize,
    /// Pixels in a row.
    pub w: usize,
    /// Channels of a pixel.
    pub c: usize,
}

impl Shape {
    /// A shape from its three extents.
    pub const fn new(h: usize, w: usize, c: usize) -> Self {
        Shape { h, w, c }
    }

    /// Codes in one row; bytes as well, since a code is one byte.
    pub const fn row_elems(&self) -> usize {
        self.w.saturating_mul(self.c)
    }

    /// Codes in the whole tensor.
    pub const fn elems(&self) -> usize {
        self.h.saturating_mul(self.row_elems())
    }

    /// That another shape is this one.
    ///
    /// # Errors
    /// [`ShapeError::Extent`] with the first extent of `got` that differs.
    pub fn expect(self, got: Shape) -> Result<(), ShapeError> {
        expect(Operand::OutputHeight, self.h, got.h)?;
        expect(Operand::OutputWidth, self.w, got.w)?;
        expect(Operand::OutputChannels, self.c, got.c)
    }

    pub(crate) const fn has_zero(&self) -> bool {
        self.h == 0 || self.w == 0 || self.c == 0
    }
}

/// Rows and columns added around the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Padding {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns on the left.
    pub left: usize,
    /// Columns on the right.
    pub right: usize,
}

/// A window that slides over rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Filter rows.
    pub filter_h: usize,
    /// Filter columns.
    pub filter_w: usize,
    /// Input rows from one output row to the next.
    pub stride_h: usize,
    /// Input columns from one output column to the next.
    pub stride_w: usize,
    /// Input rows from one filter row to the next.
    pub dilation_h: usize,
    /// Input columns from one filter column to the next.
    pub dilation_w: usize,
    /// Rows and columns outside the input.
    pub padding: Padding,
}

impl Window {
    /// The window of a pointwise op: one pixel, stride one.
    pub const POINT: Window = Window {
        filter_h: 1,
        filter_w: 1,
        stride_h: 1,
        stride_w: 1,
        dilation_h: 1,
        dilation_w: 1,
        padding: Padding {
            top: 0,
            bottom: 0,
            left: 0,
            right: 0,
        },
    };

    /// The codes of an input of `channels` channels that lie under it.
    pub const fn taps(&self, channels: usize) -> Taps {
        // Pixels that lie next to each other are one run.
        if self.dilation_w == 1 {
            Taps {
                runs: self.filter_h,
                run: self.filter_w.saturating_mul(channels),
            }
        } else {
            Taps {
                runs: self.filter_h.saturating_mul(self.filter_w),
                run: channels,
            }
        }
    }

    /// Rows that the filter spans, holes included.
    pub const fn span_h(&self) -> usize {
        (self.filter_h.saturating_sub(1))
            .saturating_mul(self.dilation_h)
            .saturating_add(1)
    }

    /// Columns that the filter spans, holes included.
    pub const fn span_w(&self) -> usize {
        (self.filter_w.saturating_sub(1))
            .saturating_mul(self.dilation_w)
            .saturating_add(1)
    }

    /// The input row under the first filter row of output row `r`; negative in the padding.
    pub const fn first_row(&self, r: usize) -> i32 {
        (r * self.stride_h) as i32 - self.padding.top as i32
    }

    /// The input rows inside a tensor of height `h` that output rows `r..r + rows` read.
    pub fn input_rows(&self, r: usize, rows: usize, h: usize) -> Range<usize> {
        let first = self.first_row(r);
        let last = self.first_row(r + rows.saturating_sub(1)) + self.span_h() as i32;
        let end = (last.max(0) as usize).min(h);
        (first.max(0) as usize).min(end)..end
    }

    /// Checks the window against an input and an output extent.
    pub(crate) fn check(&self, input: Shape, output: Shape) -> Result<(), ShapeError> {
        let extents = [
            self.filter_h,
            self.filter_w,
            self.stride_h,
            self.stride_w,
            self.dilation_h,
            self.dilation_w,
        ];
        if input.has_zero() || output.has_zero() || extents.contains(&0) {
            return Err(ShapeError::Zero);
        }
        let p = self.padding;
        if p.top.max(p.bottom) >= self.span_h() || p.left.max(p.right) >= self.span_w() {
            return Err(ShapeError::Padding);
        }
        expect(
            Operand::OutputHeight,
            steps(
                padded(input.h, p.top, p.bottom),
                self.span_h(),
                self.stride_h,
            ),
            output.h,
        )?;
        expect(
            Operand::OutputWidth,
            steps(
                padded(input.w, p.left, p.right),
                self.span_w(),
                self.stride_w,
            ),
            output.w,
        )
    }
}

/// An extent with what is added at both of its ends.
pub(crate) const fn padded(extent: usize, before: usize, behind: usize) -> usize {
    extent.saturating_add(before).saturating_add(behind)
}

/// How often a window of `span` fits into `padded` when it moves by `stride`.
fn steps(padded: usize, span: usize, stride: usize) -> usize {
    match padded.checked_sub(span) {
        Some(room) => room.checked_div(stride).map_or(0, |n| n.saturating_add(1)),
        None => 0,
    }
}
