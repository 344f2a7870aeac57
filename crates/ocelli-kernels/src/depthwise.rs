//! Depthwise convolution.

use crate::arch;
use crate::error::{Operand, ShapeError, expect};
use crate::filter::Packing;
use crate::geometry::{Shape, Window};
use crate::requantize::ChannelRequant;
use crate::rows::Rows;

/// What a depthwise convolution is made from.
///
/// # Shapes
/// `weights`: `[filter_h][filter_w][output.c]`, or packed; `output.c = input.c * depth_multiplier`; output channel `k` reads input
/// channel `k / depth_multiplier`.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseParams<'a> {
    /// Input extents.
    pub input: Shape,
    /// Output extents.
    pub output: Shape,
    /// Filter, stride, dilation and padding.
    pub window: Window,
    /// Output channels per input channel.
    pub depth_multiplier: usize,
    /// Code that padding pixels have.
    pub input_zero_point: i8,
    /// Filters.
    pub weights: &'a [i8],
    /// The order in which they lie.
    pub packing: Packing,
    /// Bias (with the input zero point folded in), factors and activation.
    pub requant: ChannelRequant<'a>,
}

impl DepthwiseParams<'_> {
    /// Memory for a strip: four channels of a few rows, in pairs of adjoining rows, two pairs a plane; and a table of their
    /// weights, where no loop keeps them in registers.
    const fn strip_bytes(&self) -> usize {
        let columns = (self.strip_outputs(self.output.w) - 1)
            .saturating_mul(self.window.stride_w)
            .saturating_add(self.window.span_w());
        let strip = columns
            .saturating_mul(self.strip_planes())
            .saturating_mul(8);
        strip
            .saturating_add(self.table_words())
            // One more, since scratch memory may begin anywhere.
            .saturating_add(1)
            .saturating_mul(4)
    }

    /// Output columns that a strip has room for where `columns` are made.
    pub(crate) const fn strip_outputs(&self, columns: usize) -> usize {
        let block = if self.table_words() == 0 { 2 } else { 4 };
        if columns < block { block } else { columns }
    }

    /// Pairs of adjoining rows under a filter that begins with either row of a pair.
    pub(crate) const fn strip_slots(&self) -> usize {
        self.window.filter_h / 2 + 1
    }

    /// Planes of two slots.
    pub(crate) const fn strip_planes(&self) -> usize {
        self.strip_slots().div_ceil(2)
    }

    /// Words of the table of weights: for filters that begin with either row of a pair.
    pub(crate) const fn table_words(&self) -> usize {
        let window = &self.window;
        let is_square = window.stride_h == window.stride_w;
        if window.filter_h == 3 && window.filter_w == 3 && is_square && self.output.w > 1 {
            0
        } else {
            (self.strip_slots() * 2 * 4).saturating_mul(window.filter_w)
        }
    }
}

/// A convolution of each channel by itself.
///
/// # Source
/// TensorFlow Lite Micro `reference_integer_ops::DepthwiseConvPerChannel`, equal in every code.
#[derive(Clone, Copy, Debug)]
pub struct Depthwise<'a>(DepthwiseParams<'a>);

/// Channels whose sums are kept at once: a few vector registers on the host, two cache lines of stack elsewhere.
const BLOCK: usize = 16;

