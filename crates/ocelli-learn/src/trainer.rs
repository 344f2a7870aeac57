//! The state machine that trains a head.

use crate::config::TrainConfig;
use crate::digest::digest;
use crate::error::LearnError;
use crate::float::check_fpu;
use crate::head::{EmbeddingScale, Head};
use crate::linear::{
    Linear, Trained, arg_max, cross_entropy, cross_entropy_backward, dot, squared_length,
    step_bias, step_weights,
};
use crate::random::SplitMix64;
use crate::rows::rows_mut;
use crate::samples::{Samples, split_held_out};

/// Centred embeddings are scaled to this squared length on average.
///
/// It makes learning rates mean the same for every backbone, whatever its features and their range.
/// The curvature of softmax cross-entropy is at most half the squared length of its input, here 32, so
/// gradient descent with momentum 0.9 is stable below (2 + 2 * 0.9) / 32, about 0.1, at the worst.
const MEAN_SQUARED_LENGTH: f32 = 64.0;

/// Memory that a trainer borrows.
#[derive(Debug)]
pub struct TrainMemory<'m> {
    /// At least [`TrainConfig::memory_elems`] floats.
    pub floats: &'m mut [f32],
    /// At least one index a sample.
    pub order: &'m mut [u32],
}

/// How a head does on held-out samples.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Score {
    /// Mean cross-entropy.
    pub loss: f32,
    /// Samples whose class was the first with the largest logit.
    pub correct: u32,
    /// Samples in all.
    pub count: u32,
}

impl Score {
    /// Share of samples that were right.
    pub fn accuracy(&self) -> f32 {
        self.correct as f32 / self.count as f32
    }
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Stop {
    /// All epochs are done.
    Epochs,
    /// [`TrainConfig::max_steps`] are done.
    MaxSteps,
    /// The held-out loss has not improved for [`TrainConfig::patience`] epochs.
    Patience,
    /// A weight or loss was no longer finite: the learning rate is too large. The weights are the best
    /// ones again.
    Diverged,
}

/// What a call of [`Trainer::step`] did.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// One step of the optimizer.
    Stepped {
        /// Steps so far, this one included.
        step: u32,
        /// The epoch it belongs to, from 1.
        epoch: u32,
        /// Mean cross-entropy of the batch before the step.
        loss: f32,
    },
    /// Some held-out samples were scored, and more are left.
    Scoring {
        /// Samples that are scored.
        scored: u32,
        /// Samples to score.
        count: u32,
    },
    /// The last held-out sample was scored.
    EpochScored {
        /// Epochs done; 0 is the head before the first step.
        epoch: u32,
        /// How it does.
        held_out: Score,
        /// Whether these weights are the best so far, and kept.
        best: bool,
    },
    /// There is nothing left to do.
    Done {
        /// Why.
        stop: Stop,
        /// Steps done.
        step: u32,
        /// Score of the weights that are the result; `None` without held-out samples.
        best: Option<Score>,
    },
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Train {
        next: usize,
    },
    Score {
        next: usize,
        loss: f32,
        correct: u32,
    },
    Done(Stop),
}

/// Trains a linear head on int8 embeddings, a small piece of work at a time.
///
/// The head starts from zero. Inputs are centred by the training samples' mean of each feature and
/// multiplied by one scale, so that the same learning rate serves every backbone; [`Trainer::finish`]
/// folds both into the weights. All state is in the caller's memory, and all of it is the same on
/// every machine, bit by bit.
///
/// Making one goes over all samples twice; each [`step`](Self::step) then handles one batch.
///
/// # Example
/// See the [crate's documentation](crate).
#[derive(Debug)]
pub struct Trainer<'m> {
    samples: Samples<'m>,
    config: TrainConfig,
    embedding: EmbeddingScale,
    input_scale: f32,
    random: SplitMix64,
    phase: Phase,
    step: u32,
    epoch: u32,
    stale_epochs: u32,
    loss: f32,
    best: Option<Score>,
    /// Indices of the samples: to train on, in the epoch's order, and held out.
    train_order: &'m mut [u32],
    held_out: &'m [u32],
    weights: &'m mut [f32],         // [classes][features]
    bias: &'m mut [f32],            // [classes]
    weights_moments: &'m mut [f32], // [classes][features]
    bias_moments: &'m mut [f32],    // [classes]
    best_weights: &'m mut [f32],    // [classes][features]
    best_bias: &'m mut [f32],       // [classes]
    centre: &'m mut [f32],          // [features]
    d_logits: &'m mut [f32],        // [batch][classes]
}

