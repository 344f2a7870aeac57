//! `ocelli bench`: what an inference costs, op by op: instructions on a device, milliseconds on the host.

mod counted;
mod timed;

use std::fmt;
use std::path::PathBuf;

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use ocelli::{Image, OpKind, arena_bytes};
use ocelli_image::{Model as ImageModel, WeightPacking};
use serde::Serialize;

use crate::console::Console;
use crate::device::{Device, Emulation};
use crate::inspect::{extents, macs, op_names};
use crate::model::{Model, ModelFile};
use crate::table::Table;
use counted::Insns;
use timed::Millis;

/// Count what an inference costs
///
/// On an emulated device: exact instructions, of the whole inference and of each op's kernel; the rest is the executor's. The
/// whole is counted without any op being looked at. On the host: milliseconds, of one thread.
///
/// An op's weights count once for each of its steps, which the image's memory plan says.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocelli bench vww.ocl --on m4\n  ocelli bench vww.ocl --on m55 --json | jq .insns\n  ocelli bench vww.ocl --on host --seconds 5"
)]
pub struct Args {
    /// The model image
    #[arg(value_name = "M.ocl")]
    model: PathBuf,
    /// The emulated device, or the host
    #[arg(long, value_name = "DEVICE")]
    on: Place,
    /// How long the host runs
    #[arg(long, value_name = "S", default_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    #[command(flatten)]
    emulation: Emulation,
}

/// Where a model runs.
#[derive(Clone, Copy)]
enum Place {
    Device(Device),
    Host,
}

impl ValueEnum for Place {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: &[Place] = &[
            Place::Device(Device::M0),
            Place::Device(Device::M3),
            Place::Device(Device::M4),
            Place::Device(Device::M4In256k),
            Place::Device(Device::M7),
            Place::Device(Device::M33),
            Place::Device(Device::M55),
            Place::Host,
        ];
        ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Place::Device(device) => device.to_possible_value(),
            Place::Host => Some(PossibleValue::new("host").help("This program, on one thread")),
        }
    }
}

/// Runs the command.
pub fn run(args: &Args, console: &Console) -> Result<()> {
    let file = ModelFile::read(&args.model)?;
    let model = file.parse()?;
    match args.on {
        Place::Device(device) => {
            let counted = counted::count(&model, device, &args.emulation)?;
            console.print(&Report::new(&model, device.name(), counted))
        }
        Place::Host => {
            let timed = timed::time(&model, args.seconds)?;
            console.print(&Report::new(&model, "host", timed))
        }
    }
}

/// What a place found: of the whole inference, and of each op.
struct Found<W, O> {
    backend: String,
    whole: W,
    /// Each op's cost, and how many steps it took.
    ops: Vec<(O, u32)>,
}

/// The unit of an op's cost.
trait Unit: Serialize {
    /// What it costs, as the table says it, for so many products.
    fn cells(&self, macs: u64) -> [String; 2];

    /// The titles of these cells.
    const TITLES: [&str; 2];
}

#[derive(Serialize)]
struct Report<W, O> {
    model: PathBuf,
    crc: String,
    on: &'static str,
    /// The inner loops that ran.
    backend: String,
    arena_bytes: usize,
    macs: u64,
    /// All bytes of weights, as often as the plan reads them.
    weight_bytes_read: u64,
    #[serde(flatten)]
    whole: W,
    ops: Vec<OpCost<O>>,
}

#[derive(Serialize)]
struct OpCost<O> {
    op: usize,
    name: Option<String>,
    kind: &'static str,
    output: [usize; 3],
    macs: u64,
    #[serde(flatten)]
    cost: O,
    steps: u32,
    /// How its weights lie, if it has any.
    packing: Option<&'static str>,
    weight_bytes_read: u64,
}

