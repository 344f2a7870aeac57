//! What quantization did: the int8 network beside the float one, op by op and in its decisions.

use ocelli::{Image, KernelTable, LoadError, Observer, Session, arena_bytes};
use rayon::prelude::*;

use crate::error::ConvertError;
use crate::graph::Graph;
use crate::interpreter::Interpreter;
use crate::preprocess::Preprocess;

/// Signal and noise of one tensor, summed over images.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Noise {
    /// Sum of squares of the float values.
    pub signal: f64,
    /// Sum of squares of the differences.
    pub noise: f64,
}

impl Noise {
    /// Signal-to-quantization-noise ratio in decibels; infinite without noise.
    pub fn decibels(&self) -> f64 {
        10.0 * (self.signal / self.noise).log10()
    }

    pub(crate) fn add(self, other: Noise) -> Noise {
        Noise {
            signal: self.signal + other.signal,
            noise: self.noise + other.noise,
        }
    }
}

/// How the int8 network compares with the float one on some images.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Images compared.
    pub images: usize,
    /// Images on which both put the same class first.
    pub agreeing: usize,
    /// Noise of every op's output, everything before it in int8 as well.
    pub ops: Vec<Noise>,
    /// Largest difference of a logit, relative to the largest float logit of its image; the mean over images.
    pub logit_error: f64,
}

impl Comparison {
    /// The share of images on which both put the same class first.
    pub fn agreement(&self) -> f64 {
        self.agreeing as f64 / self.images.max(1) as f64
    }
}

/// Bytes at a multiple of sixteen, for a session.
pub struct Arena(Vec<u128>);

impl Arena {
    /// Memory for a session of this model.
    pub fn new(image: &Image<'_>) -> Self {
        Arena(vec![0; arena_bytes(image).div_ceil(16)])
    }

    /// The memory.
    pub fn bytes(&mut self) -> &mut [u8] {
        zerocopy::IntoBytes::as_mut_bytes(self.0.as_mut_slice())
    }
}

/// Runs both networks on images given as pixels.
///
/// `reference` is the network as it came, which decides; `graph` is the one that was quantized, whose channels may be
/// scaled: op by op, the int8 network is measured against that.
///
/// `progress` is called once per image.
///
/// # Errors
/// [`ConvertError`] if the image cannot be run or a picture has not the network's size.
pub fn compare(
    reference: &Graph,
    graph: &Graph,
    image: &Image<'_>,
    preprocess: &Preprocess,
    pictures: &[Vec<u8>],
    progress: impl Fn() + Sync,
) -> Result<Comparison, ConvertError> {
    let interpreters = [Interpreter::new(reference)?, Interpreter::new(graph)?];
    let each = pictures.par_iter().map(|pixels| {
        let one = compare_one(graph, &interpreters, image, preprocess, pixels);
        progress();
        one
    });
    let start = Comparison {
        images: 0,
        agreeing: 0,
        ops: vec![],
        logit_error: 0.0,
    };
    // Collected first: sums of floats are taken in one order, whatever the threads do.
    let each = each.collect::<Result<Vec<_>, ConvertError>>()?;
    let mut total = each.into_iter().fold(start, |mut total, one| {
        total.images += one.images;
        total.agreeing += one.agreeing;
        total.logit_error += one.logit_error;
        total.ops.resize(one.ops.len(), Noise::default());
        for (total, one) in total.ops.iter_mut().zip(one.ops) {
            *total = total.add(one);
        }
        total
    });
    total.logit_error /= total.images.max(1) as f64;
    Ok(total)
}

fn compare_one(
    graph: &Graph,
    [reference, equalized]: &[Interpreter<'_>; 2],
    image: &Image<'_>,
    preprocess: &Preprocess,
    pixels: &[u8],
) -> Result<Comparison, ConvertError> {
    let mut tensors = vec![vec![]; graph.tensors.len()];
    let input = preprocess.normalize(pixels);
    let logits = reference.run(&input, |_, _| {})?;
    equalized.run(&input, |id, values| tensors[id.0] = values.to_vec())?;
    let floats: Vec<&[f32]> = graph
        .nodes
        .iter()
        .map(|node| tensors[node.output.0].as_slice())
        .collect();
    let mut noise = NoiseObserver {
        image,
        floats,
        ops: vec![Noise::default(); image.op_count()],
    };
    let kernels = KernelTable::all();
    let mut arena = Arena::new(image);
    let mut session = Session::new(image, arena.bytes(), &kernels)?;
    session.run_pixels(pixels, &mut noise)?;
    let (codes, output) = (session.output(), image.output());
    let scale = image.tensor_scale(image.op_count()).unwrap_or(1.0);
    let value = |code: i8| scale * (i32::from(code) - i32::from(output.zero_point)) as f32;
    let largest = logits
        .iter()
        .fold(0.0f32, |max, logit| max.max(logit.abs()));
    let error = logits
        .iter()
        .zip(codes)
        .map(|(logit, &code)| (logit - value(code)).abs())
        .fold(0.0, f32::max);
    Ok(Comparison {
        images: 1,
        agreeing: usize::from(session.top().map(|(class, _)| class) == first_largest(&logits)),
        ops: noise.ops,
        logit_error: f64::from(error / largest.max(f32::MIN_POSITIVE)),
    })
}

/// The index of the largest value, the first of equals.
pub fn first_largest(values: &[f32]) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (at, value) in values.iter().enumerate() {
        if best.is_none_or(|best| *value > values[best]) {
            best = Some(at);
        }
    }
    best
}

struct NoiseObserver<'a> {
    image: &'a Image<'a>,
    floats: Vec<&'a [f32]>,
    ops: Vec<Noise>,
}

impl Observer for NoiseObserver<'_> {
    fn rows(&mut self, op: usize, first_row: usize, rows: &[i8]) {
        let tensor = self.image.tensor(op + 1);
        let scale = f64::from(self.image.tensor_scale(op + 1).unwrap_or(1.0));
        let floats = &self.floats[op][first_row * tensor.row_elems()..];
        for (&code, &float) in rows.iter().zip(floats) {
            let value = scale * f64::from(i32::from(code) - i32::from(tensor.zero_point));
            let float = f64::from(float);
            self.ops[op].signal += float * float;
            self.ops[op].noise += (float - value) * (float - value);
        }
    }
}

impl From<LoadError> for ConvertError {
    fn from(error: LoadError) -> Self {
        ConvertError::Load(error.to_string())
    }
}

impl From<ocelli::InputError> for ConvertError {
    fn from(error: ocelli::InputError) -> Self {
        ConvertError::Load(error.to_string())
    }
}
