//! Residual networks: the ones for photographs, and the small ones for 32x32 pictures.
//!
//! Where a block changes size, its shortcut is a 1x1 convolution with stride and a batch norm (the paper's option B).
//!
//! # Source
//! He et al., "Deep Residual Learning for Image Recognition" (2015), table 1 and section 4.2, as built by torchvision's
//! and timm's `resnet*` (bottlenecks have their stride on the 3x3 convolution). The small ones have torchvision's names
//! too, or `shortcut` for `downsample` and `linear` for `fc`.

use super::builder::{Activation, Builder, ConvNames, Kind, Rule, scaled_channels};
use super::params::Params;
use super::{Build, Knob, Naming, Pictures, Spec, Variant};
use crate::error::ImportError;
use crate::graph::{Clamp, Graph, Op, TensorId};

/// What differs between the networks.
struct Layout {
    /// Channels of each stage; inside a bottleneck, which makes four times as many.
    channels: &'static [usize],
    /// Blocks of each stage.
    blocks: &'static [usize],
    bottleneck: bool,
    /// Whether the stem is a 7x7 convolution with stride and a max pool, not a 3x3 convolution.
    large_stem: bool,
}

const fn photo(blocks: &'static [usize], bottleneck: bool) -> Layout {
    Layout {
        channels: &[64, 128, 256, 512],
        blocks,
        bottleneck,
        large_stem: true,
    }
}

const fn small(blocks: &'static [usize]) -> Layout {
    Layout {
        channels: &[16, 32, 64],
        blocks,
        bottleneck: false,
        large_stem: false,
    }
}

pub(super) const VARIANTS: [Variant; 8] = [
    of_small("resnet20", |p, s| build(p, s, &small(&[3, 3, 3]))),
    of_small("resnet32", |p, s| build(p, s, &small(&[5, 5, 5]))),
    of_small("resnet44", |p, s| build(p, s, &small(&[7, 7, 7]))),
    of_small("resnet56", |p, s| build(p, s, &small(&[9, 9, 9]))),
    of_small("resnet110", |p, s| build(p, s, &small(&[18, 18, 18]))),
    of_photo("resnet18", "basic blocks", |p, s| {
        build(p, s, &photo(&[2, 2, 2, 2], false))
    }),
    of_photo("resnet34", "basic blocks", |p, s| {
        build(p, s, &photo(&[3, 4, 6, 3], false))
    }),
    of_photo("resnet50", "bottleneck blocks", |p, s| {
        build(p, s, &photo(&[3, 4, 6, 3], true))
    }),
];

const fn of_small(name: &'static str, build: Build) -> Variant {
    Variant {
        name,
        about: "basic blocks, for 32x32",
        build,
        width: 1.0,
        depth: 1.0,
        side: 32,
        knobs: &[Knob::Width, Knob::Resolution],
        pictures: Pictures::Cifar,
        namings: &[
            (Naming::Torchvision, "layer2.0.downsample.0.weight"),
            (Naming::Shortcut, "layer2.0.shortcut.0.weight"),
        ],
    }
}

const fn of_photo(name: &'static str, about: &'static str, build: Build) -> Variant {
    Variant {
        name,
        about,
        build,
        width: 1.0,
        depth: 1.0,
        side: 224,
        knobs: &[Knob::Width, Knob::Resolution],
        pictures: Pictures::ImageNet,
        namings: &[(Naming::Torchvision, "conv1.weight")],
    }
}

fn build(params: &mut Params, spec: &Spec, layout: &Layout) -> Result<Graph, ImportError> {
    let (shortcut, classifier) = match spec.naming {
        Naming::Shortcut => ("shortcut", "linear"),
        _ => ("downsample", "fc"),
    };
    let mut net = Builder::new(params, spec, Rule::TORCH);
    let stem = ConvNames::members("", "conv1", "bn1");
    let widths = layout.channels.iter();
    let widths: Vec<usize> = widths.map(|&c| scaled_channels(c, spec.width)).collect();
    let window = if layout.large_stem { (7, 2) } else { (3, 1) };
    let first = Kind::Full(widths[0]);
    let input = net.input();
    let mut at = net.conv(&stem, input, first, window, Some(Activation::RELU))?;
    if layout.large_stem {
        let window = net.window(at, 3, 2);
        let clamp = Clamp::NONE;
        at = net.push("maxpool", Op::MaxPool { window, clamp }, &[at])?;
    }
    for (stage, (&channels, &blocks)) in widths.iter().zip(layout.blocks).enumerate() {
        for index in 0..blocks {
            let block = Block {
                name: format!("layer{}.{index}", stage + 1),
                shortcut,
                channels,
                stride: if stage > 0 && index == 0 { 2 } else { 1 },
                bottleneck: layout.bottleneck,
            };
            at = block.build(&mut net, at)?;
        }
    }
    net.pool_and_classify(at, ["avgpool", classifier], spec)
}

struct Block {
    name: String,
    shortcut: &'static str,
    channels: usize,
    stride: usize,
    bottleneck: bool,
}

impl Block {
    fn build(&self, net: &mut Builder, input: TensorId) -> Result<TensorId, ImportError> {
        let prefix = format!("{}.", self.name);
        let part =
            |at: usize| ConvNames::members(&prefix, &format!("conv{at}"), &format!("bn{at}"));
        let relu = Some(Activation::RELU);
        let inner = Kind::Full(self.channels);
        let (out, mut at) = if self.bottleneck {
            let at = net.conv(&part(1), input, inner, (1, 1), relu)?;
            let at = net.conv(&part(2), at, inner, (3, self.stride), relu)?;
            let out = Kind::Full(4 * self.channels);
            (
                4 * self.channels,
                net.conv(&part(3), at, out, (1, 1), None)?,
            )
        } else {
            let at = net.conv(&part(1), input, inner, (3, self.stride), relu)?;
            (self.channels, net.conv(&part(2), at, inner, (3, 1), None)?)
        };
        let mut past = input;
        if self.stride != 1 || net.channels(input) != out {
            let names = ConvNames::sequence(&format!("{prefix}{}", self.shortcut), 0);
            past = net.conv(&names, input, Kind::Full(out), (1, self.stride), None)?;
        }
        at = net.add(&self.name, [at, past], Clamp::RELU)?;
        Ok(at)
    }
}
