//! `ocelli tune`: a new classifier for a network, learnt from labelled images.

mod replace;
mod train;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use ocelli::learn::{self, Optimizer, Samples, Score, TrainConfig};
use ocelli_convert::dataset::ImageFolder;
use ocelli_image::ImageBuffer;
use serde::Serialize;

use crate::camera;
use crate::console::Console;
use crate::file;
use crate::metrics::{Confusion, Metrics};
use crate::model::{Model, ModelFile};

/// Teach a network new classes
///
/// Replaces the classifier by one for the classes of DIR, which holds a folder of images for each: DIR/CLASS/*.png (or
/// .jpg). The rest of the network stays as it is: each image runs through it once, and the classifier is trained on what
/// comes out, by stochastic gradient descent with momentum. Some images are held out; the weights that do best on them are
/// kept, turned into int8, scored as they will run, and written to T.ocl with the folders' names as labels.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocelli tune mnv2.ocl animals/train -o animals.ocl\n  ocelli tune mnv2.ocl animals/train -o animals.ocl --epochs 100 --learning-rate 0.02 --seed 7"
)]
pub struct Args {
    /// The model image to start from
    #[arg(value_name = "M.ocl")]
    model: PathBuf,
    /// The folder of classes
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The model image to write
    #[arg(short, long, value_name = "T.ocl")]
    output: PathBuf,
    #[command(flatten)]
    camera: camera::Args,
    /// The most passes over the images
    #[arg(long, value_name = "N", default_value_t = TrainConfig::default().epochs)]
    epochs: u32,
    /// Epochs in a row without progress on the held-out images after which training ends
    #[arg(long, value_name = "N", default_value_t = TrainConfig::default().patience)]
    patience: u32,
    /// Size of a step
    #[arg(long, value_name = "X", default_value_t = default_sgd().0)]
    learning_rate: f32,
    /// How much of the last step is taken again, below 1
    #[arg(long, value_name = "X", default_value_t = default_sgd().1)]
    momentum: f32,
    /// How strongly large weights are held back; biases are not
    #[arg(long, value_name = "X", default_value_t = default_sgd().2)]
    weight_decay: f32,
    /// Images in a step
    #[arg(long, value_name = "N", default_value_t = TrainConfig::default().batch)]
    batch: u16,
    /// Hold out every N-th image of each class; 0 holds out none
    #[arg(long, value_name = "N", default_value_t = TrainConfig::default().held_out_every)]
    held_out: u32,
    /// Start of the generator that shuffles the images
    #[arg(long, value_name = "N", default_value_t = TrainConfig::default().seed)]
    seed: u64,
}

/// Learning rate, momentum and regularization of the trainer's defaults.
fn default_sgd() -> (f32, f32, f32) {
    let Optimizer::Sgd {
        learning_rate,
        momentum,
        l2,
    } = TrainConfig::default().optimizer;
    (learning_rate, momentum, l2)
}

impl Args {
    fn config(&self) -> TrainConfig {
        TrainConfig {
            optimizer: Optimizer::Sgd {
                learning_rate: self.learning_rate,
                momentum: self.momentum,
                l2: self.weight_decay,
            },
            batch: self.batch,
            epochs: self.epochs,
            max_steps: u32::MAX,
            patience: self.patience,
            held_out_every: self.held_out,
            seed: self.seed,
        }
    }
}

#[derive(Serialize)]
struct Tuned {
    model: PathBuf,
    output: PathBuf,
    classes: Vec<String>,
    trained_on: usize,
    held_out: usize,
    epochs: u32,
    steps: u32,
    ended_by: &'static str,
    /// Held-out images that the untrained classifier has right.
    before: Option<Accuracy>,
    /// The int8 classifier that was written, on the held-out images.
    after: Option<Metrics>,
    image_bytes: usize,
}

#[derive(Serialize)]
struct Accuracy {
    correct: u32,
    images: u32,
    accuracy: f32,
}

