//! Pooling: windows and whole pictures.

use super::{Read, taps};
use crate::graph::{Shape, Window};

/// Folds each output pixel over the input pixels of its window, then finishes it with their number.
fn fold(
    window: &Window,
    input: Read,
    shape: Shape,
    output: &mut [f32],
    start: f32,
    step: impl Fn(f32, f32) -> f32,
    finish: impl Fn(f32, usize) -> f32,
) {
    let Shape { h, w, c } = input.shape;
    let padding = window.padding;
    for (out_row, output) in output.chunks_exact_mut(shape.w * c).enumerate() {
        for (out_col, pixel) in output.chunks_exact_mut(c).enumerate() {
            pixel.fill(start);
            let mut count = 0;
            let top = padding.top;
            for (_, row) in taps(out_row, window.stride_h, 1, window.filter_h, top, h) {
                let left = padding.left;
                for (_, col) in taps(out_col, window.stride_w, 1, window.filter_w, left, w) {
                    let from = (row * w + col) * c;
                    for (acc, x) in pixel.iter_mut().zip(&input.values[from..from + c]) {
                        *acc = step(*acc, *x);
                    }
                    count += 1;
                }
            }
            pixel.iter_mut().for_each(|acc| *acc = finish(*acc, count));
        }
    }
}

/// Padding takes no part in the mean.
pub(super) fn average(window: &Window, input: Read, shape: Shape, output: &mut [f32]) {
    let mean = |acc, count| acc / count as f32;
    fold(window, input, shape, output, 0.0, |acc, x| acc + x, mean);
}

pub(super) fn max(window: &Window, input: Read, shape: Shape, output: &mut [f32]) {
    let lowest = f32::NEG_INFINITY;
    fold(window, input, shape, output, lowest, f32::max, |acc, _| acc);
}

pub(super) fn global_average(input: Read, output: &mut [f32]) {
    output.fill(0.0);
    for pixel in input.values.chunks_exact(input.shape.c) {
        for (acc, x) in output.iter_mut().zip(pixel) {
            *acc += x;
        }
    }
    let pixels = (input.shape.h * input.shape.w) as f32;
    output.iter_mut().for_each(|acc| *acc /= pixels);
}
