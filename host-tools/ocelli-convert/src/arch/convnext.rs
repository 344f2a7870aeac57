//! ConvNeXt: large depthwise filters, layer norm and GELU in the place of attention.
//!
//! The factor of each channel at a block's end (layer scale) is a batch norm without a summand here, which the passes
//! work into the convolution before it.
//!
//! # Source
//! Liu et al., "A ConvNet for the 2020s" (2022), as built by its authors, by torchvision and by timm, whose Atto it is.

use super::builder::{Activation, Builder, Rule, scaled_channels, scaled_depth};
use super::params::Params;
use super::{Knob, Naming, Pictures, Spec, Variant};
use crate::error::ImportError;
use crate::graph::{Clamp, Graph, Op, TensorId, Unary, Window};

/// Epsilon of every layer norm.
const EPSILON: f32 = 1e-6;

/// Channels and blocks of the four stages.
type Stages = [(usize, usize); 4];

const ATTO: Stages = [(40, 2), (80, 2), (160, 6), (320, 2)];
const TINY: Stages = [(96, 3), (192, 3), (384, 9), (768, 3)];

pub(super) const VARIANTS: [Variant; 2] = [
    variant("convnext_atto", |p, s| build(p, s, &ATTO)),
    variant("convnext_tiny", |p, s| build(p, s, &TINY)),
];

const fn variant(name: &'static str, build: super::Build) -> Variant {
    Variant {
        name,
        about: "7x7 depthwise, layer norm, GELU",
        build,
        width: 1.0,
        depth: 1.0,
        side: 224,
        knobs: &[Knob::Width, Knob::Depth, Knob::Resolution],
        pictures: Pictures::ImageNetBicubic,
        namings: &[
            (Naming::Torchvision, "features.0.0.weight"),
            (Naming::Timm, "stem.0.weight"),
            (Naming::ConvNeXt, "downsample_layers.0.0.weight"),
        ],
    }
}

struct BlockNames {
    at: String,
    depthwise: &'static str,
    norm: &'static str,
    expand: &'static str,
    project: &'static str,
    scale: &'static str,
}

fn block_names(naming: Naming, stage: usize, block: usize) -> BlockNames {
    let (at, [depthwise, norm, expand, project, scale]) = match naming {
        Naming::Timm => (
            format!("stages.{stage}.blocks.{block}"),
            ["conv_dw", "norm", "mlp.fc1", "mlp.fc2", "gamma"],
        ),
        Naming::ConvNeXt => (
            format!("stages.{stage}.{block}"),
            ["dwconv", "norm", "pwconv1", "pwconv2", "gamma"],
        ),
        _ => (
            format!("features.{}.{block}", 2 * stage + 1),
            ["block.0", "block.2", "block.3", "block.5", "layer_scale"],
        ),
    };
    BlockNames {
        at,
        depthwise,
        norm,
        expand,
        project,
        scale,
    }
}

/// The names of what stands before a stage.
fn entrance(naming: Naming, stage: usize) -> String {
    match (naming, stage) {
        (Naming::Timm, 0) => "stem".to_string(),
        (Naming::Timm, _) => format!("stages.{stage}.downsample"),
        (Naming::ConvNeXt, _) => format!("downsample_layers.{stage}"),
        _ => format!("features.{}", 2 * stage),
    }
}

fn build(params: &mut Params, spec: &Spec, stages: &Stages) -> Result<Graph, ImportError> {
    let naming = spec.naming;
    let mut net = Builder::new(params, spec, Rule::TORCH);
    let mut at = net.input();
    for (stage, &(channels, blocks)) in stages.iter().enumerate() {
        let channels = scaled_channels(channels, spec.width);
        let [first, second] = [0, 1].map(|part| format!("{}.{part}", entrance(naming, stage)));
        if stage == 0 {
            at = shrink(&mut net, &first, at, channels, 4)?;
            at = layer_norm(&mut net, &second, at)?;
        } else {
            at = layer_norm(&mut net, &first, at)?;
            at = shrink(&mut net, &second, at, channels, 2)?;
        }
        for index in 0..scaled_depth(blocks, spec.depth) {
            at = block(&mut net, &block_names(naming, stage, index), at)?;
        }
    }
    let [pool, norm, classifier] = match naming {
        Naming::Timm => ["head.global_pool", "head.norm", "head.fc"],
        Naming::ConvNeXt => ["pool", "norm", "head"],
        _ => ["avgpool", "classifier.0", "classifier.2"],
    };
    at = net.push(pool, Op::GlobalAveragePool, &[at])?;
    let embedding = layer_norm(&mut net, norm, at)?;
    net.classify(embedding, classifier, spec)
}

fn layer_norm(net: &mut Builder, name: &str, input: TensorId) -> Result<TensorId, ImportError> {
    let channels = net.channels(input);
    let op = net.params.layer_norm(name, channels, EPSILON)?;
    net.push(name, op, &[input])
}

/// A convolution whose patches do not overlap, with bias.
fn shrink(
    net: &mut Builder,
    name: &str,
    input: TensorId,
    channels: usize,
    factor: usize,
) -> Result<TensorId, ImportError> {
    let window = Window::square(factor, factor, 0);
    let in_channels = net.channels(input);
    let op = net.params.conv(name, in_channels, channels, window)?;
    let op = net.params.with_bias(name, op)?;
    net.push(name, op, &[input])
}

fn block(net: &mut Builder, names: &BlockNames, input: TensorId) -> Result<TensorId, ImportError> {
    let channels = net.channels(input);
    let name = |part: &str| format!("{}.{part}", names.at);
    let depthwise = name(names.depthwise);
    let window = net.window(input, 7, 1);
    let op = net.params.depthwise(&depthwise, channels, window)?;
    let op = net.params.with_bias(&depthwise, op)?;
    let mut at = net.push(&depthwise, op, &[input])?;
    at = layer_norm(net, &name(names.norm), at)?;
    at = net.linear(&name(names.expand), at, 4 * channels)?;
    at = net.activation(&name("act"), Activation::Unary(Unary::Gelu), at)?;
    at = net.linear(&name(names.project), at, channels)?;
    let scale = name(names.scale);
    let op = net.params.layer_scale(&scale, channels)?;
    at = net.push(&scale, op, &[at])?;
    net.add(&names.at, [input, at], Clamp::NONE)
}
