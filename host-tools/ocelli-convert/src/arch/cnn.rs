//! A plain network of 3x3 convolutions in the manner of VGG, to compare the others with.
//!
//! With 10 layers: nine convolutions with batch norm and ReLU, three each of 32, 64 and 128 channels, a 2x2 max pool
//! after the third and the sixth, the mean over all pixels, and a dense layer. Another `layers` has as many convolutions
//! in each of the three stages: 3n + 1 layers with weights.
//!
//! Names of the weights: `stage1.0.conv.weight`, `stage1.0.bn.weight` (and `bias`, `running_mean`, `running_var`) for the
//! first convolution of the first stage and so on, `fc.weight` and `fc.bias`.
//!
//! # Source
//! Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition" (2014), with the batch
//! norms and the global pool of later years.

use super::builder::{Activation, Builder, ConvNames, Kind, Rule, scaled_channels};
use super::params::Params;
use super::{Knob, Naming, Pictures, Spec, Variant};
use crate::error::ImportError;
use crate::graph::{Clamp, Graph, Op, Window};

const CHANNELS: [usize; 3] = [32, 64, 128];

pub(super) const VARIANTS: [Variant; 1] = [Variant {
    name: "cnn",
    about: "plain 3x3 convolutions, for 32x32",
    build,
    width: 1.0,
    depth: 10.0,
    side: 32,
    knobs: &[Knob::Width, Knob::Layers, Knob::Resolution],
    pictures: Pictures::Cifar,
    namings: &[(Naming::Plain, "stage1.0.conv.weight")],
}];

fn build(params: &mut Params, spec: &Spec) -> Result<Graph, ImportError> {
    let convolutions = spec.depth as usize / CHANNELS.len();
    let mut net = Builder::new(params, spec, Rule::TORCH);
    let mut at = net.input();
    for (stage, &channels) in CHANNELS.iter().enumerate() {
        if stage > 0 {
            let window = Window::square(2, 2, 0);
            let clamp = Clamp::NONE;
            let pool = Op::MaxPool { window, clamp };
            at = net.push(&format!("stage{stage}.pool"), pool, &[at])?;
        }
        let channels = Kind::Full(scaled_channels(channels, spec.width));
        for index in 0..convolutions {
            let prefix = format!("stage{}.{index}.", stage + 1);
            let names = ConvNames::members(&prefix, "conv", "bn");
            at = net.conv(&names, at, channels, (3, 1), Some(Activation::RELU))?;
        }
    }
    net.pool_and_classify(at, ["avgpool", "fc"], spec)
}
