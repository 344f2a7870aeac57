//! Pooling: average and maximum over a window, average over the whole map.

use core::ops::Range;

use crate::arch;
use crate::error::{Operand, ShapeError, expect};
use crate::geometry::{Shape, Window};
use crate::requantize::{Clamp, Requant};
use crate::rows::Rows;

/// What a pooling over a window is made from; input and output share scale and zero point.
#[derive(Clone, Copy, Debug)]
pub struct PoolParams {
    /// Input extents.
    pub input: Shape,
    /// Output extents.
    pub output: Shape,
    /// Window, stride and padding; dilation is one.
    pub window: Window,
    /// Fused activation.
    pub clamp: Clamp,
}

impl PoolParams {
    fn check(&self) -> Result<(), ShapeError> {
        self.window.check(self.input, self.output)?;
        if self.window.dilation_h != 1 || self.window.dilation_w != 1 {
            return Err(ShapeError::Dilation);
        }
        self.clamp.check()?;
        expect(Operand::OutputChannels, self.input.c, self.output.c)?;
        // A window of 2^16 pixels sums to less than 2^24.
        let pixels = self.window.filter_h.saturating_mul(self.window.filter_w);
        if pixels > 1 << 16 {
            Err(ShapeError::Accumulator { at: 0 })
        } else {
            Ok(())
        }
    }

    /// Calls `pool` for each output pixel with the pixels under its window, a run of codes per row that is there.
    fn run<'i>(
        &self,
        input: &Rows<'i>,
        first_row: usize,
        output: &mut [i8],
        pool: impl Fn(&Under<'i, '_>, &mut [i8]),
    ) {
        let channels = self.input.c.max(1);
        for (r, row) in output
            .chunks_mut(self.output.row_elems().max(1))
            .enumerate()
        {
            let top = self.window.first_row(first_row + r);
            for (column, pixel) in row.chunks_mut(channels).enumerate() {
                let left = (column * self.window.stride_w) as i32 - self.window.padding.left as i32;
                let right = (left + self.window.filter_w as i32).min(self.input.w as i32);
                let right = right.max(0) as usize;
                let left = left.max(0) as usize;
                let mut under = Under {
                    input,
                    runs: [&[]; 2],
                    rows: (top, self.window.filter_h),
                    codes: left * channels..right * channels,
                };
                if left == 0 && right == self.input.w {
                    // Whole rows lie next to each other.
                    let rows = self.window.input_rows(first_row + r, 1, self.input.h);
                    under.runs = input.runs(rows.start, rows.len());
                    under.rows.1 = 0;
                }
                pool(&under, pixel);
            }
        }
    }
}

/// What lies under a window.
struct Under<'i, 'r> {
    input: &'r Rows<'i>,
    /// Whole rows.
    runs: [&'i [i8]; 2],
    /// Other rows: the first row, and how many.
    rows: (i32, usize),
    /// Of each row.
    codes: Range<usize>,
}

impl<'i> Under<'i, '_> {
    /// Runs of codes: those of whole rows, and rows.
    fn pieces(&self) -> usize {
        self.runs.len() + self.rows.1
    }

    /// Piece `piece` from channel `channel` of its first pixel on; empty where a row is padding.
    #[inline(never)]
    fn piece(&self, piece: usize, channel: usize) -> &'i [i8] {
        match piece.checked_sub(self.runs.len()) {
            None => self.runs.get(piece).and_then(|run| run.get(channel..)),
            Some(row) => {
                let row = self.input.row(self.rows.0.wrapping_add(row as i32));
                row.and_then(|row| row.get(self.codes.start + channel..self.codes.end))
            }
        }
        .unwrap_or(&[])
    }

    /// All codes of a channel, folded.
    fn fold<S>(&self, channel: usize, channels: usize, start: S, fold: impl Fn(S, i8) -> S) -> S {
        let mut state = start;
        for piece in 0..self.pieces() {
            let codes = self.piece(piece, channel).iter();
            state = codes
                .step_by(channels.max(1))
                .fold(state, |s, &c| fold(s, c));
        }
        state
    }
}

/// The mean over a window, counting only pixels inside the input.
///
/// # Source
/// TensorFlow Lite Micro `reference_integer_ops::AveragePool`: halves away from zero; equal in every code.
#[derive(Clone, Copy, Debug)]
pub struct AveragePool(PoolParams);