impl<'a> Depthwise<'a> {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where extents disagree or a sum could leave 32 bits.
    pub fn new(params: DepthwiseParams<'a>) -> Result<Self, ShapeError> {
        let DepthwiseParams {
            input,
            output,
            window,
            depth_multiplier,
            weights,
            packing,
            requant,
            ..
        } = params;
        window.check(input, output)?;
        if depth_multiplier == 0 {
            return Err(ShapeError::Zero);
        }
        expect(
            Operand::OutputChannels,
            input.c.saturating_mul(depth_multiplier),
            output.c,
        )?;
        let taps = window.filter_h.saturating_mul(window.filter_w);
        expect(
            Operand::Weights,
            packing.depthwise_len(window.filter_h, window.filter_w, output.c),
            weights.len(),
        )?;
        requant.check(output.c, taps, packing)?;
        Ok(Depthwise(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: DepthwiseParams<'a>) -> Self {
        Depthwise(params)
    }

    /// Scratch memory that [`run`](Self::run) makes good use of.
    pub const fn scratch_bytes(params: &DepthwiseParams<'_>) -> usize {
        match params.packing {
            Packing::Canonical => 0,
            Packing::Paired => params.strip_bytes(),
        }
    }

    /// Makes output rows `first_row..`, as many as `output` holds; slower with less scratch memory, down to none.
    pub fn run(&self, input: &Rows<'_>, first_row: usize, scratch: &mut [i8], output: &mut [i8]) {
        let p = &self.0;
        if arch::depthwise(p, input, first_row, scratch, output) {
            return;
        }
        let rows = output.chunks_mut(p.output.row_elems().max(1));
        for (r, row) in rows.enumerate() {
            let top = p.window.first_row(first_row + r);
            for (column, pixel) in row.chunks_mut(p.output.c.max(1)).enumerate() {
                self.pixel(input, top, column, pixel);
            }
        }
    }

    /// One output pixel, a block of channels at a time.
    fn pixel(&self, input: &Rows<'_>, top: i32, column: usize, pixel: &mut [i8]) {
        let p = &self.0;
        let left = (column * p.window.stride_w) as i32 - p.window.padding.left as i32;
        let mut requant = p.requant.channels();
        for (block, codes) in pixel.chunks_mut(BLOCK).enumerate() {
            let sums = self.sums(input, top, left, block * BLOCK, codes.len());
            for ((code, sum), (bias, requant)) in codes.iter_mut().zip(sums).zip(requant.by_ref()) {
                *code = p.requant.code(bias.wrapping_add(sum), requant);
            }
        }
    }

    /// The sums of products of output channels `from..from + channels` in one window.
    #[inline(always)]
    fn sums(
        &self,
        input: &Rows<'_>,
        top: i32,
        left: i32,
        from: usize,
        channels: usize,
    ) -> [i32; BLOCK] {
        let p = &self.0;
        let mut sums = [0i32; BLOCK];
        let mut r = top;
        for filter_row in 0..p.window.filter_h {
            let row = input.row(r);
            let mut at = left;
            for filter_column in 0..p.window.filter_w {
                let mut gathered = [0; BLOCK];
                let place = (filter_row, filter_column);
                let tap = self.tap(place, from, channels, &mut gathered);
                let pixel = match (row, usize::try_from(at)) {
                    (Some(row), Ok(at)) if at < p.input.w => {
                        row.get(at * p.input.c..).unwrap_or(&[])
                    }
                    _ => &[],
                };
                if pixel.is_empty() {
                    for (sum, &tap) in sums.iter_mut().zip(tap) {
                        *sum += i32::from(p.input_zero_point) * i32::from(tap);
                    }
                } else if p.depth_multiplier == 1 {
                    let pixel = pixel.get(from..).unwrap_or(&[]);
                    match (pixel.first_chunk::<BLOCK>(), tap.first_chunk::<BLOCK>()) {
                        // A whole block: the compiler sees the number of channels.
                        (Some(pixel), Some(tap)) => multiply_add(&mut sums, pixel, tap),
                        _ => multiply_add(&mut sums, pixel, tap),
                    }
                } else {
                    let pixel = repeat_each(pixel, p.depth_multiplier).skip(from);
                    for ((sum, &tap), code) in sums.iter_mut().zip(tap).zip(pixel) {
                        *sum += i32::from(code) * i32::from(tap);
                    }
                }
                at += p.window.dilation_w as i32;
            }
            r = r.wrapping_add(p.window.dilation_h as i32);
        }
        sums
    }

    /// The weights of some channels at one place of the filter; gathered where they do not lie together.
    #[inline(always)]
    fn tap<'t>(
        &'t self,
        place: (usize, usize),
        from: usize,
        channels: usize,
        gathered: &'t mut [i8; BLOCK],
    ) -> &'t [i8] {
        let p = &self.0;
        let filter = (p.window.filter_h, p.window.filter_w);
        let index = |channel| {
            p.packing
                .depthwise_index(filter, p.output.c, place, channel)
        };
        match p.packing {
            Packing::Canonical => {
                let tap = p.weights.get(index(from)..);
                tap.and_then(|tap| tap.get(..channels)).unwrap_or(&[])
            }
            Packing::Paired => {
                for (channel, weight) in (from..from + channels).zip(gathered.iter_mut()) {
                    *weight = p.weights.get(index(channel)).copied().unwrap_or(0);
                }
                gathered.get(..channels).unwrap_or(&[])
            }
        }
    }
}

#[inline(always)]
fn multiply_add(sums: &mut [i32; BLOCK], pixel: &[i8], tap: &[i8]) {
    for ((sum, &code), &tap) in sums.iter_mut().zip(pixel).zip(tap) {
        *sum += i32::from(code) * i32::from(tap);
    }
}

fn repeat_each(codes: &[i8], times: usize) -> impl Iterator<Item = i8> + '_ {
    codes
        .iter()
        .flat_map(move |&code| core::iter::repeat_n(code, times))
}
