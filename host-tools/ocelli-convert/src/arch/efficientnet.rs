//! EfficientNet and its Lite form, scaled in width, depth and resolution together.
//!
//! Networks from TensorFlow (timm's `tf_*`, efficientnet_pytorch's) pad and normalize in another way than those from
//! PyTorch, and timm gives both the same names: option `origin` decides, and is by default what the names suggest.
//!
//! # Source
//! Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (2019), table 1, and the
//! EfficientNet-Lite models of its authors: no squeeze-and-excite, ReLU6, stem and head of one size for all.

use super::builder::{Activation, Rule, scaled_channels, scaled_depth};
use super::inverted_residual::{self, Network, Places, Stage, stage};
use super::params::Params;
use super::{Knob, Naming, Origin, Pictures, Spec, Variant};
use crate::error::ImportError;
use crate::graph::Graph;

const STAGES: [Stage; 7] = [
    stage(1, 3, 16, 1, 1),
    stage(6, 3, 24, 2, 2),
    stage(6, 5, 40, 2, 2),
    stage(6, 3, 80, 3, 2),
    stage(6, 5, 112, 3, 1),
    stage(6, 5, 192, 4, 2),
    stage(6, 3, 320, 1, 1),
];
const STEM: usize = 32;
const HEAD: usize = 1280;

const KNOBS: &[Knob] = &[Knob::Width, Knob::Depth, Knob::Resolution, Knob::Origin];

pub(super) const VARIANTS: [Variant; 6] = [
    b("efficientnet_b0", 1.0, 1.0, 224),
    b("efficientnet_b1", 1.0, 1.1, 240),
    b("efficientnet_b2", 1.1, 1.2, 260),
    lite("efficientnet_lite0", 1.0, 1.0, 224),
    lite("efficientnet_lite1", 1.0, 1.1, 240),
    lite("efficientnet_lite2", 1.1, 1.2, 260),
];

const fn b(name: &'static str, width: f64, depth: f64, side: usize) -> Variant {
    Variant {
        name,
        about: "inverted residuals, squeeze-and-excite, SiLU",
        build: build_b,
        width,
        depth,
        side,
        knobs: KNOBS,
        pictures: Pictures::ImageNetBicubic,
        namings: &[
            (Naming::Torchvision, "features.0.0.weight"),
            (Naming::Timm, "conv_stem.weight"),
            (Naming::EfficientNetPytorch, "_conv_stem.weight"),
        ],
    }
}

const fn lite(name: &'static str, width: f64, depth: f64, side: usize) -> Variant {
    Variant {
        name,
        about: "inverted residuals",
        build: build_lite,
        width,
        depth,
        side,
        knobs: KNOBS,
        pictures: Pictures::EfficientNetLite,
        namings: &[
            (Naming::EfficientNetPytorch, "_conv_stem.weight"),
            (Naming::Timm, "conv_stem.weight"),
        ],
    }
}

fn build_b(params: &mut Params, spec: &Spec) -> Result<Graph, ImportError> {
    let scaled = |stage: &Stage| Stage {
        channels: scaled_channels(stage.channels, spec.width),
        blocks: scaled_depth(stage.blocks, spec.depth),
        ..*stage
    };
    let usual = match spec.naming {
        Naming::EfficientNetPytorch => Origin::TensorFlow,
        _ => Origin::Torch,
    };
    let network = Network {
        stem: scaled_channels(STEM, spec.width),
        stages: STAGES.iter().map(scaled).collect(),
        head: scaled_channels(HEAD, spec.width),
        activation: Activation::SILU,
        squeeze: true,
        rule: Rule::of(spec.origin.unwrap_or(usual)),
        places: Places::EfficientNet,
    };
    inverted_residual::build(params, spec, &network)
}

fn build_lite(params: &mut Params, spec: &Spec) -> Result<Graph, ImportError> {
    let last = STAGES.len() - 1;
    let scaled = |(at, stage): (usize, &Stage)| Stage {
        channels: scaled_channels(stage.channels, spec.width),
        blocks: match at {
            at if at == 0 || at == last => stage.blocks,
            _ => scaled_depth(stage.blocks, spec.depth),
        },
        ..*stage
    };
    let network = Network {
        stem: STEM,
        stages: STAGES.iter().enumerate().map(scaled).collect(),
        head: HEAD,
        activation: Activation::RELU6,
        squeeze: false,
        rule: Rule::of(spec.origin.unwrap_or(Origin::TensorFlow)),
        places: Places::EfficientNet,
    };
    inverted_residual::build(params, spec, &network)
}
