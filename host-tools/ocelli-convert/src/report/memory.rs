//! The report's part about memory: the arena over time, what is in it when it is fullest, and what each segment costs.

use std::fmt::Write;

use ocelli_image::Model;

use super::page::{escaped, grouped};
use super::svg;
use crate::plan::{PlanKind, Timeline, arena_bytes, plan, weight_reads};

/// Writes the part.
pub fn memory(html: &mut String, model: &Model) {
    let timeline = Timeline::new(model);
    let _ = writeln!(
        html,
        "<h2>Memory</h2>\n<p>The arena while the network runs: ops from left to right, those of a segment at once, bytes from bottom to top, \
         a dashed line where a segment begins (below it, its first op), a red one where most bytes are alive.\
         <span class=\"key\" style=\"background:var(--main)\"></span>whole tensors\
         <span class=\"key\" style=\"background:var(--green)\"></span>rings of rows\
         <span class=\"key\" style=\"background:var(--warm)\"></span>scratch</p>"
    );
    picture(html, "As planned", model, &timeline);
    // A plan that the door refuses cannot be made of a model that has one.
    let layers = plan(model.clone(), PlanKind::Layers).ok();
    let by_layer = layers.as_ref().map(Timeline::new);
    if let Some((layers, by_layer)) = layers.as_ref().zip(by_layer.as_ref()) {
        picture(html, "Layer by layer", layers, by_layer);
    }
    segments(html, model, &timeline, by_layer.as_ref());
}

fn picture(html: &mut String, title: &str, model: &Model, timeline: &Timeline) {
    let peak = timeline.peak.iter().map(|holder| {
        let what = if holder.is_scratch { "scratch of " } else { "" };
        let bytes = grouped(holder.bytes as u64);
        format!("{what}{} {bytes}", escaped(maker(model, holder.tensor)))
    });
    let peak: Vec<String> = peak.collect();
    let _ = writeln!(
        html,
        "<h3>{title}: {} bytes</h3>\n<p>At most {} bytes are alive at once, in segment {}: {}. Weights are read {:.2} \
         times.</p>\n{}",
        grouped(arena_bytes(model) as u64),
        grouped(timeline.peak_bytes as u64),
        timeline.peak_segment,
        peak.join(", "),
        weight_reads(model),
        svg::arena(model, timeline)
    );
}

/// The name of the op that makes a tensor: those of tensors are long in some sources.
pub(super) fn maker(model: &Model, tensor: usize) -> &str {
    let names = model.names.get(model.tensors.len()..).unwrap_or(&[]);
    match tensor.checked_sub(1) {
        None => "input",
        Some(op) => names.get(op).map_or("", String::as_str),
    }
}

fn segments(html: &mut String, model: &Model, timeline: &Timeline, layers: Option<&Timeline>) {
    html.push_str(
        "<h3>Segments</h3>\n<div class=\"scroll\"><table><thead><tr><th>segment<th class=\"text\">ops<th>steps<th>bytes alive at most\
         <th>layer by layer<th>weight bytes<th>weight bytes read</tr></thead><tbody>\n",
    );
    for (at, segment) in timeline.segments.iter().enumerate() {
        let ops = segment.first_op..segment.first_op + segment.ops;
        let weights = ops.clone().map(|op| {
            let channels = model.ops[op].body.channels();
            channels.map_or(0, |channels| channels.weights.len() as u64)
        });
        let same = layers.iter().flat_map(|layers| &layers.segments);
        let same = same.filter(|layer| ops.contains(&layer.first_op));
        let by_layer = same.map(|layer| layer.peak_bytes).max().unwrap_or(0);
        let _ = writeln!(
            html,
            "<tr><td>{at}<td class=\"text\">{} to {}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            ops.start,
            ops.end - 1,
            grouped(segment.moments as u64),
            grouped(segment.peak_bytes as u64),
            grouped(by_layer as u64),
            grouped(weights.sum()),
            grouped(segment.weight_bytes_read),
        );
    }
    html.push_str("</tbody></table></div>\n");
}
