//! `cargo xtask test`: everything that proves the project, step by step; failures are collected and listed at the end.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::firmware::{BOARDS, EMULATED};
use crate::thumb::Thumb;
use crate::{audit, fetch, firmware, fuzz, qemu, repo, shell, sizes};

/// What `--quick` leaves out.
const NOT_QUICK: &str = "fuzzing (it needs libFuzzer), firmware, device audit, emulator and sizes (they need a compiler for thumb and QEMU)";

/// How long each fuzz target runs.
const FUZZ_SECONDS: u64 = 8;

/// Runs the steps; an error means that at least one failed.
pub fn test(quick: bool) -> Result<()> {
    let mut steps = Steps::default();
    steps.run("fetch", || fetch::fetch(&[]));
    steps.run("format", format);
    steps.run("clippy", clippy);
    steps.run("docs", docs);
    steps.run("host tests", host_tests);
    if !quick {
        steps.run("fuzzing", || fuzz::fuzz(&[], FUZZ_SECONDS));
        steps.run("firmware", || firmware::all_emulated().map(drop));
        steps.run("firmware clippy", firmware_clippy);
        steps.run("device audit", audit::audit);
        steps.run("emulator tests", emulator_tests);
        steps.run("sizes", sizes::sizes);
    }
    steps.end(quick)
}

#[derive(Default)]
struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: &'static str,
    took: Duration,
    failure: Option<String>,
}

impl Steps {
    fn run(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) {
        println!("== {name}");
        let started = Instant::now();
        let failure = work().err().map(|error| format!("{error:#}"));
        let took = started.elapsed();
        match &failure {
            None => println!("-- {name}: passed in {:.1} s\n", took.as_secs_f64()),
            Some(failure) => println!(
                "-- {name}: FAILED after {:.1} s: {failure}\n",
                took.as_secs_f64()
            ),
        }
        self.done.push(Step {
            name,
            took,
            failure,
        });
    }

    fn end(&self, quick: bool) -> Result<()> {
        for step in &self.done {
            let outcome = match step.failure {
                None => "passed",
                Some(_) => "FAILED",
            };
            println!(
                "{:<18} {outcome} {:>8.1} s",
                step.name,
                step.took.as_secs_f64()
            );
        }
        if quick {
            println!("left out by --quick: {NOT_QUICK}");
        }
        for step in &self.done {
            if let Some(failure) = &step.failure {
                println!("\nFAILED: {}\n{failure}", step.name);
            }
        }
        let failed = self.done.iter().filter(|step| step.failure.is_some());
        let failed = failed.count();
        println!("\n{} passed, {failed} failed", self.done.len() - failed);
        if failed > 0 {
            bail!("{failed} of {} steps failed", self.done.len());
        }
        Ok(())
    }
}

/// The folders that hold a workspace of their own.
fn workspaces() -> Vec<std::path::PathBuf> {
    let boards = BOARDS.iter().map(firmware::Board::dir);
    [repo::root(), repo::firmware(), repo::fuzz()]
        .into_iter()
        .chain(boards)
        .collect()
}

fn format() -> Result<()> {
    component("rustfmt", "fmt")?;
    let mut wrong = Vec::new();
    for workspace in workspaces() {
        let mut fmt = repo::cargo();
        fmt.args(["fmt", "--check"]).current_dir(&workspace);
        if shell::run(&mut fmt).is_err() {
            let shown = repo::shown(&workspace);
            wrong.push(if shown.is_empty() {
                ".".to_owned()
            } else {
                shown
            });
        }
    }
    if !wrong.is_empty() {
        bail!("not formatted (`cargo fmt` there): {}", wrong.join(", "));
    }
    Ok(())
}

fn clippy() -> Result<()> {
    component("clippy", "clippy")?;
    shell::run(repo::cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ]))
}

fn firmware_clippy() -> Result<()> {
    let targets: Vec<&str> = EMULATED.iter().map(|board| board.target).collect();
    let thumb = Thumb::detect(&targets)?;
    for board in EMULATED {
        let feature = board
            .feature
            .map(|feature| format!("ocelli-qemu/{feature}"));
        firmware_clippy_in(&thumb, &repo::firmware(), board.target, feature.as_deref())?;
    }
    for board in BOARDS {
        firmware_clippy_in(&thumb, &board.dir(), board.target, None)?;
    }
    Ok(())
}

fn firmware_clippy_in(
    thumb: &Thumb,
    dir: &Path,
    target: &str,
    feature: Option<&str>,
) -> Result<()> {
    let mut clippy = thumb.clippy(target)?;
    clippy
        .args(["--workspace", "--release"])
        .args(feature.map(|feature| format!("--features={feature}")))
        .args(["--", "-D", "warnings"]);
    shell::run(clippy.current_dir(dir))
}

fn docs() -> Result<()> {
    shell::run(
        repo::cargo()
            .args(["doc", "--workspace", "--no-deps", "--all-features"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}

fn host_tests() -> Result<()> {
    // Every failing test is to be seen at once, not only the first crate's.
    shell::run(repo::cargo().args(["test", "--workspace", "--no-fail-fast"]))
}

fn emulator_tests() -> Result<()> {
    let qemu = qemu::find()?;
    firmware::all_emulated()?;
    // The whole workspace is named, so that its crates need not be built again with fewer features.
    shell::run(
        repo::cargo()
            .args(["test", "--workspace", "--features", "ocelli-tests/emulator"])
            .args(["--test", "emulator*", "--no-fail-fast"])
            .env(qemu::VARIABLE, qemu),
    )
}

/// Makes sure that `cargo VERB` is there.
fn component(name: &str, verb: &str) -> Result<()> {
    if shell::works(repo::cargo().args([verb, "--version"])) {
        return Ok(());
    }
    shell::capture(Command::new("rustup").args(["component", "add", name])).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_run_and_the_others_still_run() {
        let mut steps = Steps::default();
        let mut reached = false;
        steps.run("breaks", || bail!("on purpose"));
        steps.run("works", || {
            reached = true;
            Ok(())
        });
        assert!(reached);
        let error = steps.end(false).expect_err("one failed");
        assert_eq!(error.to_string(), "1 of 2 steps failed");
    }

    #[test]
    fn a_run_without_failures_passes() {
        let mut steps = Steps::default();
        steps.run("works", || Ok(()));
        assert!(steps.end(true).is_ok());
    }
}
