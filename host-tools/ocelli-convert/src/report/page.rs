//! The report as a page that needs nothing but a browser.

use std::fmt::Write;

use super::memory::memory;
use super::ruin::MIN_OUTPUT_SQNR_DB;
use super::{OpReport, Report, svg};
use crate::convert::Conversion;
use crate::target::canonical_weights;

/// Ops that are marked in the table.
const WORST: usize = 3;

/// One HTML file with all numbers and pictures, which loads nothing.
pub fn page(report: &Report, conversion: &Conversion) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>\n{}</style></head><body>\n<h1>{title}</h1>\n",
        include_str!("page.css"),
        title = escaped(&report.output),
    );
    summary(&mut html, report);
    if report.calibration_images.is_some() {
        let _ = writeln!(
            html,
            "<h2>Noise from input to output</h2>\n<p>\
             <span class=\"key\" style=\"background:var(--main)\"></span>SQNR of each op's output, all before it in int8\
             <span class=\"key\" style=\"background:var(--green)\"></span>of the noise that the op adds itself\
             <span class=\"key\" style=\"background:var(--warm)\"></span>its part of the noise at the network's output \
             (heights are square roots). Below the dashed line an output is ruined.</p>\n{}",
            svg::noise(&report.ops, MIN_OUTPUT_SQNR_DB)
        );
    }
    ops(&mut html, report, conversion);
    memory(&mut html, &conversion.model);
    html.push_str("</body></html>\n");
    html
}

fn summary(html: &mut String, report: &Report) {
    let [h, w, c] = report.input;
    let network = report.arch.as_deref().unwrap_or("network");
    let origin = match report.calibration_images {
        Some(images) => format!("quantized to int8 with {images} images"),
        None => "int8 already: every code as in the source".to_string(),
    };
    let _ = writeln!(
        html,
        "<p>{} at {h}x{w}x{c} from {}, {origin}</p>",
        escaped(network),
        escaped(&report.source)
    );
    if let Some(ruin) = &report.ruin {
        let _ = writeln!(html, "<p class=\"ruin\">{}</p>", escaped(ruin));
    }
    let mut cards = vec![
        (
            grouped(report.image_bytes as u64),
            "bytes of flash".to_string(),
        ),
        (
            grouped(report.weight_bytes as u64),
            "bytes of weights among them".to_string(),
        ),
        (
            grouped(report.arena_bytes as u64),
            format!("bytes of RAM, in {} segments", report.segments),
        ),
        (grouped(report.macs), "multiplications a run".to_string()),
        (grouped(report.classes as u64), "outputs".to_string()),
    ];
    if let Some(sqnr) = report.output_sqnr_db {
        cards.push((
            format!("{sqnr:.1} dB"),
            "output SQNR on calibration images".to_string(),
        ));
    }
    if let Some(agreement) = &report.agreement {
        cards.push((
            format!("{:.3}", agreement.agreement),
            format!("agreement with float on {} other images", agreement.images),
        ));
        cards.push((
            format!("{:.1} dB", agreement.output_sqnr_db),
            "output SQNR on those".to_string(),
        ));
    }
    html.push_str("<div class=\"cards\">\n");
    for (number, what) in cards {
        let _ = writeln!(
            html,
            "<div class=\"card\"><b>{number}</b><span>{what}</span></div>"
        );
    }
    html.push_str("</div>\n");
}

fn ops(html: &mut String, report: &Report, conversion: &Conversion) {
    let quantized = conversion.quantized.as_ref();
    html.push_str("<h2>Ops</h2>\n");
    if quantized.is_some() {
        let _ = writeln!(
            html,
            "<p>SQNR in decibels, of what the op reads, of what it makes, and of the noise that it adds itself: its codes \
             against what float makes of the codes that it reads. Blame is the part of the noise at the network's output \
             that this op's own noise is, by itself; the {WORST} worst are marked. Pictures: the codes of weights, and the values \
             that ops make, with the range that codes reach shaded (heights are square roots).</p>"
        );
    }
    html.push_str("<div class=\"scroll\"><table><thead><tr><th>op<th class=\"text\">name<th class=\"text\">kind<th class=\"text\">output<th>MACs<th>weight bytes");
    if quantized.is_some() {
        html.push_str("<th>SQNR in<th>SQNR out<th>own<th class=\"text\">blame");
    }
    html.push_str("<th class=\"text\">weights");
    if quantized.is_some() {
        html.push_str("<th class=\"text\">values");
    }
    html.push_str("</tr></thead><tbody>\n");
    let worst = worst(&report.ops);
    let decibels = |value: Option<f64>| match value {
        Some(value) if value.is_finite() => format!("{value:.1}"),
        Some(_) => "∞".to_string(),
        None => String::new(),
    };
    for (at, op) in report.ops.iter().enumerate() {
        let [h, w, c] = op.output;
        let class = if worst.contains(&at) {
            " class=\"worst\""
        } else {
            ""
        };
        let _ = write!(
            html,
            "<tr{class}><td>{at}<td class=\"text\">{}<td class=\"text\">{}<td class=\"text\">{h}x{w}x{c}<td>{}<td>{}",
            escaped(&op.name),
            op.kind,
            grouped(op.macs),
            grouped(op.weight_bytes as u64)
        );
        if quantized.is_some() {
            let share = op.blame.unwrap_or(0.0);
            let _ = write!(
                html,
                "<td>{}<td>{}<td>{}<td class=\"text\">{:.1} %<i class=\"meter\" style=\"width:{:.0}px\"></i>",
                decibels(op.input_sqnr_db),
                decibels(op.sqnr_db),
                decibels(op.own_sqnr_db),
                100.0 * share,
                60.0 * share
            );
        }
        let weights = canonical_weights(&conversion.model, at);
        let picture = weights.map_or(String::new(), |weights| svg::weights(&weights));
        let _ = write!(html, "<td class=\"text\">{picture}");
        if let Some(quantized) = quantized {
            let id = quantized.graph.nodes[at].output;
            let seen = quantized.calibration.tensor(id);
            let codes = quantized.grid.tensor(id);
            let picture = svg::activations(
                &seen.histogram,
                (seen.min, seen.max),
                (codes.value(-128), codes.value(127)),
            );
            let _ = write!(html, "<td class=\"text\">{picture}");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
}

/// The ops with the most blame, if they have any.
fn worst(ops: &[OpReport]) -> Vec<usize> {
    let blamed = ops.iter().enumerate();
    let blamed = blamed.filter_map(|(at, op)| Some((at, op.blame.filter(|&blame| blame > 0.0)?)));
    let mut blamed: Vec<(usize, f64)> = blamed.collect();
    blamed.sort_by(|a, b| b.1.total_cmp(&a.1));
    blamed.into_iter().take(WORST).map(|(at, _)| at).collect()
}

/// Text that cannot be taken for markup.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            _ => safe.push(letter),
        }
    }
    safe
}

/// A whole number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_files_cannot_become_markup() {
        assert_eq!(escaped("<b a=\"&\">"), "&lt;b a=&quot;&amp;&quot;&gt;");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1234), "1,234");
        assert_eq!(grouped(300_774_272), "300,774,272");
    }
}
