//! Pictures, drawn as text.

use std::fmt::Write;
use std::ops::Range;

use ocelli_image::Model;

use super::OpReport;
use super::memory::maker;
use super::page::{escaped, grouped};
use crate::plan::Timeline;

/// Bars of a small picture of a distribution.
const BARS: usize = 64;
const BAR_W: usize = 2;
const SMALL_H: usize = 32;
/// On the page, in pixels.
const SHOWN_W: usize = 104;

/// The distribution of an op's weight codes, over the range of codes.
pub fn weights(codes: &[i8]) -> String {
    let mut counts = [0.0; BARS];
    for &code in codes {
        let bar = (i32::from(code) + 128) as usize * BARS / 256;
        counts[bar] += 1.0;
    }
    let largest = codes.iter().map(|code| code.unsigned_abs()).max();
    let title = format!(
        "{} weights, largest code {}",
        grouped(codes.len() as u64),
        largest.unwrap_or(0)
    );
    // -127 to 127 is what weights may be; the first code of all is not used.
    let used = 0.25..BARS as f64;
    distribution(&counts, used, &title)
}

/// The distribution of a tensor's values, with the range that its codes reach.
///
/// `seen` is the range of the values, divided evenly by `histogram`; `codes` that of the codes.
pub fn activations(histogram: &[f64], seen: (f32, f32), codes: (f32, f32)) -> String {
    let [seen_low, seen_high] = [seen.0, seen.1].map(f64::from);
    let [code_low, code_high] = [codes.0, codes.1].map(f64::from);
    let (low, high) = (seen_low.min(code_low), seen_high.max(code_high));
    let bars_per_unit = BARS as f64 / (high - low).max(f64::MIN_POSITIVE);
    let width = (seen_high - seen_low) / histogram.len().max(1) as f64;
    let mut counts = [0.0; BARS];
    for (bin, count) in histogram.iter().enumerate() {
        let value = seen_low + (bin as f64 + 0.5) * width;
        let bar = ((value - low) * bars_per_unit) as usize;
        counts[bar.min(BARS - 1)] += count;
    }
    let range = (code_low - low) * bars_per_unit..(code_high - low) * bars_per_unit;
    let title =
        format!("values {seen_low:.3} to {seen_high:.3}, codes {code_low:.3} to {code_high:.3}");
    distribution(&counts, range, &title)
}

/// Bars with a shaded range, in units of bars; heights are square roots, so that tails can be seen.
fn distribution(counts: &[f64; BARS], range: Range<f64>, title: &str) -> String {
    let largest = counts.iter().copied().fold(0.0, f64::max);
    let unit = if largest > 0.0 {
        (SMALL_H - 2) as f64 / largest.sqrt()
    } else {
        0.0
    };
    let mut path = format!("M0 {SMALL_H}");
    for count in counts {
        let top = SMALL_H as f64 - count.sqrt() * unit;
        let _ = write!(path, "V{top:.0}h{BAR_W}");
    }
    let width = BARS * BAR_W;
    let [x, end] = [range.start, range.end].map(|bar| bar * BAR_W as f64);
    format!(
        "<svg class=\"small\" viewBox=\"0 0 {width} {SMALL_H}\" width=\"{SHOWN_W}\" height=\"{SMALL_H}\" preserveAspectRatio=\"none\" role=\"img\">\
         <title>{title}</title>\
         <rect class=\"codes\" x=\"{x:.1}\" width=\"{:.1}\" height=\"{SMALL_H}\"/>\
         <path class=\"bars\" d=\"{path}V{SMALL_H}Z\"/></svg>",
        (end - x).max(1.0),
        title = escaped(title),
    )
}

const CHART_W: f64 = 960.0;
const CHART_H: f64 = 260.0;
/// Room for the numbers of the axis.
const LEFT: f64 = 44.0;
const BOTTOM: f64 = 20.0;

/// SQNR from the first op to the last: of outputs as a line, of each op's own noise as dots, and bars of blame.
pub fn noise(ops: &[OpReport], bound: f64) -> String {
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    let all = ops.iter().flat_map(|op| [op.sqnr_db, op.own_sqnr_db]);
    let all: Vec<f64> = all.filter_map(finite).chain([0.0, bound]).collect();
    let low = (all.iter().copied().fold(0.0, f64::min) / 10.0).floor() * 10.0;
    let high = (all.iter().copied().fold(40.0, f64::max) / 10.0).ceil() * 10.0;
    let step = (CHART_W - LEFT) / ops.len().max(1) as f64;
    let x = |at: usize| LEFT + (at as f64 + 0.5) * step;
    let y = |value: f64| (high - value) / (high - low) * (CHART_H - BOTTOM);
    let mut svg = opened("SQNR of each op", CHART_H);
    let mut line = low;
    while line <= high {
        let y = y(line);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{CHART_W}\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{line:.0} dB</text>",
            LEFT - 4.0,
            y.max(8.0) + 4.0
        );
        line += if high - low > 100.0 { 20.0 } else { 10.0 };
    }
    let _ = write!(
        svg,
        "<path class=\"bound\" d=\"M{LEFT} {:.1}H{CHART_W}\"><title>an output below this is ruined</title></path>",
        y(bound)
    );
    for (at, op) in ops.iter().enumerate() {
        let share = op.blame.unwrap_or(0.0);
        if share >= 0.001 {
            let height = share.sqrt() * (CHART_H - BOTTOM);
            let _ = write!(
                svg,
                "<rect class=\"blame\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{}: {:.1} % of the noise at the output</title></rect>",
                x(at) - 0.35 * step,
                CHART_H - BOTTOM - height,
                0.7 * step,
                escaped(&op.name),
                100.0 * share
            );
        }
    }
    let points = ops.iter().enumerate();
    let points = points.filter_map(|(at, op)| Some((at, finite(op.sqnr_db)?)));
    let path: Vec<String> = points
        .map(|(at, value)| format!("{:.1} {:.1}", x(at), y(value)))
        .collect();
    let _ = write!(svg, "<path class=\"line\" d=\"M{}\"/>", path.join("L"));
    for (at, op) in ops.iter().enumerate() {
        if let Some(own) = finite(op.own_sqnr_db) {
            let _ = write!(
                svg,
                "<circle class=\"own\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\"><title>{at} {}: own noise {own:.1} dB below its signal</title></circle>",
                x(at),
                y(own),
                escaped(&op.name)
            );
        }
    }
    let labels = (0..ops.len()).step_by((ops.len() / 16).max(1));
    for at in labels {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{at}</text>",
            x(at),
            CHART_H - 4.0
        );
    }
    svg + "</svg>"
}

