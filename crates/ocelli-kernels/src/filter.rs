//! Filters, and the orders in which their weights lie.

use core::ops::Range;

use crate::arch;

/// The codes under a filter: `runs` runs of `run` codes that lie next to each other in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// Runs, usually the rows of the filter.
    pub runs: usize,
    /// Codes in a run.
    pub run: usize,
}

impl Taps {
    /// One run, as of a pointwise convolution or a dense layer.
    pub const fn one(run: usize) -> Self {
        Taps { runs: 1, run }
    }

    /// Codes under a filter.
    pub const fn count(&self) -> usize {
        self.runs.saturating_mul(self.run)
    }

    /// Words of two codes that a filter has in [`Packing::Paired`], each run filled up to whole ones.
    ///
    /// Four codes of a run are two words, the first with codes 0 and 2, the second with 1 and 3; so are three that are
    /// left over at its end. One or two are one word.
    pub const fn words(&self) -> usize {
        self.runs.saturating_mul(run_words(self.run))
    }

    /// The word of code `at` of run `run`, and whether it is its second code.
    pub(crate) const fn place(&self, run: usize, at: usize) -> (usize, bool) {
        let four = at / 4 * 4;
        let first = run * run_words(self.run) + four / 2;
        let at = at - four;
        if self.run - four >= 3 {
            (first + (at & 1), at >= 2)
        } else {
            (first, at == 1)
        }
    }
}

const fn run_words(run: usize) -> usize {
    run / 4 * 2
        + match run % 4 {
            0 => 0,
            3 => 2,
            _ => 1,
        }
}

/// Pixels that inner loops multiply at once, where there is scratch memory for them.
pub const BLOCK_PIXELS: usize = 4;

/// Pixels whose blocks fit into so much scratch memory, no more than loops multiply at once.
pub(crate) fn block_pixels(taps: Taps, packing: Packing, scratch_bytes: usize) -> usize {
    let fits = |&pixels: &usize| arch::block_bytes(taps, packing, pixels) <= scratch_bytes;
    (1..=BLOCK_PIXELS).rev().find(fits).unwrap_or(0)
}

/// Pixels of the next block: where pixels do not go in pairs, a last block of a single pixel, or of two, costs more of each
/// than two or three of three.
pub(crate) const fn next_block(left: usize, at_once: usize) -> usize {
    if matches!(left, 5 | 6 | 9) && at_once > 3 && !arch::IN_PAIRS {
        3
    } else if left < at_once {
        left
    } else {
        at_once
    }
}

/// Scratch memory from a multiple of 4 on, as loops that load words want it.
pub(crate) fn words(scratch: &mut [i8]) -> &mut [i8] {
    let skip = scratch.as_ptr().align_offset(4);
    scratch.get_mut(skip..).unwrap_or_default()
}

/// The order in which weights lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Packing {
    /// The order of the formulas.
    #[default]
    Canonical,
    /// For instruction sets that multiply pairs of 16-bit numbers.
    ///
    /// Filters: two output channels, `o` and `o + 1`, share words of four bytes; a word has two codes `k`, `l` (see
    /// [`Taps::words`]) of each: `(o, k)`, `(o + 1, k)`, `(o, l)`, `(o + 1, l)`. What is missing is zero.
    ///
    /// Depthwise: channel by channel, column by column, words of the weights of rows `r`, `r + 1`, `r + 1`, `r + 2` for
    /// `r = 0, 2, ..`, as many as cover the column.
    Paired,
}

impl Packing {
    /// Weights of `out_channels` filters, filled up.
    pub const fn filters_len(self, taps: Taps, out_channels: usize) -> usize {
        match self {
            Packing::Canonical => taps.count().saturating_mul(out_channels),
            Packing::Paired => taps
                .words()
                .saturating_mul(out_channels.div_ceil(2))
                .saturating_mul(4),
        }
    }

