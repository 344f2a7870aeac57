//! The same bits from the same input, and the numbers that every target must give.

mod support;

use ocelli_learn::{
    EmbeddingScale, Event, Optimizer, Samples, Stop, TrainConfig, TrainMemory, Trainer,
};

const EMBEDDING: EmbeddingScale = EmbeddingScale {
    scale: 0.0125,
    zero_point: -128,
};
const FEATURES: usize = 70;
const CLASSES: usize = 6;

fn config() -> TrainConfig {
    TrainConfig {
        optimizer: Optimizer::Sgd {
            learning_rate: 0.05,
            momentum: 0.9,
            l2: 1e-3,
        },
        batch: 10,
        epochs: u32::MAX,
        max_steps: 200,
        patience: u32::MAX,
        held_out_every: 5,
        seed: 1,
    }
}

/// The digest after each step, why it ended, and the bits of the head.
fn train(embeddings: &[i8], labels: &[u16], config: TrainConfig) -> (Vec<u32>, Stop, Vec<u32>) {
    let samples = Samples::new(embeddings, labels, FEATURES).unwrap();
    // What was in the memory before must not matter.
    let mut floats = vec![f32::NAN; config.memory_elems(FEATURES, CLASSES)];
    let mut order = vec![u32::MAX; labels.len()];
    let memory = TrainMemory {
        floats: &mut floats,
        order: &mut order,
    };
    let mut trainer = Trainer::new(samples, CLASSES, EMBEDDING, config, memory).unwrap();
    let mut digests = Vec::new();
    let stop = loop {
        match trainer.step() {
            Event::Stepped { .. } => digests.push(trainer.digest()),
            Event::Scoring { .. } | Event::EpochScored { .. } => {}
            Event::Done { stop, .. } => break stop,
        }
    };
    let head = trainer.finish();
    let values = head.weights.iter().chain(head.bias);
    (digests, stop, values.map(|value| value.to_bits()).collect())
}

fn pattern() -> (Vec<i8>, Vec<u16>) {
    support::pattern(150, FEATURES, CLASSES, 5)
}

#[test]
fn two_hundred_steps_end_in_the_golden_digest() {
    // Recipe: `pattern` and `config` of this file; the digest after steps 1, 2, 100 and 200.
    let (embeddings, labels) = pattern();
    let (digests, stop, _) = train(&embeddings, &labels, config());
    assert_eq!((digests.len(), stop), (200, Stop::MaxSteps));
    let golden = [digests[0], digests[1], digests[99], digests[199]];
    let expected = [0xa283_8852, 0xb907_1078, 0xd17c_9455, 0x8f77_32f9];
    assert_eq!(golden, expected, "{golden:#010x?}");
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let (embeddings, labels) = pattern();
    let first = train(&embeddings, &labels, config());
    assert_eq!(first, train(&embeddings, &labels, config()));
}

#[test]
fn another_seed_gives_other_bits() {
    let (embeddings, labels) = pattern();
    let other = TrainConfig {
        seed: 2,
        ..config()
    };
    let first = train(&embeddings, &labels, config());
    let second = train(&embeddings, &labels, other);
    assert_ne!(first.0[0], second.0[0]);
    assert_ne!(first.2, second.2);
}

#[test]
fn another_order_of_arrival_gives_other_bits() {
    let (mut embeddings, mut labels) = pattern();
    let first = train(&embeddings, &labels, config());
    labels.rotate_left(1);
    embeddings.rotate_left(FEATURES);
    assert_ne!(first.0[199], train(&embeddings, &labels, config()).0[199]);
}

#[test]
fn every_step_changes_the_digest() {
    let (embeddings, labels) = pattern();
    let (mut digests, _, _) = train(&embeddings, &labels, config());
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 200);
}

#[test]
fn one_bit_of_one_code_changes_the_digest() {
    let (mut embeddings, labels) = pattern();
    let first = train(&embeddings, &labels, config());
    embeddings[70 * 77 + 13] ^= 1;
    assert_ne!(first.0[199], train(&embeddings, &labels, config()).0[199]);
}
