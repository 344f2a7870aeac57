//! Training on embeddings, told epoch by epoch.

use anyhow::{Result, bail};
use ocelli::learn::{
    EmbeddingScale, Event, HeadMut, OutputScale, Samples, Score, Stop, TrainConfig, TrainMemory,
    Trainer, quantize_head,
};

use crate::console::Console;

/// What training came to.
pub struct Trained {
    /// The new classifier.
    pub head: QuantizedHead,
    /// How the classifier of zeros does on the held-out samples, if there are any.
    pub before: Option<Score>,
    /// Epochs done.
    pub epochs: u32,
    /// Steps done.
    pub steps: u32,
    /// Why it ended.
    pub ended_by: &'static str,
    /// Which samples were held out.
    pub held_out: Vec<u32>,
}

/// A classifier as an image holds it.
///
/// # Shapes
/// `weights` is `[classes][features]`, all others are `[classes]`.
pub struct QuantizedHead {
    /// Weights; their zero point is 0.
    pub weights: Vec<i8>,
    /// Biases, the embedding's zero point folded in.
    pub bias: Vec<i32>,
    /// Q31 factors.
    pub multiplier: Vec<i32>,
    /// Powers of two, positive = left.
    pub shift: Vec<i8>,
    /// Real value of a weight's code.
    pub weight_scale: Vec<f32>,
    /// What the logits' codes mean.
    pub output: OutputScale,
}

/// Trains a classifier and turns it into int8.
pub fn train(
    samples: Samples<'_>,
    classes: usize,
    scale: EmbeddingScale,
    config: TrainConfig,
    console: &Console,
) -> Result<Trained> {
    let features = samples.features();
    let mut floats = vec![0.0; config.memory_elems(features, classes)];
    let mut order = vec![0; samples.len()];
    let memory = TrainMemory {
        floats: &mut floats,
        order: &mut order,
    };
    let mut trainer = Trainer::new(samples, classes, scale, config, memory)?;
    let (trained_on, _) = trainer.split();
    let (mut before, mut epochs) = (None, 0);
    let bar = console.bar(config.epochs as usize, "training");
    let (stop, steps) = loop {
        match trainer.step() {
            Event::Stepped { epoch, .. } => {
                epochs = epoch;
                bar.set_position(u64::from(epoch - 1));
            }
            Event::Scoring { .. } => {}
            Event::EpochScored {
                epoch,
                held_out,
                best,
            } => {
                if epoch == 0 {
                    before = Some(held_out);
                }
                let best = if best { " (best)" } else { "" };
                let (accuracy, loss) = (held_out.accuracy(), held_out.loss);
                bar.suspend(|| {
                    console.note(format_args!(
                        "epoch {epoch}: held-out accuracy {accuracy:.3}, loss {loss:.4}{best}"
                    ));
                });
            }
            Event::Done { stop, step, .. } => break (stop, step),
        }
    };
    bar.finish_and_clear();
    let ended_by = match stop {
        Stop::Epochs => "epochs",
        Stop::MaxSteps => "steps",
        Stop::Patience => "patience",
        // With samples held out, the best weights before that are kept.
        Stop::Diverged if before.is_some() => "divergence",
        Stop::Diverged => bail!("training diverged: use a smaller --learning-rate"),
    };

    let float_head = trainer.finish();
    let mut head = QuantizedHead {
        weights: vec![0; classes * features],
        bias: vec![0; classes],
        multiplier: vec![0; classes],
        shift: vec![0; classes],
        weight_scale: vec![0.0; classes],
        output: OutputScale {
            scale: 1.0,
            zero_point: 0,
        },
    };
    let mut parts = HeadMut {
        weights: &mut head.weights,
        bias: &mut head.bias,
        multiplier: &mut head.multiplier,
        shift: &mut head.shift,
        weight_scale: &mut head.weight_scale,
    };
    head.output = quantize_head(&float_head, scale, &samples, &mut parts)?;
    Ok(Trained {
        head,
        before,
        epochs,
        steps,
        ended_by,
        // The trainer leaves those held out behind those that it trained on.
        held_out: order.split_off(trained_on),
    })
}