impl<'m> Trainer<'m> {
    /// Checks everything, splits the samples and measures the embeddings.
    ///
    /// # Errors
    /// Every [`LearnError`] but those of heads and buffers. Samples of a single class, or a single
    /// sample, are no error: the head learns to always name that class.
    pub fn new(
        samples: Samples<'m>,
        classes: usize,
        embedding: EmbeddingScale,
        config: TrainConfig,
        memory: TrainMemory<'m>,
    ) -> Result<Self, LearnError> {
        check_fpu()?;
        config.check().map_err(LearnError::Config)?;
        embedding.check()?;
        if classes < 2 {
            return Err(LearnError::TooFewClasses { got: classes });
        }
        if samples.is_empty() {
            return Err(LearnError::NoSamples);
        }
        if u32::try_from(samples.len()).is_err() {
            return Err(LearnError::TooManySamples);
        }
        samples.check_labels(classes)?;

        let features = samples.features();
        let got = memory.order.len();
        let Some(order) = memory.order.get_mut(..samples.len()) else {
            let needed = samples.len();
            return Err(LearnError::OrderMemory { needed, got });
        };
        let needed = config.memory_elems(features, classes);
        let mut floats = Floats {
            needed,
            got: memory.floats.len(),
            left: memory.floats,
        };
        let weights_elems = classes.saturating_mul(features);
        let moments = config.optimizer.moments();
        let weights = floats.take(weights_elems)?;
        let bias = floats.take(classes)?;
        let weights_moments = floats.take(weights_elems.saturating_mul(moments))?;
        let bias_moments = floats.take(classes.saturating_mul(moments))?;
        let best_weights = floats.take(weights_elems)?;
        let best_bias = floats.take(classes)?;
        let centre = floats.take(features)?;
        let d_logits = floats.take(classes.saturating_mul(usize::from(config.batch)))?;

        let trained_on = split_held_out(samples.labels(), classes, config.held_out_every, order);
        let (train_order, held_out) = order
            .split_at_mut_checked(trained_on)
            .ok_or(LearnError::NoSamples)?;
        let input_scale = measure(&samples, train_order, centre);

        let mut trainer = Self {
            samples,
            config,
            embedding,
            input_scale,
            random: SplitMix64::new(config.seed),
            phase: Phase::Done(Stop::Epochs),
            step: 0,
            epoch: 0,
            stale_epochs: 0,
            loss: 0.0,
            best: None,
            train_order,
            held_out,
            weights,
            bias,
            weights_moments,
            bias_moments,
            best_weights,
            best_bias,
            centre,
            d_logits,
        };
        if trainer.held_out.is_empty() {
            trainer.begin_epoch();
        } else {
            trainer.begin_scoring();
        }
        Ok(trainer)
    }

    /// Does the next piece of work: one batch, trained on or scored.
    ///
    /// Call it until it answers [`Event::Done`], or stop earlier: the best weights so far are kept.
    pub fn step(&mut self) -> Event {
        match self.phase {
            Phase::Train { next } => self.train(next),
            Phase::Score {
                next,
                loss,
                correct,
            } => self.score(next, loss, correct),
            Phase::Done(stop) => Event::Done {
                stop,
                step: self.step,
                best: self.best,
            },
        }
    }

