//! `ocelli arch list`: every architecture as it usually is.

use std::fmt;

use anyhow::Result;
use ocelli_convert::arch::Arch;
use ocelli_convert::cost::Sketch;
use rayon::prelude::*;
use serde::Serialize;

use super::{Row, parse_classes};
use crate::console::Console;
use crate::table::Table;

/// List the architectures, each with its usual input and what it costs a device
#[derive(clap::Args)]
pub struct Args {
    /// Number of classes [default: those of the data set that each is usually trained on]
    #[arg(long, value_name = "N", value_parser = parse_classes)]
    classes: Option<usize>,
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    row: Row,
    about: &'static str,
}

#[derive(Serialize)]
struct Report {
    architectures: Vec<Entry>,
}

pub fn run(args: &Args, console: &Console) -> Result<()> {
    let names: Vec<&str> = Arch::names().collect();
    let bar = console.bar(names.len(), "planning");
    let entry = |name: &&str| {
        let arch = Arch::parse(name)?;
        let classes = args.classes.unwrap_or(arch.default_classes());
        let sketch = Sketch::new(&arch, arch.default_input(), classes)?;
        let row = Row::of(&arch, arch.default_input(), classes, &sketch)?;
        bar.inc(1);
        Ok(Entry {
            row,
            about: arch.about(),
        })
    };
    let architectures: Result<Vec<Entry>> = names.par_iter().map(entry).collect();
    bar.finish_and_clear();
    console.print(&Report {
        architectures: architectures?,
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(Row::titles().into_iter().chain(["<about"]));
        for Entry { row, about } in &self.architectures {
            table.row(row.cells().into_iter().chain([about.to_string()]));
        }
        writeln!(f, "{table}")?;
        writeln!(
            f,
            "image and arena are bytes of flash and of memory, in int8, with the plan of the smallest arena"
        )?;
        writeln!(
            f,
            "width, depth and resolution can be changed: see `ocelli arch show NAME`"
        )
    }
}
