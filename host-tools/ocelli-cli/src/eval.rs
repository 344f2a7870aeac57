//! `ocelli eval`: how well a network knows labelled images.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use ocelli_convert::dataset::ImageFolder;
use serde::Serialize;

use crate::camera;
use crate::console::Console;
use crate::metrics::{Confusion, Metrics};
use crate::model::ModelFile;

/// Score a network on labelled images
///
/// DIR holds a folder for each class, named as the class is in the model image: DIR/CLASS/*.png (or .jpg). Prints accuracy,
/// macro F1, each class's recall, and what it was taken for; predictions of classes without a folder count as wrong and stand
/// under (other).
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ocelli eval animals.ocl photos/test")]
pub struct Args {
    /// The model image
    #[arg(value_name = "M.ocl")]
    model: PathBuf,
    /// The folder of classes
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    camera: camera::Args,
}

#[derive(Serialize)]
struct Evaluation {
    model: PathBuf,
    folder: PathBuf,
    #[serde(flatten)]
    metrics: Metrics,
}

/// Runs the command.
pub fn run(args: &Args, console: &Console) -> Result<()> {
    let file = ModelFile::read(&args.model)?;
    let model = file.parse()?;
    let folder = ImageFolder::open(&args.folder)?;
    let labels = model.labels()?;
    let unmatched: Vec<&str> = folder
        .classes
        .iter()
        .map(String::as_str)
        .filter(|class| !labels.contains(class))
        .collect();
    if !unmatched.is_empty() {
        return Err(anyhow!(
            "{}: {} of {} folders are no class of {}: {}: name each folder as its class is named (`ocelli inspect` shows the labels)",
            args.folder.display(),
            unmatched.len(),
            folder.classes.len(),
            args.model.display(),
            unmatched.join(", "),
        ));
    }
    // Of two labels that are the same, either is right.
    let class_of_label: Vec<Option<usize>> = labels
        .iter()
        .map(|label| folder.classes.iter().position(|class| class == label))
        .collect();
    let photos: Vec<&PathBuf> = folder.samples.iter().map(|sample| &sample.path).collect();
    let bar = console.bar(photos.len(), "classifying");
    let predicted = model.run_photos(&photos, args.camera, &bar, |session| session.top())?;
    let mut confusion = Confusion::new(&folder.classes);
    for (sample, top) in folder.samples.iter().zip(predicted) {
        let class = top.and_then(|(class, _)| class_of_label.get(class).copied().flatten());
        confusion.add(sample.class, class);
    }
    console.print(&Evaluation {
        model: args.model.clone(),
        folder: args.folder.clone(),
        metrics: confusion.metrics(),
    })
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} on {}: {}",
            self.model.display(),
            self.folder.display(),
            self.metrics
        )
    }
}
