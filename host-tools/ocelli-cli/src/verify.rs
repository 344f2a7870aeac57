//! `ocelli verify`: the same model image on a device and on the host, compared answer by answer.

mod conversation;
mod emulator;
#[cfg(test)]
#[path = "../tests/support/model.rs"]
mod small;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use indicatif::ProgressBar;
use ocelli_convert::dataset::ImageFolder;
use ocelli_convert::preprocess::load_image;
use serde::Serialize;

use crate::console::Console;
use crate::model::{Model, ModelFile};
use conversation::{Broken, Conversation, Difference, Input, Taught, Teaching};
use emulator::{Board, Emulator, RamUse};

/// Compare a device with the host
///
/// Boots the device's firmware in QEMU with the model image beside it, asks it and the host the same, and compares all
/// answers: a digest of every op's output, the scores and, with --train, every training step and the classifier that comes of
/// it. The first difference is named, and the exit code is 1 then. Without IMAGE and --raw-input, a pattern is shown.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocelli verify mnv2.ocl --on m4 cat.png\n  ocelli verify mnv2.ocl --on m4 --train animals/train --steps 200\n  ocelli verify keywords.ocl --on m55 --raw-input codes.bin"
)]
pub struct Args {
    /// The model image
    #[arg(value_name = "M.ocl")]
    model: PathBuf,
    /// Photos to show
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// A file of int8 codes to show instead, [h, w, c] row by row, any number of samples one after another
    #[arg(long, value_name = "FILE", conflicts_with = "images")]
    raw_input: Option<PathBuf>,
    /// The emulated device
    #[arg(long, value_name = "DEVICE")]
    on: Device,
    /// A folder of classes (DIR/CLASS/*.png) to train on
    #[arg(long, value_name = "DIR")]
    train: Option<PathBuf>,
    /// Training steps
    #[arg(long, value_name = "N", default_value = "200", requires = "train", value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// The most images to train on, the first ones of each class
    #[arg(long, value_name = "N", default_value = "40", requires = "train")]
    samples: u32,
    /// The device's program [default: target/firmware/device-DEVICE.elf of the repository]
    #[arg(long, value_name = "ELF")]
    firmware: Option<PathBuf>,
    /// The emulator
    #[arg(
        long,
        value_name = "PATH",
        env = "OCELLI_QEMU",
        default_value = "qemu-system-arm"
    )]
    qemu: PathBuf,
    /// The longest wait for an answer, in seconds
    #[arg(long, value_name = "S", default_value = "120", value_parser = clap::value_parser!(u64).range(1..))]
    time_limit: u64,
}

/// Where a model can be verified.
#[derive(Clone, Copy, ValueEnum)]
enum Device {
    /// Code of a Cortex-M0 or M0+ (Armv6-M), on the Cortex-M3's board, since QEMU's M0 has too little memory
    M0,
    /// Cortex-M3 (QEMU's mps2-an385)
    M3,
    /// Cortex-M4F (mps2-an386)
    M4,
    /// The M4 with 256 KiB of RAM, stack and all, and everything else forbidden
    #[value(name = "m4-256k")]
    M4In256k,
    /// Cortex-M7 (mps2-an500)
    M7,
    /// Cortex-M33 (mps2-an505)
    M33,
    /// Cortex-M55 (mps3-an547)
    M55,
}

impl Device {
    fn name(self) -> &'static str {
        match self {
            Device::M0 => "m0",
            Device::M3 => "m3",
            Device::M4 => "m4",
            Device::M4In256k => "m4-256k",
            Device::M7 => "m7",
            Device::M33 => "m33",
            Device::M55 => "m55",
        }
    }

    fn board(self) -> Board {
        let (machine, model_address) = match self {
            Device::M0 | Device::M3 => ("mps2-an385", 0x2100_0000),
            Device::M4 | Device::M4In256k => ("mps2-an386", 0x2100_0000),
            Device::M7 => ("mps2-an500", 0x6000_0000),
            Device::M33 => ("mps2-an505", 0x8000_0000),
            Device::M55 => ("mps3-an547", 0x6000_0000),
        };
        Board {
            machine,
            model_address,
            model_bytes: 16 << 20,
        }
    }
}

#[derive(Serialize)]
struct Verification {
    model: PathBuf,
    on: &'static str,
    equal: bool,
    first_difference: Option<Difference>,
    /// The inner loops of the kernels.
    host_backend: &'static str,
    device_backend: String,
    device_memory_bytes: u32,
    arena_bytes: u32,
    /// All of the device's RAM, where its firmware tells.
    device_ram: Option<RamUse>,
    images: usize,
    ops: usize,
    /// Answers that were equal.
    equal_ops: u64,
    equal_scores: u64,
    equal_steps: u64,
    training: Option<Taught>,
    seconds: f64,
}

