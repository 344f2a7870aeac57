//! A trained head in f32, and what its inputs mean.

use crate::LearnError;

/// What an embedding's codes mean: real = scale * (code - zero_point).
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EmbeddingScale {
    /// Real value of one code; finite and above zero.
    pub scale: f32,
    /// The code of 0.
    pub zero_point: i8,
}

impl EmbeddingScale {
    pub(crate) fn check(&self) -> Result<(), LearnError> {
        if self.scale.is_finite() && self.scale > 0.0 {
            Ok(())
        } else {
            Err(LearnError::EmbeddingScale)
        }
    }
}

/// A linear classifier of real-valued embeddings: logits = weights . embedding + bias.
///
/// # Shapes
/// `weights` is `[classes][features]`, `bias` is `[classes]`.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// A row of weights for each class.
    pub weights: &'a [f32],
    /// A bias for each class.
    pub bias: &'a [f32],
}
