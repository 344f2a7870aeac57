//! Pictures, drawn as text.

use std::fmt::Write;
use std::ops::Range;

use ocelli_image::Model;

use super::OpReport;
use super::page::{escaped, grouped};

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

/// The arena while the network runs: ops from left to right, bytes from bottom to top.
pub fn plan(model: &Model) -> String {
    const H: f64 = 340.0;
    let ops = model.ops.len();
    let step = (CHART_W - LEFT) / ops.max(1) as f64;
    let x = |op: usize| LEFT + op as f64 * step;
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
    let mut draw = |class: &str, ops: Range<usize>, offset: usize, bytes: usize, title: &str| {
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
            x(ops.start),
            y(offset + bytes),
            ops.len() as f64 * step,
            bytes as f64 * unit,
            escaped(title)
        );
    };
    for (tensor, ops) in lives(model).into_iter().enumerate() {
        let held = &model.tensors[tensor];
        let (rows, bytes) = (held.rows_held, held.rows_held * held.row_elems());
        let is_whole = rows == held.h;
        let name = model.names.get(tensor).map_or("", String::as_str);
        let what = if is_whole {
            "whole".to_string()
        } else {
            format!("ring of {rows} of {} rows", held.h)
        };
        let title = format!(
            "{name}: {what}, {} bytes at {}",
            grouped(bytes as u64),
            held.offset
        );
        draw(
            if is_whole { "whole" } else { "ring" },
            ops,
            held.offset,
            bytes,
            &title,
        );
    }
    let segments = segments(model);
    for segment in &segments {
        for at in segment.clone() {
            let (offset, bytes) = model.ops[at].scratch;
            let title = format!("scratch of op {at}, {} bytes", grouped(bytes as u64));
            draw("scratch", segment.clone(), offset, bytes, &title);
        }
    }
    for segment in &segments {
        let _ = write!(
            svg,
            "<path class=\"cut\" d=\"M{:.1} 0V{:.1}\"/>",
            x(segment.start),
            H - BOTTOM
        );
    }
    for at in (0..ops).step_by((ops / 16).max(1)) {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{at}</text>",
            x(at) + 0.5 * step,
            H - 4.0
        );
    }
    svg + "</svg>"
}

fn segments(model: &Model) -> Vec<Range<usize>> {
    let mut end = 0;
    let segment = |&len: &usize| {
        end += len;
        end - len..end
    };
    model.segments.iter().map(segment).collect()
}

/// The ops during which each tensor has its bytes: all of its segments.
fn lives(model: &Model) -> Vec<Range<usize>> {
    let ops = model.ops.len();
    let segments = segments(model);
    let kept = model.head.map(|head| model.ops[head].inputs[0]);
    let live = |tensor: usize| {
        let maker = tensor.saturating_sub(1);
        let readers = (0..ops).filter(|&op| model.ops[op].inputs.contains(&tensor));
        let last = if tensor == ops || kept == Some(tensor) {
            ops
        } else {
            readers.max().unwrap_or(maker)
        };
        let of = |op: usize| {
            segments
                .iter()
                .find(|segment| segment.contains(&op))
                .cloned()
        };
        let start = of(maker).map_or(0, |segment| segment.start);
        start..of(last).map_or(ops, |segment| segment.end)
    };
    (0..model.tensors.len()).map(live).collect()
}

fn opened(title: &str, height: f64) -> String {
    format!(
        "<svg class=\"wide\" viewBox=\"0 0 {CHART_W:.0} {height:.0}\" role=\"img\"><title>{title}</title>"
    )
}
