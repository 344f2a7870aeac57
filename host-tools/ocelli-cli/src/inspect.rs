//! `ocelli inspect`: what is in a model image.

mod memory;

use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use ocelli::{Image, OpKind, Tensor, arena_bytes};
use ocelli_convert::plan::{self, PlanKind, RegionUse, plan};
use ocelli_convert::preprocess::Preprocess;
use ocelli_convert::target::weight_count;
use ocelli_image::Model as ImageModel;
use serde::Serialize;

use crate::console::Console;
use crate::inspect::memory::PlanPicture;
use crate::model::{Model, ModelFile};
use crate::table::Table;

/// Show what is in a model image
///
/// Prints input and output, every op, what the model costs a device (bytes of flash and of memory, multiplications), its
/// labels and how photos are prepared for it. An op's weight bytes include its biases and factors; `rows` are the rows of
/// its output that are held in memory.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocelli inspect mnv2.ocl\n  ocelli inspect mnv2.ocl --json | jq .arena_bytes\n  ocelli inspect mnv2.ocl --plan\n  ocelli inspect mnv2.ocl --kernels"
)]
pub struct Args {
    /// The model image
    #[arg(value_name = "M.ocl")]
    model: PathBuf,
    /// Print only the Rust expression of the kernel table that a firmware for this model links
    #[arg(long)]
    kernels: bool,
    /// Show what memory holds over time, segment by segment, and what fills it most
    #[arg(long, conflicts_with = "kernels")]
    plan: bool,
}

/// Runs the command.
pub fn run(args: &Args, console: &Console) -> Result<()> {
    let file = ModelFile::read(&args.model)?;
    let model = file.parse()?;
    if args.kernels {
        console.print(&Kernels {
            kernels: kernel_table(&model.image),
        })
    } else if args.plan {
        console.print(&PlanPicture::new(&model)?)
    } else {
        console.print(&Inspection::new(&model)?)
    }
}

#[derive(Serialize)]
struct Kernels {
    kernels: String,
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kernels)
    }
}

/// The Rust expression of the smallest kernel table that runs the image.
fn kernel_table(image: &Image<'_>) -> String {
    let used = |kind: &OpKind| (0..image.op_count()).any(|at| image.op_kind(at) == Some(*kind));
    let families = OpKind::ALL.into_iter().filter(used);
    families.fold("KernelTable::new()".to_string(), |table, kind| {
        format!("{table}.with(Family::{})", family(kind))
    })
}

/// The name of the constant of `ocelli::Family`.
fn family(kind: OpKind) -> &'static str {
    match kind {
        OpKind::Conv2d => "CONV_2D",
        OpKind::Depthwise => "DEPTHWISE",
        OpKind::Pointwise => "POINTWISE",
        OpKind::Dense => "DENSE",
        OpKind::Add => "ADD",
        OpKind::AveragePool => "AVERAGE_POOL",
        OpKind::MaxPool => "MAX_POOL",
        OpKind::GlobalAveragePool => "GLOBAL_AVERAGE_POOL",
        OpKind::Pad => "PAD",
        OpKind::Softmax => "SOFTMAX",
        OpKind::Multiply => "MULTIPLY",
        OpKind::Table => "TABLE",
        OpKind::LayerNorm => "LAYER_NORM",
        OpKind::Concat => "CONCAT",
    }
}

/// A tensor's extents as reports print them.
pub fn shape(tensor: &Tensor) -> String {
    format!("{}x{}x{}", tensor.h, tensor.w, tensor.c)
}

#[derive(Serialize)]
struct Inspection {
    model: PathBuf,
    crc: String,
    input: End,
    output: End,
    image_bytes: usize,
    weight_bytes: usize,
    arena_bytes: usize,
    /// The same without streaming.
    arena_bytes_layers: usize,
    /// The memories that the arena is made of, if there are several.
    regions: Vec<RegionUse>,
    segments: usize,
    /// How often the plan reads the weights.
    weight_reads: f64,
    macs: u64,
    /// The number of the op that `tune` replaces.
    head: Option<usize>,
    ops: Vec<OpFacts>,
    labels: Vec<String>,
    preprocess: Option<Preprocess>,
}

/// The network's input or output.
#[derive(Serialize)]
struct End {
    shape: [usize; 3],
    scale: Option<f32>,
    zero_point: i8,
}

#[derive(Serialize)]
struct OpFacts {
    op: usize,
    name: Option<String>,
    kind: &'static str,
    output: [usize; 3],
    macs: u64,
    weight_bytes: usize,
    rows_held: usize,
    segment: usize,
}

