//! Convolution of each channel by itself.

use super::{Read, taps};
use crate::graph::{Shape, Window};

/// Channels whose sums are kept in registers together.
const LANES: usize = 16;

/// `weights` is `[filter_h][filter_w][c * depth_multiplier]`.
pub(super) fn depthwise(
    window: &Window,
    depth_multiplier: usize,
    weights: &[f32],
    bias: &[f32],
    input: Read,
    shape: Shape,
    output: &mut [f32],
) {
    let Shape { h, w, c } = input.shape;
    let padding = window.padding;
    // The filter positions that meet the input, as offsets into input and weights.
    let mut met: Vec<(usize, usize)> = Vec::with_capacity(window.taps());
    for (out_row, output) in output.chunks_exact_mut(shape.w * shape.c).enumerate() {
        for (out_col, pixel) in output.chunks_exact_mut(shape.c).enumerate() {
            let rows = taps(
                out_row,
                window.stride_h,
                window.dilation_h,
                window.filter_h,
                padding.top,
                h,
            );
            met.clear();
            for (tap_h, in_row) in rows {
                let cols = taps(
                    out_col,
                    window.stride_w,
                    window.dilation_w,
                    window.filter_w,
                    padding.left,
                    w,
                );
                met.extend(cols.map(|(tap_w, in_col)| {
                    let tap = tap_h * window.filter_w + tap_w;
                    ((in_row * w + in_col) * c, tap * shape.c)
                }));
            }
            pixel.copy_from_slice(bias);
            if depth_multiplier == 1 {
                one_to_one(&met, input.values, weights, pixel);
            } else {
                one_to_many(&met, depth_multiplier, input, weights, pixel);
            }
        }
    }
}

fn one_to_one(met: &[(usize, usize)], input: &[f32], weights: &[f32], pixel: &mut [f32]) {
    let (blocks, rest) = pixel.as_chunks_mut::<LANES>();
    let rest_at = blocks.len() * LANES;
    for (block, sums) in blocks.iter_mut().enumerate() {
        let at = block * LANES;
        let mut acc = *sums;
        for &(from, tap) in met {
            let x = &input[from + at..from + at + LANES];
            let w = &weights[tap + at..tap + at + LANES];
            for lane in 0..LANES {
                acc[lane] += x[lane] * w[lane];
            }
        }
        *sums = acc;
    }
    for &(from, tap) in met {
        let products = input[from + rest_at..]
            .iter()
            .zip(&weights[tap + rest_at..]);
        for (acc, (x, w)) in rest.iter_mut().zip(products) {
            *acc += x * w;
        }
    }
}

fn one_to_many(
    met: &[(usize, usize)],
    depth_multiplier: usize,
    input: Read,
    weights: &[f32],
    pixel: &mut [f32],
) {
    for &(from, tap) in met {
        let weights = weights[tap..].chunks_exact(depth_multiplier);
        let inputs = input.values[from..from + input.shape.c].iter().zip(weights);
        for (outputs, (x, weights)) in pixel.chunks_exact_mut(depth_multiplier).zip(inputs) {
            for (acc, w) in outputs.iter_mut().zip(weights) {
                *acc += x * w;
            }
        }
    }
}
