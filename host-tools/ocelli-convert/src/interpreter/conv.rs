//! Layers that are a matrix product.

use ndarray::linalg::{general_mat_mul, general_mat_vec_mul};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

use super::{Read, taps};
use crate::graph::{Shape, Window};

/// Elements of the patch matrix made at a time: small enough to stay in a core's cache.
const PATCH_ELEMS: usize = 1 << 16;

/// `weights` is `[out][filter_h][filter_w][in]`.
pub(super) fn conv2d(
    window: &Window,
    weights: &[f32],
    bias: &[f32],
    input: Read,
    shape: Shape,
    output: &mut [f32],
) {
    if *window == Window::POINT {
        // Pixels are the patches already.
        return product(input.values, weights, bias, output);
    }
    let patch = window.taps() * input.shape.c;
    let row = shape.w * patch;
    let rows = (PATCH_ELEMS / row).clamp(1, shape.h);
    let mut patches = vec![0.0; rows * row];
    let blocks = output.chunks_mut(rows * shape.w * shape.c);
    for (block, output) in blocks.enumerate() {
        let rows_here = output.len() / (shape.w * shape.c);
        let patches = &mut patches[..rows_here * row];
        patches.fill(0.0);
        for (at, patches) in patches.chunks_exact_mut(row).enumerate() {
            patch_row(window, block * rows + at, input, patches);
        }
        product(patches, weights, bias, output);
    }
}

/// Lays the patches of one output row beside each other; outside the input they stay zero.
pub(crate) fn patch_row(window: &Window, out_row: usize, input: Read, patches: &mut [f32]) {
    let Shape { h, w, c } = input.shape;
    let padding = window.padding;
    let patch = window.taps() * c;
    let rows = taps(
        out_row,
        window.stride_h,
        window.dilation_h,
        window.filter_h,
        padding.top,
        h,
    );
    for (tap_h, in_row) in rows {
        for (out_col, patch) in patches.chunks_exact_mut(patch).enumerate() {
            let cols = taps(
                out_col,
                window.stride_w,
                window.dilation_w,
                window.filter_w,
                padding.left,
                w,
            );
            for (tap_w, in_col) in cols {
                let to = (tap_h * window.filter_w + tap_w) * c;
                let from = (in_row * w + in_col) * c;
                patch[to..to + c].copy_from_slice(&input.values[from..from + c]);
            }
        }
    }
}

/// `output[pixel][out] = bias[out] + patches[pixel] . weights[out]`.
fn product(patches: &[f32], weights: &[f32], bias: &[f32], output: &mut [f32]) {
    let (channels, patch) = (bias.len(), weights.len() / bias.len());
    let pixels = output.len() / channels;
    for pixel in output.chunks_exact_mut(channels) {
        pixel.copy_from_slice(bias);
    }
    let matrices = (
        ArrayView2::from_shape((pixels, patch), patches),
        ArrayView2::from_shape((channels, patch), weights),
        ArrayViewMut2::from_shape((pixels, channels), output),
    );
    let (Ok(patches), Ok(weights), Ok(mut output)) = matrices else {
        unreachable!("a verified graph's slices are as long as their shapes say");
    };
    general_mat_mul(1.0, &patches, &weights.t(), 1.0, &mut output);
}

/// `weights` is `[out][in]`.
pub(super) fn dense(weights: &[f32], bias: &[f32], input: Read, output: &mut [f32]) {
    output.copy_from_slice(bias);
    let shape = (bias.len(), input.values.len());
    let Ok(weights) = ArrayView2::from_shape(shape, weights) else {
        unreachable!("a verified graph's slices are as long as their shapes say");
    };
    let input = ArrayView1::from(input.values);
    general_mat_vec_mul(1.0, &weights, &input, 1.0, &mut ArrayViewMut1::from(output));
}
