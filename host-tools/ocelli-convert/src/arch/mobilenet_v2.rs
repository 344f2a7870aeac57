//! MobileNetV2: inverted residual blocks with linear bottlenecks.
//!
//! # Source
//! Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018), table 2, as built by
//! torchvision's `mobilenet_v2` and timm's `mobilenetv2_*`.

use super::builder::{Activation, Rule, scaled_channels};
use super::inverted_residual::{self, Network, Places, Stage, stage};
use super::params::Params;
use super::{Knob, Naming, Pictures, Spec, Variant};
use crate::error::ImportError;
use crate::graph::Graph;

const STAGES: [Stage; 7] = [
    stage(1, 3, 16, 1, 1),
    stage(6, 3, 24, 2, 2),
    stage(6, 3, 32, 3, 2),
    stage(6, 3, 64, 4, 2),
    stage(6, 3, 96, 3, 1),
    stage(6, 3, 160, 3, 2),
    stage(6, 3, 320, 1, 1),
];

pub(super) const VARIANTS: [Variant; 1] = [Variant {
    name: "mobilenet_v2",
    about: "inverted residuals",
    build,
    width: 1.0,
    depth: 1.0,
    side: 224,
    knobs: &[Knob::Width, Knob::Resolution],
    pictures: Pictures::ImageNet,
    namings: &[
        (Naming::Torchvision, "features.0.0.weight"),
        (Naming::Timm, "conv_stem.weight"),
    ],
}];

fn build(params: &mut Params, spec: &Spec) -> Result<Graph, ImportError> {
    let scaled = |stage: &Stage| Stage {
        channels: scaled_channels(stage.channels, spec.width),
        ..*stage
    };
    let network = Network {
        stem: scaled_channels(32, spec.width),
        stages: STAGES.iter().map(scaled).collect(),
        // Narrow networks keep the wide last layer.
        head: scaled_channels(1280, spec.width.max(1.0)),
        activation: Activation::RELU6,
        squeeze: false,
        rule: Rule::TORCH,
        places: Places::MobileNet,
    };
    inverted_residual::build(params, spec, &network)
}