    /// CRC-32 (ISO-HDLC) of the training state: the little-endian bits of weights, biases, moments of
    /// the weights, moments of the biases and the last batch's loss.
    pub fn digest(&self) -> u32 {
        digest(&[
            self.weights,
            self.bias,
            self.weights_moments,
            self.bias_moments,
            &[self.loss],
        ])
    }

    /// How many samples are trained on, and how many are held out.
    pub fn split(&self) -> (usize, usize) {
        (self.train_order.len(), self.held_out.len())
    }

    /// The best head so far, for real-valued embeddings.
    ///
    /// Without held-out samples it is the last head.
    pub fn finish(mut self) -> Head<'m> {
        if self.held_out.is_empty() {
            self.keep_best();
        }
        let features = self.centre.len();
        // In training: logit = input_scale * w . (code - centre) + b, with centre = zero_point + mean.
        // Folded: code - zero_point = embedding / scale.
        let zero_point = f32::from(self.embedding.zero_point);
        for centre in self.centre.iter_mut() {
            *centre -= zero_point;
        }
        let weight_scale = self.input_scale / self.embedding.scale;
        let rows = rows_mut(self.best_weights, features);
        for (row, bias) in rows.zip(self.best_bias.iter_mut()) {
            *bias -= self.input_scale * dot(row, self.centre);
            for weight in row {
                *weight *= weight_scale;
            }
        }
        Head {
            weights: self.best_weights,
            bias: self.best_bias,
        }
    }

    fn train(&mut self, next: usize) -> Event {
        let batch_end = next
            .saturating_add(usize::from(self.config.batch))
            .min(self.train_order.len());
        let batch = self.train_order.get(next..batch_end).unwrap_or_default();
        let classes = self.bias.len();
        let count = batch.len() as f32;
        let linear = Linear {
            weights: self.weights,
            bias: self.bias,
            centre: self.centre,
            input_scale: self.input_scale,
        };

        let mut loss = 0.0;
        for (&index, logits) in batch.iter().zip(rows_mut(self.d_logits, classes)) {
            let Some((codes, label)) = self.samples.get(index as usize) else {
                continue;
            };
            linear.forward(codes, logits);
            loss += cross_entropy(logits, usize::from(label));
            cross_entropy_backward(logits, usize::from(label), count);
        }
        loss /= count;
        if !loss.is_finite() {
            return self.diverged();
        }

        let elems = batch.len().saturating_mul(classes);
        let d_logits = self.d_logits.get_mut(..elems).unwrap_or_default();
        let bias = Trained {
            values: self.bias,
            moments: self.bias_moments,
        };
        let bias_finite = step_bias(&self.config.optimizer, bias, d_logits);
        for d in d_logits.iter_mut() {
            *d *= self.input_scale;
        }
        let weights = Trained {
            values: self.weights,
            moments: self.weights_moments,
        };
        let weights_finite = step_weights(
            &self.config.optimizer,
            weights,
            d_logits,
            classes,
            batch,
            &self.samples,
            self.centre,
        );
        if !(bias_finite && weights_finite) {
            return self.diverged();
        }

        self.loss = loss;
        self.step += 1;
        let event = Event::Stepped {
            step: self.step,
            epoch: self.epoch + 1,
            loss,
        };
        self.phase = Phase::Train { next: batch_end };
        if batch_end == self.train_order.len() || self.step == self.config.max_steps {
            self.epoch += 1;
            if !self.held_out.is_empty() {
                self.begin_scoring();
            } else if let Some(stop) = self.limit() {
                self.phase = Phase::Done(stop);
            } else {
                self.begin_epoch();
            }
        }
        event
    }

    fn score(&mut self, next: usize, mut loss: f32, mut correct: u32) -> Event {
        let end = next
            .saturating_add(usize::from(self.config.batch))
            .min(self.held_out.len());
        let classes = self.bias.len();
        let linear = Linear {
            weights: self.weights,
            bias: self.bias,
            centre: self.centre,
            input_scale: self.input_scale,
        };
        let logits = self.d_logits.get_mut(..classes).unwrap_or_default();
        for &index in self.held_out.get(next..end).unwrap_or_default() {
            let Some((codes, label)) = self.samples.get(index as usize) else {
                continue;
            };
            linear.forward(codes, logits);
            correct += u32::from(arg_max(logits) == usize::from(label));
            loss += cross_entropy(logits, usize::from(label));
        }
        let count = self.held_out.len() as u32;
        if end < self.held_out.len() {
            self.phase = Phase::Score {
                next: end,
                loss,
                correct,
            };
            return Event::Scoring {
                scored: end as u32,
                count,
            };
        }
        if !loss.is_finite() {
            return self.diverged();
        }

        let held_out = Score {
            loss: loss / count as f32,
            correct,
            count,
        };
        let best = self.best.is_none_or(|best| held_out.loss < best.loss);
        if best {
            self.best = Some(held_out);
            self.stale_epochs = 0;
            self.keep_best();
        } else {
            self.stale_epochs += 1;
        }
        if let Some(stop) = self.limit() {
            self.phase = Phase::Done(stop);
        } else if self.stale_epochs >= self.config.patience {
            self.phase = Phase::Done(Stop::Patience);
        } else {
            self.begin_epoch();
        }
        Event::EpochScored {
            epoch: self.epoch,
            held_out,
            best,
        }
    }

    /// Which limit of the configuration is reached.
    fn limit(&self) -> Option<Stop> {
        if self.step >= self.config.max_steps {
            Some(Stop::MaxSteps)
        } else if self.epoch >= self.config.epochs {
            Some(Stop::Epochs)
        } else {
            None
        }
    }

    fn begin_epoch(&mut self) {
        self.random.shuffle(self.train_order);
        self.phase = Phase::Train { next: 0 };
    }

    fn begin_scoring(&mut self) {
        self.phase = Phase::Score {
            next: 0,
            loss: 0.0,
            correct: 0,
        };
    }

    fn keep_best(&mut self) {
        copy(self.best_weights, self.weights);
        copy(self.best_bias, self.bias);
    }

    /// Goes back to the best weights: bits of infinities and of what is not a number must not be seen,
    /// since they are not the same on every machine.
    fn diverged(&mut self) -> Event {
        copy(self.weights, self.best_weights);
        copy(self.bias, self.best_bias);
        self.weights_moments.fill(0.0);
        self.bias_moments.fill(0.0);
        self.phase = Phase::Done(Stop::Diverged);
        self.step()
    }
}

