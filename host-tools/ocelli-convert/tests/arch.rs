//! All architectures against torchvision, timm and plainly written networks, and what users can say about them.

mod support;

use std::collections::BTreeSet;
use std::fs;

use ocelli_convert::ImportError;
use ocelli_convert::arch::{Arch, Naming};
use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::passes::canonicalize;
use ocelli_convert::preprocess::Filter;
use ocelli_convert::weights::{StateDict, WeightTensor};
use serde::Deserialize;
use support::{reference, relative_error};

/// What `arch_logits.py` writes.
#[derive(Deserialize)]
struct Golden {
    seed: u64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    arch: String,
    naming: String,
    input: (usize, usize),
    parameters: usize,
    logits: Vec<f32>,
}

impl Case {
    fn naming(&self, arch: &Arch) -> Naming {
        let mut namings = arch.namings();
        let naming = namings.find(|naming| naming.to_string() == self.naming);
        naming.unwrap_or_else(|| panic!("{arch} is not known by {}", self.naming))
    }
}

fn golden() -> Golden {
    let text = fs::read_to_string(reference("arch_logits.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// As many numbers from -1 to 1: SplitMix64, seeded as weights by the name `input`.
fn input(seed: u64, count: usize) -> Vec<f32> {
    let hash = b"input"
        .iter()
        .fold(0xCBF2_9CE4_8422_2325u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
    let value = |at: usize| {
        let mut z = (seed ^ hash).wrapping_add((at as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        2.0 * ((z >> 40) as f32 / (1u32 << 24) as f32) - 1.0
    };
    (0..count).map(value).collect()
}

#[test]
fn logits_equal_those_of_the_networks_that_the_names_come_from() {
    let golden = golden();
    for case in &golden.cases {
        let arch = Arch::parse(&case.arch).unwrap();
        let (h, w) = case.input;
        let naming = case.naming(&arch);
        let classes = case.logits.len();
        let weights = arch
            .random_weights_named(naming, golden.seed, classes)
            .unwrap();
        let is_statistic = |name: &str| name.contains(".running_");
        let parameters: usize = weights
            .iter()
            .filter(|(name, _)| !is_statistic(name))
            .map(|(_, tensor)| tensor.data.len())
            .sum();
        let what = format!("{} by {}", case.arch, case.naming);
        assert_eq!(parameters, case.parameters, "{what}");
        let graph = canonicalize(arch.build(&weights, h, w, None).unwrap()).unwrap();
        let logits = Interpreter::new(&graph)
            .unwrap()
            .run(&input(golden.seed, h * w * 3), |_, _| {})
            .unwrap();
        let error = relative_error(&logits, &case.logits);
        println!("{what}: {error:.1e} of the largest logit off");
        assert!(error < 1e-4, "{what}: {error}");
    }
}

#[test]
fn every_architecture_is_compared_by_every_name_that_it_has() {
    let compared: BTreeSet<(String, String)> = golden()
        .cases
        .iter()
        .map(|case| {
            let name = case.arch.split(':').next().unwrap_or_default();
            (family(name), case.naming.clone())
        })
        .collect();
    for name in Arch::names() {
        let arch = Arch::parse(name).unwrap();
        for naming in arch.namings() {
            let pair = (family(name), naming.to_string());
            assert!(compared.contains(&pair), "{pair:?}");
        }
    }
    let names: BTreeSet<String> = golden()
        .cases
        .into_iter()
        .map(|case| case.arch.split(':').next().unwrap_or_default().to_string())
        .collect();
    assert_eq!(names, Arch::names().map(str::to_string).collect());
}

/// Variants of a family have the same names in other numbers.
fn family(name: &str) -> String {
    match name {
        "resnet18" | "resnet34" | "resnet50" => "resnet for photographs".to_string(),
        _ if name.starts_with("convnext") => "convnext".to_string(),
        _ => name
            .trim_end_matches(|c: char| c.is_ascii_digit())
            .to_string(),
    }
}

#[test]
fn options_are_read_and_written() {
    for (text, written, input) in [
        ("resnet20", "resnet20", 32),
        ("resnet20:2", "resnet20:2", 32),
        ("mobilenet_v2:width=0.35", "mobilenet_v2:0.35", 224),
        (
            "mobilenet_v1:resolution=96,width=0.25",
            "mobilenet_v1:0.25,resolution=96",
            96,
        ),
        ("efficientnet_b1:depth=1.1,width=1", "efficientnet_b1", 240),
        (
            "efficientnet_b0:origin=tf,depth=0.5",
            "efficientnet_b0:depth=0.5,origin=tf",
            224,
        ),
        ("cnn:layers=7", "cnn:layers=7", 32),
    ] {
        let arch = Arch::parse(text).unwrap();
        assert_eq!(arch.to_string(), written);
        assert_eq!(arch, Arch::parse(written).unwrap());
        assert_eq!(arch.default_input(), (input, input), "{text}");
    }
}

#[test]
fn options_that_do_not_exist_or_fit_are_refused_with_those_that_do() {
    for (text, says) in [
        ("resnet19", "supported: cnn, resnet20"),
        ("resnet20:", "`` is not a number from 0.05 to 4"),
        ("resnet20:wide", "`wide` is not a number"),
        ("resnet20:NaN", "is not a number"),
        ("resnet20:0", "is not a number"),
        ("resnet20:1e9", "is not a number"),
        (
            "resnet20:depth=2",
            "`depth=2` is no option of it; options: width=a number from 0.05 to 4 (default 1), resolution=",
        ),
        ("resnet20:width=1,width=1", "is said twice"),
        ("resnet20:resolution=32,0.5", "`0.5` has no value"),
        ("resnet20:resolution=0", "a whole number from 1 to 4096"),
        ("resnet20:resolution=32.5", "a whole number"),
        ("cnn:layers=9", "one of 4, 7, 10, … up to 40"),
        ("efficientnet_b0:origin=jax", "torch or tf"),
    ] {
        let error = Arch::parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn compound_scaling_makes_one_network_of_another() {
    let weights = |arch: &str| Arch::parse(arch).unwrap().random_weights(1, 5).unwrap();
    let scaled = "efficientnet_b0:1.1,depth=1.2,resolution=260";
    assert_eq!(weights(scaled), weights("efficientnet_b2"));
    let scaled = "efficientnet_lite2:1,depth=1";
    assert_eq!(weights(scaled), weights("efficientnet_lite0"));
}

/// Of every family, what weights of another one are told.
#[test]
fn weights_of_another_architecture_are_refused_by_their_first_wrong_tensor() {
    let weights = |arch: &str| Arch::parse(arch).unwrap().random_weights(1, 5).unwrap();
    let refusal = |arch: &str, weights: &StateDict| {
        let error = Arch::parse(arch).unwrap().build(weights, 64, 64, None);
        error.unwrap_err().to_string()
    };
    for (arch, of, says) in [
        (
            "resnet20",
            "resnet32",
            "does not use 60 tensor(s) of these weights, the first is `layer1.3.bn1.bias`",
        ),
        (
            "resnet32",
            "resnet20",
            "tensor `layer1.3.conv1.weight` is missing; resnet32 needs it with shape [16, 16, 3, 3]",
        ),
        (
            "resnet20",
            "resnet18",
            "tensor `conv1.weight` has shape [64, 3, 7, 7]; resnet20 needs [16, 3, 3, 3]",
        ),
        (
            "resnet50",
            "resnet34",
            "tensor `layer1.0.conv1.weight` has shape [64, 64, 3, 3]; resnet50 needs [64, 64, 1, 1]",
        ),
        (
            "resnet18",
            "mobilenet_v2",
            "tensor `conv1.weight` is missing; resnet18 needs it with shape [64, 3, 7, 7]",
        ),
        (
            "efficientnet_b0",
            "efficientnet_b2",
            "tensor `features.3.0.block.3.0.weight` has shape [48, 144, 1, 1]",
        ),
        (
            "efficientnet_b0",
            "mobilenet_v2",
            "tensor `features.1.0.block.0.0.weight` is missing",
        ),
        (
            "convnext_tiny",
            "convnext_atto",
            "tensor `features.0.0.weight` has shape [40, 3, 4, 4]; convnext_tiny needs [96, 3, 4, 4]",
        ),
        (
            "cnn",
            "cnn:layers=7",
            "tensor `stage1.2.conv.weight` is missing",
        ),
        (
            "mobilenet_v1",
            "mobilenet_v1:0.5",
            "tensor `conv_stem.weight` has shape [16, 3, 3, 3]",
        ),
    ] {
        let error = refusal(arch, &weights(of));
        assert!(error.contains(says), "{of} as {arch}: {error}");
    }
}

#[test]
fn a_bias_where_none_belongs_is_refused() {
    let arch = Arch::parse("resnet20").unwrap();
    let mut weights = arch.random_weights(1, 5).unwrap();
    let bias = WeightTensor {
        shape: vec![16],
        data: vec![0.5; 16],
    };
    weights.insert("conv1.bias".to_string(), bias);
    let error = arch.build(&weights, 32, 32, None).unwrap_err();
    assert!(
        matches!(&error, ImportError::UnusedTensors { first, count: 1, .. } if first == "conv1.bias"),
        "{error}"
    );
}

#[test]
fn each_architecture_has_its_own_preprocessing() {
    let of = |arch: &str| Arch::parse(arch).unwrap();
    let lite = of("efficientnet_lite0").preprocess(224, 224);
    assert_eq!((lite.resize_shorter, lite.filter), (256, Filter::Bicubic));
    for (pixel, value) in [(0, -127.0 / 128.0), (127, 0.0), (255, 1.0)] {
        assert!((lite.value(pixel, 1) - value).abs() < 1e-6, "{pixel}");
    }
    let photo = of("resnet50").preprocess(224, 224);
    assert_eq!(
        (photo.resize_shorter, photo.filter),
        (256, Filter::Bilinear)
    );
    let small = of("resnet20").preprocess(32, 32);
    assert_eq!(small.resize_shorter, 32);
    for name in Arch::names() {
        let arch = of(name);
        let (h, w) = arch.default_input();
        arch.preprocess(h as u32, w as u32).check().unwrap();
    }
}
