//! What training does with good, odd and bad input.

mod support;

use ocelli_learn::{
    ConfigField, EmbeddingScale, Event, LearnError, Optimizer, Samples, Score, Stop, TrainConfig,
    TrainMemory, Trainer,
};

const EMBEDDING: EmbeddingScale = EmbeddingScale {
    scale: 0.05,
    zero_point: 3,
};

/// What a run did, from its events, and the head that it left.
struct Run {
    losses: Vec<f32>,
    scores: Vec<Score>,
    best_epoch: Option<u32>,
    stop: Stop,
    best: Option<Score>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

fn try_run(samples: Samples<'_>, classes: usize, config: TrainConfig) -> Result<Run, LearnError> {
    let mut floats = vec![f32::NAN; config.memory_elems(samples.features(), classes)];
    let mut order = vec![0; samples.len()];
    let memory = TrainMemory {
        floats: &mut floats,
        order: &mut order,
    };
    let mut trainer = Trainer::new(samples, classes, EMBEDDING, config, memory)?;
    let (mut losses, mut scores, mut best_epoch) = (Vec::new(), Vec::new(), None);
    let (stop, best) = loop {
        match trainer.step() {
            Event::Stepped { loss, .. } => losses.push(loss),
            Event::Scoring { .. } => {}
            Event::EpochScored {
                epoch,
                held_out,
                best,
            } => {
                scores.push(held_out);
                best_epoch = if best { Some(epoch) } else { best_epoch };
            }
            Event::Done { stop, best, .. } => break (stop, best),
        }
    };
    let head = trainer.finish();
    Ok(Run {
        losses,
        scores,
        best_epoch,
        stop,
        best,
        weights: head.weights.to_vec(),
        bias: head.bias.to_vec(),
    })
}

fn run(samples: Samples<'_>, classes: usize, config: TrainConfig) -> Run {
    try_run(samples, classes, config).unwrap()
}

/// The class that a head names for an embedding, in f64.
fn classify(run: &Run, codes: &[i8]) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (class, (row, &bias)) in run.weights.chunks(codes.len()).zip(&run.bias).enumerate() {
        let mut logit = f64::from(bias);
        for (&weight, &code) in row.iter().zip(codes) {
            let real = f64::from(EMBEDDING.scale)
                * f64::from(i32::from(code) - i32::from(EMBEDDING.zero_point));
            logit += f64::from(weight) * real;
        }
        if logit > best.1 {
            best = (class, logit);
        }
    }
    best.0
}

fn sgd(learning_rate: f32) -> Optimizer {
    Optimizer::Sgd {
        learning_rate,
        momentum: 0.9,
        l2: 0.0,
    }
}

#[test]
fn the_loss_falls_and_the_head_names_unseen_samples() {
    let (embeddings, labels) = support::pattern(200, 32, 4, 9);
    let (seen, unseen) = embeddings.split_at(120 * 32);
    let samples = Samples::new(seen, &labels[..120], 32).unwrap();
    let run = run(samples, 4, TrainConfig::default());
    let start = run.losses[0];
    let end = run.losses[run.losses.len() - 1];
    assert!((start - 4f32.ln()).abs() < 1e-6, "a zero head is undecided");
    assert!(end < 0.1 * start, "{start} {end}");
    let right = unseen
        .chunks(32)
        .zip(&labels[120..])
        .filter(|(codes, label)| classify(&run, codes) == usize::from(**label))
        .count();
    assert!(right >= 76, "{right} of 80");
}

