//! From the terms of the references to the image's.

use ocelli_image::{
    Body, Channels as FoldedChannels, Factor as FactorRecord, PaddingRecord, WindowRecord,
};
use ocelli_kernels::{Clamp, Padding, Window};

use super::{Layer, Network};
use crate::reference::{Channels, Factor};

impl Network {
    /// The parameters of a layer as the image holds them, zero points folded into biases.
    pub(super) fn body(&self, at: usize) -> Body<FoldedChannels> {
        let input = self.inputs[at][0];
        let ([h, w, c], zero_point) = (self.shapes[input], self.zero_points[input]);
        let filters = |weights: &Vec<i8>, channels: &Channels| {
            let taps = weights.len() / channels.bias.len();
            let bias = channels.folded(zero_point, |k| weights[k * taps..(k + 1) * taps].to_vec());
            folded(weights, bias, channels)
        };
        match &self.layers[at] {
            Layer::Conv2d {
                window: w,
                weights,
                channels,
            } => Body::Conv2d {
                window: window(w),
                channels: filters(weights, channels),
            },
            Layer::Depthwise {
                window: w,
                depth_multiplier,
                weights,
                channels,
            } => {
                let count = c * depth_multiplier;
                let bias = channels.folded(zero_point, |k| {
                    weights.iter().skip(k).step_by(count).copied().collect()
                });
                Body::Depthwise {
                    window: window(w),
                    depth_multiplier: *depth_multiplier as u16,
                    channels: folded(weights, bias, channels),
                }
            }
            Layer::Pointwise { weights, channels } => Body::Pointwise {
                channels: filters(weights, channels),
            },
            Layer::Dense { weights, channels } => Body::Dense {
                channels: filters(weights, channels),
            },
            Layer::Add(op) => Body::Add {
                factors: op.factors.map(factor),
                output_factor: factor(op.output_factor),
                clamp: pair(op.clamp),
            },
            Layer::AveragePool(w, clamp) => Body::AveragePool {
                window: window(w),
                clamp: pair(*clamp),
            },
            Layer::MaxPool(w, clamp) => Body::MaxPool {
                window: window(w),
                clamp: pair(*clamp),
            },
            Layer::GlobalAveragePool(f, clamp) => Body::GlobalAveragePool {
                bias: -i32::from(zero_point) * (h * w) as i32,
                factor: factor(*f),
                clamp: pair(*clamp),
            },
            Layer::Pad(p) => Body::Pad {
                padding: padding(*p),
            },
            Layer::Softmax(params) => Body::Softmax {
                multiplier: params.multiplier,
                left_shift: params.left_shift,
                difference_min: params.difference_min,
            },
            Layer::Multiply(op) => Body::Multiply {
                factor: factor(op.factor),
                clamp: pair(op.clamp),
            },
            Layer::Table(table) => Body::Table {
                table: table.clone(),
            },
            Layer::LayerNorm {
                weights,
                epsilon,
                channels,
            } => Body::LayerNorm {
                epsilon: *epsilon,
                // The zero point of the input falls out: nothing is folded.
                channels: folded(weights, channels.bias.clone(), channels),
            },
            Layer::Concat => Body::Concat,
        }
    }
}

fn folded(weights: &[i8], bias: Vec<i32>, channels: &Channels) -> FoldedChannels {
    FoldedChannels {
        weights: weights.to_vec(),
        bias,
        multiplier: channels.multiplier.clone(),
        shift: channels.shift.clone(),
        clamp: pair(channels.clamp),
        weight_scale: vec![],
    }
}

fn factor((multiplier, shift): Factor) -> FactorRecord {
    FactorRecord { multiplier, shift }
}

fn pair(clamp: Clamp) -> [i8; 2] {
    [clamp.min, clamp.max]
}

fn padding(padding: Padding) -> PaddingRecord {
    PaddingRecord {
        top: padding.top as u8,
        bottom: padding.bottom as u8,
        left: padding.left as u8,
        right: padding.right as u8,
    }
}

fn window(window: &Window) -> WindowRecord {
    WindowRecord {
        filter_h: window.filter_h as u8,
        filter_w: window.filter_w as u8,
        stride_h: window.stride_h as u8,
        stride_w: window.stride_w as u8,
        dilation_h: window.dilation_h as u8,
        dilation_w: window.dilation_w as u8,
        padding: padding(window.padding),
    }
}
