//! What can only be seen from inside: gradients and moments.

extern crate std;

use std::vec;
use std::vec::Vec;

use super::*;
use crate::config::Optimizer;

const EMBEDDING: EmbeddingScale = EmbeddingScale {
    scale: 0.03,
    zero_point: -7,
};

/// Codes without a pattern, by a multiplicative congruence.
fn noise(count: usize) -> Vec<i8> {
    let step = |state: &u32| Some(state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453));
    let states = core::iter::successors(Some(1u32), step);
    states
        .skip(1)
        .take(count)
        .map(|s| (s >> 24) as i8)
        .collect()
}

fn sgd(learning_rate: f32, momentum: f32, l2: f32) -> Optimizer {
    Optimizer::Sgd {
        learning_rate,
        momentum,
        l2,
    }
}

/// Mean cross-entropy and L2 penalty of the whole training set in f64, from the definition.
///
/// `values` is `[classes][features]` weights and then `[classes]` biases, in the trainer's space.
fn reference_loss(trainer: &Trainer<'_>, values: &[f64], l2: f64) -> f64 {
    let (features, classes) = (trainer.centre.len(), trainer.bias.len());
    let members: Vec<_> = trainer
        .train_order
        .iter()
        .map(|&index| trainer.samples.get(index as usize).unwrap())
        .collect();
    let mean: Vec<f64> = (0..features)
        .map(|f| members.iter().map(|m| f64::from(m.0[f])).sum::<f64>() / members.len() as f64)
        .collect();
    let centred: Vec<Vec<f64>> = members
        .iter()
        .map(|m| {
            m.0.iter()
                .zip(&mean)
                .map(|(&x, m)| f64::from(x) - m)
                .collect()
        })
        .collect();
    let squares: f64 = centred.iter().flatten().map(|x| x * x).sum();
    let scale = (f64::from(MEAN_SQUARED_LENGTH) * members.len() as f64 / squares).sqrt();
    let (weights, bias) = values.split_at(features * classes);
    let mut loss = 0.0;
    for (x, (_, label)) in centred.iter().zip(&members) {
        let logits: Vec<f64> = (0..classes)
            .map(|c| {
                let row = &weights[c * features..][..features];
                scale * row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + bias[c]
            })
            .collect();
        let total: f64 = logits.iter().map(|z| z.exp()).sum();
        loss += total.ln() - logits[usize::from(*label)];
    }
    loss / members.len() as f64 + l2 / 2.0 * weights.iter().map(|w| w * w).sum::<f64>()
}

#[test]
fn gradients_agree_with_finite_differences_in_f64() {
    const SAMPLES: usize = 13;
    // Neither a multiple of the features nor of the classes that are handled at a time.
    for (features, classes, l2) in [(19, 6, 0.0), (19, 6, 0.05), (5, 2, 0.3), (33, 9, 0.01)] {
        let embeddings = noise(SAMPLES * features);
        let labels: Vec<u16> = (0..SAMPLES).map(|i| (i * 5 % classes) as u16).collect();
        let samples = Samples::new(&embeddings, &labels, features).unwrap();
        let config = TrainConfig {
            // Without momentum, the velocity is the gradient.
            optimizer: sgd(0.01, 0.0, l2),
            batch: SAMPLES as u16,
            epochs: 100,
            held_out_every: 0,
            ..TrainConfig::default()
        };
        let mut floats = vec![0.0; config.memory_elems(features, classes)];
        let mut order = vec![0; SAMPLES];
        let memory = TrainMemory {
            floats: &mut floats,
            order: &mut order,
        };
        let mut trainer = Trainer::new(samples, classes, EMBEDDING, config, memory).unwrap();
        for _ in 0..7 {
            trainer.step();
        }
        let before: Vec<f64> = trainer
            .weights
            .iter()
            .chain(trainer.bias.iter())
            .map(|&v| v.into())
            .collect();
        let expected_loss = reference_loss(&trainer, &before, 0.0);
        let Event::Stepped { loss, .. } = trainer.step() else {
            panic!("training ended early");
        };
        assert!((f64::from(loss) - expected_loss).abs() < 1e-6 * expected_loss);

        let gradient = trainer
            .weights_moments
            .iter()
            .chain(trainer.bias_moments.iter());
        let largest = gradient
            .clone()
            .fold(0.0, |a: f64, &g| a.max(f64::from(g).abs()));
        for (at, &gradient) in gradient.enumerate() {
            let difference = 1e-5;
            let mut shifted = before.clone();
            shifted[at] += difference;
            let above = reference_loss(&trainer, &shifted, l2.into());
            shifted[at] -= 2.0 * difference;
            let below = reference_loss(&trainer, &shifted, l2.into());
            let expected = (above - below) / (2.0 * difference);
            let error = (f64::from(gradient) - expected).abs();
            assert!(
                error < 1e-6 * largest,
                "value {at}: {gradient}, {expected} expected"
            );
        }
    }
}

#[test]
fn subnormal_moments_are_kept_until_they_end() {
    // A step of this size separates both samples by more than e^-104 can show in f32: from then on the
    // gradient is exactly 0 and each step halves the velocity, through the subnormals down to 0.
    let samples = Samples::new(&[100, -100, 3, -100, 100, 3], &[0, 1], 3).unwrap();
    let config = TrainConfig {
        optimizer: sgd(100.0, 0.5, 0.0),
        epochs: 200,
        held_out_every: 0,
        ..TrainConfig::default()
    };
    let mut floats = [0.0; 64];
    let mut order = [0; 2];
    let memory = TrainMemory {
        floats: &mut floats,
        order: &mut order,
    };
    let mut trainer = Trainer::new(samples, 2, EMBEDDING, config, memory).unwrap();
    let mut digests = Vec::new();
    let mut smallest = f32::MAX;
    while let Event::Stepped { .. } = trainer.step() {
        let velocity = trainer.weights_moments[0];
        if velocity.is_subnormal() {
            digests.push(trainer.digest());
            smallest = if velocity < 0.0 { -velocity } else { velocity };
        }
    }
    assert_eq!(smallest, f32::from_bits(1));
    assert_eq!(trainer.weights_moments[0], 0.0);
    // 23 halvings, and one more where a tie was rounded up to an even number.
    assert_eq!((digests.len(), digests[0]), (24, 0x5d30_70c5));
}
