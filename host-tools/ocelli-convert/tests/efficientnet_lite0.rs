//! EfficientNet-Lite0 with its published weights, against timm.

mod support;

use std::collections::BTreeMap;
use std::fs;

use ocelli_convert::arch::Arch;
use ocelli_convert::graph::Graph;
use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::passes::canonicalize;
use ocelli_convert::preprocess::{Preprocess, load_image};
use ocelli_convert::weights::load;
use serde::Deserialize;
use support::{asset, reference, relative_error};

const SIDE: usize = 224;

/// What `efficientnet_lite0.py` writes.
#[derive(Deserialize)]
struct Golden {
    /// The first logits of a pattern.
    weave: Vec<f32>,
    /// Class, its logit and the second largest, by file name.
    photos: BTreeMap<String, (usize, f32, f32)>,
}

fn golden() -> Golden {
    let text = fs::read_to_string(reference("efficientnet_lite0.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn network() -> (Graph, Preprocess) {
    let arch = Arch::parse("efficientnet_lite0").unwrap();
    assert_eq!(arch.default_input(), (SIDE, SIDE));
    let weights = load(asset("efficientnet-lite0-57934424.pth")).unwrap();
    let graph = canonicalize(arch.build(&weights, SIDE, SIDE, None).unwrap()).unwrap();
    (graph, arch.preprocess(SIDE as u32, SIDE as u32))
}

#[test]
fn logits_equal_timms() {
    let (graph, preprocess) = network();
    let pixel = |y: usize, x: usize, c: usize| (x / 8) * (y / 8) * 37 + 59 * c + x * y / 16;
    let pixels: Vec<u8> = (0..SIDE * SIDE * 3)
        .map(|i| (pixel(i / 3 / SIDE, i / 3 % SIDE, i % 3) % 256) as u8)
        .collect();
    let logits = Interpreter::new(&graph)
        .unwrap()
        .run(&preprocess.normalize(&pixels), |_, _| {})
        .unwrap();
    let expected = golden().weave;
    let error = relative_error(&logits[..expected.len()], &expected);
    println!("{error:.1e} of the largest logit off");
    assert!(error < 1e-4, "{error}");
}

#[test]
fn every_photo_gets_the_class_that_timm_gives_it() {
    let (graph, preprocess) = network();
    let interpreter = Interpreter::new(&graph).unwrap();
    let golden = golden();
    let (mut right, mut furthest) = (0, 0.0f32);
    for (name, &(class, logit, second)) in &golden.photos {
        let photo = load_image(asset("foolbox").join(name)).unwrap();
        let input = preprocess.normalize(&preprocess.pixels(&photo).unwrap());
        let logits = interpreter.run(&input, |_, _| {}).unwrap();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
        assert_eq!(order[0], class, "{name}");
        // Pixels decoded and resized by others may differ by one here and there.
        for (place, expected) in [logit, second].into_iter().enumerate() {
            furthest = furthest.max((logits[order[place]] - expected).abs());
        }
        let label = name.trim_end_matches(".jpg").rsplit('_').next();
        right += usize::from(label.and_then(|label| label.parse().ok()) == Some(class));
    }
    println!("{right} right; a logit is {furthest} off at most");
    assert!(furthest < 0.25, "{furthest}");
    assert_eq!((right, golden.photos.len()), (18, 20));
}
