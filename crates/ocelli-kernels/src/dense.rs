//! Dense layer, also called fully connected.

use crate::error::{Operand, ShapeError, expect};
use crate::filter::{Filters, Packing, Taps};
use crate::pointwise::multiply;
use crate::requantize::ChannelRequant;

/// What a dense layer is made from.
///
/// # Shapes
/// `weights`: `[outputs][inputs]`, or packed; the input is read in memory order, so `[h, w, c]` needs no flattening.
#[derive(Clone, Copy, Debug)]
pub struct DenseParams<'a> {
    /// Input codes.
    pub inputs: usize,
    /// Output codes.
    pub outputs: usize,
    /// Weights, a row per output.
    pub weights: &'a [i8],
    /// The order in which they lie.
    pub packing: Packing,
    /// Bias (with the input zero point folded in), factors and activation.
    pub requant: ChannelRequant<'a>,
}

/// A matrix times the input.
///
/// # Source
/// TensorFlow Lite Micro `reference_integer_ops::FullyConnected` (per channel), equal in every code.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a>(DenseParams<'a>);

impl<'a> Dense<'a> {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ShapeError`] where extents disagree or a sum could leave 32 bits.
    pub fn new(params: DenseParams<'a>) -> Result<Self, ShapeError> {
        if params.inputs == 0 || params.outputs == 0 {
            return Err(ShapeError::Zero);
        }
        expect(
            Operand::Weights,
            params
                .packing
                .filters_len(Taps::one(params.inputs), params.outputs),
            params.weights.len(),
        )?;
        params
            .requant
            .check(params.outputs, params.inputs, params.packing)?;
        Ok(Dense(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: DenseParams<'a>) -> Self {
        Dense(params)
    }

    /// Scratch memory that [`run`](Self::run) makes good use of.
    pub const fn scratch_bytes(params: &DenseParams<'_>) -> usize {
        match params.packing {
            // Codes are read where they lie.
            Packing::Canonical => 0,
            packing => packing.block_bytes(Taps::one(params.inputs), 1),
        }
    }

    /// Makes all outputs; slower without scratch memory.
    pub fn run(&self, input: &[i8], scratch: &mut [i8], output: &mut [i8]) {
        let p = &self.0;
        let filters = Filters {
            weights: p.weights,
            packing: p.packing,
            taps: Taps::one(p.inputs),
        };
        multiply(&filters, &p.requant, input, scratch, output);
    }
}
