//! Ops without weights to sum over.

use super::Read;
use crate::graph::{Padding, Shape};

pub(super) fn add(first: Read, second: Read, output: &mut [f32]) {
    let sums = first.values.iter().zip(second.values);
    for (output, (a, b)) in output.iter_mut().zip(sums) {
        *output = a + b;
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
