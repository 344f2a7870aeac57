//! Depthwise convolutions.

use alloc::vec;

use ocelli::kernels::*;

use crate::matrix::random_window;
use crate::random::Random;
use crate::reference::Channels;
use crate::{check, codes};

/// Runs the cases; their number.
pub fn sweep() -> usize {
    let mut random = Random::new(0x9e37_79b9);
    let mut cases = 0;
    for _ in 0..250 {
        let sides = random.pick(&[&[3][..], &[3], &[5], &[7], &[1, 2, 3, 4]]);
        let (h, w) = (random.size(1, 9), random.size(1, 13));
        depthwise(h, w, random.size(1, 13), sides, &mut random);
        cases += 1;
    }
    for (side, c) in [(3, 128), (6, 24), (7, 40), (14, 12), (48, 8)] {
        depthwise(side, side, c, &[3], &mut random);
        cases += 1;
    }
    cases
}

fn depthwise(h: usize, w: usize, in_c: usize, sides: &[usize], random: &mut Random) {
    let depth_multiplier = random.pick(&[1, 1, 1, 1, 2, 3]);
    let (window, out_h, out_w) = random_window(h, w, sides, random);
    let out_c = in_c * depth_multiplier;
    let filter @ (filter_h, filter_w) = (window.filter_h, window.filter_w);
    let zero_point = random.code();
    let input = codes(h * w * in_c, random);
    let weights = codes(filter_h * filter_w * out_c, random);
    let channels = Channels::random(out_c, filter_h * filter_w, random);
    let mut expected = vec![];
    for (y, x) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))) {
        for out in 0..out_c {
            let mut sum = 0;
            for (tap, weights) in weights.chunks_exact(out_c).enumerate() {
                let (fy, fx) = (tap / filter_w, tap % filter_w);
                let y =
                    (y * window.stride_h + fy * window.dilation_h).checked_sub(window.padding.top);
                let x =
                    (x * window.stride_w + fx * window.dilation_w).checked_sub(window.padding.left);
                let code = match (y, x) {
                    (Some(y), Some(x)) if y < h && x < w => {
                        input[(y * w + x) * in_c + out / depth_multiplier]
                    }
                    _ => zero_point,
                };
                sum += i32::from(code) * i32::from(weights[out]);
            }
            expected.push(channels.code(out, sum));
        }
    }
    for &packing in channels.packings() {
        let mut packed = vec![0; packing.depthwise_len(filter_h, filter_w, out_c)];
        for (at, &weight) in weights.iter().enumerate() {
            let place @ (row, _) = (at / out_c / filter_w, at / out_c % filter_w);
            let index = packing.depthwise_index(filter, out_c, place, at % out_c);
            packed[index] = weight;
            if let Some(copy) = packing.depthwise_copy(filter_h, row, index) {
                packed[copy] = weight;
            }
        }
        let params = DepthwiseParams {
            input: Shape::new(h, w, in_c),
            output: Shape::new(out_h, out_w, out_c),
            window,
            depth_multiplier,
            input_zero_point: zero_point,
            weights: &packed,
            packing,
            requant: channels.requant(),
        };
        let kernel = Depthwise::new(params).expect("a valid depthwise convolution");
        let wanted = Depthwise::scratch_bytes(&params);
        for bytes in [wanted, wanted / 2, wanted / 3, 0] {
            let case = (
                "depthwise",
                packing,
                (h, w, in_c, depth_multiplier),
                window,
                bytes,
            );
            let rows = Rows::whole(&input, w * in_c);
            check(&case, &expected, bytes, |scratch, output| {
                kernel.run(&rows, 0, scratch, output)
            });
            // The same, row by row.
            check(&case, &expected, bytes, |scratch, output| {
                for (r, row) in output.chunks_exact_mut(out_w * out_c).enumerate() {
                    kernel.run(&rows, r, scratch, row);
                }
            });
            // Two rows at a time, from a ring that holds only what they read; other rows are wrong in it.
            check(&case, &expected, bytes, |scratch, output| {
                for (r, rows) in output.chunks_mut(2 * out_w * out_c).enumerate() {
                    let made = rows.len() / (out_w * out_c);
                    let read = window.input_rows(2 * r, made, h);
                    let (held, elems) = (read.len().max(1), w * in_c);
                    let mut ring = vec![99; held * elems];
                    for row in read.clone() {
                        let place = row % held * elems;
                        ring[place..place + elems].copy_from_slice(&input[row * elems..][..elems]);
                    }
                    let (tail, head) = ring.split_at(read.start % held * elems);
                    let ring = Rows::new(read.start, elems, [head, tail]);
                    kernel.run(&ring, 2 * r, scratch, rows);
                }
            });
        }
    }
}
