//! What `new` refuses.

use core::fmt;

/// The part of an op that an error speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Operand {
    /// The weights.
    Weights,
    /// The per-channel biases.
    Bias,
    /// The per-channel multipliers.
    Multiplier,
    /// The per-channel shifts.
    Shift,
    /// Output height.
    OutputHeight,
    /// Output width.
    OutputWidth,
    /// Output channels.
    OutputChannels,
}

/// Why a kernel cannot be made from its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ShapeError {
    /// A slice or an extent does not have the size that the other parameters ask for.
    Extent {
        /// Which one.
        operand: Operand,
        /// Elements needed.
        needed: usize,
        /// Elements given.
        got: usize,
    },
    /// A filter extent, stride, dilation, multiplier or dimension is zero.
    Zero,
    /// Padding as large as the filter: some windows would lie wholly outside.
    Padding,
    /// A pool whose window has holes.
    Dilation,
    /// The sum of a channel could leave 32 bits.
    Accumulator {
        /// The channel.
        at: usize,
    },
    /// A multiplier outside `0..=i32::MAX`, or a shift outside `-31..=30` or what the order of the weights allows.
    Requant {
        /// The channel.
        at: usize,
    },
    /// The lower clamp code lies above the upper one.
    Clamp,
    /// The epsilon of a layer norm is 2^62 or more.
    Epsilon,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ShapeError::Extent {
                operand,
                needed,
                got,
            } => {
                write!(f, "{operand:?}: needed {needed} elements, got {got}")
            }
            ShapeError::Zero => {
                f.write_str("a dimension, filter, stride, dilation or multiplier is zero")
            }
            ShapeError::Padding => f.write_str("the padding is as large as the filter"),
            ShapeError::Dilation => f.write_str("a pool has a dilation other than one"),
            ShapeError::Accumulator { at } => {
                write!(f, "the sum of channel {at} could leave 32 bits")
            }
            ShapeError::Requant { at } => {
                write!(f, "multiplier or shift of channel {at} out of range")
            }
            ShapeError::Clamp => f.write_str("clamp minimum above maximum"),
            ShapeError::Epsilon => f.write_str("the epsilon is 2^62 or more"),
        }
    }
}

impl core::error::Error for ShapeError {}

/// `Ok` if `got == needed`.
pub(crate) const fn expect(operand: Operand, needed: usize, got: usize) -> Result<(), ShapeError> {
    if needed == got {
        Ok(())
    } else {
        Err(ShapeError::Extent {
            operand,
            needed,
            got,
        })
    }
}
