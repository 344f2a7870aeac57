//! `ocelli replan`: another memory plan for a model image.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use ocelli_convert::plan::{arena_bytes, estimated_insns, plan_in, weight_reads};
use ocelli_convert::target::{Target, pack};
use ocelli_image::Model as ImageModel;
use serde::Serialize;

use crate::console::Console;
use crate::file;
use crate::model::ModelFile;
use crate::plan::{PlanArgs, parse_target};

/// Change how a model image uses memory, or for which processor it is packed, without its source
///
/// Network, weights, labels and scales stay as they are, and so does every code that the network computes; what
/// changes is which ops stream row by row and where tensors lie. The plan is proved on shadow memory.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocelli replan mnv2.ocl --plan fast -o fast.ocl\n  ocelli replan mnv2.ocl --ram 192K --json\n  ocelli replan mnv2.ocl --memory dtcm=64K,sram=320K"
)]
pub struct Args {
    /// The model image
    #[arg(value_name = "M.ocl")]
    model: PathBuf,
    /// The model image to write [default: in place of the old one]
    #[arg(short, long, value_name = "OUT.ocl")]
    output: Option<PathBuf>,
    /// The processor whose inner loops the weights are packed for [default: as they are]
    #[arg(long, value_name = "CORE", value_parser = parse_target)]
    target: Option<Target>,
    #[command(flatten)]
    plan: PlanArgs,
}

/// A plan in a few numbers.
#[derive(Serialize)]
struct Figures {
    arena_bytes: usize,
    segments: usize,
    weight_reads: f64,
    /// What plans are compared by, not what a device counts.
    estimated_insns: u64,
}

#[derive(Serialize)]
struct Report {
    model: String,
    output: String,
    before: Figures,
    after: Figures,
}

/// Runs the command.
pub fn run(args: &Args, console: &Console) -> Result<()> {
    let output = args.output.as_ref().unwrap_or(&args.model);
    file::check(output)?;
    let file = ModelFile::read(&args.model)?;
    let before = ImageModel::decode(&file.parse()?.image);
    let named = || args.model.display().to_string();
    let mut packed = before.clone();
    if let Some(target) = args.target {
        pack(&mut packed, target.packing());
    }
    let after = plan_in(packed, args.plan.kind(), &args.plan.memories()?).with_context(named)?;
    let image = after.encode().with_context(named)?;
    file::write(output, image.bytes())?;
    console.print(&Report {
        model: named(),
        output: output.display().to_string(),
        before: Figures::of(&before),
        after: Figures::of(&after),
    })
}

impl Figures {
    fn of(model: &ImageModel) -> Self {
        Figures {
            arena_bytes: arena_bytes(model),
            segments: model.segments.len(),
            weight_reads: weight_reads(model),
            estimated_insns: estimated_insns(model),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.output)?;
        for (name, figures) in [("before", &self.before), ("after", &self.after)] {
            writeln!(
                f,
                "{name:<8} arena_bytes {:>9}  ({} segments, weights read {:.2} times, about {:.1} million instructions)",
                figures.arena_bytes,
                figures.segments,
                figures.weight_reads,
                figures.estimated_insns as f64 / 1e6
            )?;
        }
        Ok(())
    }
}
