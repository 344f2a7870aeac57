//! From float to int8: what must not change, and what must come out the same again.

mod support;

use ocelli_convert::arch::Arch;
use ocelli_convert::calibrate::{calibrate, channel_peaks};
use ocelli_convert::compare::{Arena, first_largest};
use ocelli_convert::equalize::equalize;
use ocelli_convert::graph::Graph;
use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::passes::canonicalize;
use ocelli_convert::plan::{PlanKind, plan};
use ocelli_convert::quantize::{Quantization, QuantizeOptions, quantize};
use ocelli_convert::{ConvertOptions, convert};

const SIDE: usize = 32;

fn network() -> Graph {
    let arch = Arch::parse("mobilenet_v2:0.35").expect("a known architecture");
    let graph = arch.random(8, SIDE, SIDE, 10).expect("a sound network");
    canonicalize(graph).expect("passes that keep it sound")
}

/// Inputs between -2 and 2, each in another pattern.
fn inputs() -> Vec<Vec<f32>> {
    let value = |image: usize, at: usize| (at * (2 * image + 3) % 101) as f32 / 25.0 - 2.0;
    let elems = SIDE * SIDE * 3;
    (0..4)
        .map(|image| (0..elems).map(|at| value(image, at)).collect())
        .collect()
}

#[test]
fn equalized_channels_leave_the_network_what_it_was() {
    let before = network();
    let images: Vec<_> = inputs()
        .into_iter()
        .map(|input| move || input.clone())
        .collect();
    let interpreter = Interpreter::new(&before).expect("a sound graph");
    let peaks = channel_peaks(&interpreter, &before, &images, || ()).expect("inputs that fit");
    let mut after = before.clone();
    let groups = equalize(&mut after, |id| peaks[id.0].clone());
    // The first convolution, 16 expansions and 17 depthwise ones by themselves, and seven stages whose projections
    // residual sums tie together. The last feature map is pooled, which is no linear reader.
    assert_eq!(groups, 1 + 16 + 17 + 7);
    assert_ne!(before, after);
    after.verify().expect("a sound graph");
    for input in inputs() {
        let wanted = interpreter
            .run(&input, |_, _| {})
            .expect("an input that fits");
        let got = Interpreter::new(&after)
            .expect("a sound graph")
            .run(&input, |_, _| {});
        let got = got.expect("an input that fits");
        let largest = wanted
            .iter()
            .fold(0.0f32, |max, value| max.max(value.abs()));
        for (wanted, got) in wanted.iter().zip(&got) {
            assert!(
                (wanted - got).abs() <= 1e-4 * largest,
                "{wanted} became {got}"
            );
        }
    }
}

#[test]
fn the_int8_network_follows_the_float_one() {
    let graph = network();
    let images: Vec<_> = inputs()
        .into_iter()
        .map(|input| move || input.clone())
        .collect();
    let interpreter = Interpreter::new(&graph).expect("a sound graph");
    let calibration = calibrate(&interpreter, &graph, &images, || ()).expect("inputs that fit");
    let input_codes = Quantization::of_range(-2.0, 2.0);
    let model = quantize(
        &graph,
        &calibration,
        input_codes,
        QuantizeOptions::default(),
    );
    let model = plan(model.expect("a canonical graph"), PlanKind::Small).expect("a sound plan");
    let buffer = model.encode().expect("a valid model");
    let image = buffer.parse().expect("a valid image");
    let (kernels, mut arena) = (ocelli::KernelTable::all(), Arena::new(&image));
    let mut session =
        ocelli::Session::new(&image, arena.bytes(), &kernels).expect("a plan that works");
    let output = Quantization {
        scale: model.tensor_scale[model.ops.len()],
        zero_point: image.output().zero_point,
    };
    for input in inputs() {
        let wanted = interpreter
            .run(&input, |_, _| {})
            .expect("an input that fits");
        let codes: Vec<i8> = input.iter().map(|&value| input_codes.code(value)).collect();
        session
            .run_codes(&codes, &mut ())
            .expect("an input that fits");
        let got: Vec<f32> = session
            .output()
            .iter()
            .map(|&code| output.value(code))
            .collect();
        let energy =
            |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>();
        let signal = energy(&mut wanted.iter().copied());
        let noise = energy(&mut wanted.iter().zip(&got).map(|(a, b)| a - b));
        assert!(signal > 30.0 * noise, "signal {signal}, noise {noise}");
        assert_eq!(first_largest(&got), first_largest(&wanted));
    }
}

#[test]
fn the_same_file_and_options_give_the_same_image() {
    let options = ConvertOptions {
        arch: Arch::parse("mobilenet_v2").expect("a known architecture"),
        input: (64, 64),
        classes: None,
        calibration: support::asset("foolbox"),
        labels: None,
        agreement: None,
        equalize: true,
        quantize: QuantizeOptions::default(),
        plan: PlanKind::Small,
    };
    let weights = support::asset("mobilenet_v2-b0353104.pth");
    let first = convert(&weights, &options, &()).expect("a conversion");
    let one_thread = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread");
    let second = one_thread
        .install(|| convert(&weights, &options, &()))
        .expect("a conversion");
    assert!(
        first.image.bytes() == second.image.bytes(),
        "the images differ"
    );
}
