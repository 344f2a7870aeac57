//! The whole way: weights or a quantized network in, model image out.

use std::path::{Path, PathBuf};

use ocelli::{KernelTable, Session};
use ocelli_image::{ImageBuffer, Model, PreprocessRecord, ResizeFilter};
use rayon::prelude::*;
use zerocopy::little_endian::{F32, U16};

use crate::arch::Arch;
use crate::calibrate::{calibrate, channel_peaks};
use crate::compare::{Arena, Comparison, compare};
use crate::dataset::pictures_below;
use crate::equalize::equalize;
use crate::error::ConvertError;
use crate::graph::Graph;
use crate::grid::{Grid, GridOptions, Quantization};
use crate::interpreter::Interpreter;
use crate::passes::canonicalize;
use crate::plan::{PlanKind, plan};
use crate::preprocess::{Filter, Preprocess, load_image};
use crate::quantize::quantize;
use crate::reconstruct::{ReconstructOptions, reconstruct};
use crate::{tflite, weights};

/// Pictures on which each op's noise is measured: the first ones of those that calibrate.
const NOISE_PICTURES: usize = 8;

/// What a user can say about a conversion.
#[derive(Debug, Clone)]
pub struct ConvertOptions {
    /// The architecture of the weights.
    pub arch: Arch,
    /// Height and width of the network's input.
    pub input: (usize, usize),
    /// Number of classes, if it shall be checked against the file.
    pub classes: Option<usize>,
    /// A folder with pictures that show what values flow.
    pub calibration: PathBuf,
    /// Names of the classes, a line each.
    pub labels: Option<PathBuf>,
    /// A folder with other pictures, to count how often int8 and float decide alike.
    pub agreement: Option<PathBuf>,
    /// Whether channels are equalized between linear ops.
    pub equalize: bool,
    /// How the codes of tensors and weights are chosen.
    pub grid: GridOptions,
    /// What is fitted to those codes.
    pub reconstruct: ReconstructOptions,
    /// What the plan is to be good at.
    pub plan: PlanKind,
}

/// Told how far a long conversion is.
pub trait Progress: Sync {
    /// A stage begins that takes so many steps.
    fn stage(&self, name: &str, steps: usize);
    /// One step of the stage is done.
    fn step(&self);
}

/// Tells nobody.
impl Progress for () {
    fn stage(&self, _name: &str, _steps: usize) {}
    fn step(&self) {}
}

/// A finished conversion.
pub struct Conversion {
    /// The float network, canonical.
    pub graph: Graph,
    /// The image as an editable model.
    pub model: Model,
    /// The image.
    pub image: ImageBuffer,
    /// Pictures that were used for calibration.
    pub calibration_pictures: usize,
    /// Noise of each op on some of the calibration pictures.
    pub noise: Comparison,
    /// Decisions on the pictures of [`ConvertOptions::agreement`].
    pub agreement: Option<Comparison>,
}

