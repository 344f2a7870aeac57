//! Layer norm: equal to exact integers, and within a code of real numbers.

use ocelli_kernels::{ChannelRequant, Clamp, LayerNorm, LayerNormParams, Rows, Shape};
use ocelli_tests::network::random_layer_norm;
use ocelli_tests::random::{Random, cases};
use ocelli_tests::reference::{self, Channels, Map};

use crate::by_rows::check;

fn layer_norm<'a>(
    input: &Map,
    weights: &'a [i8],
    epsilon: u64,
    channels: &'a Channels,
) -> LayerNorm<'a> {
    let shape = Shape::new(input.h, input.w, input.c);
    LayerNorm::new(LayerNormParams {
        input: shape,
        output: shape,
        weights,
        epsilon,
        requant: ChannelRequant {
            bias: &channels.bias,
            multiplier: &channels.multiplier,
            shift: &channels.shift,
            output_zero_point: channels.zero_point,
            clamp: channels.clamp,
        },
    })
    .expect("a valid layer norm")
}

fn run(norm: &LayerNorm<'_>, input: &Map) -> Vec<i8> {
    let mut output = vec![0x55; input.codes.len()];
    norm.run(
        &Rows::whole(&input.codes, input.row_elems()),
        0,
        &mut output,
    );
    output
}

#[test]
fn layer_norm_equals_the_reference() {
    cases(800, |random| {
        let input = Map::random([1, 1, 1].map(|_: usize| random.size(1..=17)), random);
        let (weights, epsilon, channels) = random_layer_norm(input.c, random);
        let expected = reference::layer_norm(&input, &weights, epsilon, &channels);
        let norm = layer_norm(&input, &weights, epsilon, &channels);
        let run = |rows: &Rows<'_>, first, output: &mut [i8]| norm.run(rows, first, output);
        let case = (input.shape(), epsilon);
        check(&input, &expected, |rows| rows, run, random, case);
    });
}

#[test]
fn layer_norm_equals_the_reference_at_the_largest_sums() {
    for c in [1, 2, 1000, 4095, 4096] {
        let mut random = Random::new(c as u64);
        let (weights, epsilon, mut channels) = random_layer_norm(c, &mut random);
        channels.clamp = Clamp::NONE;
        // One code far from all others is normalized to the root of the others' number; and all codes alike.
        let spike = |low, high| Map::new([1, 1, c], |_, _, k| if k == c / 2 { high } else { low });
        let halves = Map::new([1, 1, c], |_, _, k| if k % 2 == 0 { -128 } else { 127 });
        for input in [
            spike(-128, 127),
            spike(127, -128),
            spike(-128, -128),
            halves,
        ] {
            for epsilon in [0, 1, epsilon, (1 << 62) - 1] {
                let expected = reference::layer_norm(&input, &weights, epsilon, &channels);
                let norm = layer_norm(&input, &weights, epsilon, &channels);
                assert_eq!(
                    run(&norm, &input),
                    expected.codes,
                    "{c} channels, {epsilon}"
                );
            }
        }
    }
}

/// A positive number as multiplier and shift.
fn factor(real: f64) -> (i32, i8) {
    let shift = real.log2().floor() as i32 + 1;
    let multiplier = (real * f64::from(31 - shift).exp2()).round();
    (multiplier.min(f64::from(i32::MAX)) as i32, shift as i8)
}

#[test]
fn layer_norm_is_within_one_code_of_real_numbers() {
    let (mut count, mut not_nearest) = (0, 0);
    cases(400, |random| {
        let real = |random: &mut Random, low: f64, high: f64| {
            low + (high - low) * (random.bits() >> 11) as f64 / 2f64.powi(53)
        };
        let c = random.pick(&[2, 8, 40, 96, 320, 768, 4096]);
        let (input_scale, zero_point) = (real(random, 0.001, 0.1), random.code());
        // From quiet pixels, of a few codes, to loud ones.
        let spread = random.pick(&[2, 10, 60, 128]);
        let codes = |_, _, _| random.number(-spread..=spread - 1);
        let input = Map::new([3, 1, c], codes);
        let gamma: Vec<f64> = (0..c).map(|_| real(random, -2.0, 2.0)).collect();
        let beta: Vec<f64> = (0..c).map(|_| real(random, -2.0, 2.0)).collect();
        let output_scale = real(random, 0.02, 0.08);
        // Small weights of a channel with a large bias are rounded more coarsely, so that the bias has 29 bits.
        let weight_scale: Vec<f64> = gamma
            .iter()
            .zip(&beta)
            .map(|(gamma, beta)| (gamma.abs() / 127.0).max(beta.abs() / f64::from(1 << 14)))
            .collect();
        let code = |(real, scale): (&f64, &f64)| (real / scale).round();
        let weights: Vec<i8> = gamma
            .iter()
            .zip(&weight_scale)
            .map(code)
            .map(|w| w as i8)
            .collect();
        let unit: Vec<f64> = weight_scale.iter().map(|scale| scale / 32_768.0).collect();
        let factors = unit.iter().map(|unit| factor(unit / output_scale));
        let (multiplier, shift) = factors.unzip();
        let channels = Channels {
            bias: beta.iter().zip(&unit).map(code).map(|b| b as i32).collect(),
            multiplier,
            shift,
            zero_point,
            clamp: Clamp::NONE,
        };
        // The epsilon of the network, as nearly as a whole number says it.
        let step = input_scale * input_scale / (c * c) as f64;
        let whole = (random.pick(&[1e-6, 1e-5, 1e-3]) / step).round();
        let epsilon = whole * step;
        let norm = layer_norm(&input, &weights, whole as u64, &channels);
        let output = run(&norm, &input);
        for (pixel, codes) in input.codes.chunks(c).zip(output.chunks(c)) {
            let pixel: Vec<f64> = pixel
                .iter()
                .map(|&code| f64::from(code) * input_scale)
                .collect();
            let mean = pixel.iter().sum::<f64>() / c as f64;
            let variance = pixel.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / c as f64;
            for (k, &code) in codes.iter().enumerate() {
                let y = (pixel[k] - mean) / (variance + epsilon).max(f64::MIN_POSITIVE).sqrt()
                    * gamma[k]
                    + beta[k];
                let nearest = (y / output_scale).round() + f64::from(zero_point);
                let apart = (f64::from(code) - nearest.clamp(-128.0, 127.0)).abs();
                assert!(apart <= 1.0, "{code} for {nearest}, channel {k} of {c}");
                count += 1;
                not_nearest += usize::from(apart > 0.0);
            }
        }
    });
    println!("{not_nearest} of {count} codes are not the nearest");
    assert!(not_nearest * 1000 < count, "{not_nearest} of {count}");
}