/// Hands out parts of the caller's floats, zeroed.
struct Floats<'m> {
    left: &'m mut [f32],
    needed: usize,
    got: usize,
}

impl<'m> Floats<'m> {
    fn take(&mut self, elems: usize) -> Result<&'m mut [f32], LearnError> {
        let part = self.left.split_off_mut(..elems);
        let part = part.ok_or(LearnError::FloatMemory {
            needed: self.needed,
            got: self.got,
        })?;
        part.fill(0.0);
        Ok(part)
    }
}

/// Writes the mean code of each feature over the samples of `order` to `centre`; returns the scale that
/// gives centred codes a mean squared length of [`MEAN_SQUARED_LENGTH`].
fn measure(samples: &Samples<'_>, order: &[u32], centre: &mut [f32]) -> f32 {
    let count = order.len() as f32;
    let rows = || {
        order
            .iter()
            .filter_map(|&index| samples.get(index as usize))
    };
    for (codes, _) in rows() {
        for (sum, &code) in centre.iter_mut().zip(codes) {
            *sum += f32::from(code);
        }
    }
    for sum in centre.iter_mut() {
        *sum /= count;
    }
    let mut squares = 0.0;
    for (codes, _) in rows() {
        squares += squared_length(codes, centre);
    }
    let mean_square = squares / count;
    if mean_square > 0.0 {
        libm::sqrtf(MEAN_SQUARED_LENGTH / mean_square)
    } else {
        // All embeddings are the same: only the bias has something to learn.
        1.0
    }
}

fn copy(to: &mut [f32], from: &[f32]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

#[cfg(test)]
mod tests;