/// Reads weights, builds the network, quantizes and plans it, and writes the image into memory.
///
/// The same files and options give the same bytes.
///
/// # Errors
/// [`ConvertError`], naming the file, tensor or node.
pub fn convert(
    source: &Path,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<Conversion, ConvertError> {
    progress.stage("reading weights", 1);
    let weights = weights::load(source)?;
    let (h, w) = options.input;
    let reference = canonicalize(options.arch.build(&weights, h, w, options.classes)?)?;
    let mut graph = reference.clone();
    drop(weights);
    progress.step();
    let labels = match &options.labels {
        Some(path) => read_labels(path, graph.output_shape().elems())?,
        None => vec![],
    };
    let preprocess = options.arch.preprocess(side(h)?, side(w)?);

    let pictures = load_pictures(&options.calibration, &preprocess, progress)?;
    let images: Vec<_> = pictures
        .iter()
        .map(|pixels| || preprocess.normalize(pixels))
        .collect();
    if options.equalize {
        progress.stage("equalizing", images.len());
        let peaks = channel_peaks(&Interpreter::new(&graph)?, &graph, &images, || {
            progress.step()
        })?;
        equalize(&mut graph, |id| peaks[id.0].clone());
        graph.verify()?;
    }
    progress.stage("calibrating", 2 * pictures.len());
    let interpreter = Interpreter::new(&graph)?;
    let calibration = calibrate(&interpreter, &graph, &images, || progress.step())?;

    progress.stage("quantizing and planning", 1);
    let grid = Grid::choose(&graph, &calibration, input_range(&preprocess), options.grid);
    progress.stage("fitting weights", graph.nodes.len());
    let float = graph.clone();
    reconstruct(&mut graph, &grid, &images, options.reconstruct, || {
        progress.step()
    })?;
    let mut model = quantize(&graph, &grid)?;
    let graph = float;
    let input = grid.tensor(graph.input);
    model.preprocess = Some(preprocess_record(&preprocess, input)?);
    model.labels = labels;
    let model = plan(model, options.plan)?;
    let image = model.encode()?;
    progress.step();

    let parsed = image
        .parse()
        .map_err(|error| ConvertError::Load(error.to_string()))?;
    let sample = &pictures[..pictures.len().min(NOISE_PICTURES)];
    progress.stage("measuring noise", sample.len());
    let noise = compare(&reference, &graph, &parsed, &preprocess, sample, || {
        progress.step()
    })?;
    let agreement = options.agreement.as_ref().map(|folder| {
        let pictures = load_pictures(folder, &preprocess, progress)?;
        progress.stage("comparing with float", pictures.len());
        compare(&reference, &graph, &parsed, &preprocess, &pictures, || {
            progress.step()
        })
    });
    let agreement = agreement.transpose()?;
    Ok(Conversion {
        calibration_pictures: pictures.len(),
        graph,
        model,
        image,
        noise,
        agreement,
    })
}

/// The way of a file that is int8 already: taken over as it is and planned.
///
/// # Errors
/// [`ConvertError`] for a file that [`tflite::import`] refuses, labels that do not fit, or an image that cannot run.
pub fn convert_tflite(
    source: &Path,
    labels: Option<&Path>,
    kind: PlanKind,
) -> Result<(Model, ImageBuffer), ConvertError> {
    let mut model = tflite::import(source)?;
    if let Some(path) = labels {
        let classes = model.tensors.last().map_or(0, |output| output.elems());
        model.labels = read_labels(path, classes)?;
    }
    let model = plan(model, kind)?;
    let image = model.encode()?;
    let parsed = image
        .parse()
        .map_err(|error| ConvertError::Load(error.to_string()))?;
    let mut arena = Arena::new(&parsed);
    Session::new(&parsed, arena.bytes(), &KernelTable::all())
        .map_err(|error| ConvertError::Load(error.to_string()))?;
    Ok((model, image))
}

/// The pixels of all pictures below a folder.
fn load_pictures(
    folder: &Path,
    preprocess: &Preprocess,
    progress: &dyn Progress,
) -> Result<Vec<Vec<u8>>, ConvertError> {
    let paths = pictures_below(folder)?;
    progress.stage("reading pictures", paths.len());
    let load = |path: &PathBuf| {
        let pixels = preprocess.pixels(&load_image(path)?)?;
        progress.step();
        Ok(pixels)
    };
    paths.par_iter().map(load).collect()
}

fn read_labels(path: &Path, classes: usize) -> Result<Vec<String>, ConvertError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConvertError::Labels {
        path: path.to_path_buf(),
        why: source.to_string(),
    })?;
    let labels: Vec<String> = text.lines().map(|line| line.trim().to_string()).collect();
    if labels.len() != classes || labels.iter().any(String::is_empty) {
        let why = format!(
            "{} lines, but the network has {classes} classes: one name a line",
            labels.len()
        );
        return Err(ConvertError::Labels {
            path: path.to_path_buf(),
            why,
        });
    }
    Ok(labels)
}

fn side(pixels: usize) -> Result<u32, ConvertError> {
    u32::try_from(pixels)
        .map_err(|_| ConvertError::Load(format!("an input of {pixels} pixels is too large")))
}

/// Codes that cover what pixels can become, in every channel.
fn input_range(preprocess: &Preprocess) -> (f32, f32) {
    let ends = (0..3).map(|channel| (preprocess.value(0, channel), preprocess.value(255, channel)));
    ends.fold((0.0f32, 0.0f32), |(low, high), (from, to)| {
        (low.min(from), high.max(to))
    })
}

/// The preprocessing as the image stores it, with the code of every pixel value.
fn preprocess_record(
    preprocess: &Preprocess,
    input: Quantization,
) -> Result<PreprocessRecord, ConvertError> {
    let code = |channel: usize, value: usize| input.code(preprocess.value(value as u8, channel));
    let filter = match preprocess.filter {
        Filter::Bilinear => ResizeFilter::Bilinear,
        Filter::Bicubic => ResizeFilter::Bicubic,
    };
    let resize_shorter = u16::try_from(preprocess.resize_shorter).map_err(|_| {
        ConvertError::Load("photos are resized to more than 65,535 pixels".to_string())
    })?;
    Ok(PreprocessRecord {
        table: std::array::from_fn(|channel| std::array::from_fn(|value| code(channel, value))),
        resize_shorter: U16::new(resize_shorter),
        filter: filter.number(),
        reserved: 0,
        mean: preprocess.mean.map(F32::new),
        std: preprocess.std.map(F32::new),
    })
}

impl Preprocess {
    /// The preprocessing that an image stores, for an input of this size.
    ///
    /// # Errors
    /// As [`Preprocess::check`].
    pub fn from_record(
        record: &PreprocessRecord,
        h: usize,
        w: usize,
    ) -> Result<Self, ConvertError> {
        let preprocess = Preprocess {
            resize_shorter: record.resize_shorter.get().into(),
            crop: (side(h)?, side(w)?),
            filter: match ResizeFilter::from_number(record.filter) {
                Some(ResizeFilter::Bicubic) => Filter::Bicubic,
                _ => Filter::Bilinear,
            },
            mean: record.mean.map(|mean| mean.get()),
            std: record.std.map(|std| std.get()),
        };
        preprocess.check()?;
        Ok(preprocess)
    }
}
