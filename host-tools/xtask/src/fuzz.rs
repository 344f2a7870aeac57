//! `cargo xtask fuzz`: broken and hostile bytes for the image parser and every importer, by libFuzzer.
//!
//! The targets are in `tests/fuzz`. They need no sanitizer, and so no nightly compiler: only `cargo-fuzz`, which is
//! installed into `target/tools`, and a compiler for libFuzzer's C++.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{apt, progress, repo, shell};

const CARGO_FUZZ: &str = "0.13.2";

/// An input that takes longer is a finding.
const INPUT_SECONDS: u32 = 10;
/// A process that holds more is a finding. Inputs may make it allocate 1 GiB; the rest is libFuzzer's own.
const PROCESS_MB: u32 = 1400;
/// Longer inputs are not tried: what they could find, shorter ones find sooner.
const INPUT_BYTES: u64 = 1 << 16;

/// Files that are seeds beside the ones in `tests/fuzz/corpus`: target, a folder with all below it, how their names end.
const SEEDS: [(&str, &str, &str); 6] = [
    ("image", "tests/data", "ocl"),
    ("onnx", "host-tools/ocelli-convert/tests/reference", "onnx"),
    ("onnx", "target/assets/onnx-node", "onnx"),
    (
        "pytorch",
        "host-tools/ocelli-convert/tests/reference/containers",
        "pth",
    ),
    ("tflite_float", "tests/reference/tflite_float", "tflite"),
    ("tflite_int8", "target/assets/tflite", "tflite"),
];

/// The same for lists of cases, each with the bytes of a file in hexadecimal.
const CASES: [(&str, &str); 2] = [
    ("tflite_float", "tests/reference/tflite_float.json"),
    ("tflite_int8", "tests/reference/tflite_ops.json"),
];

/// Runs targets, all if none is named, for so many seconds each.
pub fn fuzz(names: &[String], seconds: u64) -> Result<()> {
    let tool = tool()?;
    let all = shell::capture(tool.command("list").current_dir(repo::fuzz()))?;
    let all: Vec<&str> = all.lines().collect();
    if let Some(unknown) = names.iter().find(|name| !all.contains(&name.as_str())) {
        bail!(
            "there is no fuzz target {unknown}; there are {}",
            all.join(", ")
        );
    }
    let asked = |name: &&str| names.is_empty() || names.iter().any(|asked| asked == name);
    let targets: Vec<&str> = all.into_iter().filter(asked).collect();
    let programs = tool.build()?;

    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = workers.min(targets.len());
    let names = targets.join(", ");
    let bar = progress::bar(
        targets.len(),
        format!("fuzzing {names} for {seconds} s each, {workers} at a time"),
    );
    let left = Mutex::new(targets.iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(name) = next(&left) {
                    let outcome = run(&programs.join(name), name, seconds);
                    bar.inc(1);
                    bar.suspend(|| match &outcome {
                        Ok(outcome) => println!("{name:<14} {outcome}"),
                        Err(error) => println!("{name:<14} FAILED: {error:#}"),
                    });
                    if outcome.is_err()
                        && let Ok(mut failures) = failures.lock()
                    {
                        failures.push(*name);
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    let failures = failures.into_inner().unwrap_or_default();
    if !failures.is_empty() {
        bail!("fuzzing failed: {}", failures.join(", "));
    }
    Ok(())
}

fn next<T>(left: &Mutex<impl Iterator<Item = T>>) -> Option<T> {
    left.lock().ok()?.next()
}

/// Where everything that fuzzing makes is.
fn work() -> PathBuf {
    repo::target().join("fuzz")
}

struct Tool(PathBuf);

/// Finds what fuzzing needs, or installs it.
fn tool() -> Result<Tool> {
    if std::env::var_os("CXX").is_none() && shell::find("c++").is_none() {
        apt::install(&["g++"], "fuzzing")?;
    }
    let root = repo::target().join("tools");
    let own = root.join("bin/cargo-fuzz");
    if own.is_file() {
        return Ok(Tool(own));
    }
    if let Some(installed) = shell::find("cargo-fuzz") {
        return Ok(Tool(installed));
    }
    let bar = progress::spinner(format!(
        "installing cargo-fuzz {CARGO_FUZZ} into target/tools"
    ));
    let mut install = repo::cargo();
    install
        .args(["install", "cargo-fuzz", "--locked", "--version", CARGO_FUZZ])
        .args([OsStr::new("--root"), root.as_os_str()])
        .args([OsStr::new("--target-dir"), work().join("tool").as_os_str()]);
    let installed = shell::capture(&mut install);
    bar.finish_and_clear();
    installed.context("fuzzing needs cargo-fuzz, in PATH or where this installs it")?;
    Ok(Tool(own))
}

impl Tool {
    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.0);
        command.args(["fuzz", verb]);
        command
    }

    /// Builds all targets; the folder that they are in.
    fn build(&self) -> Result<PathBuf> {
        let version = shell::capture(Command::new("rustc").arg("-vV"))?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("`rustc -vV` names no host")?;
        let target_dir = work().join("build");
        let mut build = self.command("build");
        build
            .args(["--sanitizer", "none", "--target", host])
            .args([OsStr::new("--target-dir"), target_dir.as_os_str()]);
        shell::run(build.current_dir(repo::fuzz()))?;
        Ok(target_dir.join(host).join("release"))
    }
}

/// Runs one target; what it did, in words.
fn run(program: &Path, name: &str, seconds: u64) -> Result<String> {
    let made = |what: &str| -> Result<PathBuf> {
        let dir = work().join(what).join(name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", repo::shown(&dir)))?;
        Ok(dir)
    };
    let (found, crashes, more) = (made("corpus")?, made("artifacts")?, made("seeds")?);
    copy_seeds(name, &more)?;
    let log_path = work().join(format!("{name}.log"));
    let log = File::create(&log_path)?;
    let mut command = Command::new(program);
    // The first folder is the one that new inputs go to.
    let kept = repo::fuzz().join("corpus").join(name);
    command
        .arg(found)
        .args(kept.is_dir().then_some(kept))
        .arg(more);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={PROCESS_MB}"))
        .arg(format!("-max_len={INPUT_BYTES}"))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .arg("-print_final_stats=1");
    let dictionary = repo::fuzz()
        .join("dictionaries")
        .join(format!("{name}.dict"));
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    let status = command
        // As many programs run as there are cores.
        .env("RAYON_NUM_THREADS", "1")
        .current_dir(repo::root())
        .stdin(std::process::Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .with_context(|| format!("cannot start `{}`", shell::line(&command)))?;
    // A finding may have printed what is no UTF-8.
    let said = String::from_utf8_lossy(&fs::read(&log_path)?).into_owned();
    if status.success() {
        return Ok(summary(&said));
    }
    bail!(
        "{status}\n{}\nall of it: {}; again: {} FILE",
        finding(&said),
        repo::shown(&log_path),
        repo::shown(program)
    )
}

/// Runs, coverage and new inputs as libFuzzer's last lines have them.
fn summary(said: &str) -> String {
    let statistic = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name));
        line.map_or("?", str::trim).to_owned()
    };
    let coverage = said
        .lines()
        .rev()
        .find_map(|line| line.split_once(" cov: "))
        .and_then(|(_, after)| after.split_whitespace().next());
    format!(
        "{} runs, {} a second, coverage {}, {} new inputs, at most {} MB, no finding",
        statistic("stat::number_of_executed_units:"),
        statistic("stat::average_exec_per_sec:"),
        coverage.unwrap_or("?"),
        statistic("stat::new_units_added:"),
        statistic("stat::peak_rss_mb:"),
    )
}

