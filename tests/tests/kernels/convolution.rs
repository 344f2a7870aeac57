//! Standard, depthwise and pointwise convolution, and the dense layer.

use ocelli_kernels::{
    ChannelRequant, Conv2d, Conv2dParams, Dense, DenseParams, Depthwise, DepthwiseParams,
    PAIRED_SHIFTS, Packing, Pointwise, PointwiseParams, Rows, Shape, Taps, Window,
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

/// Channels with any shifts, or with such as every order allows.
fn random_channels(count: usize, terms: usize, random: &mut Random) -> Channels {
    let mut channels = Channels::random(count, terms, random);
    if !random.once_in(3) {
        for shift in &mut channels.shift {
            *shift = (*shift).clamp(*PAIRED_SHIFTS.start(), *PAIRED_SHIFTS.end());
        }
    }
    channels
}

/// The orders that the channels' shifts allow.
fn orders(channels: &Channels) -> Vec<Packing> {
    let mut shifts = channels.shift.iter();
    match shifts.all(|shift| PAIRED_SHIFTS.contains(shift)) {
        true => vec![Packing::Canonical, Packing::Paired],
        false => vec![Packing::Canonical],
    }
}

fn packed_filters(packing: Packing, taps: Taps, weights: &[i8]) -> Vec<i8> {
    let channels = weights.len() / taps.count();
    let mut packed = vec![0; packing.filters_len(taps, channels)];
    for (at, &weight) in weights.iter().enumerate() {
        let (out, tap) = (at / taps.count(), at % taps.count());
        packed[packing.filter_index(taps, out, tap / taps.run, tap % taps.run)] = weight;
    }
    packed
}

fn packed_depthwise(packing: Packing, window: &Window, weights: &[i8]) -> Vec<i8> {
    let filter @ (h, w) = (window.filter_h, window.filter_w);
    let channels = weights.len() / (h * w);
    let mut packed = vec![0; packing.depthwise_len(h, w, channels)];
    for (at, &weight) in weights.iter().enumerate() {
        let place @ (row, _) = (at / channels / w, at / channels % w);
        let index = packing.depthwise_index(filter, channels, place, at % channels);
        packed[index] = weight;
        if let Some(copy) = packing.depthwise_copy(h, row, index) {
            packed[copy] = weight;
        }
    }
    packed
}

/// None, too little, or all that a kernel wants; what lies in it does not matter.
fn some_scratch(wanted: usize, random: &mut Random) -> Vec<i8> {
    let bytes = random.pick(&[0, wanted / 4, wanted / 2, wanted]);
    random.codes(bytes)
}

fn check_conv2d(input: &Map, window: Window, out_channels: usize, random: &mut Random) {
    let zero_point = random.code();
    let taps = window.filter_h * window.filter_w * input.c;
    let weights = random.codes(taps * out_channels);
    let channels = random_channels(out_channels, taps, random);
    let expected = reference::conv2d(input, zero_point, &window, &weights, &channels);
    let bias = channels.folded(zero_point, |k| weights[k * taps..(k + 1) * taps].to_vec());
    for packing in orders(&channels) {
        let params = Conv2dParams {
            input: shape(input),
            output: shape(&expected),
            window,
            input_zero_point: zero_point,
            weights: &packed_filters(packing, window.taps(input.c), &weights),
            packing,
            requant: requant(&channels, &bias),
        };
        let conv = Conv2d::new(params).expect("a valid convolution");
        let mut scratch = some_scratch(Conv2d::scratch_bytes(&params), random);
        let case = (
            input.shape(),
            window,
            out_channels,
            zero_point,
            packing,
            scratch.len(),
        );
        let needs = window_rows(window, input.h);
        let run =
            |rows: &Rows<'_>, first, output: &mut [i8]| conv.run(rows, first, &mut scratch, output);
        check(input, &expected, needs, run, random, case);
    }
}

fn check_depthwise(input: &Map, window: Window, depth_multiplier: usize, random: &mut Random) {
    let zero_point = random.code();
    let (taps, count) = (
        window.filter_h * window.filter_w,
        input.c * depth_multiplier,
    );
    let weights = random.codes(taps * count);
    let channels = random_channels(count, taps, random);
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
    for packing in orders(&channels) {
        let params = DepthwiseParams {
            input: shape(input),
            output: shape(&expected),
            window,
            depth_multiplier,
            input_zero_point: zero_point,
            weights: &packed_depthwise(packing, &window, &weights),
            packing,
            requant: requant(&channels, &bias),
        };
        let conv = Depthwise::new(params).expect("a valid depthwise convolution");
        let mut scratch = some_scratch(Depthwise::scratch_bytes(&params), random);
        let case = (
            input.shape(),
            window,
            depth_multiplier,
            zero_point,
            packing,
            scratch.len(),
        );
        let needs = window_rows(window, input.h);
        let run =
            |rows: &Rows<'_>, first, output: &mut [i8]| conv.run(rows, first, &mut scratch, output);
        check(input, &expected, needs, run, random, case);
    }
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
        let channels = random_channels(out_channels, input.c, random);
        let expected = reference::conv2d(&input, zero_point, &Window::POINT, &weights, &channels);
        let bias = channels.folded(zero_point, |k| {
            weights[k * input.c..(k + 1) * input.c].to_vec()
        });
        for packing in orders(&channels) {
            let params = PointwiseParams {
                input: shape(&input),
                output: shape(&expected),
                weights: &packed_filters(packing, Taps::one(input.c), &weights),
                packing,
                requant: requant(&channels, &bias),
            };
            let pointwise = Pointwise::new(params).expect("a valid pointwise convolution");
            let mut scratch = some_scratch(Pointwise::scratch_bytes(&params), random);
            let case = (
                input.shape(),
                out_channels,
                zero_point,
                packing,
                scratch.len(),
            );
            let run = |rows: &Rows<'_>, first, output: &mut [i8]| {
                pointwise.run(rows, first, &mut scratch, output);
            };
            check(&input, &expected, |rows| rows, run, random, case);
        }
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
        let channels = random_channels(outputs, inputs, random);
        let expected = reference::dense(&input, zero_point, &weights, &channels);
        let bias = channels.folded(zero_point, |k| {
            weights[k * inputs..(k + 1) * inputs].to_vec()
        });
        for packing in orders(&channels) {
            let params = DenseParams {
                inputs,
                outputs,
                weights: &packed_filters(packing, Taps::one(inputs), &weights),
                packing,
                requant: requant(&channels, &bias),
            };
            let dense = Dense::new(params).expect("a valid dense layer");
            let mut scratch = some_scratch(Dense::scratch_bytes(&params), random);
            let mut output = vec![0x55; outputs + 2];
            dense.run(&input.codes, &mut scratch, &mut output[1..=outputs]);
            assert_eq!(output[1..=outputs], expected.codes, "{packing:?}");
            assert_eq!([output[0], output[outputs + 1]], [0x55; 2]);
        }
    });
}