impl AveragePool {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where extents disagree, or a window has holes or more than 65,536 pixels.
    pub fn new(params: PoolParams) -> Result<Self, ShapeError> {
        params.check()?;
        Ok(AveragePool(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: PoolParams) -> Self {
        AveragePool(params)
    }

    /// Makes output rows `first_row..`, as many as `output` holds.
    pub fn run(&self, input: &Rows<'_>, first_row: usize, output: &mut [i8]) {
        let (clamp, channels) = (self.0.clamp, self.0.input.c);
        self.0.run(input, first_row, output, |under, pixel| {
            let codes = (0..under.pieces()).map(|piece| under.piece(piece, 0).len());
            let count = codes.sum::<usize>().checked_div(channels).unwrap_or(0) as i32;
            let mean = |acc: i32| {
                let half = if acc > 0 { count / 2 } else { -(count / 2) };
                clamp.apply((acc + half).checked_div(count).unwrap_or(0))
            };
            let mut fours = pixel.chunks_exact_mut(4);
            let mut channel = 0;
            for four in &mut fours {
                let mut sums = [0; 4];
                for piece in 0..under.pieces() {
                    arch::sum_pixels(under.piece(piece, channel), channels, &mut sums);
                }
                for (code, sum) in four.iter_mut().zip(sums) {
                    *code = mean(sum);
                }
                channel += 4;
            }
            for (channel, code) in (channel..).zip(fours.into_remainder()) {
                let add = |acc: i32, code: i8| acc + i32::from(code);
                *code = mean(under.fold(channel, channels, 0, add));
            }
        });
    }
}

/// The maximum over a window.
///
/// # Source
/// TensorFlow Lite Micro `reference_integer_ops::MaxPool`, equal in every code.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool(PoolParams);

impl MaxPool {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where extents disagree, or a window has holes or more than 65,536 pixels.
    pub fn new(params: PoolParams) -> Result<Self, ShapeError> {
        params.check()?;
        Ok(MaxPool(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: PoolParams) -> Self {
        MaxPool(params)
    }

    /// Makes output rows `first_row..`, as many as `output` holds.
    pub fn run(&self, input: &Rows<'_>, first_row: usize, output: &mut [i8]) {
        let (clamp, channels) = (self.0.clamp, self.0.input.c);
        self.0.run(input, first_row, output, |under, pixel| {
            for (channel, code) in pixel.iter_mut().enumerate() {
                let max = under.fold(channel, channels, i8::MIN, i8::max);
                *code = clamp.apply(max.into());
            }
        });
    }
}

/// What a global average is made from.
///
/// `factor = scale_input / (scale_output * h * w)`, `bias = -zero_point * h * w`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAveragePoolParams {
    /// Input extents.
    pub input: Shape,
    /// Added to the sum of each channel.
    pub bias: i32,
    /// From sum to code.
    pub factor: Requant,
    /// Output code of real zero.
    pub output_zero_point: i8,
    /// Fused activation.
    pub clamp: Clamp,
}

/// The mean of each channel over the whole map; rows are added up as they come.
///
/// # Source
/// TensorFlow Lite Micro `reference_ops::QuantizedMeanOrSum`.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAveragePool(GlobalAveragePoolParams);

impl GlobalAveragePool {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where a sum could leave 32 bits.
    pub fn new(params: GlobalAveragePoolParams) -> Result<Self, ShapeError> {
        if params.input.has_zero() {
            return Err(ShapeError::Zero);
        }
        params.clamp.check()?;
        let pixels = (params.input.h as i64)
            .saturating_mul(params.input.w as i64)
            .min(1 << 40);
        params
            .factor
            .check(0, pixels * 128 + i64::from(params.bias).abs())?;
        Ok(GlobalAveragePool(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: GlobalAveragePoolParams) -> Self {
        GlobalAveragePool(params)
    }

    /// Bytes of the sums, which live from the first row to [`finish`](Self::finish).
    pub const fn sums_bytes(input: Shape) -> usize {
        input.c.saturating_mul(4)
    }

    /// Adds adjoining rows to the sums, four little-endian bytes per channel; row zero starts them anew.
    pub fn add_rows(&self, rows: &[i8], starts: bool, sums: &mut [i8]) {
        if starts {
            sums.fill(0);
        }
        let channels = self.0.input.c;
        let rows = rows.get(..rows.len() / channels.max(1) * channels);
        let rows = rows.unwrap_or_default();
        let sums = sums.get_mut(..channels * 4).unwrap_or_default();
        let mut fours = sums.chunks_exact_mut(4 * 4);
        let mut channel = 0;
        for sums in &mut fours {
            let mut four = [0; 4];
            let codes = rows.get(channel..).unwrap_or_default();
            arch::sum_pixels(codes, channels, &mut four);
            for (place, sum) in sums.chunks_exact_mut(4).zip(four) {
                put(place, get(place).wrapping_add(sum));
            }
            channel += 4;
        }
        for (channel, sum) in (channel..).zip(fours.into_remainder().chunks_exact_mut(4)) {
            let codes = rows.get(channel..).unwrap_or_default();
            for &code in codes.iter().step_by(channels.max(1)) {
                put(sum, get(sum).wrapping_add(code.into()));
            }
        }
    }

    /// Makes the output from the sums.
    pub fn finish(&self, sums: &[i8], output: &mut [i8]) {
        let p = &self.0;
        for (code, sum) in output.iter_mut().zip(sums.chunks_exact(4)) {
            let mean = p.factor.apply(get(sum).wrapping_add(p.bias));
            *code = p.clamp.apply(mean + i32::from(p.output_zero_point));
        }
    }
}

/// The number in four bytes of arena, whose type is the code's.
#[inline(always)]
fn get(bytes: &[i8]) -> i32 {
    match bytes {
        &[a, b, c, d] => i32::from_le_bytes([a, b, c, d].map(|byte| byte as u8)),
        _ => 0,
    }
}

#[inline(always)]
fn put(bytes: &mut [i8], value: i32) {
    for (byte, value) in bytes.iter_mut().zip(value.to_le_bytes()) {
        *byte = value as i8;
    }
}
