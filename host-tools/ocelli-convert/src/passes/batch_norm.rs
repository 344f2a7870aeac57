//! Batch norms become part of the weights, or of the layer norm before them.

use super::{merge_into_producer, replace_ops};
use crate::graph::{Clamp, Graph, Op, Window};

/// Works a batch norm into the convolution, dense layer or layer norm before it.
pub(super) fn fold(graph: Graph) -> Graph {
    merge_into_producer(graph, |before, node| match node {
        Op::BatchNorm { scale, shift } => fold_into(before, scale, shift),
        _ => false,
    })
}

fn fold_into(op: &mut Op, scale: &[f32], shift: &[f32]) -> bool {
    if let Op::LayerNorm {
        scale: own_scale,
        shift: own_shift,
        ..
    } = op
    {
        let own = own_scale.iter_mut().zip(own_shift);
        for ((own_scale, own_shift), (factor, summand)) in own.zip(scale.iter().zip(shift)) {
            *own_scale *= factor;
            *own_shift = *own_shift * factor + summand;
        }
        return true;
    }
    if op.clamp() != Some(Clamp::NONE) {
        return false;
    }
    let bias = match op {
        // Output channels outermost: a scale for each filter.
        Op::Conv2d { weights, bias, .. } | Op::Dense { weights, bias, .. } => {
            let each = weights.len() / scale.len();
            for (filter, factor) in weights.chunks_mut(each.max(1)).zip(scale) {
                filter.iter_mut().for_each(|weight| *weight *= factor);
            }
            bias
        }
        // Output channels innermost: a scale for each place in a tap.
        Op::DepthwiseConv2d { weights, bias, .. } => {
            for tap in weights.chunks_mut(scale.len()) {
                for (weight, factor) in tap.iter_mut().zip(scale) {
                    *weight *= factor;
                }
            }
            bias
        }
        _ => return false,
    };
    for (bias, (factor, summand)) in bias.iter_mut().zip(scale.iter().zip(shift)) {
        *bias = *bias * factor + summand;
    }
    true
}

/// Makes any batch norm that is left a depthwise convolution of one pixel, which is the same.
pub(super) fn to_depthwise(graph: Graph) -> Graph {
    replace_ops(graph, |op| match op {
        Op::BatchNorm { scale, shift } => Op::DepthwiseConv2d {
            window: Window::POINT,
            depth_multiplier: 1,
            weights: scale,
            bias: shift,
            clamp: Clamp::NONE,
        },
        other => other,
    })
}
