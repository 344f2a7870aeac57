//! The whole way: a network's file in, model image out.

use std::path::{Path, PathBuf};

use ocelli::{KernelTable, Session};
use ocelli_image::{ImageBuffer, Model};
use rayon::prelude::*;

use crate::arch::Arch;
use crate::calibrate::{Calibration, RangeMethod, calibrate, channel_peaks};
use crate::compare::{Arena, Comparison, compare};
use crate::dataset::pictures_below;
use crate::equalize::equalize;
use crate::error::ConvertError;
use crate::graph::Graph;
use crate::grid::{Grid, GridOptions, Quantization};
use crate::interpreter::Interpreter;
use crate::network::{Network, PictureOptions, preprocess_record};
use crate::plan::{Memory, PlanKind, plan_in};
use crate::preprocess::{Preprocess, load_image};
use crate::quantize::quantize;
use crate::reconstruct::{ReconstructOptions, reconstruct};
use crate::target::{Target, pack};

/// Pictures on which each op's noise is measured: the first ones of those that calibrate.
const NOISE_PICTURES: usize = 8;

/// What a user can say about a conversion.
#[derive(Debug, Clone)]
pub struct ConvertOptions {
    /// The architecture of the weights; other files have theirs.
    pub arch: Option<Arch>,
    /// Height and width of the network's input, if not the architecture's own.
    pub input: Option<(usize, usize)>,
    /// Number of classes, if not that of the weights.
    pub classes: Option<usize>,
    /// How pictures become the network's input.
    pub pictures: PictureOptions,
    /// A folder with pictures that show what values flow; needed unless the file is int8 already.
    pub calibration: Option<PathBuf>,
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
    /// The processor that weights are packed for.
    pub target: Target,
    /// What the plan is to be good at.
    pub plan: PlanKind,
    /// The memories that it is for, the fastest first; none for a single one of any size.
    pub memories: Vec<Memory>,
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
    /// The image as an editable model.
    pub model: Model,
    /// The image.
    pub image: ImageBuffer,
    /// What is known of a network that was quantized here.
    pub quantized: Option<Quantized>,
}

/// A network that was quantized here.
pub struct Quantized {
    /// The float network, canonical, its channels equalized.
    pub graph: Graph,
    /// The values that flow through it.
    pub calibration: Calibration,
    /// What its codes stand for.
    pub grid: Grid,
    /// How pixels become its input.
    pub preprocess: Preprocess,
    /// Pixels of the pictures that `noise` was measured on.
    pub sample: Vec<Vec<u8>>,
    /// Noise of each op on some of the calibration pictures.
    pub noise: Comparison,
    /// Decisions on the pictures of [`ConvertOptions::agreement`].
    pub agreement: Option<Comparison>,
}

