//! `ocelli convert`: a pretrained network becomes a model image.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use ocelli_convert::arch::Arch;
use ocelli_convert::calibrate::RangeMethod;
use ocelli_convert::emit_onnx::emit;
use ocelli_convert::grid::GridOptions;
use ocelli_convert::network::{Normalize, PictureOptions};
use ocelli_convert::preprocess::Filter;
use ocelli_convert::reconstruct::ReconstructOptions;
use ocelli_convert::report::{Blame, Report, Ruin, page};
use ocelli_convert::target::Target;
use ocelli_convert::{Conversion, ConvertOptions, Progress, convert};
use serde::Serialize;

use crate::console::Console;
use crate::file;
use crate::plan::{PlanArgs, parse_target};
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
/// model costs a device. A network that int8 ruins is not written, and the op that is to blame is named; see --accept.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocelli convert mobilenet_v2-b0353104.pth -o mnv2.ocl --arch mobilenet_v2 --calib photos --labels imagenet_labels.txt\n  ocelli convert mobilenet_v2-b0353104.pth -o mnv2-96.ocl --arch mobilenet_v2 --input 96 --calib photos --json\n  ocelli convert resnet8.tflite -o resnet8.ocl --normalize 128/128 --resize 32\n  ocelli convert resnet20.pth -o r.ocl --arch resnet20 --calib photos --report r.html --emit-onnx r.onnx"
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
    /// The processor whose inner loops the weights are packed for: m0, m3, m4, m7, m33, m55 or host; every other one runs
    /// them as well, slower
    #[arg(long, value_name = "CORE", default_value = "m4", value_parser = parse_target)]
    target: Target,
    #[command(flatten)]
    plan: PlanArgs,
    /// A page with all numbers and pictures of them: noise and who is to blame for it, weights, values, memory
    #[arg(long, value_name = "R.html")]
    report: Option<PathBuf>,
    /// The quantized network as ONNX (QDQ, operator set 20), for viewers and other runtimes
    #[arg(long, value_name = "Q.onnx")]
    emit_onnx: Option<PathBuf>,
    /// Write the image even if int8 ruins the network: an output SQNR on calibration images below 8 dB, or agreement
    /// (with --agreement) below 0.5; good networks have 10 to 25 dB
    #[arg(long)]
    accept: bool,
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

pub fn parse_input(text: &str) -> Result<(usize, usize), String> {
    let (h, w) = text.split_once('x').unwrap_or((text, text));
    let side = |text: &str| text.parse().ok().filter(|side| (1..=4096).contains(side));
    let sides = side(h).zip(side(w));
    sides.ok_or_else(|| "give one side or HxW, each from 1 to 4096".to_string())
}

/// Runs the command.
pub fn run(args: &Args, console: &Console) -> Result<()> {
    let written = [&args.report, &args.emit_onnx].into_iter().flatten();
    for path in written.chain([&args.output]) {
        file::check(path)?;
    }
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
        target: args.target,
        plan: args.plan.kind(),
        memories: args.plan.memories()?,
    };
    let bars = Bars {
        console,
        bar: Mutex::new(ProgressBar::hidden()),
    };
    let conversion = convert(&args.source, &options, &bars)
        .with_context(|| args.source.display().to_string())?;
    let report = report(args, &conversion, console.json, &bars)?;
    bars.finish();
    let onnx = emitted(args, &conversion)?;
    if let Some(ruin) = &report.ruin {
        if !args.accept {
            bail!(
                "{}: {ruin}; nothing is written without --accept",
                report.source
            );
        }
        console.note(format!("warning: {ruin}"));
    }
    file::write(&args.output, conversion.image.bytes())?;
    if let Some(path) = &args.report {
        file::write(path, page(&report, &conversion).as_bytes())?;
    }
    if let Some((path, onnx)) = onnx {
        file::write(path, &onnx)?;
    }
    console.print(&Printed(report))
}

/// The numbers; the noise is traced to its ops where they are shown or have to be named.
fn report(
    args: &Args,
    conversion: &Conversion,
    is_json: bool,
    progress: &dyn Progress,
) -> Result<Report> {
    let traced = conversion.quantized.as_ref();
    let traced =
        traced.filter(|&quantized| args.report.is_some() || is_json || Ruin::is(quantized));
    let blame = match traced {
        Some(quantized) => {
            let image = conversion.image.parse()?;
            Some(Blame::measure(quantized, &image, progress)?)
        }
        None => None,
    };
    let files = [&args.source, &args.output].map(|path| path.display().to_string());
    Ok(Report::new(
        files,
        args.arch.clone(),
        conversion,
        blame.as_ref(),
    )?)
}

/// The ONNX file and where it goes, if one is wanted.
fn emitted<'a>(args: &'a Args, conversion: &Conversion) -> Result<Option<(&'a Path, Vec<u8>)>> {
    let Some(path) = &args.emit_onnx else {
        return Ok(None);
    };
    let Some(quantized) = &conversion.quantized else {
        bail!(
            "{}: is int8 already, so that there is nothing to show but itself: leave out --emit-onnx",
            args.source.display()
        );
    };
    Ok(Some((path, emit(&quantized.graph, &conversion.model)?)))
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

/// The library's report as the program prints it.
#[derive(Serialize)]
#[serde(transparent)]
struct Printed(Report);

impl fmt::Display for Printed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Printed(report) = self;
        let quantized = report.calibration_images.is_some();
        let titles = ["op", "<name", "<kind", "<output", "MACs", "SQNR dB"];
        let columns = if quantized { 6 } else { 5 };
        let mut table = Table::new(titles.into_iter().take(columns));
        for (at, op) in report.ops.iter().enumerate() {
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
        let [h, w, c] = report.input;
        let network = report.arch.as_deref().unwrap_or("int8 network");
        writeln!(
            f,
            "{}: {network} at {h}x{w}x{c}, {} classes",
            report.output, report.classes
        )?;
        match report.calibration_images {
            Some(images) => writeln!(f, "calibrated on {images} images")?,
            None => writeln!(f, "every code as in {}", report.source)?,
        }
        writeln!(f, "image_bytes   {:>11}", report.image_bytes)?;
        writeln!(f, "weight_bytes  {:>11}", report.weight_bytes)?;
        writeln!(
            f,
            "arena_bytes   {:>11}  ({} segments, weights read {:.2} times)",
            report.arena_bytes, report.segments, report.weight_reads
        )?;
        writeln!(f, "macs          {:>11}", report.macs)?;
        if let Some(agreement) = &report.agreement {
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
