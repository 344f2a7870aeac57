//! What a conversion made, in numbers and as a page: what it costs a device, and what int8 did to it, op by op.

use ocelli::Tensor;
use ocelli_image::ParseError;
use serde::Serialize;

use crate::compare::Comparison;
use crate::convert::Conversion;
use crate::plan::weight_reads;
use crate::target::weight_count;

mod blame;
mod memory;
mod page;
mod ruin;
mod svg;

pub use blame::Blame;
pub use page::page;
pub use ruin::{MIN_AGREEMENT, MIN_OUTPUT_SQNR_DB, Ruin};

/// The numbers of a conversion.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The file that was read.
    pub source: String,
    /// The image that is written.
    pub output: String,
    /// The architecture, of weights only.
    pub arch: Option<String>,
    /// Rows, columns and channels of the input.
    pub input: [usize; 3],
    /// Codes of the output.
    pub classes: usize,
    /// Images that calibrated; of a network that was quantized here only, as all noise.
    pub calibration_images: Option<usize>,
    /// Decibels of the output's signal over its noise.
    pub output_sqnr_db: Option<f64>,
    /// What is wrong with the result, if something is.
    pub ruin: Option<String>,
    /// Every op.
    pub ops: Vec<OpReport>,
    /// Bytes of the image in flash.
    pub image_bytes: usize,
    /// Bytes of weights among them.
    pub weight_bytes: usize,
    /// Bytes of RAM.
    pub arena_bytes: usize,
    /// Multiplications by weights of one run.
    pub macs: u64,
    /// Segments of the plan.
    pub segments: usize,
    /// How often the plan reads the weights.
    pub weight_reads: f64,
    /// Decisions on other pictures.
    pub agreement: Option<Agreement>,
}

/// The numbers of an op.
#[derive(Debug, Clone, Serialize)]
pub struct OpReport {
    /// The source's name for it.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// Rows, columns and channels of its output.
    pub output: [usize; 3],
    /// Multiplications by weights.
    pub macs: u64,
    /// Bytes of its weights.
    pub weight_bytes: usize,
    /// Decibels of its noisiest input's signal over its noise; none if it reads the network's input.
    pub input_sqnr_db: Option<f64>,
    /// Decibels of its output's signal over its noise, everything before it in int8 as well.
    pub sqnr_db: Option<f64>,
    /// The same of the noise that it adds itself, where that was traced.
    pub own_sqnr_db: Option<f64>,
    /// Its part of the noise at the network's output, of 1, where that was traced.
    pub blame: Option<f64>,
}

/// How int8 and float decide on pictures that did not calibrate.
#[derive(Debug, Clone, Serialize)]
pub struct Agreement {
    /// Pictures.
    pub images: usize,
    /// Those on which both put the same class first.
    pub agreeing: usize,
    /// Their share.
    pub agreement: f64,
    /// Decibels of the output's signal over its noise.
    pub output_sqnr_db: f64,
    /// Largest error of a logit by the largest logit, the mean over images.
    pub logit_error: f64,
}

impl Report {
    /// The numbers of a conversion, with those of `blame` if that was measured.
    ///
    /// # Errors
    /// If the image is damaged.
    pub fn new(
        [source, output]: [String; 2],
        arch: Option<String>,
        conversion: &Conversion,
        blame: Option<&Blame>,
    ) -> Result<Self, ParseError> {
        let Conversion {
            model,
            image,
            quantized,
        } = conversion;
        let quantized = quantized.as_ref();
        let parsed = image.parse()?;
        let extents = |tensor: &Tensor| [tensor.h, tensor.w, tensor.c];
        let shares = blame.map(Blame::shares);
        // Of a tensor: the input has none.
        let noise = |tensor: usize| {
            let noise = quantized?.noise.ops.get(tensor.checked_sub(1)?)?;
            Some(noise.decibels())
        };
        let names = model.names.iter().skip(model.tensors.len());
        let outputs = model.tensors.iter().skip(1);
        let ops = model.ops.iter().zip(outputs).zip(names);
        let ops: Vec<OpReport> = ops
            .enumerate()
            .map(|(at, ((op, output), name))| {
                let weights = weight_count(model, at);
                let inputs = op.inputs.iter().filter_map(|&tensor| noise(tensor));
                OpReport {
                    name: name.clone(),
                    kind: op.body.kind().name(),
                    output: extents(output),
                    // Each weight is used once for each pixel of the output, whatever the kind.
                    macs: weights as u64 * (output.h * output.w) as u64,
                    weight_bytes: weights,
                    input_sqnr_db: inputs.reduce(f64::min),
                    sqnr_db: noise(at + 1),
                    own_sqnr_db: blame.and_then(|blame| Some(blame.own.get(at)?.decibels())),
                    blame: shares.as_ref().and_then(|shares| shares.get(at).copied()),
                }
            })
            .collect();
        let ruin = quantized.zip(blame);
        let ruin = ruin.and_then(|(quantized, blame)| Ruin::find(quantized, blame));
        Ok(Report {
            source,
            output,
            arch,
            input: extents(&parsed.input()),
            classes: parsed.output().elems(),
            calibration_images: quantized.map(|quantized| quantized.calibration.images),
            output_sqnr_db: quantized.map(ruin::output_sqnr_db),
            ruin: ruin.map(|ruin| ruin.to_string()),
            image_bytes: image.bytes().len(),
            weight_bytes: ops.iter().map(|op| op.weight_bytes).sum(),
            arena_bytes: ocelli::arena_bytes(&parsed),
            macs: ops.iter().map(|op| op.macs).sum(),
            ops,
            segments: model.segments.len(),
            weight_reads: weight_reads(model),
            agreement: quantized
                .and_then(|quantized| quantized.agreement.as_ref())
                .map(Agreement::new),
        })
    }
}

impl Agreement {
    fn new(comparison: &Comparison) -> Self {
        let output = comparison.ops.last();
        Agreement {
            images: comparison.images,
            agreeing: comparison.agreeing,
            agreement: comparison.agreement(),
            output_sqnr_db: output.map_or(0.0, |output| output.decibels()),
            logit_error: comparison.logit_error,
        }
    }
}
