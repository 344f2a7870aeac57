//! `cargo xtask demo`: from published weights to a network that learns on an emulated microcontroller.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::fetch::verify;
use crate::split::{self, Part};
use crate::thumb::{M4F, Thumb};
use crate::{fetch, firmware, qemu, repo, shell};

/// Photos per animal that the emulated board sees and learns from.
const TAUGHT_PER_CLASS: usize = 4;

/// Silhouettes per animal that calibrate the network of 96 pixels.
const CALIBRATED_PER_CLASS: usize = 10;

/// Runs every step; what the machine does not allow is left out and named at the end.
pub fn demo() -> Result<()> {
    let started = Instant::now();
    let mut left_out = Vec::new();
    let fetched = [
        "mobilenet-v2",
        "imagenet-labels",
        "photos",
        "foolbox",
        "animal-mnist",
    ];
    fetched.into_iter().try_for_each(fetch::ensure)?;
    if let Err(error) = fetch::ensure("stamps") {
        left_out.push(format!(
            "Tux Paint's photos among those that calibrate (only foolbox's were used): {error:#}"
        ));
    }
    let ocelli = Ocelli::build()?;
    let emulator = emulator();

    let assets = repo::shown(&repo::assets());
    let demo = repo::target().join("demo");
    fs::create_dir_all(&demo)?;
    let calib = photos_to_calibrate(&demo.join("calib"))?;
    let train = repo::assets().join("animal-mnist/train");
    let silhouettes =
        some_of_each_class(&train, &demo.join("calib-animals"), CALIBRATED_PER_CLASS)?;
    let weights = format!("{assets}/mobilenet_v2-b0353104.pth");
    let labels = format!("{assets}/imagenet_labels.txt");
    let chelsea = format!("{assets}/photos/chelsea.png");
    let coffee = format!("{assets}/photos/coffee.png");
    let (photos, animals) = ("target/demo/mnv2-224.ocl", "target/demo/mnv2-96.ocl");
    let taught = "target/demo/animals.ocl";

    heading("Convert and quantize MobileNetV2, as published with ImageNet weights");
    ocelli.run(&[
        "convert",
        &weights,
        "--arch",
        "mobilenet_v2",
        "--calib",
        &calib,
        "--labels",
        &labels,
        "-o",
        photos,
    ])?;
    heading("What it sees: a cat, and a cup of espresso");
    ocelli.run(&["run", photos, &chelsea, &coffee])?;
    heading("The same network for 96 by 96 pixels");
    ocelli.run(&[
        "convert",
        &weights,
        "--arch",
        "mobilenet_v2",
        "--input",
        "96",
        "--calib",
        &silhouettes,
        "--labels",
        &labels,
        "-o",
        animals,
    ])?;
    heading("Teach it ten animals from 2,000 silhouettes; the backbone stays as it is");
    ocelli.run(&["tune", animals, &repo::shown(&train), "-o", taught])?;
    heading("How well it knows 2,000 silhouettes that it has never seen");
    let test = repo::assets().join("animal-mnist/test");
    ocelli.run(&["eval", taught, &repo::shown(&test)])?;

    match emulator {
        Ok(qemu) => {
            heading(
                "The same on an emulated Cortex-M4: classify, train, and compare every digest with the host's",
            );
            let lessons = some_of_each_class(&train, &demo.join("lessons"), TAUGHT_PER_CLASS)?;
            let args = [
                "verify", animals, "--on", "m4", "--train", &lessons, &chelsea,
            ];
            ocelli.run_with(&args, &[(qemu::VARIABLE, &qemu)])?;
        }
        Err(error) => left_out.push(format!("the emulated Cortex-M4: {error:#}")),
    }

    println!("\nDone in {} s.", started.elapsed().as_secs());
    for what in left_out {
        println!("Left out: {what}");
    }
    Ok(())
}

fn heading(text: &str) {
    println!("\n== {text}");
}

/// The emulator and its firmware, or why there is none.
fn emulator() -> Result<PathBuf> {
    let qemu = qemu::find()?;
    firmware::emulated(&Thumb::detect(&[M4F])?, "m4")?;
    Ok(qemu)
}

/// The program that users run.
pub struct Ocelli {
    program: PathBuf,
}

impl Ocelli {
    /// Builds it in release.
    pub fn build() -> Result<Self> {
        eprintln!("building ocelli");
        shell::run(repo::cargo().args(["build", "--release", "--quiet", "-p", "ocelli-cli"]))?;
        let program = repo::cargo_target()
            .join("release")
            .join(format!("ocelli{}", std::env::consts::EXE_SUFFIX));
        Ok(Self { program })
    }

    /// Shows the command as a user would type it, and runs it.
    pub fn run(&self, args: &[&str]) -> Result<()> {
        self.run_with(args, &[])
    }

    fn run_with(&self, args: &[&str], variables: &[(&str, &Path)]) -> Result<()> {
        let mut command = self.command(args);
        println!("$ ocelli {}\n", args.join(" "));
        command.envs(variables.iter().copied());
        shell::run(&mut command)
    }

    /// Runs it with `--json` and gives back what it printed.
    pub fn json(&self, args: &[&str]) -> Result<serde_json::Value> {
        let mut command = self.command(args);
        command.arg("--json");
        eprintln!("$ ocelli {}", args.join(" "));
        let text = shell::capture(&mut command)?;
        serde_json::from_str(&text).with_context(|| format!("`{}`", shell::line(&command)))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).current_dir(repo::root());
        command
    }
}

/// Copies the photos that calibrate (those of them that are here) into one folder.
pub fn photos_to_calibrate(to: &Path) -> Result<String> {
    photos_of(Part::Calibrate, to)
}

/// Copies the photos of one part of the split into one folder.
pub fn photos_of(part: Part, to: &Path) -> Result<String> {
    empty(to)?;
    for photo in split::photos(part)? {
        let from = repo::assets().join(&photo);
        if from.is_file() {
            copy(&from, &to.join(photo.replace('/', "-")))?;
        }
    }
    Ok(repo::shown(to))
}

/// Copies the first `count` images of each class.
pub fn some_of_each_class(from: &Path, to: &Path, count: usize) -> Result<String> {
    empty(to)?;
    let mut images = verify::files_below(from)?;
    images.sort();
    for class in images.chunk_by(|a, b| a.parent() == b.parent()) {
        for image in class.iter().take(count) {
            copy(image, &to.join(image.strip_prefix(from)?))?;
        }
    }
    Ok(repo::shown(to))
}

fn empty(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}
