//! Inverted residual blocks with linear bottlenecks, and networks of nothing else: MobileNetV2 and the EfficientNets.
//!
//! # Source
//! Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018); squeeze-and-excite as in Tan and
//! Le, "EfficientNet" (2019): a quarter of the channels that enter the block.

use super::builder::{Activation, Builder, ConvNames, Kind, Rule};
use super::params::Params;
use super::{Naming, Spec};
use crate::error::ImportError;
use crate::graph::{Clamp, Graph, Op, TensorId, Unary};

/// Blocks of the same width: a row of the papers' tables.
#[derive(Clone, Copy)]
pub(super) struct Stage {
    pub(super) expansion: usize,
    pub(super) filter: usize,
    pub(super) channels: usize,
    pub(super) blocks: usize,
    /// Of the first block; the others have 1.
    pub(super) stride: usize,
}

/// A row of a table.
pub(super) const fn stage(
    expansion: usize,
    filter: usize,
    channels: usize,
    blocks: usize,
    stride: usize,
) -> Stage {
    Stage {
        expansion,
        filter,
        channels,
        blocks,
        stride,
    }
}

/// How torchvision places a network's layers.
#[derive(Clone, Copy)]
pub(super) enum Places {
    /// All blocks in one list, layers of a block in `conv`.
    MobileNet,
    /// A list of stages, layers of a block in `block`.
    EfficientNet,
}

/// A network of inverted residuals, every number scaled.
pub(super) struct Network {
    pub(super) stem: usize,
    pub(super) stages: Vec<Stage>,
    pub(super) head: usize,
    pub(super) activation: Activation,
    pub(super) squeeze: bool,
    pub(super) rule: Rule,
    pub(super) places: Places,
}

/// The names of a block's parts.
struct BlockNames {
    expand: ConvNames,
    depthwise: ConvNames,
    /// What squeeze-and-excite's pool, gate and product are named after.
    squeeze: String,
    reduce: String,
    excite: String,
    project: ConvNames,
    add: String,
}

struct Names {
    naming: Naming,
    places: Places,
}

impl Names {
    fn stem(&self) -> ConvNames {
        match self.naming {
            Naming::Timm => ConvNames::members("", "conv_stem", "bn1"),
            Naming::EfficientNetPytorch => ConvNames::members("", "_conv_stem", "_bn0"),
            _ => ConvNames::sequence("features.0", 0),
        }
    }

    /// `index` counts blocks over all stages, `block` within its stage.
    fn block(&self, index: usize, stage: usize, block: usize, expands: bool) -> BlockNames {
        match (self.naming, self.places) {
            (Naming::Timm, _) => timm_block(&format!("blocks.{stage}.{block}"), expands),
            (Naming::EfficientNetPytorch, _) => {
                let at = format!("_blocks.{index}");
                let names =
                    |conv, batch_norm| ConvNames::members(&format!("{at}."), conv, batch_norm);
                BlockNames {
                    expand: names("_expand_conv", "_bn0"),
                    depthwise: names("_depthwise_conv", "_bn1"),
                    squeeze: format!("{at}._se"),
                    reduce: format!("{at}._se_reduce"),
                    excite: format!("{at}._se_expand"),
                    project: names("_project_conv", "_bn2"),
                    add: at,
                }
            }
            (_, Places::MobileNet) => {
                let at = format!("features.{}", index + 1);
                // Without expansion the layers move up by one place.
                let last = if expands { 2 } else { 1 };
                let squeeze = String::new();
                BlockNames {
                    expand: ConvNames::sequence(&format!("{at}.conv.0"), 0),
                    depthwise: ConvNames::sequence(&format!("{at}.conv.{}", last - 1), 0),
                    reduce: squeeze.clone(),
                    excite: squeeze.clone(),
                    squeeze,
                    project: ConvNames::sequence(&format!("{at}.conv"), last),
                    add: at,
                }
            }
            (_, Places::EfficientNet) => {
                let at = format!("features.{}.{block}", stage + 1);
                let first = usize::from(expands);
                let part = |place: usize| format!("{at}.block.{place}");
                BlockNames {
                    expand: ConvNames::sequence(&part(0), 0),
                    depthwise: ConvNames::sequence(&part(first), 0),
                    squeeze: part(first + 1),
                    reduce: format!("{}.fc1", part(first + 1)),
                    excite: format!("{}.fc2", part(first + 1)),
                    project: ConvNames::sequence(&part(first + 2), 0),
                    add: at,
                }
            }
        }
    }

