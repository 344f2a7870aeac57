//! `ocelli run`: what a network says about images or codes.

use std::cmp::Reverse;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::camera;
use crate::console::Console;
use crate::file;
use crate::model::{Model, ModelFile};
use crate::table::Table;

/// Classify images, or run codes through the network
///
/// Images (PNG or JPEG) are resized, cropped and turned into codes as the model image says. The probability is the
/// softmax of the real logits; it needs a model image with scales.
///
/// With --raw-input the network is fed int8 codes, [h, w, c] row by row, and any number of samples one after another; its
/// output codes are written to --raw-output in the same way.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  ocelli run mnv2.ocl cat.png dog.jpg --top 3\n  ocelli run mnv2.ocl --raw-input codes.bin --raw-output logits.bin"
)]
pub struct Args {
    /// The model image
    #[arg(value_name = "M.ocl")]
    model: PathBuf,
    /// Photos to classify
    #[arg(value_name = "IMAGE", required_unless_present = "raw_input")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    camera: camera::Args,
    /// How many classes to show for each image
    #[arg(long, value_name = "K", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    top: u16,
    /// A file of int8 codes to run instead of images
    #[arg(
        long,
        value_name = "FILE",
        requires = "raw_output",
        conflicts_with_all = ["images", "camera"]
    )]
    raw_input: Option<PathBuf>,
    /// Where the output's codes go
    #[arg(long, value_name = "FILE", requires = "raw_input")]
    raw_output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, console: &Console) -> Result<()> {
    let file = ModelFile::read(&args.model)?;
    let model = file.parse()?;
    match (&args.raw_input, &args.raw_output) {
        (Some(input), Some(output)) => console.print(&run_codes(&model, input, output)?),
        _ => console.print(&classify(&model, args, console)?),
    }
}

#[derive(Serialize)]
struct Classified {
    results: Vec<Photo>,
}

#[derive(Serialize)]
struct Photo {
    image: PathBuf,
    /// The best first.
    top: Vec<Class>,
}

#[derive(Serialize)]
struct Class {
    class: usize,
    label: Option<String>,
    probability: Option<f32>,
    code: i8,
}

fn classify(model: &Model<'_>, args: &Args, console: &Console) -> Result<Classified> {
    let labels: Vec<&str> = model.image.labels().collect();
    let bar = console.bar(args.images.len(), "classifying");
    let outputs = model.run_photos(&args.images, args.camera, &bar, |session| {
        session.output().to_vec()
    })?;
    let results = args.images.iter().zip(outputs).map(|(image, codes)| {
        let probabilities = model.probabilities(&codes);
        let mut top: Vec<Class> = codes
            .iter()
            .enumerate()
            .map(|(class, &code)| Class {
                class,
                label: labels.get(class).map(|label| label.to_string()),
                probability: probabilities.as_ref().map(|all| all[class]),
                code,
            })
            .collect();
        // Stable: of equal codes the first class wins, as on the device.
        top.sort_by_key(|class| Reverse(class.code));
        top.truncate(args.top.into());
        Photo {
            image: image.clone(),
            top,
        }
    });
    Ok(Classified {
        results: results.collect(),
    })
}

impl fmt::Display for Classified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for photo in &self.results {
            writeln!(f, "{}", photo.image.display())?;
            let mut table = Table::new(["probability", "code", "class", "<label"]);
            for class in &photo.top {
                let probability = class.probability;
                table.row([
                    probability.map_or("-".to_string(), |share| format!("{share:.3}")),
                    class.code.to_string(),
                    class.class.to_string(),
                    class.label.clone().unwrap_or_default(),
                ]);
            }
            write!(f, "{table}")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct RawRun {
    raw_output: PathBuf,
    samples: usize,
    /// Codes of one sample of the input.
    input_elems: usize,
    /// Codes of one sample of the output.
    output_elems: usize,
}

fn run_codes(model: &Model<'_>, input: &Path, output: &Path) -> Result<RawRun> {
    let codes = model.read_codes(input)?;
    let input_elems = model.image.input().elems();
    let mut outputs = Vec::new();
    model
        .session(|session| {
            codes.chunks_exact(input_elems).try_for_each(|sample| {
                session.run_codes(sample, &mut ())?;
                outputs.extend(session.output().iter().map(|code| code.cast_unsigned()));
                Ok(())
            })
        })?
        .map_err(|error| model.input_error(error))?;
    file::write(output, &outputs)?;
    Ok(RawRun {
        raw_output: output.to_path_buf(),
        samples: codes.len() / input_elems,
        input_elems,
        output_elems: model.image.output().elems(),
    })
}

impl fmt::Display for RawRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} samples of {} codes",
            self.raw_output.display(),
            self.samples,
            self.output_elems
        )
    }
}
