//! Instructions of an emulated device, as its program prints them.

use std::fmt;

use anyhow::{Context, Result};
use ocelli_image::Model as ImageModel;
use serde::Serialize;

use super::{Found, per_mac};
use crate::device::{Device, Emulation, Program};
use crate::emulator::Emulator;
use crate::inspect::macs;
use crate::model::Model;

/// The whole inference.
#[derive(Debug, Serialize)]
pub struct Inference {
    insns: u64,
    insns_per_mac: Option<f64>,
    /// Those of all ops' kernels.
    kernel_insns: u64,
    /// What is left: finding the op that runs next, its rows and its kernel, and taking the input.
    executor_insns: u64,
    /// Whether the board's timer tells single instructions; otherwise each step of an op may be counted wrong by one.
    insns_exact: bool,
}

/// An op's kernel.
#[derive(Debug, PartialEq, Serialize)]
pub struct Insns {
    pub insns: u64,
    insns_per_mac: Option<f64>,
}

/// Runs one inference on a device.
pub fn count(
    model: &Model<'_>,
    device: Device,
    emulation: &Emulation,
) -> Result<Found<Inference, Insns>> {
    let image = &model.image;
    let (emulator, _line) = Emulator::start(emulation, device, Program::Bench, image.bytes())?;
    let text = emulator.text()?;
    let decoded = ImageModel::decode(image);
    let macs = (0..image.op_count()).map(|op| macs(&decoded, op));
    read(&text, &macs.collect::<Vec<_>>()).context(
        "the device's program is not the one for this `ocelli`: run `cargo xtask firmware`",
    )
}

/// Reads what the board's program printed for ops of so many products.
fn read(text: &str, macs: &[u64]) -> Option<Found<Inference, Insns>> {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    };
    let op = |(op, &macs): (usize, &u64)| {
        let line = field(&format!("op {op} insns "))?;
        let (insns, steps) = line.split_once(" steps ")?;
        let insns = insns.parse().ok()?;
        let insns_per_mac = per_mac(insns, macs);
        Some((
            Insns {
                insns,
                insns_per_mac,
            },
            steps.parse().ok()?,
        ))
    };
    let ops: Vec<(Insns, u32)> = macs.iter().enumerate().map(op).collect::<Option<_>>()?;
    let insns: u64 = field("insns ")?.parse().ok()?;
    let kernel_insns = ops.iter().map(|(op, _)| op.insns).sum();
    Some(Found {
        backend: field("backend ")?.to_string(),
        whole: Inference {
            insns,
            insns_per_mac: per_mac(insns, macs.iter().sum()),
            kernel_insns,
            executor_insns: insns.checked_sub(kernel_insns)?,
            insns_exact: field("exact ")?.parse().ok()?,
        },
        ops,
    })
}

impl fmt::Display for Inference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let relative = self.insns_per_mac;
        let relative = relative.map_or(String::new(), |relative| {
            format!(" ({relative:.3} per mac)")
        });
        writeln!(f, "insns         {}{relative}", self.insns)?;
        writeln!(f, "in kernels    {}", self.kernel_insns)?;
        writeln!(f, "executor      {}", self.executor_insns)?;
        if !self.insns_exact {
            writeln!(
                f,
                "              the board's timer is coarser than an instruction: each step of an op may be wrong by one"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "backend      dsp\nimage_crc    0123abcd\narena_bytes  64\nexact        true\n\
        insns        1100\nop 0 insns 900 steps 3\nop 1 insns 50 steps 1\n";

    #[test]
    fn what_the_board_prints_is_taken_apart_and_the_rest_is_the_executors() {
        let found = read(TEXT, &[300, 0]).unwrap();
        assert_eq!(found.backend, "dsp");
        assert_eq!(found.whole.insns, 1100);
        assert_eq!(found.whole.kernel_insns, 950);
        assert_eq!(found.whole.executor_insns, 150);
        assert!(found.whole.insns_exact);
        let insns = |insns, insns_per_mac| Insns {
            insns,
            insns_per_mac,
        };
        let expected = [(insns(900, Some(3.0)), 3), (insns(50, None), 1)];
        assert_eq!(found.ops, expected);
    }

    #[test]
    fn a_board_that_tells_less_than_all_ops_is_not_believed() {
        assert!(read(TEXT, &[300, 0, 1]).is_none());
        assert!(read(&TEXT.replace("exact ", "inexact "), &[300, 0]).is_none());
    }
}