#[test]
fn the_best_weights_are_given_back_and_not_the_last() {
    // Every fifth label is wrong: after what is true, what is false is learned, and the held-out loss rises.
    let (embeddings, mut labels) = support::pattern(90, 20, 3, 4);
    for label in labels.iter_mut().step_by(5) {
        *label = (*label + 1) % 3;
    }
    let samples = Samples::new(&embeddings, &labels, 20).unwrap();
    let config = TrainConfig {
        batch: 8,
        patience: 4,
        held_out_every: 3,
        ..TrainConfig::default()
    };
    let stopped = run(samples, 3, config);
    assert_eq!(stopped.stop, Stop::Patience);
    let best_epoch = stopped.best_epoch.unwrap();
    let best = stopped.best.unwrap();
    assert_eq!(best, stopped.scores[best_epoch as usize]);
    assert_eq!(stopped.scores.len() as u32, best_epoch + 1 + 4);
    assert!(stopped.scores.iter().all(|score| best.loss <= score.loss));
    assert!(best_epoch > 0 && best.loss < stopped.scores[0].loss);
    let epochs = best_epoch;
    let again = run(samples, 3, TrainConfig { epochs, ..config });
    assert_eq!(stopped.weights, again.weights);
    assert_eq!(stopped.bias, again.bias);
}

#[test]
fn a_step_limit_ends_an_epoch_in_its_middle() {
    let (embeddings, labels) = support::pattern(50, 8, 2, 1);
    let samples = Samples::new(&embeddings, &labels, 8).unwrap();
    let config = TrainConfig {
        batch: 4,
        max_steps: 13,
        held_out_every: 5,
        ..TrainConfig::default()
    };
    // 40 samples to train on are 10 steps an epoch; 10 held out are scored at the start and twice more.
    let run = run(samples, 2, config);
    assert_eq!((run.losses.len(), run.scores.len()), (13, 3));
    assert_eq!(run.stop, Stop::MaxSteps);
    assert!(run.scores.iter().all(|score| score.count == 10));
}

#[test]
fn each_step_handles_at_most_one_batch() {
    let (embeddings, labels) = support::pattern(40, 4, 2, 1);
    let samples = Samples::new(&embeddings, &labels, 4).unwrap();
    let config = TrainConfig {
        batch: 3,
        epochs: 1,
        held_out_every: 5,
        ..TrainConfig::default()
    };
    let mut floats = vec![0.0; config.memory_elems(4, 2)];
    let mut order = vec![0; 40];
    let memory = TrainMemory {
        floats: &mut floats,
        order: &mut order,
    };
    let mut trainer = Trainer::new(samples, 2, EMBEDDING, config, memory).unwrap();
    assert_eq!(trainer.split(), (32, 8));
    for scored in [3, 6] {
        assert_eq!(trainer.step(), Event::Scoring { scored, count: 8 });
    }
    let scored = trainer.step();
    assert!(matches!(
        scored,
        Event::EpochScored {
            epoch: 0,
            best: true,
            ..
        }
    ));
    for expected in 1..=11 {
        let event = trainer.step();
        assert!(matches!(event, Event::Stepped { step, epoch: 1, .. } if step == expected));
    }
    assert!(matches!(trainer.step(), Event::Scoring { .. }));
}

#[test]
fn samples_of_one_class_teach_to_name_it() {
    let (embeddings, _) = support::pattern(30, 6, 3, 1);
    let samples = Samples::new(&embeddings, &[2; 30], 6).unwrap();
    let run = run(samples, 4, TrainConfig::default());
    assert!(embeddings.chunks(6).all(|codes| classify(&run, codes) == 2));
}

#[test]
fn a_single_sample_is_learned_by_the_bias() {
    let samples = Samples::new(&[1, 2, 3], &[1], 3).unwrap();
    let run = run(samples, 2, TrainConfig::default());
    assert_eq!(run.stop, Stop::Epochs);
    assert_eq!(run.scores.len(), 0);
    assert!(run.weights.iter().all(|&weight| weight == 0.0));
    assert!(run.bias[1] > run.bias[0]);
}

#[test]
fn a_learning_rate_that_is_far_too_large_ends_with_the_best_weights() {
    let (embeddings, labels) = support::pattern(60, 10, 3, 3);
    let samples = Samples::new(&embeddings, &labels, 10).unwrap();
    for held_out_every in [0, 4] {
        let config = TrainConfig {
            optimizer: sgd(1e37),
            held_out_every,
            ..TrainConfig::default()
        };
        let run = run(samples, 3, config);
        assert_eq!(run.stop, Stop::Diverged);
        assert!(
            run.weights
                .iter()
                .chain(&run.bias)
                .all(|value| value.is_finite())
        );
        assert!(run.losses.iter().all(|loss| loss.is_finite()));
        assert!(run.scores.iter().all(|score| score.loss.is_finite()));
    }
}

