//! `ocelli verify`: the same model image on a device and on the host, compared answer by answer.

mod conversation;
#[cfg(test)]
#[path = "../tests/support/model.rs"]
mod small;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use ocelli_convert::dataset::ImageFolder;
use ocelli_convert::preprocess::load_image;
use serde::Serialize;

use crate::console::Console;
use crate::device::{Device, Emulation, Program};
use crate::emulator::{Emulator, RamUse};
use crate::model::{Model, ModelFile};
use conversation::{Broken, Conversation, Difference, Input, Taught, Teaching};

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
    #[command(flatten)]
    emulation: Emulation,
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

    let (emulator, line) = Emulator::start(
        &args.emulation,
        args.on,
        Program::Device,
        model.image.bytes(),
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
