//! Pointwise and standard convolutions, and dense layers.

use alloc::vec;
use alloc::vec::Vec;

use ocelli::kernels::*;

use crate::random::Random;
use crate::reference::Channels;
use crate::{check, codes};

/// Runs the cases; their number.
pub fn sweep() -> usize {
    let mut random = Random::new(0x2545_f491);
    let mut cases = 0;
    // Every tail of pixels, channels in and channels out.
    for pixels in 1..=9 {
        for in_c in 1..=17 {
            let out_c = random.size(1, 9);
            pointwise(pixels, in_c, out_c, &mut random);
            cases += 1;
        }
    }
    for (w, in_c, out_c) in [(14, 96, 24), (7, 160, 33), (3, 320, 40), (48, 8, 16)] {
        pointwise(w, in_c, out_c, &mut random);
        cases += 1;
    }
    for _ in 0..150 {
        convolution(&mut random);
        cases += 1;
    }
    for inputs in [1, 2, 3, 4, 5, 7, 8, 17, 64, 129, 640] {
        let outputs = random.size(1, 13);
        dense(inputs, outputs, &mut random);
        cases += 1;
    }
    cases
}

fn packed(packing: Packing, taps: Taps, weights: &[i8]) -> Vec<i8> {
    let channels = weights.len() / taps.count();
    let mut packed = vec![0; packing.filters_len(taps, channels)];
    for (at, &weight) in weights.iter().enumerate() {
        let (out, tap) = (at / taps.count(), at % taps.count());
        packed[packing.filter_index(taps, out, tap / taps.run, tap % taps.run)] = weight;
    }
    packed
}

fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| i32::from(a) * i32::from(b))
        .sum()
}

fn pointwise(w: usize, in_c: usize, out_c: usize, random: &mut Random) {
    let input = codes(w * in_c, random);
    let weights = codes(in_c * out_c, random);
    let channels = Channels::random(out_c, in_c, random);
    let filters = || weights.chunks_exact(in_c).enumerate();
    let pixel = |pixel: &[i8]| -> Vec<i8> {
        filters()
            .map(|(out, filter)| channels.code(out, dot(pixel, filter)))
            .collect()
    };
    let expected: Vec<i8> = input.chunks_exact(in_c).flat_map(pixel).collect();
    for &packing in channels.packings() {
        let params = PointwiseParams {
            input: Shape::new(1, w, in_c),
            output: Shape::new(1, w, out_c),
            weights: &packed(packing, Taps::one(in_c), &weights),
            packing,
            requant: channels.requant(),
        };
        let kernel = Pointwise::new(params).expect("a valid pointwise convolution");
        let wanted = Pointwise::scratch_bytes(&params);
        for bytes in [wanted, wanted / 2, wanted / 4 * 3, 0] {
            let case = ("pointwise", packing, w, in_c, out_c, bytes);
            check(&case, &expected, bytes, |scratch, output| {
                kernel.run(&Rows::whole(&input, w * in_c), 0, scratch, output);
            });
        }
        // Weights and scratch memory at addresses that are multiples of nothing.
        let mut shifted = vec![0];
        shifted.extend_from_slice(params.weights);
        let params = PointwiseParams {
            weights: &shifted[1..],
            ..params
        };
        let kernel = Pointwise::new(params).expect("a valid pointwise convolution");
        let case = ("pointwise, odd addresses", packing, w, in_c, out_c);
        check(&case, &expected, wanted + 1, |scratch, output| {
            kernel.run(&Rows::whole(&input, w * in_c), 0, &mut scratch[1..], output);
        });
    }
}