/// Times that are told apart in a picture of the arena.
const COLUMNS: usize = 916;
/// Columns between two labels.
const LABEL: usize = 24;

/// The arena while the network runs: ops from left to right, bytes from bottom to top.
pub fn arena(model: &Model, timeline: &Timeline) -> String {
    const H: f64 = 340.0;
    // Every op has the same room, and every step of its segment the same part of that.
    let ends = timeline.segments.iter().scan(0, |end, segment| {
        *end += segment.moments;
        Some(*end)
    });
    let ends: Vec<usize> = ends.collect();
    let column = |moment: usize| {
        let at = ends.partition_point(|&end| end <= moment);
        timeline.segments.get(at).map_or(COLUMNS, |segment| {
            let into = moment + segment.moments - ends[at];
            let place = segment.first_op * segment.moments + into * segment.ops;
            place * COLUMNS / (segment.moments * model.ops.len())
        })
    };
    let x = |column: usize| LEFT + column as f64 * (CHART_W - LEFT) / COLUMNS as f64;
    let unit = (H - BOTTOM) / model.arena_bytes.max(1) as f64;
    let y = |byte: usize| H - BOTTOM - byte as f64 * unit;
    let mut svg = opened("The arena while the network runs", H);
    for quarter in 0..=4 {
        let bytes = model.arena_bytes * quarter / 4;
        let y = y(bytes);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{CHART_W}\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}k</text>",
            LEFT - 4.0,
            y.max(8.0) + 4.0,
            bytes as f64 / 1024.0
        );
    }
    for life in &timeline.lives {
        let held = &model.tensors[life.tensor];
        let name = maker(model, life.tensor);
        let (class, what) = if life.is_scratch {
            ("scratch", "scratch".to_string())
        } else if held.rows_held == held.h {
            ("whole", "whole".to_string())
        } else {
            let rows = format!("ring of {} of {} rows", held.rows_held, held.h);
            ("ring", rows)
        };
        // Of each column what is alive at any of its moments; equal columns are one bar.
        let mut alive: Vec<Option<Range<usize>>> = vec![None; COLUMNS];
        for (moments, bytes) in &life.spans {
            let first = column(moments.start);
            let end = column(moments.end).max(first + 1);
            for seen in &mut alive[first..end] {
                let (start, end) = match seen.take() {
                    Some(seen) => (seen.start.min(bytes.start), seen.end.max(bytes.end)),
                    None => (bytes.start, bytes.end),
                };
                *seen = Some(start..end);
            }
        }
        let mut path = String::new();
        let mut left = 0;
        for bar in alive.chunk_by(|column, next| column == next) {
            let right = left + bar.len();
            if let [Some(bytes), ..] = bar {
                let _ = write!(
                    path,
                    "M{:.1} {:.1}H{:.1}V{:.1}H{:.1}Z",
                    x(left),
                    y(bytes.start),
                    x(right),
                    y(bytes.end),
                    x(left)
                );
            }
            left = right;
        }
        let most = life.spans.iter().map(|(_, bytes)| bytes.len()).max();
        let title = format!(
            "{name}: {what}, up to {} bytes alive",
            grouped(most.unwrap_or(0) as u64)
        );
        let _ = write!(
            svg,
            "<path class=\"{class}\" d=\"{path}\"><title>{}</title></path>",
            escaped(&title)
        );
    }
    let mut labelled = None;
    for (segment, end) in timeline.segments.iter().zip(&ends) {
        let start = column(end - segment.moments);
        let _ = write!(
            svg,
            "<path class=\"cut\" d=\"M{:.1} 0V{:.1}\"/>",
            x(start),
            H - BOTTOM
        );
        if labelled.is_none_or(|last| start >= last + LABEL) {
            labelled = Some(start);
            let _ = write!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.0}\">{}</text>",
                x(start),
                H - 4.0,
                segment.first_op
            );
        }
    }
    let _ = write!(
        svg,
        "<path class=\"bound\" d=\"M{:.1} 0V{:.1}\"><title>most bytes alive: {}</title></path>",
        x(column(timeline.peak_moment)),
        H - BOTTOM,
        grouped(timeline.peak_bytes as u64)
    );
    svg + "</svg>"
}

fn opened(title: &str, height: f64) -> String {
    format!(
        "<svg class=\"wide\" viewBox=\"0 0 {CHART_W:.0} {height:.0}\" role=\"img\"><title>{title}</title>"
    )
}
