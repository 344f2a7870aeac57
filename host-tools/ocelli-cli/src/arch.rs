//! `ocelli arch`: the architectures that weights can be of, and what each costs a device.

mod fit;
mod list;
mod show;

use anyhow::Result;
use clap::Subcommand;
use ocelli_convert::arch::Arch;
use ocelli_convert::cost::Sketch;
use ocelli_convert::plan::PlanKind;
use serde::Serialize;

use crate::console::Console;
use crate::table::Table;

/// Show the architectures and what their width, depth and resolution cost
///
/// The numbers are those of a real image: the network is built with made-up weights, rounded to int8 and planned for
/// the smallest memory. `parameters` counts what training finds, `image` is the flash that the model takes and `arena`
/// the memory that it needs to run, both in bytes; MACs are multiplications by weights of one run.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocelli arch list\n  ocelli arch show efficientnet_b0:width=0.5,depth=0.5 --input 96\n  ocelli arch fit --flash 1M --ram 256K --macs 50M"
)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    Fit(fit::Args),
}

/// Runs the command.
pub fn run(args: &Args, console: &Console) -> Result<()> {
    match &args.command {
        Command::List(args) => list::run(args, console),
        Command::Show(args) => show::run(args, console),
        Command::Fit(args) => fit::run(args, console),
    }
}

/// An architecture at one input size and what it costs.
#[derive(Serialize)]
struct Row {
    arch: String,
    input: [usize; 2],
    classes: usize,
    parameters: usize,
    macs: u64,
    image_bytes: usize,
    arena_bytes: usize,
}

impl Row {
    fn of(arch: &Arch, (h, w): (usize, usize), classes: usize, sketch: &Sketch) -> Result<Self> {
        let planned = sketch.plan(PlanKind::Small)?;
        Ok(Row {
            arch: arch.to_string(),
            input: [h, w],
            classes,
            parameters: sketch.parameters,
            macs: sketch.macs(),
            image_bytes: planned.image_bytes,
            arena_bytes: planned.arena_bytes,
        })
    }

    fn titles() -> [&'static str; 7] {
        [
            "<arch",
            "input",
            "classes",
            "parameters",
            "MACs",
            "image",
            "arena",
        ]
    }

    fn cells(&self) -> [String; 7] {
        let [h, w] = self.input;
        [
            self.arch.clone(),
            format!("{h}x{w}"),
            self.classes.to_string(),
            self.parameters.to_string(),
            self.macs.to_string(),
            self.image_bytes.to_string(),
            self.arena_bytes.to_string(),
        ]
    }
}

/// A table of rows.
fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(Row::titles());
    for row in rows {
        table.row(row.cells());
    }
    table
}

fn parse_classes(text: &str) -> Result<usize, String> {
    let classes = text
        .parse()
        .ok()
        .filter(|classes| (1..=65_535).contains(classes));
    classes.ok_or_else(|| "give a number from 1 to 65535".to_string())
}
