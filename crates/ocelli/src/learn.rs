//! Learning: the trainer of `ocelli-learn`, and the int8 head that it ends in, run by the same kernel as the model's.

use ocelli_image::Image;
use ocelli_kernels::{ChannelRequant, Clamp, Dense, DenseParams, Packing, ShapeError};

pub use ocelli_learn::*;

/// What the codes of the model's embedding mean, if it has a classifier and carries scales.
pub fn embedding_scale(image: &Image<'_>) -> Option<EmbeddingScale> {
    let embedding = image.op(image.head()?)?.inputs[0];
    let zero_point = image.tensor(embedding).zero_point;
    Some(EmbeddingScale {
        scale: image.tensor_scale(embedding)?,
        zero_point,
    })
}

/// An int8 head: a dense layer on the embedding.
///
/// # Shapes
/// `weights` is `[classes][features]`, all other slices are `[classes]`.
#[derive(Clone, Copy, Debug)]
pub struct Int8Head<'a> {
    /// Weights.
    pub weights: &'a [i8],
    /// Biases, the embedding's zero point folded in.
    pub bias: &'a [i32],
    /// Q31 factors.
    pub multiplier: &'a [i32],
    /// Powers of two, positive = left.
    pub shift: &'a [i8],
    /// Code of a logit of zero.
    pub zero_point: i8,
}

impl Int8Head<'_> {
    /// The logits of an embedding, by the kernel that runs the model's own classifier.
    ///
    /// # Errors
    /// [`ShapeError`] where the slices' lengths disagree or a sum could leave 32 bits.
    pub fn run(&self, embedding: &[i8], logits: &mut [i8]) -> Result<(), ShapeError> {
        let requant = ChannelRequant {
            bias: self.bias,
            multiplier: self.multiplier,
            shift: self.shift,
            output_zero_point: self.zero_point,
            clamp: Clamp::NONE,
        };
        let (inputs, outputs) = (embedding.len(), logits.len());
        Dense::new(DenseParams {
            inputs,
            outputs,
            weights: self.weights,
            packing: Packing::Canonical,
            requant,
        })?
        .run(embedding, &mut [], logits);
        Ok(())
    }
}
