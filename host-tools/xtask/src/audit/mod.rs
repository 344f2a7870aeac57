//! `cargo xtask audit`: proves from the linked program that inference on a device has no panic path, no heap and no
//! floating point.

mod float;
mod locations;
mod symbols;
mod walk;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::elf::{Elf, Symbol};
use crate::progress;
use crate::thumb::{M4F, TARGETS, Thumb};
use crate::{firmware, repo, shell};
use walk::Instruction;

/// The program that only infers.
const PROGRAM: &str = "infer";

/// What a firmware may depend on; each builds for every target.
const DEVICE_CRATES: [&str; 4] = ["ocelli", "ocelli-learn", "ocelli-store", "ocelli-link"];

/// How many offenders of a kind are named.
const NAMED: usize = 8;

/// What was found in one program.
#[derive(Debug, Default)]
struct Findings {
    panics: Vec<String>,
    heap: Vec<String>,
    soft_float: Vec<String>,
    float_instructions: Vec<String>,
}

impl Findings {
    fn of(elf: &Elf) -> Result<Self> {
        let code = walk::instructions(elf)?;
        let named = |rule: fn(&str) -> bool| {
            let offends = |symbol: &&Symbol| rule(&symbol.name);
            let offenders = elf.symbols.iter().filter(offends);
            offenders
                .map(|offender| with_callers(elf, &code, offender))
                .collect()
        };
        let mut panics: Vec<String> = named(symbols::is_panic);
        panics.extend(locations::find(elf));
        Ok(Self {
            panics,
            heap: named(symbols::is_heap),
            soft_float: named(symbols::is_soft_float),
            float_instructions: float::instructions(elf)?,
        })
    }

    fn all(&self) -> [(&'static str, &[String]); 4] {
        [
            ("panic path", &self.panics),
            ("heap", &self.heap),
            ("soft-float routine", &self.soft_float),
            ("float instruction", &self.float_instructions),
        ]
    }
}

/// A function, and who calls it: that is where to look.
fn with_callers(elf: &Elf, code: &[Instruction], offender: &Symbol) -> String {
    let calls = code
        .iter()
        .filter(|found| found.branch_target() == Some(offender.address));
    let callers: BTreeSet<&str> = calls.map(|found| elf.function_at(found.address)).collect();
    let callers: Vec<&str> = callers.into_iter().collect();
    match callers.as_slice() {
        [] => offender.name.clone(),
        _ => format!("{} (called by {})", offender.name, callers.join(", ")),
    }
}

/// Builds the program that only infers.
pub fn build(thumb: &Thumb, target: &str) -> Result<PathBuf> {
    progress::note(&format!(
        "building {PROGRAM} for {target} with {}",
        thumb.describe()
    ));
    thumb.build_bin(&firmware::qemu_dir(), PROGRAM, target, None, None)
}

/// Builds every device crate: those that learn, store and talk are not in the program that only infers.
fn build_crates(thumb: &Thumb, target: &str) -> Result<()> {
    let mut build = thumb.cargo("build", target);
    build.current_dir(repo::root()).arg("--release");
    for name in DEVICE_CRATES {
        build.args(["--package", name]);
    }
    shell::run(build.args(["--features", "ocelli/learn"]))
}

/// Checks every target and prints a table; anything found is an error that names it.
pub fn audit() -> Result<()> {
    let thumb = Thumb::detect(&TARGETS)?;
    let mut wrong = Vec::new();
    heading();
    for target in TARGETS {
        build_crates(&thumb, target)?;
        let elf = Elf::read(&build(&thumb, target)?)?;
        let findings = Findings::of(&elf)?;
        row(&format!("{PROGRAM} {target}"), &elf, &findings);
        for (what, found) in findings.all() {
            if !found.is_empty() {
                wrong.push(format!("{target}: {what}: {}", shortened(found)));
            }
        }
    }
    // A detector that sees nothing proves nothing: the program that trains in f32 and logs must be found out.
    let device = Elf::read(&firmware::emulated(&thumb, "m4")?)?;
    let findings = Findings::of(&device)?;
    row(&format!("control: device {M4F}"), &device, &findings);
    if findings.panics.is_empty()
        || findings.heap.is_empty()
        || findings.float_instructions.is_empty()
    {
        wrong.push(
            "the control program trains in f32, has a heap and can panic, and this was not seen: the detectors are blind"
                .to_owned(),
        );
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

fn heading() {
    println!(
        "{:<38} {:>9} {:>9} {:>7} {:>6} {:>11} {:>13}",
        "found", "text", "functions", "panics", "heap", "soft floats", "float insns"
    );
}

fn row(name: &str, elf: &Elf, findings: &Findings) {
    let functions = elf.symbols.iter().filter(|symbol| symbol.function).count();
    println!(
        "{name:<38} {:>9} {functions:>9} {:>7} {:>6} {:>11} {:>13}",
        elf.sizes.text,
        findings.panics.len(),
        findings.heap.len(),
        findings.soft_float.len(),
        findings.float_instructions.len()
    );
}

fn shortened(found: &[String]) -> String {
    let mut text = found[..found.len().min(NAMED)].join(", ");
    if found.len() > NAMED {
        text += &format!(" and {} more", found.len() - NAMED);
    }
    text
}
