//! `ocelli convert`: a pretrained network becomes a model image.

use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use ocelli_convert::arch::Arch;
use ocelli_convert::calibrate::RangeMethod;
use ocelli_convert::compare::Comparison;
use ocelli_convert::plan::{PlanKind, weight_reads};
use ocelli_convert::quantize::QuantizeOptions;
use ocelli_convert::{Conversion, ConvertOptions, Progress, convert};
use serde::Serialize;

use crate::console::Console;
use crate::file;
use crate::table::Table;

/// Turn a pretrained network into a model image
///
/// Reads weights (a PyTorch state dict: .pth, legacy pickle or zip, or .safetensors, with torchvision's or timm's names),
/// folds batch norm, equalizes channels, quantizes to int8 with a scale per weight channel from the values that the
/// calibration images cause, plans memory, proves the plan on shadow memory, and writes the image. Prints what
/// quantization did to each op (signal-to-noise ratio of its output, everything before it in int8 as well) and what the
/// model costs a device.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocelli convert mobilenet_v2-b0353104.pth -o mnv2.ocl --arch mobilenet_v2 --calib photos --labels imagenet_labels.txt\n  ocelli convert mobilenet_v2-b0353104.pth -o mnv2-96.ocl --arch mobilenet_v2 --input 96 --calib photos --json"
)]
pub struct Args {
    /// The file of weights
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// The model image to write
    #[arg(short, long, value_name = "M.ocl")]
    output: PathBuf,
    /// The architecture of the weights, with its width multiplier if it is not 1: mobilenet_v2:0.35
    #[arg(long, value_name = "NAME[:WIDTH]")]
    arch: String,
    /// Height and width of the network's input
    #[arg(long, value_name = "H[xW]", default_value = "224", value_parser = parse_input)]
    input: (usize, usize),
    /// A folder of images like those that the network will see (some dozens, in folders or not)
    #[arg(long, value_name = "DIR")]
    calib: PathBuf,
    /// Number of classes; where it is not that of the weights, the classifier is new and has yet to be tuned
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// A file with the names of the classes, a line each
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// A folder of other images, on which the decisions of int8 and float network are compared
    #[arg(long, value_name = "DIR")]
    agreement: Option<PathBuf>,
    /// How the ranges of activations are chosen
    #[arg(long, value_enum, default_value_t = Range::Mse)]
    range: Range,
    /// Leave the channels as they are
    #[arg(long)]
    no_equalize: bool,
    /// Leave the biases as they are
    #[arg(long)]
    no_bias_correction: bool,
    /// What memory is planned for
    #[arg(long, value_enum, default_value_t = Plan::Small)]
    plan: Plan,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Range {
    /// Least mean squared error of rounding and clipping
    Mse,
    /// From the smallest to the largest value
    Minmax,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Plan {
    /// The smallest arena: ops stream row by row
    Small,
    /// Every tensor whole, one op after another
    Layers,
}

fn parse_input(text: &str) -> Result<(usize, usize), String> {
    let (h, w) = text.split_once('x').unwrap_or((text, text));
    let side = |text: &str| text.parse().ok().filter(|side| (1..=4096).contains(side));
    let sides = side(h).zip(side(w));
    sides.ok_or_else(|| "give one side or HxW, each from 1 to 4096".to_string())
}

/// Runs the command.
pub fn run(args: &Args, console: &Console) -> Result<()> {
    file::check(&args.output)?;
    let options = ConvertOptions {
        arch: Arch::parse(&args.arch)?,
        input: args.input,
        classes: args.classes,
        calibration: args.calib.clone(),
        labels: args.labels.clone(),
        agreement: args.agreement.clone(),
        equalize: !args.no_equalize,
        quantize: QuantizeOptions {
            range: match args.range {
                Range::Mse => RangeMethod::MeanSquaredError,
                Range::Minmax => RangeMethod::MinMax,
            },
            bias_correction: !args.no_bias_correction,
        },
        plan: match args.plan {
            Plan::Small => PlanKind::Small,
            Plan::Layers => PlanKind::Layers,
        },
    };
    let bars = Bars {
        console,
        bar: Mutex::new(ProgressBar::hidden()),
    };
    let conversion = convert(&args.source, &options, &bars)
        .with_context(|| args.source.display().to_string())?;
    bars.finish();
    let report = Report::new(args, &conversion)?;
    file::write(&args.output, conversion.image.bytes())?;
    console.print(&report)
}

/// A bar for the stage that runs.
struct Bars<'a> {
    console: &'a Console,
    bar: Mutex<ProgressBar>,
}

impl Bars<'_> {
    fn finish(&self) {
        if let Ok(bar) = self.bar.lock() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bars<'_> {
    fn stage(&self, name: &str, steps: usize) {
        if let Ok(mut bar) = self.bar.lock() {
            bar.finish_and_clear();
            *bar = self.console.bar(steps, name);
        }
    }

    fn step(&self) {
        if let Ok(bar) = self.bar.lock() {
            bar.inc(1);
        }
    }
}

#[derive(Serialize)]
struct Report {
    source: PathBuf,
    output: PathBuf,
    arch: String,
    input: [usize; 3],
    classes: usize,
    calibration_images: usize,
    ops: Vec<OpReport>,
    image_bytes: usize,
    weight_bytes: usize,
    arena_bytes: usize,
    macs: u64,
    segments: usize,
    weight_reads: f64,
    agreement: Option<Agreement>,
}

#[derive(Serialize)]
struct OpReport {
    name: String,
    kind: &'static str,
    output: [usize; 3],
    macs: u64,
    sqnr_db: f64,
}

#[derive(Serialize)]
struct Agreement {
    images: usize,
    agreeing: usize,
    agreement: f64,
    output_sqnr_db: f64,
    logit_error: f64,
}

impl Report {
    fn new(args: &Args, conversion: &Conversion) -> Result<Self> {
        let Conversion {
            graph,
            model,
            image,
            noise,
            ..
        } = conversion;
        let parsed = image.parse()?;
        let shape = graph.input_shape();
        let ops = graph
            .nodes
            .iter()
            .zip(&model.ops)
            .zip(&noise.ops)
            .map(|((node, op), noise)| {
                let output = graph.shape(node.output);
                OpReport {
                    name: node.name.clone(),
                    kind: op.body.kind().name(),
                    output: [output.h, output.w, output.c],
                    macs: graph.node_macs(node),
                    sqnr_db: noise.decibels(),
                }
            });
        if noise.ops.len() != graph.nodes.len() {
            bail!("no image to measure noise on");
        }
        let channels = model.ops.iter().filter_map(|op| op.body.channels());
        Ok(Report {
            source: args.source.clone(),
            output: args.output.clone(),
            arch: args.arch.clone(),
            input: [shape.h, shape.w, shape.c],
            classes: graph.output_shape().elems(),
            calibration_images: conversion.calibration_pictures,
            ops: ops.collect(),
            image_bytes: image.bytes().len(),
            weight_bytes: channels.map(|channels| channels.weights.len()).sum(),
            arena_bytes: ocelli::arena_bytes(&parsed),
            macs: graph.macs(),
            segments: model.segments.len(),
            weight_reads: weight_reads(model),
            agreement: conversion.agreement.as_ref().map(Agreement::new),
        })
    }
}

impl Agreement {
    fn new(comparison: &Comparison) -> Self {
        Agreement {
            images: comparison.images,
            agreeing: comparison.agreeing,
            agreement: comparison.agreement(),
            output_sqnr_db: comparison
                .ops
                .last()
                .map_or(0.0, |output| output.decibels()),
            logit_error: comparison.logit_error,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["op", "<name", "<kind", "<output", "MACs", "SQNR dB"]);
        for (at, op) in self.ops.iter().enumerate() {
            let [h, w, c] = op.output;
            table.row([
                at.to_string(),
                op.name.clone(),
                op.kind.to_string(),
                format!("{h}x{w}x{c}"),
                op.macs.to_string(),
                format!("{:.1}", op.sqnr_db),
            ]);
        }
        writeln!(f, "{table}")?;
        let [h, w, c] = self.input;
        writeln!(
            f,
            "{}: {} at {h}x{w}x{c}, {} classes",
            self.output.display(),
            self.arch,
            self.classes
        )?;
        writeln!(f, "calibrated on {} images", self.calibration_images)?;
        writeln!(f, "image_bytes   {:>11}", self.image_bytes)?;
        writeln!(f, "weight_bytes  {:>11}", self.weight_bytes)?;
        writeln!(
            f,
            "arena_bytes   {:>11}  ({} segments, weights read {:.2} times)",
            self.arena_bytes, self.segments, self.weight_reads
        )?;
        writeln!(f, "macs          {:>11}", self.macs)?;
        if let Some(agreement) = &self.agreement {
            writeln!(
                f,
                "int8 and float put the same class first on {} of {} other images ({:.3}); output SQNR {:.1} dB, \
                 mean over images of the largest logit error {:.3} of the largest logit",
                agreement.agreeing,
                agreement.images,
                agreement.agreement,
                agreement.output_sqnr_db,
                agreement.logit_error
            )?;
        }
        Ok(())
    }
}