/// The lines that say what was found; the last ones if there are none.
fn finding(said: &str) -> String {
    const SIGNS: [&str; 5] = [
        "panicked at",
        "ERROR: libFuzzer",
        "memory allocation",
        "stack overflow",
        "Test unit written to",
    ];
    let lines: Vec<&str> = said.lines().collect();
    let mut shown: Vec<&str> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if SIGNS.iter().any(|sign| line.contains(sign)) {
            shown.push(line);
            // What a panic says is on the line behind.
            shown.extend(lines.get(at + 1).filter(|_| line.contains("panicked at")));
        }
    }
    if shown.is_empty() {
        shown.extend(&lines[lines.len().saturating_sub(10)..]);
    }
    shown.join("\n")
}

/// Gathers the seeds that lie elsewhere in the repository.
fn copy_seeds(name: &str, into: &Path) -> Result<()> {
    for (_, folder, extension) in SEEDS.iter().filter(|(target, ..)| *target == name) {
        let folder = repo::root().join(folder);
        // Assets may not have been fetched; fuzzing needs none.
        if folder.is_dir() {
            copy_below(&folder, extension, into)?;
        }
    }
    for (_, list) in CASES.iter().filter(|(target, _)| *target == name) {
        let text = fs::read_to_string(repo::root().join(list))?;
        let cases: Vec<Value> = serde_json::from_str(&text)?;
        // Some cases name a file instead.
        let files = cases
            .iter()
            .filter_map(|case| bytes(case["file"].as_str()?));
        for (at, bytes) in files.enumerate() {
            fs::write(into.join(format!("case-{at}")), bytes)?;
        }
    }
    Ok(())
}

fn copy_below(folder: &Path, extension: &str, into: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            copy_below(&path, extension, into)?;
        } else if path.extension() == Some(OsStr::new(extension)) {
            // Files of different folders may have the same name.
            let name = repo::shown(&path).replace(std::path::MAIN_SEPARATOR, "-");
            fs::copy(&path, into.join(name))?;
        }
    }
    Ok(())
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = hex.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_shown_with_what_it_says_and_its_input() {
        let said = "INFO: Seed: 1\n#2 INITED cov: 9\nthread '<unnamed>' panicked at src/a.rs:1:2:\nindex out of bounds\n\
                    note: backtrace\n==9== ERROR: libFuzzer: deadly signal\nTest unit written to x/crash-1\n";
        assert_eq!(
            finding(said),
            "thread '<unnamed>' panicked at src/a.rs:1:2:\nindex out of bounds\n==9== ERROR: libFuzzer: deadly signal\n\
             Test unit written to x/crash-1"
        );
    }

    #[test]
    fn the_last_coverage_and_the_statistics_are_shown() {
        let said = "#2 INITED cov: 9 ft: 3\n#5\tDONE   cov: 12 ft: 4\nDone 5 runs in 1 second(s)\n\
                    stat::number_of_executed_units: 5\nstat::average_exec_per_sec:     2\n\
                    stat::new_units_added:          1\nstat::peak_rss_mb:              30\n";
        assert_eq!(
            summary(said),
            "5 runs, 2 a second, coverage 12, 1 new inputs, at most 30 MB, no finding"
        );
    }

    #[test]
    fn hexadecimal_of_half_a_byte_is_no_file() {
        assert_eq!(bytes("00ff"), Some(vec![0, 255]));
        assert_eq!(bytes("0g"), None);
    }
}
