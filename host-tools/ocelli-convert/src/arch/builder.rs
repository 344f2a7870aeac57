//! What the architectures have in common: convolutions with batch norm and activation, and how sizes are scaled.

use super::params::Params;
use super::{Origin, Spec};
use crate::error::ImportError;
use crate::graph::{Clamp, Graph, GraphBuilder, Op, Padding, TensorId, Unary, Window};

/// What differs between implementations of a network and cannot be seen in its weights.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    pub(super) origin: Origin,
    /// Of every batch norm.
    pub(super) epsilon: f32,
}

impl Rule {
    /// PyTorch's defaults.
    pub(super) const TORCH: Self = Self {
        origin: Origin::Torch,
        epsilon: 1e-5,
    };
    /// TensorFlow's, as the networks that were trained there have them.
    pub(super) const TENSORFLOW: Self = Self {
        origin: Origin::TensorFlow,
        epsilon: 1e-3,
    };

    pub(super) const fn of(origin: Origin) -> Self {
        match origin {
            Origin::Torch => Self::TORCH,
            Origin::TensorFlow => Self::TENSORFLOW,
        }
    }
}

/// The names of a convolution, its batch norm and its activation.
pub(super) struct ConvNames {
    pub(super) conv: String,
    pub(super) batch_norm: String,
    pub(super) activation: String,
}

impl ConvNames {
    /// Members of one module, the activation being inside the batch norm (timm) or a bare function.
    pub(super) fn members(prefix: &str, conv: &str, batch_norm: &str) -> Self {
        Self {
            conv: format!("{prefix}{conv}"),
            batch_norm: format!("{prefix}{batch_norm}"),
            activation: format!("{prefix}{batch_norm}.act"),
        }
    }

    /// Three places of a sequence, one after another.
    pub(super) fn sequence(prefix: &str, first: usize) -> Self {
        let at = |place: usize| format!("{prefix}.{}", first + place);
        Self {
            conv: at(0),
            batch_norm: at(1),
            activation: at(2),
        }
    }
}

/// How a convolution connects channels.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// All inputs to this many outputs.
    Full(usize),
    /// Each by itself.
    Depthwise,
}

/// What follows a batch norm.
#[derive(Clone, Copy)]
pub(super) enum Activation {
    Clamp(Clamp),
    Unary(Unary),
}

impl Activation {
    pub(super) const RELU: Self = Self::Clamp(Clamp::RELU);
    pub(super) const RELU6: Self = Self::Clamp(Clamp::RELU6);
    pub(super) const SILU: Self = Self::Unary(Unary::Silu);

    fn op(self) -> Op {
        match self {
            Activation::Clamp(clamp) => Op::Clamp(clamp),
            Activation::Unary(function) => Op::Unary(function),
        }
    }
}

/// A graph in the making and the weights that it takes.
pub(super) struct Builder<'p, 'w> {
    pub(super) params: &'p mut Params<'w>,
    graph: GraphBuilder,
    rule: Rule,
}

impl<'p, 'w> Builder<'p, 'w> {
    pub(super) fn new(params: &'p mut Params<'w>, spec: &Spec, rule: Rule) -> Self {
        let graph = GraphBuilder::new(spec.name, spec.input);
        Self {
            params,
            graph,
            rule,
        }
    }

    pub(super) fn input(&self) -> TensorId {
        self.graph.input()
    }

    pub(super) fn channels(&self, tensor: TensorId) -> usize {
        self.graph.shape(tensor).c
    }

    pub(super) fn push(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[TensorId],
    ) -> Result<TensorId, ImportError> {
        Ok(self.graph.push(name, op, inputs)?)
    }

    /// A square filter over this input, padded as the network's origin has it.
    pub(super) fn window(&self, input: TensorId, filter: usize, stride: usize) -> Window {
        let shape = self.graph.shape(input);
        let padding = match self.rule.origin {
            Origin::Torch => Padding::same(filter / 2),
            Origin::TensorFlow => {
                let (top, bottom) = same(shape.h, filter, stride);
                let (left, right) = same(shape.w, filter, stride);
                Padding {
                    top,
                    bottom,
                    left,
                    right,
                }
            }
        };
        Window {
            padding,
            ..Window::square(filter, stride, 0)
        }
    }

