//! Ops without weights to sum over.

use super::Read;
use crate::graph::{Padding, Shape, Unary};

pub(super) fn add(first: Read, second: Read, output: &mut [f32]) {
    let sums = first.values.iter().zip(second.values);
    for (output, (a, b)) in output.iter_mut().zip(sums) {
        *output = a + b;
    }
}

/// The second is as large as the first, or one pixel that is used again and again.
pub(super) fn multiply(first: Read, second: Read, output: &mut [f32]) {
    let factors = first.values.iter().zip(second.values.iter().cycle());
    for (output, (a, b)) in output.iter_mut().zip(factors) {
        *output = a * b;
    }
}

pub(super) fn unary(function: Unary, input: Read, output: &mut [f32]) {
    for (output, &x) in output.iter_mut().zip(input.values) {
        *output = function.apply(x);
    }
}

pub(super) fn concat(first: Read, second: Read, output: &mut [f32]) {
    let pixels = first.values.chunks_exact(first.shape.c);
    let pixels = pixels.zip(second.values.chunks_exact(second.shape.c));
    let channels = first.shape.c + second.shape.c;
    for (to, (a, b)) in output.chunks_exact_mut(channels).zip(pixels) {
        let (of_first, of_second) = to.split_at_mut(a.len());
        of_first.copy_from_slice(a);
        of_second.copy_from_slice(b);
    }
}

/// Mean and variance are summed in f64: the numbers of a pixel may be large beside their differences.
pub(super) fn layer_norm(
    scale: &[f32],
    shift: &[f32],
    epsilon: f32,
    input: Read,
    output: &mut [f32],
) {
    let count = input.shape.c as f64;
    let pixels = input.values.chunks_exact(input.shape.c);
    for (to, from) in output.chunks_exact_mut(input.shape.c).zip(pixels) {
        let mean = from.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let squares = from.iter().map(|&x| (f64::from(x) - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count + f64::from(epsilon)).sqrt();
        // Without variance and epsilon there is nothing but zeros to normalize.
        let factor = if deviation > 0.0 {
            1.0 / deviation
        } else {
            0.0
        };
        let affine = scale.iter().zip(shift);
        for ((y, &x), (scale, shift)) in to.iter_mut().zip(from).zip(affine) {
            *y = ((f64::from(x) - mean) * factor) as f32 * scale + shift;
        }
    }
}

pub(super) fn batch_norm(scale: &[f32], shift: &[f32], input: Read, output: &mut [f32]) {
    let pixels = input.values.chunks_exact(input.shape.c);
    for (to, from) in output.chunks_exact_mut(input.shape.c).zip(pixels) {
        let factors = scale.iter().zip(shift);
        for ((y, x), (scale, shift)) in to.iter_mut().zip(from).zip(factors) {
            *y = x * scale + shift;
        }
    }
}

pub(super) fn pad(padding: &Padding, input: Read, shape: Shape, output: &mut [f32]) {
    output.fill(0.0);
    let row = input.shape.w * input.shape.c;
    let inside = output.chunks_exact_mut(shape.w * shape.c).skip(padding.top);
    for (to, from) in inside.zip(input.values.chunks_exact(row)) {
        let left = padding.left * shape.c;
        to[left..left + row].copy_from_slice(from);
    }
}

/// Over the channels of each pixel; the largest is taken off first, so that nothing overflows.
pub(super) fn softmax(beta: f32, input: Read, output: &mut [f32]) {
    let pixels = input.values.chunks_exact(input.shape.c);
    for (to, from) in output.chunks_exact_mut(input.shape.c).zip(pixels) {
        for (y, x) in to.iter_mut().zip(from) {
            *y = beta * x;
        }
        let largest = to.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        to.iter_mut().for_each(|y| *y = (*y - largest).exp());
        let total: f32 = to.iter().sum();
        to.iter_mut().for_each(|y| *y /= total);
    }
}