fn dense(inputs: usize, outputs: usize, random: &mut Random) {
    let input = codes(inputs, random);
    let weights = codes(inputs * outputs, random);
    let channels = Channels::random(outputs, inputs, random);
    let rows = weights.chunks_exact(inputs).enumerate();
    let expected: Vec<i8> = rows
        .map(|(out, row)| channels.code(out, dot(&input, row)))
        .collect();
    for &packing in channels.packings() {
        let params = DenseParams {
            inputs,
            outputs,
            weights: &packed(packing, Taps::one(inputs), &weights),
            packing,
            requant: channels.requant(),
        };
        let kernel = Dense::new(params).expect("a valid dense layer");
        let case = ("dense", packing, inputs, outputs);
        check(
            &case,
            &expected,
            Dense::scratch_bytes(&params),
            |scratch, output| {
                kernel.run(&input, scratch, output);
            },
        );
    }
}

/// A window whose padding is smaller than its filter, and the extents of what it makes.
pub fn random_window(
    h: usize,
    w: usize,
    sides: &[usize],
    random: &mut Random,
) -> (Window, usize, usize) {
    loop {
        let (filter_h, filter_w) = (random.pick(sides), random.pick(sides));
        let dilation = if random.number(0, 5) == 0 { 2 } else { 1 };
        let window = Window {
            filter_h,
            filter_w,
            stride_h: random.size(1, 2),
            stride_w: random.size(1, 2),
            dilation_h: dilation,
            dilation_w: dilation,
            padding: Padding {
                top: random.size(0, filter_h - 1),
                bottom: random.size(0, filter_h - 1),
                left: random.size(0, filter_w - 1),
                right: random.size(0, filter_w - 1),
            },
        };
        let p = window.padding;
        let high = (h + p.top + p.bottom).checked_sub(window.span_h());
        let wide = (w + p.left + p.right).checked_sub(window.span_w());
        if let (Some(high), Some(wide)) = (high, wide) {
            return (
                window,
                high / window.stride_h + 1,
                wide / window.stride_w + 1,
            );
        }
    }
}

fn convolution(random: &mut Random) {
    let (h, w, in_c) = (random.size(1, 9), random.size(1, 11), random.size(1, 17));
    let in_c = random.pick(&[1, 3, in_c]);
    let (window, out_h, out_w) = random_window(h, w, &[1, 2, 3, 3, 5], random);
    let out_c = random.size(1, 9);
    let zero_point = random.code();
    let input = codes(h * w * in_c, random);
    let taps = window.taps(in_c);
    let weights = codes(taps.count() * out_c, random);
    let channels = Channels::random(out_c, taps.count(), random);
    let mut expected = vec![];
    for (y, x) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))) {
        for (out, filter) in weights.chunks_exact(taps.count()).enumerate() {
            let mut sum = 0;
            for (tap, weights) in filter.chunks_exact(in_c).enumerate() {
                let (fy, fx) = (tap / window.filter_w, tap % window.filter_w);
                let y =
                    (y * window.stride_h + fy * window.dilation_h).checked_sub(window.padding.top);
                let x =
                    (x * window.stride_w + fx * window.dilation_w).checked_sub(window.padding.left);
                sum += match (y, x) {
                    (Some(y), Some(x)) if y < h && x < w => {
                        dot(&input[(y * w + x) * in_c..][..in_c], weights)
                    }
                    _ => weights
                        .iter()
                        .map(|&weight| i32::from(weight) * i32::from(zero_point))
                        .sum(),
                };
            }
            expected.push(channels.code(out, sum));
        }
    }
    for &packing in channels.packings() {
        let params = Conv2dParams {
            input: Shape::new(h, w, in_c),
            output: Shape::new(out_h, out_w, out_c),
            window,
            input_zero_point: zero_point,
            weights: &packed(packing, taps, &weights),
            packing,
            requant: channels.requant(),
        };
        let kernel = Conv2d::new(params).expect("a valid convolution");
        let wanted = Conv2d::scratch_bytes(&params);
        for bytes in [wanted, wanted / 2, 0] {
            let case = ("conv2d", packing, (h, w, in_c, out_c), window, bytes);
            check(&case, &expected, bytes, |scratch, output| {
                kernel.run(&Rows::whole(&input, w * in_c), 0, scratch, output);
            });
        }
    }
}
