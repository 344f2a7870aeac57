//! MobileNetV1: depthwise separable convolutions, one after another.
//!
//! With timm's names the activation is ReLU6, as there; with the plain ones ReLU, as in the repositories that use them.
//!
//! # Source
//! Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications" (2017), table
//! 1, as built by timm's `mobilenetv1_*`.

use super::builder::{Activation, Builder, ConvNames, Kind, Rule, scaled_channels};
use super::params::Params;
use super::{Knob, Naming, Pictures, Spec, Variant};
use crate::error::ImportError;
use crate::graph::Graph;

/// Channels, blocks, and the first block's stride.
const STAGES: [(usize, usize, usize); 5] = [
    (64, 1, 1),
    (128, 2, 2),
    (256, 2, 2),
    (512, 6, 2),
    (1024, 2, 2),
];

pub(super) const VARIANTS: [Variant; 1] = [Variant {
    name: "mobilenet_v1",
    about: "depthwise separable convolutions",
    build,
    width: 1.0,
    depth: 1.0,
    side: 224,
    knobs: &[Knob::Width, Knob::Resolution],
    pictures: Pictures::ImageNet,
    namings: &[
        (Naming::Timm, "conv_stem.weight"),
        (Naming::Plain, "model.0.0.weight"),
    ],
}];

fn build(params: &mut Params, spec: &Spec) -> Result<Graph, ImportError> {
    let mut net = Builder::new(params, spec, Rule::TORCH);
    let timm = spec.naming == Naming::Timm;
    let (stem, ends, act) = if timm {
        let stem = ConvNames::members("", "conv_stem", "bn1");
        (stem, ["global_pool", "classifier"], Activation::RELU6)
    } else {
        let stem = ConvNames::sequence("model.0", 0);
        (stem, ["model.14", "fc"], Activation::RELU)
    };
    let act = Some(act);
    let input = net.input();
    let channels = scaled_channels(32, spec.width);
    let mut at = net.conv(&stem, input, Kind::Full(channels), (3, 2), act)?;
    let mut index = 0;
    for (stage, &(channels, blocks, first_stride)) in STAGES.iter().enumerate() {
        for block in 0..blocks {
            index += 1;
            let (depthwise, pointwise) = if timm {
                let prefix = format!("blocks.{stage}.{block}.");
                (
                    ConvNames::members(&prefix, "conv_dw", "bn1"),
                    ConvNames::members(&prefix, "conv_pw", "bn2"),
                )
            } else {
                let prefix = format!("model.{index}");
                (
                    ConvNames::sequence(&prefix, 0),
                    ConvNames::sequence(&prefix, 3),
                )
            };
            let stride = if block == 0 { first_stride } else { 1 };
            let out = Kind::Full(scaled_channels(channels, spec.width));
            at = net.conv(&depthwise, at, Kind::Depthwise, (3, stride), act)?;
            at = net.conv(&pointwise, at, out, (1, 1), act)?;
        }
    }
    net.pool_and_classify(at, ends, spec)
}