impl Inspection {
    fn new(model: &Model<'_>) -> Result<Self> {
        let image = &model.image;
        let decoded = ImageModel::decode(image);
        let layers = plan(decoded.clone(), PlanKind::Layers).map_err(|error| model.wrong(error))?;
        let names = op_names(image);
        let decoded = ImageModel::decode(image);
        let mut segments = image.segments().enumerate();
        let mut segment = segments.next();
        let mut ops = Vec::new();
        for op in 0..image.op_count() {
            while segment
                .as_ref()
                .is_some_and(|(_, segment)| op >= segment.ops.end)
            {
                segment = segments.next();
            }
            let output = image.tensor(op + 1);
            let record = image.op(op);
            let channels = record.as_ref().and_then(|record| record.body.channels());
            let stored = channels.map_or(0, |channels| channels.weights.len());
            let count = channels.map_or(0, |channels| channels.bias.len());
            ops.push(OpFacts {
                op,
                name: names.get(op).map(|name| name.to_string()),
                kind: image.op_kind(op).map_or("", OpKind::name),
                output: extents(&output),
                macs: macs(&decoded, op),
                // A bias and a factor of four bytes, a shift of one.
                weight_bytes: stored + count * (4 + 4 + 1),
                rows_held: output.rows_held,
                segment: segment.as_ref().map_or(0, |(at, _)| *at),
            });
        }
        Ok(Self {
            model: model.path.to_path_buf(),
            crc: format!("{:08x}", image.crc()),
            input: End::new(image, 0),
            output: End::new(image, image.op_count()),
            image_bytes: image.bytes().len(),
            weight_bytes: ops.iter().map(|op| op.weight_bytes).sum(),
            arena_bytes: arena_bytes(image),
            arena_bytes_layers: plan::arena_bytes(&layers),
            regions: plan::regions(&decoded),
            segments: image.segment_count(),
            weight_reads: plan::weight_reads(&decoded),
            macs: ops.iter().map(|op| op.macs).sum(),
            head: image.head(),
            ops,
            labels: image.labels().map(str::to_string).collect(),
            preprocess: match image.preprocess() {
                Some(_) => Some(model.preprocess()?),
                None => None,
            },
        })
    }
}

/// The source's names of the ops; none if the image carries no names.
pub fn op_names<'a>(image: &Image<'a>) -> Vec<&'a str> {
    image.names().skip(image.tensor_count()).collect()
}

/// Products of a code and a weight that an op adds up.
pub fn macs(model: &ImageModel, at: usize) -> u64 {
    let output = &model.tensors[at + 1];
    // Each weight is used once for each pixel of the output, whatever the kind.
    weight_count(model, at) as u64 * (output.h * output.w) as u64
}

/// Rows, columns and channels.
pub fn extents(tensor: &Tensor) -> [usize; 3] {
    [tensor.h, tensor.w, tensor.c]
}

impl End {
    fn new(image: &Image<'_>, at: usize) -> Self {
        let tensor = image.tensor(at);
        Self {
            shape: extents(&tensor),
            scale: image.tensor_scale(at),
            zero_point: tensor.zero_point,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [h, w, c] = self.shape;
        let scale = self.scale.map_or("unknown".to_string(), |s| s.to_string());
        let zero_point = self.zero_point;
        write!(
            f,
            "{h}x{w}x{c} int8, scale {scale}, zero point {zero_point}"
        )
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} (crc {})\n", self.model.display(), self.crc)?;
        let titles = [
            "op", "<name", "<kind", "output", "macs", "weights", "rows", "segment",
        ];
        let mut table = Table::new(titles);
        for op in &self.ops {
            let [h, w, c] = op.output;
            table.row([
                op.op.to_string(),
                op.name.clone().unwrap_or_default(),
                op.kind.to_string(),
                format!("{h}x{w}x{c}"),
                op.macs.to_string(),
                op.weight_bytes.to_string(),
                op.rows_held.to_string(),
                op.segment.to_string(),
            ]);
        }
        writeln!(f, "{table}")?;
        writeln!(f, "input         {}", self.input)?;
        writeln!(f, "output        {}", self.output)?;
        writeln!(f, "image_bytes   {}", self.image_bytes)?;
        writeln!(f, "weight_bytes  {}", self.weight_bytes)?;
        writeln!(
            f,
            "arena_bytes   {} ({} segments, weights read {:.2} times; {} layer by layer)",
            self.arena_bytes, self.segments, self.weight_reads, self.arena_bytes_layers
        )?;
        for region in &self.regions {
            writeln!(f, "memory        {}: {} bytes", region.name, region.bytes)?;
        }
        writeln!(f, "macs          {}", self.macs)?;
        let head = self
            .head
            .map_or("none".to_string(), |op| format!("op {op}"));
        writeln!(f, "classifier    {head}")?;
        match self.labels.as_slice() {
            [] => writeln!(f, "labels        none")?,
            [first, .., last] => writeln!(
                f,
                "labels        {}, from {first} to {last}",
                self.labels.len()
            )?,
            [only] => writeln!(f, "labels        {only}")?,
        }
        match &self.preprocess {
            None => writeln!(f, "preprocessing none"),
            Some(preprocess) => writeln!(
                f,
                "preprocessing shorter side to {}, {:?}, centre {}x{}, mean {:?}, std {:?}",
                preprocess.resize_shorter,
                preprocess.filter,
                preprocess.crop.0,
                preprocess.crop.1,
                preprocess.mean,
                preprocess.std
            ),
        }
    }
}