    /// Where the weight of output channel `out`, run `run` and code `at` lies.
    pub const fn filter_index(self, taps: Taps, out: usize, run: usize, at: usize) -> usize {
        match self {
            Packing::Canonical => (out * taps.runs + run) * taps.run + at,
            Packing::Paired => {
                let (word, is_second) = taps.place(run, at);
                (out / 2 * taps.words() + word) * 4 + is_second as usize * 2 + out % 2
            }
        }
    }

    /// Scratch memory for what `pixels` filters see, for any inner loops that read this packing.
    pub const fn block_bytes(self, taps: Taps, pixels: usize) -> usize {
        let each = match self {
            // Armv6-M multiplies words of two pixels.
            Packing::Canonical if pixels > 1 => {
                return taps.count().saturating_mul(pixels.div_ceil(2) * 4);
            }
            Packing::Canonical => taps.count(),
            Packing::Paired => taps.words().saturating_mul(4),
        };
        each.saturating_mul(pixels)
    }

    /// Weights of a depthwise convolution, filled up.
    pub const fn depthwise_len(self, filter_h: usize, filter_w: usize, channels: usize) -> usize {
        match self {
            Packing::Canonical => filter_h.saturating_mul(filter_w).saturating_mul(channels),
            Packing::Paired => column_words(filter_h)
                .saturating_mul(4)
                .saturating_mul(filter_w)
                .saturating_mul(channels),
        }
    }

    /// Where the weight of a depthwise filter lies; [`depthwise_copy`](Self::depthwise_copy) says where a second time.
    pub const fn depthwise_index(
        self,
        (filter_h, filter_w): (usize, usize),
        channels: usize,
        (row, column): (usize, usize),
        channel: usize,
    ) -> usize {
        match self {
            Packing::Canonical => (row * filter_w + column) * channels + channel,
            Packing::Paired => {
                let first = (channel * filter_w + column) * column_words(filter_h) * 4;
                // Rows 0, 1, 2, 3, 4 .. lie first at bytes 0, 1, 3, 5, 7 ..
                first + row * 2 - if row > 0 { 1 } else { 0 }
            }
        }
    }

    /// Where the weight of row `row`, at `index`, lies once more.
    pub const fn depthwise_copy(self, filter_h: usize, row: usize, index: usize) -> Option<usize> {
        match self {
            Packing::Paired if row > 0 && row * 2 < column_words(filter_h) * 4 => Some(index + 1),
            _ => None,
        }
    }
}

/// Words of a depthwise filter's column.
pub(crate) const fn column_words(filter_h: usize) -> usize {
    if filter_h < 2 { 1 } else { filter_h / 2 }
}

/// The filters of an op, in either order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filters<'a> {
    pub weights: &'a [i8],
    pub packing: Packing,
    pub taps: Taps,
}

impl Filters<'_> {
    /// `codes` times the weights of run `run` of output channel `out`, from code `at` of the run on.
    #[inline(always)]
    pub fn dot(&self, out: usize, run: usize, at: usize, codes: &[i8]) -> i32 {
        let first = self.packing.filter_index(self.taps, out, run, at);
        match self.packing {
            Packing::Canonical => arch::dot(0, codes, self.weights.get(first..).unwrap_or(&[])),
            Packing::Paired => codes.iter().zip(at..).fold(0, |acc, (&code, at)| {
                let index = self.packing.filter_index(self.taps, out, run, at);
                let weight = self.weights.get(index).copied().unwrap_or(0);
                acc.wrapping_add(i32::from(code) * i32::from(weight))
            }),
        }
    }

    /// The sum of weights `at` of run `run` of output channel `out`.
    pub fn sum(&self, out: usize, run: usize, at: Range<usize>) -> i32 {
        at.fold(0, |acc, at| {
            let index = self.packing.filter_index(self.taps, out, run, at);
            acc.wrapping_add(self.weights.get(index).copied().unwrap_or(0).into())
        })
    }
}
