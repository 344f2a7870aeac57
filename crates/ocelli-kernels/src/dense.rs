//! Dense layer, also called fully connected.

use crate::arch::dot;
use crate::error::{Operand, ShapeError, expect};
use crate::requantize::ChannelRequant;

/// What a dense layer is made from.
///
/// # Shapes
/// `weights`: `[outputs][inputs]`; the input is read in memory order, so `[h, w, c]` needs no flattening.
#[derive(Clone, Copy, Debug)]
pub struct DenseParams<'a> {
    /// Input codes.
    pub inputs: usize,
    /// Output codes.
    pub outputs: usize,
    /// Weights, a row per output.
    pub weights: &'a [i8],
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
            params.inputs.saturating_mul(params.outputs),
            params.weights.len(),
        )?;
        params.requant.check(params.outputs, params.inputs)?;
        Ok(Dense(params))
    }

    /// The same from parameters that `new` has accepted; others give wrong codes.
    pub const fn assume_checked(params: DenseParams<'a>) -> Self {
        Dense(params)
    }

    /// Makes all outputs.
    pub fn run(&self, input: &[i8], output: &mut [i8]) {
        let p = &self.0;
        let rows = p.weights.chunks_exact(p.inputs.max(1));
        for ((weights, (bias, requant)), code) in rows.zip(p.requant.channels()).zip(output) {
            *code = p.requant.code(dot(bias, input, weights), requant);
        }
    }
}
