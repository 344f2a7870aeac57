//! What a training run is told: optimizer, batches, limits.

use crate::error::ConfigField;

/// How gradients become steps.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum.
    ///
    /// Per value `v`, its gradient `g` and velocity `m`: `g += l2 * v` (weights only),
    /// `m = momentum * m + g`, `v -= learning_rate * m`.
    ///
    /// # Source
    /// `torch.optim.SGD` with `dampening=0`, `nesterov=False`.
    Sgd {
        /// Size of a step.
        learning_rate: f32,
        /// How much of the last step is taken again, `0.0..1.0`.
        momentum: f32,
        /// L2 regularization: the loss gains `l2 / 2 * |weights|^2`, so the gradient gains
        /// `l2 * weights`. Biases are exempt. The loss that is reported is without it.
        l2: f32,
    },
}

impl Optimizer {
    /// Floats of state that each trained value needs.
    pub const fn moments(&self) -> usize {
        match self {
            Self::Sgd { .. } => 1,
        }
    }

    /// Takes one step on `values`; returns whether they are still finite.
    ///
    /// `gradient` may be longer than `values`. `decays` says that these are weights, not biases.
    #[inline]
    pub(crate) fn update(
        &self,
        values: &mut [f32],
        moments: &mut [f32],
        gradient: &[f32],
        decays: bool,
    ) -> bool {
        let mut finite = true;
        match *self {
            Self::Sgd {
                learning_rate,
                momentum,
                l2,
            } => {
                let l2 = if decays { l2 } else { 0.0 };
                for ((value, velocity), &gradient) in values.iter_mut().zip(moments).zip(gradient) {
                    *velocity = momentum * *velocity + (gradient + l2 * *value);
                    *value -= learning_rate * *velocity;
                    finite &= value.is_finite();
                }
            }
        }
        finite
    }

    fn check(&self) -> Result<(), ConfigField> {
        let Self::Sgd {
            learning_rate,
            momentum,
            l2,
        } = *self;
        if !(learning_rate.is_finite() && learning_rate > 0.0) {
            return Err(ConfigField::LearningRate);
        }
        if !(0.0..1.0).contains(&momentum) {
            return Err(ConfigField::Momentum);
        }
        if !(l2.is_finite() && l2 >= 0.0) {
            return Err(ConfigField::L2);
        }
        Ok(())
    }
}

/// Everything that decides the course of a training run, apart from the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TrainConfig {
    /// How gradients become steps.
    pub optimizer: Optimizer,
    /// Samples in a step; the last step of an epoch takes what is left.
    pub batch: u16,
    /// Ends after this many passes over the samples.
    pub epochs: u32,
    /// Ends after this many steps, even in the middle of an epoch.
    pub max_steps: u32,
    /// Ends after this many epochs in a row that did not improve the held-out loss.
    pub patience: u32,
    /// Of each class, every so-many-th sample is scored instead of trained on; 0 for none, and then
    /// the last weights are the result.
    pub held_out_every: u32,
    /// Start of the generator that shuffles the samples.
    pub seed: u64,
}

impl Default for TrainConfig {
    /// Settings that do well for MobileNetV2's embeddings, with some hundred to some thousand samples.
    fn default() -> Self {
        Self {
            optimizer: Optimizer::Sgd {
                learning_rate: 0.05,
                momentum: 0.9,
                l2: 5e-4,
            },
            batch: 16,
            epochs: 60,
            max_steps: u32::MAX,
            patience: 10,
            held_out_every: 10,
            seed: 0,
        }
    }
}

impl TrainConfig {
    /// Floats of memory that a [`Trainer`](crate::Trainer) needs; `usize::MAX` if beyond counting.
    ///
    /// Weights and biases, their best copy and the optimizer's moments; the mean of each feature;
    /// the logits of a batch.
    pub const fn memory_elems(&self, features: usize, classes: usize) -> usize {
        let values = classes.saturating_mul(features.saturating_add(1));
        values
            .saturating_mul(2 + self.optimizer.moments())
            .saturating_add(features)
            .saturating_add(classes.saturating_mul(self.batch as usize))
    }

    pub(crate) fn check(&self) -> Result<(), ConfigField> {
        self.optimizer.check()?;
        if self.batch == 0 {
            return Err(ConfigField::Batch);
        }
        if self.epochs == 0 {
            return Err(ConfigField::Epochs);
        }
        if self.max_steps == 0 {
            return Err(ConfigField::MaxSteps);
        }
        if self.patience == 0 {
            return Err(ConfigField::Patience);
        }
        if self.held_out_every == 1 {
            return Err(ConfigField::HeldOutEvery);
        }
        Ok(())
    }
}