/// Runs the command.
pub fn run(args: &Args, console: &Console) -> Result<()> {
    let started = Instant::now();
    let file = ModelFile::read(&args.model)?;
    let model = file.parse()?;
    let teaching = match &args.train {
        Some(folder) => Some(teaching(&model, folder, args)?),
        None => None,
    };
    let firmware = match &args.firmware {
        Some(path) => path.clone(),
        None => default_firmware(args.on)?,
    };
    let inputs = match (&args.raw_input, args.images.as_slice()) {
        (Some(path), _) => model
            .read_codes(path)?
            .chunks_exact(model.image.input().elems())
            .map(|sample| Input::Codes(sample.to_vec()))
            .collect(),
        (None, []) => vec![Input::pattern(&model)],
        (None, photos) => photos
            .iter()
            .map(|path| photo(&model, path))
            .collect::<Result<_>>()?,
    };

    let time_limit = Duration::from_secs(args.time_limit);
    let (emulator, line) = Emulator::start(
        &args.qemu,
        &args.on.board(),
        &firmware,
        model.image.bytes(),
        time_limit,
    )?;
    let mut memory = Vec::new();
    let compared = Conversation::start(&model, line, &mut memory).and_then(|mut conversation| {
        let images = inputs.len() + teaching.as_ref().map_or(0, |t| t.samples.len());
        let steps = teaching.as_ref().map_or(0, |t| t.steps as usize);
        let bar = console.bar(images + steps, "comparing");
        let outcome = compare(&mut conversation, teaching.as_ref(), &inputs, &bar);
        bar.finish_and_clear();
        let (training, first_difference) = match outcome {
            Ok(training) => (training, None),
            Err(Broken::Differs(difference)) => (None, Some(difference)),
            Err(Broken::Failed(error)) => return Err(error),
        };
        let facts = conversation.facts();
        Ok(Verification {
            model: args.model.clone(),
            on: args.on.name(),
            equal: first_difference.is_none(),
            first_difference,
            host_backend: ocelli::backend(),
            device_backend: facts.backend.clone(),
            device_memory_bytes: facts.memory_bytes,
            arena_bytes: facts.arena_bytes,
            device_ram: None,
            images,
            ops: model.image.op_count(),
            equal_ops: facts.equal_ops,
            equal_scores: facts.equal_scores,
            equal_steps: facts.equal_steps,
            training,
            seconds: started.elapsed().as_secs_f64(),
        })
    });
    let mut report = match compared {
        Ok(report) => report,
        Err(error) => return Err(emulator.explain(error)),
    };
    if report.equal {
        report.device_ram = emulator.finish()?;
    }
    console.print(&report)?;
    match report.first_difference {
        None => Ok(()),
        Some(difference) => Err(model.wrong(format!(
            "{} and the host differ: {difference}: one of them is damaged or built from other sources",
            args.on.name()
        ))),
    }
}

/// Everything that is compared, in its order.
fn compare<R: Read, W: Write>(
    conversation: &mut Conversation<'_, R, W>,
    teaching: Option<&Teaching>,
    inputs: &[Input],
    bar: &ProgressBar,
) -> Result<Option<Taught>, Broken> {
    let taught = match teaching {
        Some(teaching) => Some(conversation.teach(teaching, bar)?),
        None => None,
    };
    for input in inputs {
        conversation.see(input)?;
        if taught.is_some() {
            conversation.classify()?;
        }
        bar.inc(1);
    }
    conversation.end()?;
    Ok(taught)
}

/// The first images of each class below a folder.
fn teaching(model: &Model<'_>, folder: &Path, args: &Args) -> Result<Teaching> {
    let images = ImageFolder::open(folder)?;
    let count = images.classes.len();
    let named = folder.display();
    let classes = u16::try_from(count).with_context(|| format!("{named}: too many classes"))?;
    let per_class = args.samples / u32::from(classes);
    if per_class == 0 {
        let samples = args.samples;
        bail!(
            "{named}: {count} classes cannot be learnt from {samples} images: give --samples {count} or more"
        );
    }
    let mut taken = vec![0; count];
    let mut samples = Vec::new();
    for (sample, class) in images.samples.iter().map(|sample| (sample, sample.class)) {
        if taken[class] < per_class {
            taken[class] += 1;
            // There are no more classes than fit.
            samples.push((photo(model, &sample.path)?, class as u16));
        }
    }
    Ok(Teaching {
        samples,
        classes,
        steps: args.steps,
        // The last of each class, if there is more than one.
        held_out_every: if per_class > 1 { per_class } else { 0 },
    })
}

/// A photo as the model's pixels.
fn photo(model: &Model<'_>, path: &Path) -> Result<Input> {
    let pixels = model.preprocess()?.pixels(&load_image(path)?);
    Ok(Input::Pixels(
        pixels.with_context(|| path.display().to_string())?,
    ))
}

/// The program that `cargo xtask firmware` makes, of the repository around the current folder.
fn default_firmware(device: Device) -> Result<PathBuf> {
    let device = device.name();
    let name = format!("target/firmware/device-{device}.elf");
    let here = std::env::current_dir()?;
    let found = here
        .ancestors()
        .map(|folder| folder.join(&name))
        .find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "{name}: not found here or in a folder above: run `cargo xtask firmware --target {device}` in the repository, or give --firmware"
        )
    })
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} on {} ({} kernels, {} bytes of memory, {} of them arena) and on the host ({} kernels), {:.0} s\n",
            self.model.display(),
            self.on,
            self.device_backend,
            self.device_memory_bytes,
            self.arena_bytes,
            self.host_backend,
            self.seconds
        )?;
        writeln!(
            f,
            "  {} digests equal (ops: {}, images: {})",
            self.equal_ops, self.ops, self.images
        )?;
        writeln!(f, "  {} scores equal", self.equal_scores)?;
        if let Some(training) = &self.training {
            writeln!(f, "  {} training steps equal: {training}", self.equal_steps)?;
        }
        if let Some(ram) = &self.device_ram {
            writeln!(
                f,
                "  {} bytes of RAM hold all of it; the stack's deepest: {}, statics: {}",
                ram.bytes, ram.stack_bytes, ram.static_bytes
            )?;
        }
        match &self.first_difference {
            None => writeln!(f, "\nequal"),
            Some(difference) => writeln!(f, "\nnot equal: {difference}"),
        }
    }
}