    /// Convolution without bias, batch norm and perhaps an activation.
    pub(super) fn conv(
        &mut self,
        names: &ConvNames,
        input: TensorId,
        kind: Kind,
        (filter, stride): (usize, usize),
        activation: Option<Activation>,
    ) -> Result<TensorId, ImportError> {
        let in_channels = self.channels(input);
        let window = self.window(input, filter, stride);
        let (op, channels) = match kind {
            Kind::Full(out) => {
                let op = self.params.conv(&names.conv, in_channels, out, window)?;
                (op, out)
            }
            Kind::Depthwise => {
                let op = self.params.depthwise(&names.conv, in_channels, window)?;
                (op, in_channels)
            }
        };
        let mut at = self.push(&names.conv, op, &[input])?;
        let epsilon = self.rule.epsilon;
        let op = self
            .params
            .batch_norm(&names.batch_norm, channels, epsilon)?;
        at = self.push(&names.batch_norm, op, &[at])?;
        if let Some(activation) = activation {
            at = self.push(&names.activation, activation.op(), &[at])?;
        }
        Ok(at)
    }

    /// A dense layer on every pixel, or a convolution of one pixel, with bias.
    pub(super) fn linear(
        &mut self,
        name: &str,
        input: TensorId,
        out_channels: usize,
    ) -> Result<TensorId, ImportError> {
        let op = self
            .params
            .linear(name, self.graph.shape(input).c, out_channels)?;
        self.push(name, op, &[input])
    }

    pub(super) fn activation(
        &mut self,
        name: &str,
        activation: Activation,
        input: TensorId,
    ) -> Result<TensorId, ImportError> {
        self.push(name, activation.op(), &[input])
    }

    pub(super) fn add(
        &mut self,
        name: &str,
        inputs: [TensorId; 2],
        clamp: Clamp,
    ) -> Result<TensorId, ImportError> {
        self.push(name, Op::Add { clamp }, &inputs)
    }

    /// Mean over all pixels, which is the embedding, and the classifier.
    pub(super) fn pool_and_classify(
        mut self,
        features: TensorId,
        [pool, classifier]: [&str; 2],
        spec: &Spec,
    ) -> Result<Graph, ImportError> {
        let embedding = self.push(pool, Op::GlobalAveragePool, &[features])?;
        self.classify(embedding, classifier, spec)
    }

    /// The classifier on the embedding.
    pub(super) fn classify(
        mut self,
        embedding: TensorId,
        classifier: &str,
        spec: &Spec,
    ) -> Result<Graph, ImportError> {
        let channels = self.channels(embedding);
        let op = self.params.classifier(classifier, channels, spec.classes)?;
        let output = self.push(classifier, op, &[embedding])?;
        Ok(self.graph.finish(output, Some(embedding))?)
    }
}

/// What TensorFlow's SAME puts before and after a side: the odd one behind.
fn same(side: usize, filter: usize, stride: usize) -> (usize, usize) {
    let outputs = side.div_ceil(stride);
    let needed = outputs.saturating_sub(1).saturating_mul(stride) + filter;
    let total = needed.saturating_sub(side);
    (total / 2, total - total / 2)
}

/// Channels scaled by a width multiplier, rounded to a multiple of 8 but not below nine tenths.
///
/// # Source
/// `make_divisible` of the MobileNet papers' code, which torchvision and timm follow.
pub(super) fn scaled_channels(channels: usize, width: f64) -> usize {
    let wanted = channels as f64 * width;
    let rounded = ((wanted + 4.0) as usize / 8 * 8).max(8);
    if (rounded as f64) < 0.9 * wanted {
        rounded + 8
    } else {
        rounded
    }
}

/// Layers of a stage scaled by a depth multiplier, rounded up.
pub(super) fn scaled_depth(layers: usize, depth: f64) -> usize {
    // What a decimal fraction adds to an exact product is no layer of its own.
    ((layers as f64 * depth - 1e-9).ceil() as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_row_behind() {
        assert_eq!(same(224, 3, 2), (0, 1)); // 111 * 2 + 3 - 224
        assert_eq!(same(224, 3, 1), (1, 1));
        assert_eq!(same(15, 5, 2), (2, 2)); // 7 * 2 + 5 - 15
        assert_eq!(same(14, 5, 2), (1, 2)); // 6 * 2 + 5 - 14
        assert_eq!(same(7, 1, 2), (0, 0));
    }

    #[test]
    fn depths_are_rounded_up() {
        assert_eq!(scaled_depth(2, 1.1), 3); // EfficientNet-B1
        assert_eq!(scaled_depth(5, 1.2), 6);
        assert_eq!(scaled_depth(4, 0.1), 1);
    }
}
