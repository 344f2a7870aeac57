//! `ocelli arch show`: one architecture op by op.

use std::fmt;

use anyhow::Result;
use ocelli_convert::arch::Arch;
use ocelli_convert::cost::Sketch;
use ocelli_convert::graph::Shape;
use ocelli_convert::plan::PlanKind;
use serde::Serialize;

use super::parse_classes;
use crate::console::Console;
use crate::convert::parse_input;
use crate::table::Table;

/// Show an architecture op by op, with its options and the names that its weights may have
///
/// `weights` are an op's bytes in flash without its biases and factors, `rows` those of its output that are held in
/// memory, and `held` their bytes; ops of one segment stream row by row.
#[derive(clap::Args)]
pub struct Args {
    /// The architecture, with options if they shall not be the usual ones: mobilenet_v2:0.35
    #[arg(value_name = "NAME[:OPTION=VALUE,…]")]
    arch: String,
    /// Height and width of the input [default: the architecture's]
    #[arg(long, value_name = "H[xW]", value_parser = parse_input)]
    input: Option<(usize, usize)>,
    /// Number of classes [default: those of the data set that it is usually trained on]
    #[arg(long, value_name = "N", value_parser = parse_classes)]
    classes: Option<usize>,
}

#[derive(Serialize)]
struct Report {
    arch: String,
    about: &'static str,
    options: String,
    /// Whose names the weights may have.
    names: Vec<String>,
    input: [usize; 3],
    classes: usize,
    preprocess: String,
    ops: Vec<OpRow>,
    parameters: usize,
    macs: u64,
    image_bytes: usize,
    arena_bytes: usize,
    segments: usize,
}

#[derive(Serialize)]
struct OpRow {
    name: String,
    kind: &'static str,
    output: [usize; 3],
    macs: u64,
    weight_bytes: usize,
    rows_held: usize,
    held_bytes: usize,
    segment: usize,
}

pub fn run(args: &Args, console: &Console) -> Result<()> {
    let arch = Arch::parse(&args.arch)?;
    let (h, w) = args.input.unwrap_or(arch.default_input());
    let classes = args.classes.unwrap_or(arch.default_classes());
    let sketch = Sketch::new(&arch, (h, w), classes)?;
    let planned = sketch.plan(PlanKind::Small)?;
    let model = &planned.model;
    let segments = model.segments.iter().enumerate();
    let segment_of = segments.flat_map(|(at, &ops)| std::iter::repeat_n(at, ops));
    let ops = sketch.graph.nodes.iter().zip(&model.ops).zip(segment_of);
    let outputs = model.tensors.iter().skip(1);
    let ops = ops.zip(outputs).map(|(((node, op), segment), output)| {
        let Shape { h, w, c } = sketch.graph.shape(node.output);
        OpRow {
            name: node.name.clone(),
            kind: op.body.kind().name(),
            output: [h, w, c],
            macs: sketch.graph.node_macs(node),
            weight_bytes: op.body.channels().map_or(0, |each| each.weights.len()),
            rows_held: output.rows_held,
            held_bytes: output.held_bytes(),
            segment,
        }
    });
    let pictures = arch.preprocess(u32::try_from(h)?, u32::try_from(w)?);
    console.print(&Report {
        arch: arch.to_string(),
        about: arch.about(),
        options: arch.options(),
        names: arch.namings().map(|naming| naming.to_string()).collect(),
        input: [h, w, 3],
        classes,
        preprocess: format!(
            "shorter side to {} ({:?}), middle {h}x{w}, mean {:?}, std {:?}",
            pictures.resize_shorter, pictures.filter, pictures.mean, pictures.std
        ),
        ops: ops.collect(),
        parameters: sketch.parameters,
        macs: sketch.macs(),
        image_bytes: planned.image_bytes,
        arena_bytes: planned.arena_bytes,
        segments: model.segments.len(),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new([
            "op", "<name", "<kind", "<output", "MACs", "weights", "rows", "held", "segment",
        ]);
        for (at, op) in self.ops.iter().enumerate() {
            let [h, w, c] = op.output;
            table.row([
                at.to_string(),
                op.name.clone(),
                op.kind.to_string(),
                format!("{h}x{w}x{c}"),
                op.macs.to_string(),
                op.weight_bytes.to_string(),
                op.rows_held.to_string(),
                op.held_bytes.to_string(),
                op.segment.to_string(),
            ]);
        }
        writeln!(f, "{table}")?;
        let [h, w, c] = self.input;
        writeln!(
            f,
            "{}: {}; at {h}x{w}x{c}, {} classes",
            self.arch, self.about, self.classes
        )?;
        writeln!(f, "options       {}", self.options)?;
        writeln!(f, "names         {}", self.names.join(", "))?;
        writeln!(f, "pictures      {}", self.preprocess)?;
        writeln!(f, "parameters    {:>11}", self.parameters)?;
        writeln!(f, "macs          {:>11}", self.macs)?;
        writeln!(f, "image_bytes   {:>11}", self.image_bytes)?;
        writeln!(
            f,
            "arena_bytes   {:>11}  ({} segments)",
            self.arena_bytes, self.segments
        )
    }
}