#[test]
fn pairs_of_channels_share_words_of_two_codes_each() {
    // Three channels of a run of five codes; weight 10 o + k. Codes 0, 2 | 1, 3 | 4, and nothing beside it.
    let weights: Vec<i8> = (0..15).map(|at| at / 5 * 10 + at % 5).collect();
    let packed = packed_filters(Packing::Paired, Taps::one(5), &weights);
    let first = [0, 10, 2, 12, 1, 11, 3, 13, 4, 14, 0, 0];
    let second = [20, 0, 22, 0, 21, 0, 23, 0, 24, 0, 0, 0];
    assert_eq!(packed, [first, second].concat());
    // Three codes that are left over are two words: 0, 2 | 1 and nothing.
    let packed = packed_filters(
        Packing::Paired,
        Taps { runs: 2, run: 3 },
        &[1, 2, 3, 4, 5, 6],
    );
    assert_eq!(packed, [1, 0, 3, 0, 2, 0, 0, 0, 4, 0, 6, 0, 5, 0, 0, 0]);
}

#[test]
fn columns_of_depthwise_filters_are_words_of_overlapping_pairs() {
    // A column of three rows is one word; of five, two; of one, one.
    for (rows, expected) in [
        (3, &[1, 2, 2, 3][..]),
        (5, &[1, 2, 2, 3, 3, 4, 4, 5]),
        (4, &[1, 2, 2, 3, 3, 4, 4, 0]),
        (2, &[1, 2, 2, 0]),
        (1, &[1, 0, 0, 0]),
    ] {
        let weights: Vec<i8> = (1..=rows).collect();
        let window = Window {
            filter_h: weights.len(),
            ..Window::POINT
        };
        assert_eq!(
            packed_depthwise(Packing::Paired, &window, &weights),
            expected
        );
    }
}