/// Reads a network, quantizes it if it is not int8 already, plans it, and writes the image into memory.
///
/// The same files and options give the same bytes.
///
/// # Errors
/// [`ConvertError`], naming the file, tensor, node or option.
pub fn convert(
    source: &Path,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<Conversion, ConvertError> {
    progress.stage("reading the network", 1);
    let arch = options.arch.as_ref();
    let network = Network::load(source, arch, options.input, options.classes)?;
    progress.step();
    match network {
        Network::Float(graph) => convert_float(graph, options, progress),
        Network::Int8(model) => convert_int8(*model, options),
    }
}

/// A network of real numbers: equalized, calibrated, fitted, rounded, planned and compared.
fn convert_float(
    reference: Graph,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<Conversion, ConvertError> {
    let mut graph = reference.clone();
    let labels = read_labels(options, graph.output_shape().elems())?;
    let shape = graph.input_shape();
    let arch = options.arch.as_ref();
    let preprocess = options
        .pictures
        .preprocess(arch, [shape.h, shape.w, shape.c])?;
    let calibration = options.calibration.as_ref();
    let folder = calibration.ok_or(ConvertError::NeedsCalibration)?;
    let pictures = load_pictures(folder, &preprocess, progress)?;
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

    let grid = Grid::choose(&graph, &calibration, input_range(&preprocess), options.grid);
    progress.stage("fitting weights", graph.nodes.len());
    let mut fitted = graph.clone();
    let advance = || progress.step();
    reconstruct(&mut fitted, &grid, &images, options.reconstruct, advance)?;
    let mut model = quantize(&fitted, &grid)?;
    drop(fitted);
    model.preprocess = Some(preprocess_record(&preprocess, grid.tensor(graph.input))?);
    model.labels = labels;
    progress.stage("planning", 1);
    let (model, image) = plan_and_check(model, options)?;
    progress.step();

    let parsed = image
        .parse()
        .map_err(|error| ConvertError::Load(error.to_string()))?;
    let sample = &pictures[..pictures.len().min(NOISE_PICTURES)];
    progress.stage("measuring noise", sample.len());
    let noise = compare(&reference, &graph, &parsed, &preprocess, sample, advance)?;
    let agreement = options.agreement.as_ref().map(|folder| {
        let pictures = load_pictures(folder, &preprocess, progress)?;
        progress.stage("comparing with float", pictures.len());
        compare(&reference, &graph, &parsed, &preprocess, &pictures, advance)
    });
    let agreement = agreement.transpose()?;
    Ok(Conversion {
        model,
        image,
        quantized: Some(Quantized {
            graph,
            calibration,
            grid,
            preprocess,
            sample: sample.to_vec(),
            noise,
            agreement,
        }),
    })
}

/// A network that is int8 already: taken over as it is and planned.
fn convert_int8(mut model: Model, options: &ConvertOptions) -> Result<Conversion, ConvertError> {
    let given = [
        ("--calib", options.calibration.is_some()),
        ("--agreement", options.agreement.is_some()),
        ("--no-equalize", !options.equalize),
        ("--range", options.grid.range != RangeMethod::default()),
        ("--per-tensor", !options.grid.per_channel),
        ("--round-to-nearest", !options.reconstruct.weights),
        ("--no-bias-correction", !options.reconstruct.biases),
    ];
    if let Some((option, _)) = given.into_iter().find(|(_, given)| *given) {
        return Err(ConvertError::HasItAlready { option });
    }
    let PictureOptions {
        normalize,
        resize,
        filter,
    } = options.pictures;
    if normalize.is_none() && (resize.is_some() || filter.is_some()) {
        return Err(ConvertError::NeedsNormalize);
    }
    let classes = model.tensors.last().map_or(0, |output| output.elems());
    model.labels = read_labels(options, classes)?;
    if normalize.is_some()
        && let (Some(input), Some(&scale)) = (model.tensors.first(), model.tensor_scale.first())
    {
        let codes = Quantization {
            scale,
            zero_point: input.zero_point,
        };
        let shape = [input.h, input.w, input.c];
        let preprocess = options.pictures.preprocess(None, shape)?;
        model.preprocess = Some(preprocess_record(&preprocess, codes)?);
    }
    let (model, image) = plan_and_check(model, options)?;
    Ok(Conversion {
        model,
        image,
        quantized: None,
    })
}

/// Packs a model's weights, plans it, encodes it and proves that a session can run it.
fn plan_and_check(
    mut model: Model,
    options: &ConvertOptions,
) -> Result<(Model, ImageBuffer), ConvertError> {
    pack(&mut model, options.target.packing());
    let model = plan_in(model, options.plan, &options.memories)?;
    let image = model.encode()?;
    let parsed = image
        .parse()
        .map_err(|error| ConvertError::Load(error.to_string()))?;
    let mut arena = Arena::new(&parsed);
    Session::new(&parsed, arena.bytes(), &KernelTable::all())?;
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

fn read_labels(options: &ConvertOptions, classes: usize) -> Result<Vec<String>, ConvertError> {
    let Some(path) = &options.labels else {
        return Ok(vec![]);
    };
    let text = std::fs::read_to_string(path).map_err(|source| ConvertError::Labels {
        path: path.clone(),
        why: source.to_string(),
    })?;
    let labels: Vec<String> = text.lines().map(|line| line.trim().to_string()).collect();
    if labels.len() != classes || labels.iter().any(String::is_empty) {
        let why = format!(
            "{} lines, but the network has {classes} classes: one name a line",
            labels.len()
        );
        return Err(ConvertError::Labels {
            path: path.clone(),
            why,
        });
    }
    Ok(labels)
}

/// Codes that cover what pixels can become, in every channel.
fn input_range(preprocess: &Preprocess) -> (f32, f32) {
    let ends = (0..3).map(|channel| (preprocess.value(0, channel), preprocess.value(255, channel)));
    ends.fold((0.0f32, 0.0f32), |(low, high), (from, to)| {
        (low.min(from), high.max(to))
    })
}