impl From<Score> for Accuracy {
    fn from(score: Score) -> Self {
        Self {
            correct: score.correct,
            images: score.count,
            accuracy: score.accuracy(),
        }
    }
}

/// Runs the command.
pub fn run(args: &Args, console: &Console) -> Result<()> {
    file::check(&args.output)?;
    let file = ModelFile::read(&args.model)?;
    let model = file.parse()?;
    let folder = ImageFolder::open(&args.folder)?;
    let features = replace::features(&model)?;
    let scale = learn::embedding_scale(&model.image).ok_or_else(|| {
        model.wrong("the image carries no scales, which training needs: convert it anew")
    })?;

    let photos: Vec<&PathBuf> = folder.samples.iter().map(|sample| &sample.path).collect();
    let bar = console.bar(photos.len(), "looking at the images");
    let embeddings = model.run_photos(&photos, args.camera, &bar, |session| {
        session.embedding().to_vec()
    })?;
    let embeddings = embeddings.concat();
    let labels = folder
        .samples
        .iter()
        .map(|sample| u16::try_from(sample.class))
        .collect::<Result<Vec<u16>, _>>()
        .with_context(|| format!("{}: too many classes", args.folder.display()))?;
    let samples = Samples::new(&embeddings, &labels, features)?;
    let classes = folder.classes.len();
    let trained = train::train(samples, classes, scale, args.config(), console)
        .with_context(|| args.folder.display().to_string())?;

    let buffer = replace::head(&model, &trained.head, &folder.classes)?;
    let metrics = score(&model, &buffer, samples, &trained.held_out, &folder)?;
    file::write(&args.output, buffer.bytes())?;
    console.print(&Tuned {
        model: args.model.clone(),
        output: args.output.clone(),
        trained_on: samples.len() - trained.held_out.len(),
        held_out: trained.held_out.len(),
        epochs: trained.epochs,
        steps: trained.steps,
        ended_by: trained.ended_by,
        before: trained.before.map(Accuracy::from),
        after: (!trained.held_out.is_empty()).then_some(metrics),
        image_bytes: buffer.bytes().len(),
        classes: folder.classes,
    })
}

/// The written image's classifier on the held-out samples, by the kernel that runs it.
fn score(
    model: &Model<'_>,
    buffer: &ImageBuffer,
    samples: Samples<'_>,
    held_out: &[u32],
    folder: &ImageFolder,
) -> Result<Metrics> {
    let wrong =
        |error: &dyn fmt::Display| model.wrong(format!("the new image cannot run: {error}"));
    let image = buffer.parse().map_err(|error| wrong(&error))?;
    let model = Model {
        path: model.path,
        image,
    };
    let mut confusion = Confusion::new(&folder.classes);
    let mut logits = vec![0; folder.classes.len()];
    let head = replace::int8_head(&image).ok_or_else(|| wrong(&"it has no classifier"))?;
    // A session checks what the planner has made.
    model.session(|_| ())?;
    for &index in held_out {
        let Some((embedding, label)) = samples.get(index as usize) else {
            return Err(anyhow!("sample {index} is not there"));
        };
        head.run(embedding, &mut logits)
            .map_err(|error| wrong(&error))?;
        confusion.add(label.into(), crate::metrics::arg_max(&logits));
    }
    Ok(confusion.metrics())
}

impl fmt::Display for Tuned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} classes, {} bytes; trained on {} images for {} epochs ({} steps), ended by {}\n",
            self.output.display(),
            self.classes.len(),
            self.image_bytes,
            self.trained_on,
            self.epochs,
            self.steps,
            self.ended_by
        )?;
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
            return writeln!(
                f,
                "no images held out: how good it is, `ocelli eval` tells on others"
            );
        };
        writeln!(
            f,
            "held-out images, untrained: accuracy {:.3} ({} of {} images)",
            before.accuracy, before.correct, before.images
        )?;
        write!(f, "held-out images, as int8 after training: {after}")
    }
}
