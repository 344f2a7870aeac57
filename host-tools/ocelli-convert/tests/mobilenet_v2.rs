//! MobileNetV2 from its weights, against torchvision.

mod support;

use std::fs;
use std::time::Instant;

use ocelli_convert::ImportError;
use ocelli_convert::arch::Arch;
use ocelli_convert::graph::Op;
use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::passes::canonicalize;
use ocelli_convert::preprocess::{Preprocess, load_image};
use ocelli_convert::weights::{StateDict, load};
use support::{asset, reference, relative_error};

fn mobilenet_v2() -> Arch {
    Arch::parse("mobilenet_v2").unwrap()
}

/// The inputs of `mobilenet_v2_logits.py`.
fn picture(name: &str) -> Vec<u8> {
    let pixel = |y: usize, x: usize, c: usize| match name {
        "stripes" => 7 * y + 13 * x + 101 * c,
        "weave" => (x / 8) * (y / 8) * 37 + 59 * c + x * y / 16,
        _ => panic!("no picture {name}"),
    };
    if name == "chelsea" {
        let photo = load_image(asset("photos/chelsea.png")).unwrap();
        let centre = Preprocess {
            // Its own shorter side: no resizing.
            resize_shorter: 300,
            ..Preprocess::imagenet(224, 224)
        };
        return centre.pixels(&photo).unwrap();
    }
    let side = 224;
    (0..side * side * 3)
        .map(|i| (pixel(i / 3 / side, i / 3 % side, i % 3) % 256) as u8)
        .collect()
}