impl<W, O> Report<W, O> {
    fn new(model: &Model<'_>, on: &'static str, found: Found<W, O>) -> Self {
        let image = &model.image;
        let names = op_names(image);
        let decoded = ImageModel::decode(image);
        let cost = |(op, (cost, steps)): (usize, (O, u32))| OpCost {
            op,
            name: names.get(op).map(|name| name.to_string()),
            kind: image.op_kind(op).map_or("", OpKind::name),
            output: extents(&image.tensor(op + 1)),
            macs: macs(&decoded, op),
            cost,
            steps,
            packing: packing(image, op),
            weight_bytes_read: weight_bytes(image, op) * u64::from(steps),
        };
        let ops: Vec<OpCost<O>> = found.ops.into_iter().enumerate().map(cost).collect();
        Self {
            model: model.path.to_path_buf(),
            crc: format!("{:08x}", image.crc()),
            on,
            backend: found.backend,
            arena_bytes: arena_bytes(image),
            macs: ops.iter().map(|op| op.macs).sum(),
            weight_bytes_read: ops.iter().map(|op| op.weight_bytes_read).sum(),
            whole: found.whole,
            ops,
        }
    }
}

/// Bytes of an op's weights, without biases and factors.
fn weight_bytes(image: &Image<'_>, at: usize) -> u64 {
    let op = image.op(at);
    let channels = op.as_ref().and_then(|op| op.body.channels());
    channels.map_or(0, |channels| channels.weights.len() as u64)
}

/// The name of the order of an op's weights.
fn packing(image: &Image<'_>, at: usize) -> Option<&'static str> {
    let op = image.op(at)?;
    op.body.channels()?;
    Some(match op.weight_packing {
        WeightPacking::Canonical => "canonical",
        WeightPacking::Paired => "paired",
    })
}

/// How much a product costs; nothing where there is none.
fn per_mac(cost: u64, macs: u64) -> Option<f64> {
    (macs > 0).then(|| cost as f64 / macs as f64)
}

impl<W: fmt::Display, O: Unit> fmt::Display for Report<W, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} (crc {}) on {}: {} kernels\n",
            self.model.display(),
            self.crc,
            self.on,
            self.backend
        )?;
        let [cost, relative] = O::TITLES;
        let titles = [
            "op", "<name", "<kind", "output", "macs", cost, relative, "weights", "<packing",
            "steps",
        ];
        let mut table = Table::new(titles);
        for op in &self.ops {
            let [h, w, c] = op.output;
            let [cost, relative] = op.cost.cells(op.macs);
            table.row([
                op.op.to_string(),
                op.name.clone().unwrap_or_default(),
                op.kind.to_string(),
                format!("{h}x{w}x{c}"),
                op.macs.to_string(),
                cost,
                relative,
                op.weight_bytes_read.to_string(),
                op.packing.unwrap_or_default().to_string(),
                op.steps.to_string(),
            ]);
        }
        writeln!(f, "{table}")?;
        self.whole.fmt(f)?;
        writeln!(f, "macs          {}", self.macs)?;
        writeln!(f, "arena_bytes   {}", self.arena_bytes)?;
        writeln!(
            f,
            "weights       {} bytes read, steps and all",
            self.weight_bytes_read
        )
    }
}

impl Unit for Insns {
    fn cells(&self, macs: u64) -> [String; 2] {
        let relative = per_mac(self.insns, macs);
        [
            self.insns.to_string(),
            relative.map_or(String::new(), |relative| format!("{relative:.2}")),
        ]
    }

    const TITLES: [&str; 2] = ["insns", "per mac"];
}

impl Unit for Millis {
    fn cells(&self, macs: u64) -> [String; 2] {
        let rate = (macs > 0 && self.ms > 0.0).then(|| macs as f64 / self.ms / 1e6);
        [
            format!("{:.4}", self.ms),
            rate.map_or(String::new(), |rate| format!("{rate:.2}")),
        ]
    }

    const TITLES: [&str; 2] = ["ms", "gmac/s"];
}
