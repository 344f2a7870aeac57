//! `ocelli convert`: a pretrained network becomes a model image.

use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use ocelli::Tensor;
use ocelli_convert::arch::Arch;
use ocelli_convert::calibrate::RangeMethod;
use ocelli_convert::compare::Comparison;
use ocelli_convert::grid::GridOptions;
use ocelli_convert::network::{Normalize, PictureOptions};
use ocelli_convert::plan::{PlanKind, weight_reads};
use ocelli_convert::preprocess::Filter;
use ocelli_convert::reconstruct::ReconstructOptions;
use ocelli_convert::{Conversion, ConvertOptions, Progress, convert};
use serde::Serialize;

use crate::console::Console;
use crate::file;
use crate::table::Table;

/// Turn a pretrained network into a model image
///
/// A TensorFlow Lite file (.tflite) that is int8 is taken over as it is: the image gives the codes of TensorFlow Lite
/// Micro, every one; --normalize says what its input codes mean, so that it can be run on photos.
///
/// Otherwise reads weights (a PyTorch state dict: .pth, legacy pickle or zip, or .safetensors, with torchvision's or timm's names),
/// folds batch norm, equalizes channels, quantizes to int8 with a scale per weight channel from the values that the
/// calibration images cause, plans memory, proves the plan on shadow memory, and writes the image. Prints what
/// quantization did to each op (signal-to-noise ratio of its output, everything before it in int8 as well) and what the
/// model costs a device.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocelli convert mobilenet_v2-b0353104.pth -o mnv2.ocl --arch mobilenet_v2 --calib photos --labels imagenet_labels.txt\n  ocelli convert mobilenet_v2-b0353104.pth -o mnv2-96.ocl --arch mobilenet_v2 --input 96 --calib photos --json\n  ocelli convert resnet8.tflite -o resnet8.ocl --normalize 128/128 --resize 32"
)]
pub struct Args {
    /// The file of weights, or the int8 .tflite file
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// The model image to write
    #[arg(short, long, value_name = "M.ocl")]
    output: PathBuf,
    /// The architecture of the weights, with its options if they are not the usual ones: resnet20,
    /// mobilenet_v2:0.35, efficientnet_b0:width=0.5,resolution=96. See `ocelli arch list`
    #[arg(long, value_name = "NAME[:OPTION=VALUE,…]")]
    arch: Option<String>,
    /// Height and width of the network's input [default: the architecture's]
    #[arg(long, value_name = "H[xW]", value_parser = parse_input)]
    input: Option<(usize, usize)>,
    /// A folder of images like those that the network will see (some dozens, in folders or not)
    #[arg(long, value_name = "DIR")]
    calib: Option<PathBuf>,
    /// Number of classes; where it is not that of the weights, the classifier is new and has yet to be tuned
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// A file with the names of the classes, a line each
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// A folder of other images, on which the decisions of int8 and float network are compared
    #[arg(long, value_name = "DIR")]
    agreement: Option<PathBuf>,
    /// How pixel values become numbers: imagenet, unit (0 to 1), signed (-1 to 1), raw (0 to 255), or MEAN/STD in pixel
    /// values, each one number or three, as in 128/128 [default: the architecture's; imagenet for other files]
    #[arg(long, value_name = "HOW")]
    normalize: Option<Normalize>,
    /// Pixels of a photo's shorter side before the middle is cut out [default: 8/7 of the input, or all of it for CIFAR's
    /// architectures]
    #[arg(long, value_name = "N")]
    resize: Option<u32>,
    /// How pixels are weighed when a photo is resized [default: the architecture's; bilinear for other files]
    #[arg(long, value_enum)]
    filter: Option<ResizeFilter>,
    /// How the ranges of activations are chosen
    #[arg(long, value_enum, default_value_t = Range::Mse)]
    range: Range,
    /// Leave the channels as they are
    #[arg(long)]
    no_equalize: bool,
    /// Round each weight to its nearest code, not for the least error of its layer's output
    #[arg(long)]
    round_to_nearest: bool,
    /// Leave the biases as they are
    #[arg(long)]
    no_bias_correction: bool,
    /// One step for all weights of a layer, for comparison
    #[arg(long)]
    per_tensor: bool,
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
    /// Without the outermost 0.01 % of values
    Percentile,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum ResizeFilter {
    Bilinear,
    Bicubic,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Plan {
    /// The smallest arena: ops stream row by row
    Small,
    /// Every tensor whole, one op after another
    Layers,
}

pub fn parse_input(text: &str) -> Result<(usize, usize), String> {
    let (h, w) = text.split_once('x').unwrap_or((text, text));
    let side = |text: &str| text.parse().ok().filter(|side| (1..=4096).contains(side));
    let sides = side(h).zip(side(w));
    sides.ok_or_else(|| "give one side or HxW, each from 1 to 4096".to_string())
}

/// Runs the command.
pub fn run(args: &Args, console: &Console) -> Result<()> {
    file::check(&args.output)?;
    let plan = match args.plan {
        Plan::Small => PlanKind::Small,
        Plan::Layers => PlanKind::Layers,
    };
    let options = ConvertOptions {
        arch: args.arch.as_deref().map(Arch::parse).transpose()?,
        input: args.input,
        classes: args.classes,
        pictures: PictureOptions {
            normalize: args.normalize,
            resize: args.resize,
            filter: args.filter.map(|filter| match filter {
                ResizeFilter::Bilinear => Filter::Bilinear,
                ResizeFilter::Bicubic => Filter::Bicubic,
            }),
        },
        calibration: args.calib.clone(),
        labels: args.labels.clone(),
        agreement: args.agreement.clone(),
        equalize: !args.no_equalize,
        grid: GridOptions {
            range: match args.range {
                Range::Mse => RangeMethod::MeanSquaredError,
                Range::Minmax => RangeMethod::MinMax,
                Range::Percentile => RangeMethod::Percentile(0.9999),
            },
            per_channel: !args.per_tensor,
        },
        reconstruct: ReconstructOptions {
            weights: !args.round_to_nearest,
            biases: !args.no_bias_correction,
        },
        plan,
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
    /// Of weights only.
    arch: Option<String>,
    input: [usize; 3],
    /// Codes of the output.
    classes: usize,
    /// Of a network that was quantized here only, as the noise of its ops.
    calibration_images: Option<usize>,
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
    sqnr_db: Option<f64>,
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
            model,
            image,
            quantized,
        } = conversion;
        let noise = |op: usize| {
            let quantized = quantized.as_ref()?;
            Some(quantized.noise.ops.get(op)?.decibels())
        };
        let parsed = image.parse()?;
        let extents = |tensor: &Tensor| [tensor.h, tensor.w, tensor.c];
        let names = model.names.iter().skip(model.tensors.len());
        let outputs = model.tensors.iter().skip(1);
        let ops = model.ops.iter().zip(outputs).zip(names);
        let ops: Vec<OpReport> = ops
            .enumerate()
            .map(|(at, ((op, output), name))| {
                let channels = op.body.channels();
                let weights = channels.map_or(0, |channels| channels.weights.len());
                OpReport {
                    name: name.clone(),
                    kind: op.body.kind().name(),
                    output: extents(output),
                    // Each weight is used once for each pixel of the output, whatever the kind.
                    macs: weights as u64 * (output.h * output.w) as u64,
                    sqnr_db: noise(at),
                }
            })
            .collect();
        let channels = model.ops.iter().filter_map(|op| op.body.channels());
        Ok(Report {
            source: args.source.clone(),
            output: args.output.clone(),
            arch: args.arch.clone(),
            input: extents(&parsed.input()),
            classes: parsed.output().elems(),
            calibration_images: quantized
                .as_ref()
                .map(|quantized| quantized.calibration.images),
            image_bytes: image.bytes().len(),
            weight_bytes: channels.map(|channels| channels.weights.len()).sum(),
            arena_bytes: ocelli::arena_bytes(&parsed),
            macs: ops.iter().map(|op| op.macs).sum(),
            ops,
            segments: model.segments.len(),
            weight_reads: weight_reads(model),
            agreement: quantized
                .as_ref()
                .and_then(|quantized| quantized.agreement.as_ref())
                .map(Agreement::new),
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
        let quantized = self.calibration_images.is_some();
        let titles = ["op", "<name", "<kind", "<output", "MACs", "SQNR dB"];
        let columns = if quantized { 6 } else { 5 };
        let mut table = Table::new(titles.into_iter().take(columns));
        for (at, op) in self.ops.iter().enumerate() {
            let [h, w, c] = op.output;
            let cells = [
                at.to_string(),
                op.name.clone(),
                op.kind.to_string(),
                format!("{h}x{w}x{c}"),
                op.macs.to_string(),
                op.sqnr_db
                    .map_or(String::new(), |sqnr| format!("{sqnr:.1}")),
            ];
            table.row(cells.into_iter().take(columns));
        }
        writeln!(f, "{table}")?;
        let [h, w, c] = self.input;
        let network = self.arch.as_deref().unwrap_or("int8 network");
        writeln!(
            f,
            "{}: {network} at {h}x{w}x{c}, {} classes",
            self.output.display(),
            self.classes
        )?;
        match self.calibration_images {
            Some(images) => writeln!(f, "calibrated on {images} images")?,
            None => writeln!(f, "every code as in {}", self.source.display())?,
        }
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
