//! MobileNetV2: inverted residual blocks with linear bottlenecks.
//!
//! # Source
//! Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (2018), table 2, as built by
//! torchvision's `mobilenet_v2` and timm's `mobilenetv2_*`.

use super::Spec;
use super::params::{Params, centred, scaled_channels};
use crate::error::ImportError;
use crate::graph::{Clamp, Graph, GraphBuilder, Op, TensorId, Window};

/// Epsilon of every batch norm.
const EPSILON: f32 = 1e-5;

/// One row of the paper's table 2: blocks of the same width.
struct Stage {
    expansion: usize,
    channels: usize,
    blocks: usize,
    /// Of the first block; the others have 1.
    stride: usize,
}

const STAGES: [Stage; 7] = [
    stage(1, 16, 1, 1),
    stage(6, 24, 2, 2),
    stage(6, 32, 3, 2),
    stage(6, 64, 4, 2),
    stage(6, 96, 3, 1),
    stage(6, 160, 3, 2),
    stage(6, 320, 1, 1),
];

const fn stage(expansion: usize, channels: usize, blocks: usize, stride: usize) -> Stage {
    Stage {
        expansion,
        channels,
        blocks,
        stride,
    }
}

/// Whose module names the weights have.
#[derive(Clone, Copy)]
enum Naming {
    Torchvision,
    Timm,
}

/// The names of a convolution, its batch norm and its activation.
struct ConvNames {
    conv: String,
    batch_norm: String,
    clamp: String,
}

/// The names of an inverted residual block.
struct BlockNames {
    expand: ConvNames,
    depthwise: ConvNames,
    project: ConvNames,
    add: String,
}

impl Naming {
    fn detect(params: &Params) -> Result<Self, ImportError> {
        params.naming(&[
            ("features.0.0.weight", Naming::Torchvision),
            ("conv_stem.weight", Naming::Timm),
        ])
    }

    fn stem(self) -> ConvNames {
        match self {
            Naming::Torchvision => numbered("features.0"),
            Naming::Timm => named("", "conv_stem", "bn1"),
        }
    }

    /// `index` counts blocks over all stages, `block` within its stage.
    fn block(self, index: usize, stage: usize, block: usize, expands: bool) -> BlockNames {
        match self {
            Naming::Torchvision => {
                let at = format!("features.{}", index + 1);
                // Without expansion the layers move up by one place.
                let last = if expands { 2 } else { 1 };
                BlockNames {
                    expand: numbered(&format!("{at}.conv.0")),
                    depthwise: numbered(&format!("{at}.conv.{}", last - 1)),
                    project: ConvNames {
                        conv: format!("{at}.conv.{last}"),
                        batch_norm: format!("{at}.conv.{}", last + 1),
                        clamp: String::new(),
                    },
                    add: at,
                }
            }
            Naming::Timm => {
                let at = format!("blocks.{stage}.{block}");
                let prefix = format!("{at}.");
                let names = |conv, batch_norm| named(&prefix, conv, batch_norm);
                if expands {
                    BlockNames {
                        expand: names("conv_pw", "bn1"),
                        depthwise: names("conv_dw", "bn2"),
                        project: names("conv_pwl", "bn3"),
                        add: at,
                    }
                } else {
                    BlockNames {
                        expand: names("", ""),
                        depthwise: names("conv_dw", "bn1"),
                        project: names("conv_pw", "bn2"),
                        add: at,
                    }
                }
            }
        }
    }

    fn head(self) -> ConvNames {
        match self {
            Naming::Torchvision => numbered("features.18"),
            Naming::Timm => named("", "conv_head", "bn2"),
        }
    }

    fn pool(self) -> &'static str {
        match self {
            Naming::Torchvision => "avgpool",
            Naming::Timm => "global_pool",
        }
    }

    fn classifier(self) -> &'static str {
        match self {
            Naming::Torchvision => "classifier.1",
            Naming::Timm => "classifier",
        }
    }
}

/// A sequence of convolution, batch norm and activation, known by their places.
fn numbered(at: &str) -> ConvNames {
    ConvNames {
        conv: format!("{at}.0"),
        batch_norm: format!("{at}.1"),
        clamp: format!("{at}.2"),
    }
}

