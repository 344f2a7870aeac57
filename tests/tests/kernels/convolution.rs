//! Standard, depthwise and pointwise convolution, and the dense layer.

use ocelli_kernels::{
    ChannelRequant, Conv2d, Conv2dParams, Dense, DenseParams, Depthwise, DepthwiseParams,
    Pointwise, PointwiseParams, Rows, Shape, Window,
};
use ocelli_tests::network::random_window;
use ocelli_tests::random::{Random, cases};
use ocelli_tests::reference::{self, Channels, Map};

use crate::by_rows::{check, every_padding, small_extents, window_rows};

fn shape(map: &Map) -> Shape {
    Shape::new(map.h, map.w, map.c)
}

fn requant<'a>(channels: &'a Channels, bias: &'a [i32]) -> ChannelRequant<'a> {
    ChannelRequant {
        bias,
        multiplier: &channels.multiplier,
        shift: &channels.shift,
        output_zero_point: channels.zero_point,
        clamp: channels.clamp,
    }
}

fn check_conv2d(input: &Map, window: Window, out_channels: usize, random: &mut Random) {
    let zero_point = random.code();
    let taps = window.filter_h * window.filter_w * input.c;
    let weights = random.codes(taps * out_channels);
    let channels = Channels::random(out_channels, taps, random);
    let expected = reference::conv2d(input, zero_point, &window, &weights, &channels);
    let bias = channels.folded(zero_point, |k| weights[k * taps..(k + 1) * taps].to_vec());
    let conv = Conv2d::new(Conv2dParams {
        input: shape(input),
        output: shape(&expected),
        window,
        input_zero_point: zero_point,
        weights: &weights,
        requant: requant(&channels, &bias),
    })
    .expect("a valid convolution");
    let case = (input.shape(), window, out_channels, zero_point);
    let needs = window_rows(window, input.h);
    let run = |rows: &Rows<'_>, first, output: &mut [i8]| conv.run(rows, first, output);
    check(input, &expected, needs, run, random, case);
}

fn check_depthwise(input: &Map, window: Window, depth_multiplier: usize, random: &mut Random) {
    let zero_point = random.code();
    let (taps, count) = (
        window.filter_h * window.filter_w,
        input.c * depth_multiplier,
    );
    let weights = random.codes(taps * count);
    let channels = Channels::random(count, taps, random);
    let expected = reference::depthwise(
        input,
        zero_point,
        &window,
        depth_multiplier,
        &weights,
        &channels,
    );
    let bias = channels.folded(zero_point, |k| {
        (0..taps).map(|tap| weights[tap * count + k]).collect()
    });
    let conv = Depthwise::new(DepthwiseParams {
        input: shape(input),
        output: shape(&expected),
        window,
        depth_multiplier,
        input_zero_point: zero_point,
        weights: &weights,
        requant: requant(&channels, &bias),
    })
    .expect("a valid depthwise convolution");
    let case = (input.shape(), window, depth_multiplier, zero_point);
    let needs = window_rows(window, input.h);
    let run = |rows: &Rows<'_>, first, output: &mut [i8]| conv.run(rows, first, output);
    check(input, &expected, needs, run, random, case);
}

#[test]
fn convolution_equals_the_reference_on_random_shapes() {
    cases(500, |random| {
        let input = Map::random([1, 1, 1].map(|_: usize| random.size(1..=17)), random);
        let window = random_window(input.h, input.w, 2, random);
        check_conv2d(&input, window, random.size(1..=17), random);
    });
}

#[test]
fn convolution_equals_the_reference_with_every_filter_and_padding() {
    let mut random = Random::new(1);
    every_padding(7, |window| {
        let (h, w) = small_extents(&window, &mut random);
        let window = Window {
            stride_h: random.size(1..=3),
            stride_w: random.size(1..=3),
            ..window
        };
        let c = random.size(1..=2);
        check_conv2d(&Map::random([h, w, c], &mut random), window, 1, &mut random);
    });
}

#[test]
fn depthwise_equals_the_reference_on_random_shapes() {
    cases(800, |random| {
        let depth_multiplier = random.pick(&[1, 1, 1, 2, 3, 8]);
        let c = match random.below(4) {
            0 => random.size(15..=50),
            _ => random.size(1..=17),
        };
        let input = Map::random([random.size(1..=17), random.size(1..=17), c], random);
        let window = random_window(input.h, input.w, 2, random);
        check_depthwise(&input, window, depth_multiplier, random);
    });
}

#[test]
fn depthwise_equals_the_reference_with_every_filter_and_padding() {
    let mut random = Random::new(2);
    every_padding(7, |window| {
        let (h, w) = small_extents(&window, &mut random);
        let window = Window {
            stride_h: random.size(1..=3),
            stride_w: random.size(1..=3),
            ..window
        };
        let c = random.pick(&[1, 2, 3, 16, 17]);
        check_depthwise(&Map::random([h, w, c], &mut random), window, 1, &mut random);
    });
}

#[test]
fn pointwise_equals_the_reference_and_convolution_by_one() {
    cases(600, |random| {
        let input = Map::random([1, 1, 1].map(|_: usize| random.size(1..=17)), random);
        let (zero_point, out_channels) = (random.code(), random.size(1..=17));
        let weights = random.codes(input.c * out_channels);
        let channels = Channels::random(out_channels, input.c, random);
        let expected = reference::conv2d(&input, zero_point, &Window::POINT, &weights, &channels);
        let bias = channels.folded(zero_point, |k| {
            weights[k * input.c..(k + 1) * input.c].to_vec()
        });
        let pointwise = Pointwise::new(PointwiseParams {
            input: shape(&input),
            output: shape(&expected),
            weights: &weights,
            requant: requant(&channels, &bias),
        })
        .expect("a valid pointwise convolution");
        let run = |rows: &Rows<'_>, first, output: &mut [i8]| pointwise.run(rows, first, output);
        let case = (input.shape(), out_channels, zero_point);
        check(&input, &expected, |rows| rows, run, random, case);
    });
}

#[test]
fn dense_equals_the_reference() {
    cases(600, |random| {
        let inputs = random.pick(&[1, 2, 3, 15, 16, 17, 63, 100, 1280]);
        let outputs = random.size(1..=17);
        let input = Map::random([1, 1, inputs], random);
        let zero_point = random.code();
        let weights = random.codes(inputs * outputs);
        let channels = Channels::random(outputs, inputs, random);
        let expected = reference::dense(&input, zero_point, &weights, &channels);
        let bias = channels.folded(zero_point, |k| {
            weights[k * inputs..(k + 1) * inputs].to_vec()
        });
        let dense = Dense::new(DenseParams {
            inputs,
            outputs,
            weights: &weights,
            requant: requant(&channels, &bias),
        })
        .expect("a valid dense layer");
        let mut output = vec![0x55; outputs + 2];
        dense.run(&input.codes, &mut output[1..=outputs]);
        assert_eq!(output[1..=outputs], expected.codes);
        assert_eq!([output[0], output[outputs + 1]], [0x55; 2]);
    });
}
