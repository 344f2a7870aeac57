//! `ocelli inspect --plan`: what memory holds over time.

use std::fmt;

use anyhow::Result;
use ocelli_convert::plan::{self, PlanKind, RegionUse, Timeline, plan};
use ocelli_image::Model as ImageModel;
use serde::Serialize;

use super::op_names;
use crate::model::Model;
use crate::table::Table;

/// Characters of the longest bar.
const BAR: usize = 50;

/// A plan beside that of the same network without streaming.
#[derive(Serialize)]
pub struct PlanPicture {
    arena_bytes: usize,
    arena_bytes_layers: usize,
    weight_reads: f64,
    /// Most bytes alive at once: no offsets could do with less.
    peak_bytes: usize,
    segments: Vec<SegmentRow>,
    /// What is alive at the worst moment.
    peak: Vec<HolderRow>,
    peak_segment: usize,
    /// The memories of a plan for several.
    regions: Vec<RegionUse>,
}

#[derive(Serialize)]
struct SegmentRow {
    first_op: usize,
    last_op: usize,
    steps: usize,
    peak_bytes: usize,
    /// Most bytes alive while the same ops run one after another.
    peak_bytes_layers: usize,
    weight_bytes_read: u64,
}

#[derive(Serialize)]
struct HolderRow {
    tensor: usize,
    name: String,
    is_scratch: bool,
    bytes: usize,
}

impl PlanPicture {
    pub fn new(model: &Model<'_>) -> Result<Self> {
        let decoded = ImageModel::decode(&model.image);
        let layers = plan(decoded.clone(), PlanKind::Layers).map_err(|error| model.wrong(error))?;
        let timeline = Timeline::new(&decoded);
        let by_layer = Timeline::new(&layers).segments;
        let names = op_names(&model.image);
        let segments = timeline.segments.iter().map(|segment| {
            let ops = segment.first_op..segment.first_op + segment.ops;
            let layers = by_layer
                .iter()
                .filter(|layer| ops.contains(&layer.first_op));
            SegmentRow {
                first_op: ops.start,
                last_op: ops.end - 1,
                steps: segment.moments,
                peak_bytes: segment.peak_bytes,
                peak_bytes_layers: layers.map(|layer| layer.peak_bytes).max().unwrap_or(0),
                weight_bytes_read: segment.weight_bytes_read,
            }
        });
        let name = |tensor: usize| match tensor.checked_sub(1) {
            None => "input".to_string(),
            Some(op) => names.get(op).copied().unwrap_or_default().to_string(),
        };
        let peak = timeline.peak.iter().map(|holder| HolderRow {
            tensor: holder.tensor,
            name: name(holder.tensor),
            is_scratch: holder.is_scratch,
            bytes: holder.bytes,
        });
        Ok(PlanPicture {
            arena_bytes: plan::arena_bytes(&decoded),
            arena_bytes_layers: plan::arena_bytes(&layers),
            weight_reads: plan::weight_reads(&decoded),
            peak_bytes: timeline.peak_bytes,
            peak_segment: timeline.peak_segment,
            segments: segments.collect(),
            peak: peak.collect(),
            regions: plan::regions(&decoded),
        })
    }
}

impl fmt::Display for PlanPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = [
            "segment",
            "<ops",
            "steps",
            "weights read",
            "layers",
            "bytes",
            "<alive at most",
        ];
        let mut table = Table::new(titles);
        for (at, segment) in self.segments.iter().enumerate() {
            let ops = match (segment.first_op, segment.last_op) {
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first} to {last}"),
            };
            let length = (segment.peak_bytes * BAR).div_ceil(self.peak_bytes.max(1));
            table.row([
                at.to_string(),
                ops,
                segment.steps.to_string(),
                segment.weight_bytes_read.to_string(),
                segment.peak_bytes_layers.to_string(),
                segment.peak_bytes.to_string(),
                "#".repeat(length),
            ]);
        }
        writeln!(f, "{table}")?;
        writeln!(f, "fullest in segment {}, with", self.peak_segment)?;
        let mut table = Table::new(["tensor", "bytes", "<what"]);
        for holder in &self.peak {
            let what = if holder.is_scratch { "scratch of " } else { "" };
            table.row([
                holder.tensor.to_string(),
                holder.bytes.to_string(),
                format!("{what}{}", holder.name),
            ]);
        }
        writeln!(f, "{table}")?;
        if !self.regions.is_empty() {
            writeln!(f, "{}", region_table(&self.regions))?;
        }
        writeln!(
            f,
            "arena_bytes   {:>9}  ({} segments, weights read {:.2} times)",
            self.arena_bytes,
            self.segments.len(),
            self.weight_reads
        )?;
        writeln!(f, "layer by layer {:>8}", self.arena_bytes_layers)?;
        writeln!(f, "alive at once {:>9}", self.peak_bytes)
    }
}

/// What lies in which memory, and how much of what is read and written is there.
fn region_table(regions: &[RegionUse]) -> Table {
    let all = regions.iter().map(|region| region.traffic).sum::<u64>();
    let titles = [
        "<memory",
        "from",
        "bytes",
        "traffic",
        "<tensors",
        "<scratch of ops",
    ];
    let mut table = Table::new(titles);
    for region in regions {
        let share = region.traffic as f64 / all.max(1) as f64;
        table.row([
            region.name.clone(),
            region.start.to_string(),
            region.bytes.to_string(),
            format!("{:.1} %", 100.0 * share),
            ranges(&region.tensors),
            ranges(&region.scratch),
        ]);
    }
    table
}

/// Rising numbers, neighbours drawn together: `0-3 7`.
fn ranges(numbers: &[usize]) -> String {
    let parts = numbers.chunk_by(|a, b| a + 1 == *b).map(|run| match run {
        [first, .., last] => format!("{first}-{last}"),
        run => run.iter().map(usize::to_string).collect(),
    });
    parts.collect::<Vec<_>>().join(" ")
}