#[test]
fn logits_equal_torchvisions() {
    let golden = fs::read_to_string(reference("mobilenet_v2_logits.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let weights = load(asset("mobilenet_v2-b0353104.pth")).unwrap();
    let source = mobilenet_v2().build(&weights, 224, 224, None).unwrap();
    let canonical = canonicalize(source.clone()).unwrap();
    for (stage, graph) in [("source", source), ("canonical", canonical)] {
        let interpreter = Interpreter::new(&graph).unwrap();
        for name in ["stripes", "weave", "chelsea"] {
            let expected: Vec<f32> =
                serde_json::from_value(golden["logits"][name].clone()).unwrap();
            let input = Preprocess::imagenet(224, 224).normalize(&picture(name));
            let start = Instant::now();
            let logits = interpreter.run(&input, |_, _| {}).unwrap();
            let ms = start.elapsed().as_secs_f64() * 1e3;
            let error = relative_error(&logits, &expected);
            println!("{stage} {name}: {error:.1e} of the largest logit off, {ms:.1} ms");
            assert!(error < 1e-4, "{stage} {name}: {error}");
        }
    }
}

#[test]
fn the_canonical_network_is_convolutions_additions_a_pool_and_a_dense_layer() {
    let weights = load(asset("mobilenet_v2-b0353104.pth")).unwrap();
    let graph = mobilenet_v2().build(&weights, 224, 224, None).unwrap();
    let graph = canonicalize(graph).unwrap();
    let count = |kind| {
        let nodes = graph.nodes.iter();
        nodes.filter(|node| node.op.kind() == kind).count()
    };
    assert_eq!(count("conv2d"), 35);
    assert_eq!(count("depthwise_conv2d"), 17);
    assert_eq!(count("add"), 10);
    assert_eq!(count("global_average_pool"), 1);
    assert_eq!(count("dense"), 1);
    assert_eq!(graph.nodes.len(), 64);
    // The paper's table 4 says 300 million; exactly, with the classifier:
    assert_eq!(graph.macs(), 300_774_272);
    // Names of the source are kept: the convolution's for the node, the activation's for the tensor.
    assert_eq!(graph.nodes[0].name, "features.0.0");
    assert_eq!(graph.tensor(graph.nodes[0].output).name, "features.0.2");
    assert_eq!(graph.tensor(graph.embedding.unwrap()).name, "avgpool");
    assert_eq!(graph.shape(graph.embedding.unwrap()).c, 1280);
}

/// torchvision's names turned into timm's, by the rule of both projects' sources.
fn timm_names(weights: &StateDict) -> StateDict {
    let blocks = [1, 2, 3, 4, 3, 3, 1];
    let mut places = Vec::new();
    for (stage, &count) in blocks.iter().enumerate() {
        places.extend((0..count).map(|block| (stage, block)));
    }
    let rename = |name: &str| {
        let (module, part) = name.rsplit_once('.').unwrap();
        let renamed = match module {
            "features.0.0" => "conv_stem".to_string(),
            "features.0.1" => "bn1".to_string(),
            "features.18.0" => "conv_head".to_string(),
            "features.18.1" => "bn2".to_string(),
            "classifier.1" => "classifier".to_string(),
            _ => {
                let rest = module.strip_prefix("features.").unwrap();
                let (index, layer) = rest.split_once(".conv.").unwrap();
                let index: usize = index.parse().unwrap();
                let (stage, block) = places[index - 1];
                let layers: &[(&str, &str)] = if index == 1 {
                    &[
                        ("0.0", "conv_dw"),
                        ("0.1", "bn1"),
                        ("1", "conv_pw"),
                        ("2", "bn2"),
                    ]
                } else {
                    &[
                        ("0.0", "conv_pw"),
                        ("0.1", "bn1"),
                        ("1.0", "conv_dw"),
                        ("1.1", "bn2"),
                        ("2", "conv_pwl"),
                        ("3", "bn3"),
                    ]
                };
                let (_, layer) = layers.iter().find(|(from, _)| *from == layer).unwrap();
                format!("blocks.{stage}.{block}.{layer}")
            }
        };
        format!("{renamed}.{part}")
    };
    let renamed = weights
        .iter()
        .map(|(name, tensor)| (rename(name), tensor.clone()));
    renamed.collect()
}

#[test]
fn timms_names_give_the_same_network() {
    let arch = Arch::parse("mobilenet_v2:0.35").unwrap();
    let weights = arch.random_weights(3, 7).unwrap();
    let input: Vec<f32> = (0..40 * 56 * 3).map(|i| (i % 17) as f32 / 17.0).collect();
    let outputs = [weights.clone(), timm_names(&weights)].map(|weights| {
        let graph = arch.build(&weights, 40, 56, None).unwrap();
        Interpreter::new(&graph)
            .unwrap()
            .run(&input, |_, _| {})
            .unwrap()
    });
    assert_eq!(outputs[0], outputs[1]);
    let graph = arch.build(&timm_names(&weights), 40, 56, None).unwrap();
    let names: Vec<&str> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert!(names.contains(&"blocks.1.0.conv_pwl"), "{names:?}");
}

#[test]
fn widths_round_channels_as_the_published_networks_have_them() {
    // timm's mobilenetv2_035 and _140.
    for (name, stem, last) in [
        ("mobilenet_v2:0.35", 16, 1280),
        ("mobilenet_v2:1.4", 48, 1792),
    ] {
        let graph = Arch::parse(name).unwrap().random(1, 32, 32, 5).unwrap();
        assert_eq!(graph.shape(graph.nodes[0].output).c, stem, "{name}");
        assert_eq!(graph.shape(graph.embedding.unwrap()).c, last, "{name}");
        assert_eq!(graph.output_shape().c, 5, "{name}");
    }
}

#[test]
fn random_networks_are_the_same_for_the_same_seed() {
    let arch = Arch::parse("mobilenet_v2:0.1").unwrap();
    let graph = arch.random(5, 33, 17, 4).unwrap();
    assert_eq!(graph, arch.random(5, 33, 17, 4).unwrap());
    assert_ne!(graph, arch.random(6, 33, 17, 4).unwrap());
    let weights = arch.random_weights(5, 4).unwrap();
    assert_eq!(graph, arch.build(&weights, 33, 17, None).unwrap());
}

#[test]
fn missing_misshapen_and_superfluous_tensors_are_refused_by_name() {
    let arch = mobilenet_v2();
    let weights = arch.random_weights(1, 10).unwrap();
    let build = |weights: &StateDict| arch.build(weights, 32, 32, None).unwrap_err();

    let mut missing = weights.clone();
    missing.remove("features.4.conv.1.1.running_var");
    missing.remove("features.9.conv.2.weight");
    let error = build(&missing);
    assert!(
        matches!(&error, ImportError::MissingTensor { tensor, expected, .. }
            if tensor == "features.4.conv.1.1.running_var" && expected == &[144]),
        "{error}"
    );

    let mut misshapen = weights.clone();
    misshapen
        .get_mut("features.1.conv.0.0.weight")
        .unwrap()
        .shape = vec![32, 3, 3, 1];
    let error = build(&misshapen);
    assert!(
        matches!(&error, ImportError::TensorShape { tensor, expected, got, .. }
            if tensor == "features.1.conv.0.0.weight"
                && expected == &[32, 1, 3, 3] && got == &[32, 3, 3, 1]),
        "{error}"
    );

    let mut superfluous = weights.clone();
    superfluous.insert(
        "features.19.weight".into(),
        weights["classifier.1.bias"].clone(),
    );
    let error = build(&superfluous);
    assert!(
        matches!(&error, ImportError::UnusedTensors { first, count: 1, .. }
            if first == "features.19.weight"),
        "{error}"
    );

    let strange = StateDict::from([(
        "fc.weight".to_string(),
        weights["classifier.1.bias"].clone(),
    )]);
    let error = build(&strange);
    assert!(matches!(error, ImportError::UnknownNames { .. }), "{error}");

    let narrow = Arch::parse("mobilenet_v2:0.5").unwrap();
    let error = narrow.build(&weights, 32, 32, None).unwrap_err();
    assert!(error.to_string().contains("width multiplier"), "{error}");
}

#[test]
fn another_number_of_classes_gets_a_new_classifier() {
    let arch = Arch::parse("mobilenet_v2:0.1").unwrap();
    let mut weights = arch.random_weights(1, 10).unwrap();
    let same = arch.build(&weights, 32, 32, Some(10)).unwrap();
    assert_eq!(same, arch.build(&weights, 32, 32, None).unwrap());
    let other = arch.build(&weights, 32, 32, Some(3)).unwrap();
    assert_eq!(other.output_shape().c, 3);
    assert_eq!(
        other.nodes[..other.nodes.len() - 1],
        same.nodes[..same.nodes.len() - 1]
    );
    weights.remove("classifier.1.weight");
    weights.remove("classifier.1.bias");
    assert_eq!(other, arch.build(&weights, 32, 32, Some(3)).unwrap());
    let error = arch.build(&weights, 32, 32, None).unwrap_err();
    assert!(
        matches!(&error, ImportError::MissingTensor { tensor, .. } if tensor == "classifier.1.weight"),
        "{error}"
    );
    for classes in [0, usize::MAX] {
        let error = arch.build(&weights, 32, 32, Some(classes)).unwrap_err();
        assert!(matches!(error, ImportError::Graph(_)), "{error}");
    }
}

#[test]
fn sizes_that_no_network_can_have_are_refused() {
    let arch = Arch::parse("mobilenet_v2:0.1").unwrap();
    for (h, w) in [(0, 32), (32, 0), (32, 70_000), (usize::MAX, usize::MAX)] {
        let error = arch.random(1, h, w, 2).unwrap_err();
        assert!(matches!(error, ImportError::Graph(_)), "{h}x{w}: {error}");
    }
    // One pixel is enough: every layer is padded.
    arch.random(1, 1, 1, 2).unwrap();
}

#[test]
fn a_negative_variance_is_refused_with_its_channel() {
    let arch = Arch::parse("mobilenet_v2:0.1").unwrap();
    let mut weights = arch.random_weights(1, 2).unwrap();
    weights.get_mut("features.0.1.running_var").unwrap().data[3] = -1.0;
    let error = arch.build(&weights, 32, 32, None).unwrap_err();
    assert!(
        matches!(error, ImportError::Variance { channel: 3, .. }),
        "{error}"
    );
}

#[test]
fn a_batch_norm_of_its_source_has_its_statistics_worked_in() {
    // gamma 3, beta 1, mean 2, variance 4 - epsilon: 3 / 2 (x - 2) + 1 = 1.5 x - 2.
    let arch = Arch::parse("mobilenet_v2:0.1").unwrap();
    let mut weights = arch.random_weights(1, 2).unwrap();
    let parts = [
        ("weight", 3.0),
        ("bias", 1.0),
        ("running_mean", 2.0),
        ("running_var", 4.0 - 1e-5),
    ];
    for (part, value) in parts {
        let tensor = weights.get_mut(&format!("features.0.1.{part}")).unwrap();
        tensor.data.fill(value);
    }
    let graph = arch.build(&weights, 32, 32, None).unwrap();
    let Op::BatchNorm { scale, shift } = &graph.nodes[1].op else {
        panic!("{:?}", graph.nodes[1].op.kind());
    };
    assert!(
        scale.iter().all(|scale| (scale - 1.5).abs() < 1e-6),
        "{scale:?}"
    );
    assert!(
        shift.iter().all(|shift| (shift + 2.0).abs() < 1e-6),
        "{shift:?}"
    );
}