/// timm's batch norm has the activation inside.
fn named(prefix: &str, conv: &str, batch_norm: &str) -> ConvNames {
    ConvNames {
        conv: format!("{prefix}{conv}"),
        batch_norm: format!("{prefix}{batch_norm}"),
        clamp: format!("{prefix}{batch_norm}.act"),
    }
}

/// How a convolution of the network connects channels.
#[derive(Clone, Copy)]
enum Kind {
    /// All inputs to this many outputs.
    Full(usize),
    /// Each by itself.
    Depthwise,
}

struct Builder<'p, 'w> {
    params: &'p mut Params<'w>,
    graph: GraphBuilder,
}

impl Builder<'_, '_> {
    /// Convolution, batch norm and, unless `clamp` is none, an activation.
    fn conv(
        &mut self,
        names: &ConvNames,
        input: TensorId,
        kind: Kind,
        window: Window,
        clamp: Option<Clamp>,
    ) -> Result<TensorId, ImportError> {
        let in_channels = self.graph.shape(input).c;
        let (op, channels) = match kind {
            Kind::Full(out) => (
                self.params.conv(&names.conv, in_channels, out, window)?,
                out,
            ),
            Kind::Depthwise => (
                self.params.depthwise(&names.conv, in_channels, window)?,
                in_channels,
            ),
        };
        let mut at = self.graph.push(&names.conv, op, &[input])?;
        let op = self
            .params
            .batch_norm(&names.batch_norm, channels, EPSILON)?;
        at = self.graph.push(&names.batch_norm, op, &[at])?;
        if let Some(clamp) = clamp {
            at = self.graph.push(&names.clamp, Op::Clamp(clamp), &[at])?;
        }
        Ok(at)
    }

    fn block(
        &mut self,
        names: &BlockNames,
        input: TensorId,
        expansion: usize,
        channels: usize,
        stride: usize,
    ) -> Result<TensorId, ImportError> {
        let in_channels = self.graph.shape(input).c;
        let mut at = input;
        if expansion != 1 {
            let wide = Kind::Full(in_channels * expansion);
            at = self.conv(&names.expand, at, wide, Window::POINT, Some(Clamp::RELU6))?;
        }
        let window = centred(3, stride);
        let relu6 = Some(Clamp::RELU6);
        at = self.conv(&names.depthwise, at, Kind::Depthwise, window, relu6)?;
        let narrow = Kind::Full(channels);
        at = self.conv(&names.project, at, narrow, Window::POINT, None)?;
        if stride == 1 && in_channels == channels {
            let clamp = Clamp::NONE;
            at = self
                .graph
                .push(&names.add, Op::Add { clamp }, &[input, at])?;
        }
        Ok(at)
    }
}

/// The network from its stem to its logits.
pub(super) fn build(params: &mut Params, spec: &Spec) -> Result<Graph, ImportError> {
    let naming = Naming::detect(params)?;
    let mut net = Builder {
        params,
        graph: GraphBuilder::new("mobilenet_v2", spec.input),
    };
    let relu6 = Some(Clamp::RELU6);
    let stem = Kind::Full(scaled_channels(32, spec.width));
    let input = net.graph.input();
    let mut at = net.conv(&naming.stem(), input, stem, centred(3, 2), relu6)?;
    let mut index = 0;
    for (number, stage) in STAGES.iter().enumerate() {
        for block in 0..stage.blocks {
            let names = naming.block(index, number, block, stage.expansion != 1);
            let stride = if block == 0 { stage.stride } else { 1 };
            let channels = scaled_channels(stage.channels, spec.width);
            at = net.block(&names, at, stage.expansion, channels, stride)?;
            index += 1;
        }
    }
    // Narrow networks keep the wide last layer.
    let last = scaled_channels(1280, spec.width.max(1.0));
    let head = Kind::Full(last);
    at = net.conv(&naming.head(), at, head, Window::POINT, relu6)?;
    let embedding = net
        .graph
        .push(naming.pool(), Op::GlobalAveragePool, &[at])?;
    let classifier = net
        .params
        .classifier(naming.classifier(), last, spec.classes)?;
    let output = net
        .graph
        .push(naming.classifier(), classifier, &[embedding])?;
    Ok(net.graph.finish(output, Some(embedding))?)
}
