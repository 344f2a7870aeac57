//! `ocelli arch fit`: what fits a device.

use std::fmt;

use anyhow::{Result, bail};
use ocelli_convert::arch::Arch;
use ocelli_convert::cost::Sketch;
use rayon::prelude::*;
use serde::Serialize;

use super::{Row, parse_classes, table};
use crate::console::Console;
use crate::convert::parse_input;

/// Sides of inputs to try, in ascending order.
const SIDES: [usize; 10] = [32, 48, 64, 96, 128, 160, 192, 224, 240, 260];

/// List the architectures that fit a device, over widths, depths and resolutions
///
/// For each architecture, width and depth the largest input that fits, the costliest first. The device needs flash and
/// memory for its firmware as well.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocelli arch fit --flash 1M --ram 256K\n  ocelli arch fit --flash 512K --ram 64K --macs 20M --classes 5 --arch mobilenet_v2 --arch efficientnet_lite0"
)]
pub struct Args {
    /// Bytes of flash for the model image: 1M is 1024 times 1024
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    flash: u64,
    /// Bytes of memory for the arena: 256K is 256 times 1024
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    ram: u64,
    /// Multiplications by weights of one run: 50M is 50 million
    #[arg(long, value_name = "N", value_parser = parse_count)]
    macs: Option<u64>,
    /// Number of classes
    #[arg(long, value_name = "N", value_parser = parse_classes, default_value_t = 10)]
    classes: usize,
    /// Height and width of the input [default: several]
    #[arg(long, value_name = "H[xW]", value_parser = parse_input)]
    input: Option<(usize, usize)>,
    /// Only this architecture (again for more)
    #[arg(long, value_name = "NAME")]
    arch: Vec<String>,
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    parse_scaled(text, 1024)
}

fn parse_count(text: &str) -> Result<u64, String> {
    parse_scaled(text, 1000)
}

/// A whole number, with `K`, `M` or `G` for one, two or three times `thousand`.
fn parse_scaled(text: &str, thousand: u64) -> Result<u64, String> {
    let number = text.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G']);
    let power = match &text[number.len()..] {
        "" => Some(0),
        "k" | "K" => Some(1),
        "m" | "M" => Some(2),
        "g" | "G" => Some(3),
        _ => None,
    };
    let factor = power.and_then(|power| thousand.checked_pow(power));
    let number = number.parse::<u64>().ok();
    let product = number.zip(factor).and_then(|(a, b)| a.checked_mul(b));
    product.ok_or_else(|| "give a whole number, with K, M or G behind it or not".to_string())
}

#[derive(Serialize)]
struct Report {
    flash_bytes: u64,
    ram_bytes: u64,
    macs: Option<u64>,
    architectures: Vec<Row>,
}

pub fn run(args: &Args, console: &Console) -> Result<()> {
    let families: Vec<Arch> = match args.arch.as_slice() {
        [] => Arch::names().map(Arch::parse).collect::<Result<_, _>>()?,
        names => names
            .iter()
            .map(|name| Arch::parse(name))
            .collect::<Result<_, _>>()?,
    };
    if let Some(arch) = families.iter().find(|arch| arch.to_string() != arch.name()) {
        bail!("{arch}: --arch takes a name without options here: all of them are tried");
    }
    let depths: Vec<Vec<Arch>> = families.iter().flat_map(Arch::scaled).collect();
    let bar = console.bar(depths.len(), "planning");
    let found: Result<Vec<Vec<Row>>> = depths
        .par_iter()
        .map(|widths| {
            let rows = args.fitting(widths);
            bar.inc(1);
            rows
        })
        .collect();
    bar.finish_and_clear();
    let mut rows: Vec<Row> = found?.into_iter().flatten().collect();
    rows.sort_by(|a, b| b.macs.cmp(&a.macs).then_with(|| a.arch.cmp(&b.arch)));
    console.print(&Report {
        flash_bytes: args.flash,
        ram_bytes: args.ram,
        macs: args.macs,
        architectures: rows,
    })
}

impl Args {
    /// For each width the largest input that fits.
    fn fitting(&self, widths: &[Arch]) -> Result<Vec<Row>> {
        let (mut rows, mut narrower) = (Vec::new(), 0);
        for arch in widths {
            let inputs = self.inputs(arch);
            // A larger input costs more: halve what is between one that fits and one that does not.
            let (mut fits, mut beyond) = (0, inputs.len());
            let (mut largest, mut parameters) = (None, narrower);
            while fits < beyond {
                let middle = (fits + beyond) / 2;
                let sketch = Sketch::new(arch, inputs[middle], self.classes)?;
                parameters = sketch.parameters;
                // Every parameter takes a byte at least; wider networks have more.
                if parameters as u64 > self.flash {
                    return Ok(rows);
                }
                // Channels that are rounded to the same numbers make the same network.
                if parameters == narrower {
                    break;
                }
                match self.fit(arch, inputs[middle], &sketch)? {
                    Some(row) => (fits, largest) = (middle + 1, Some(row)),
                    None => beyond = middle,
                }
            }
            rows.extend(largest);
            narrower = parameters;
        }
        Ok(rows)
    }

    fn fit(&self, arch: &Arch, input: (usize, usize), sketch: &Sketch) -> Result<Option<Row>> {
        if self.macs.is_some_and(|macs| sketch.macs() > macs) {
            return Ok(None);
        }
        let arch = match self.input {
            Some(_) => *arch,
            None => arch.with_resolution(input.0),
        };
        let row = Row::of(&arch, input, self.classes, sketch)?;
        let fits = row.image_bytes as u64 <= self.flash && row.arena_bytes as u64 <= self.ram;
        Ok(fits.then_some(row))
    }

    /// The inputs to try: from a fourth of the usual side up to it, and for small networks a little more.
    fn inputs(&self, arch: &Arch) -> Vec<(usize, usize)> {
        if let Some(input) = self.input {
            return vec![input];
        }
        let (usual, _) = arch.default_input();
        let sides = usual / 4..=usual.max(96);
        let sides = SIDES.into_iter().filter(|side| sides.contains(side));
        sides.map(|side| (side, side)).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", table(&self.architectures))?;
        let macs = self.macs.map(|macs| format!(" and {macs} MACs"));
        writeln!(
            f,
            "{} fit {} bytes of flash, {} bytes of memory{}",
            self.architectures.len(),
            self.flash_bytes,
            self.ram_bytes,
            macs.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_end_in_a_letter() {
        assert_eq!(parse_bytes("1M"), Ok(1_048_576));
        assert_eq!(parse_bytes("256k"), Ok(262_144));
        assert_eq!(parse_bytes("1000"), Ok(1000));
        assert_eq!(parse_count("50M"), Ok(50_000_000));
        for text in ["", "M", "1.5M", "1MB", "1KK", "-1", "99999999999G"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