    fn head(&self, stages: usize, blocks: usize) -> ConvNames {
        match (self.naming, self.places) {
            (Naming::Timm, _) => ConvNames::members("", "conv_head", "bn2"),
            (Naming::EfficientNetPytorch, _) => ConvNames::members("", "_conv_head", "_bn1"),
            (_, Places::MobileNet) => ConvNames::sequence(&format!("features.{}", blocks + 1), 0),
            (_, Places::EfficientNet) => {
                ConvNames::sequence(&format!("features.{}", stages + 1), 0)
            }
        }
    }

    fn pool_and_classifier(&self) -> [&'static str; 2] {
        match self.naming {
            Naming::Timm => ["global_pool", "classifier"],
            Naming::EfficientNetPytorch => ["_avg_pooling", "_fc"],
            _ => ["avgpool", "classifier.1"],
        }
    }
}

/// Without expansion, timm's block is another module and counts its parts anew.
fn timm_block(at: &str, expands: bool) -> BlockNames {
    let names = |conv, batch_norm| ConvNames::members(&format!("{at}."), conv, batch_norm);
    let (expand, depthwise, project) = if expands {
        let narrow = names("conv_pwl", "bn3");
        (names("conv_pw", "bn1"), names("conv_dw", "bn2"), narrow)
    } else {
        let narrow = names("conv_pw", "bn2");
        (names("", ""), names("conv_dw", "bn1"), narrow)
    };
    BlockNames {
        expand,
        depthwise,
        squeeze: format!("{at}.se"),
        reduce: format!("{at}.se.conv_reduce"),
        excite: format!("{at}.se.conv_expand"),
        project,
        add: at.to_string(),
    }
}

/// The network from its stem to its logits.
pub(super) fn build(
    params: &mut Params,
    spec: &Spec,
    network: &Network,
) -> Result<Graph, ImportError> {
    let names = Names {
        naming: spec.naming,
        places: network.places,
    };
    let mut net = Builder::new(params, spec, network.rule);
    let act = Some(network.activation);
    let stem = Kind::Full(network.stem);
    let input = net.input();
    let mut at = net.conv(&names.stem(), input, stem, (3, 2), act)?;
    let mut index = 0;
    for (number, stage) in network.stages.iter().enumerate() {
        for block in 0..stage.blocks {
            let names = names.block(index, number, block, stage.expansion != 1);
            let stride = if block == 0 { stage.stride } else { 1 };
            let stage = Stage { stride, ..*stage };
            at = inverted_residual(&mut net, &names, at, stage, network)?;
            index += 1;
        }
    }
    let head = names.head(network.stages.len(), index);
    at = net.conv(&head, at, Kind::Full(network.head), (1, 1), act)?;
    net.pool_and_classify(at, names.pool_and_classifier(), spec)
}

fn inverted_residual(
    net: &mut Builder,
    names: &BlockNames,
    input: TensorId,
    stage: Stage,
    network: &Network,
) -> Result<TensorId, ImportError> {
    let in_channels = net.channels(input);
    let act = Some(network.activation);
    let mut at = input;
    if stage.expansion != 1 {
        let wide = Kind::Full(in_channels * stage.expansion);
        at = net.conv(&names.expand, at, wide, (1, 1), act)?;
    }
    let window = (stage.filter, stage.stride);
    at = net.conv(&names.depthwise, at, Kind::Depthwise, window, act)?;
    if network.squeeze {
        at = squeeze_and_excite(net, names, at, (in_channels / 4).max(1), network)?;
    }
    let narrow = Kind::Full(stage.channels);
    at = net.conv(&names.project, at, narrow, (1, 1), None)?;
    if stage.stride == 1 && in_channels == stage.channels {
        at = net.add(&names.add, [input, at], Clamp::NONE)?;
    }
    Ok(at)
}

/// Every channel times a factor from 0 to 1 that the means of all channels decide.
fn squeeze_and_excite(
    net: &mut Builder,
    names: &BlockNames,
    input: TensorId,
    squeezed: usize,
    network: &Network,
) -> Result<TensorId, ImportError> {
    let channels = net.channels(input);
    let part = |part: &str| format!("{}.{part}", names.squeeze);
    let mut at = net.push(&part("pool"), Op::GlobalAveragePool, &[input])?;
    at = net.linear(&names.reduce, at, squeezed)?;
    at = net.activation(&part("act"), network.activation, at)?;
    at = net.linear(&names.excite, at, channels)?;
    let gate = Activation::Unary(Unary::Sigmoid);
    at = net.activation(&part("gate"), gate, at)?;
    let clamp = Clamp::NONE;
    net.push(&part("scale"), Op::Multiply { clamp }, &[input, at])
}