#[test]
fn settings_without_a_meaning_are_refused_each_by_its_name() {
    use ConfigField::*;
    let samples = Samples::new(&[1, 2, 3, 4], &[0, 1], 2).unwrap();
    let good = TrainConfig::default();
    let with = |learning_rate, momentum, l2| TrainConfig {
        optimizer: Optimizer::Sgd {
            learning_rate,
            momentum,
            l2,
        },
        ..good
    };
    for (config, field) in [
        (with(f32::NAN, 0.9, 0.0), LearningRate),
        (with(f32::INFINITY, 0.9, 0.0), LearningRate),
        (with(0.0, 0.9, 0.0), LearningRate),
        (with(-0.1, 0.9, 0.0), LearningRate),
        (with(0.1, 1.0, 0.0), Momentum),
        (with(0.1, -0.1, 0.0), Momentum),
        (with(0.1, f32::NAN, 0.0), Momentum),
        (with(0.1, 0.9, -1.0), L2),
        (with(0.1, 0.9, f32::NAN), L2),
        (TrainConfig { batch: 0, ..good }, Batch),
        (TrainConfig { epochs: 0, ..good }, Epochs),
        (
            TrainConfig {
                max_steps: 0,
                ..good
            },
            MaxSteps,
        ),
        (
            TrainConfig {
                patience: 0,
                ..good
            },
            Patience,
        ),
        (
            TrainConfig {
                held_out_every: 1,
                ..good
            },
            HeldOutEvery,
        ),
    ] {
        let error = try_run(samples, 2, config).err();
        assert_eq!(error, Some(LearnError::Config(field)));
    }
}

#[test]
fn samples_and_memory_that_do_not_fit_are_refused() {
    let config = TrainConfig::default();
    let samples = Samples::new(&[1, 2, 3, 4], &[0, 1], 2).unwrap();
    let new = |samples, classes, embedding, floats: usize, order: usize| {
        let (mut floats, mut order) = (vec![0.0; floats], vec![0; order]);
        let memory = TrainMemory {
            floats: &mut floats,
            order: &mut order,
        };
        Trainer::new(samples, classes, embedding, config, memory).err()
    };
    // Weights and biases three times, 2 means, 16 rows of logits.
    let needed = 3 * 3 * (2 + 1) + 2 + 3 * 16;
    assert_eq!(config.memory_elems(2, 3), needed);
    assert_eq!(new(samples, 3, EMBEDDING, needed, 2), None);
    assert_eq!(
        new(samples, 3, EMBEDDING, needed - 1, 2),
        Some(LearnError::FloatMemory {
            needed,
            got: needed - 1
        })
    );
    assert_eq!(
        new(samples, 3, EMBEDDING, needed, 1),
        Some(LearnError::OrderMemory { needed: 2, got: 1 })
    );
    assert_eq!(
        new(samples, 1, EMBEDDING, needed, 2),
        Some(LearnError::TooFewClasses { got: 1 })
    );
    let empty = Samples::new(&[], &[], 2).unwrap();
    assert_eq!(
        new(empty, 3, EMBEDDING, needed, 2),
        Some(LearnError::NoSamples)
    );
    let unknown = Samples::new(&[1, 2, 3, 4], &[0, 3], 2).unwrap();
    assert_eq!(
        new(unknown, 3, EMBEDDING, needed, 2),
        Some(LearnError::LabelOutOfRange {
            at: 1,
            label: 3,
            classes: 3
        })
    );
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let embedding = EmbeddingScale {
            scale,
            zero_point: 0,
        };
        assert_eq!(
            new(samples, 3, embedding, needed, 2),
            Some(LearnError::EmbeddingScale)
        );
    }
    assert_eq!(config.memory_elems(usize::MAX, 2), usize::MAX);
}
