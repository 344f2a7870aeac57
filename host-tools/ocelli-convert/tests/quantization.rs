//! From float to int8: what must not change, and what must come out the same again.

mod support;

use ocelli_convert::arch::Arch;
use ocelli_convert::calibrate::{calibrate, channel_peaks};
use ocelli_convert::compare::Arena;
use ocelli_convert::equalize::equalize;
use ocelli_convert::graph::Graph;
use ocelli_convert::grid::{Grid, GridOptions};
use ocelli_convert::interpreter::Interpreter;
use ocelli_convert::network::PictureOptions;
use ocelli_convert::passes::canonicalize;
use ocelli_convert::plan::{PlanKind, plan};
use ocelli_convert::quantize::quantize;
use ocelli_convert::reconstruct::{ReconstructOptions, reconstruct};
use ocelli_convert::target::Target;
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

/// Output of the int8 network against the float one's on all inputs: squares of signal and of noise.
fn signal_and_noise(graph: &Graph, options: ReconstructOptions) -> (f32, f32) {
    let images: Vec<_> = inputs()
        .into_iter()
        .map(|input| move || input.clone())
        .collect();
    let interpreter = Interpreter::new(graph).expect("a sound graph");
    let calibration = calibrate(&interpreter, graph, &images, || ()).expect("inputs that fit");
    let grid = Grid::choose(graph, &calibration, (-2.0, 2.0), GridOptions::default());
    let mut fitted = graph.clone();
    reconstruct(&mut fitted, &grid, &images, options, || ()).expect("inputs that fit");
    let input_codes = grid.tensor(graph.input);
    let model = quantize(&fitted, &grid);
    let model = plan(model.expect("a canonical graph"), PlanKind::Small).expect("a sound plan");
    let buffer = model.encode().expect("a valid model");
    let image = buffer.parse().expect("a valid image");
    let (kernels, mut arena) = (ocelli::KernelTable::all(), Arena::new(&image));
    let mut session =
        ocelli::Session::new(&image, arena.bytes(), &kernels).expect("a plan that works");
    let output = grid.tensor(graph.output);
    let (mut signal, mut noise) = (0.0, 0.0);
    for input in inputs() {
        let wanted = interpreter
            .run(&input, |_, _| {})
            .expect("an input that fits");
        let codes: Vec<i8> = input.iter().map(|&value| input_codes.code(value)).collect();
        session
            .run_codes(&codes, &mut ())
            .expect("an input that fits");
        for (wanted, &code) in wanted.iter().zip(session.output()) {
            signal += wanted * wanted;
            noise += (wanted - output.value(code)).powi(2);
        }
    }
    (signal, noise)
}

#[test]
fn the_int8_network_follows_the_float_one() {
    // Among them: depthwise, residual sums, squeeze-and-excite, SiLU, layer norm, GELU.
    for name in [
        "mobilenet_v2:0.35",
        "resnet20",
        "efficientnet_b0",
        "convnext_atto",
        "cnn",
    ] {
        let arch = Arch::parse(name).expect("a known architecture");
        let graph = arch.random(8, SIDE, SIDE, 10).expect("a sound network");
        let graph = canonicalize(graph).expect("passes that keep it sound");
        let (signal, noise) = signal_and_noise(&graph, ReconstructOptions::default());
        assert!(
            signal > 30.0 * noise,
            "{name}: signal {signal}, noise {noise}"
        );
    }
}

fn options() -> ConvertOptions {
    ConvertOptions {
        arch: Some(Arch::parse("mobilenet_v2").expect("a known architecture")),
        input: Some((96, 96)),
        classes: None,
        pictures: PictureOptions::default(),
        calibration: Some(support::asset("foolbox")),
        labels: None,
        agreement: Some(support::asset("stamps/bird")),
        equalize: true,
        grid: GridOptions::default(),
        reconstruct: ReconstructOptions::default(),
        target: Target::M4,
        plan: PlanKind::Small,
        memories: vec![],
    }
}

#[test]
fn fitted_weights_make_less_noise_than_rounded_ones_on_photos_not_fitted_to() {
    let weights = support::asset("mobilenet_v2-b0353104.pth");
    let decibels = |reconstruct| {
        let options = ConvertOptions {
            reconstruct,
            ..options()
        };
        let conversion = convert(&weights, &options, &()).expect("a conversion");
        let agreement = conversion.quantized.expect("a float network");
        let agreement = agreement.agreement.expect("photos to compare on");
        agreement.ops.last().expect("an op").decibels()
    };
    let rounded = decibels(ReconstructOptions {
        weights: false,
        biases: false,
    });
    let fitted = decibels(ReconstructOptions::default());
    assert!(fitted > rounded + 3.0, "{fitted} dB, rounded {rounded} dB");
}

#[test]
fn the_same_file_and_options_give_the_same_image() {
    let weights = support::asset("mobilenet_v2-b0353104.pth");
    let first = convert(&weights, &options(), &()).expect("a conversion");
    let one_thread = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread");
    let second = one_thread
        .install(|| convert(&weights, &options(), &()))
        .expect("a conversion");
    assert!(
        first.image.bytes() == second.image.bytes(),
        "the images differ"
    );
}
