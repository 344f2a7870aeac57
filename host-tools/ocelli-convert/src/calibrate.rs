//! What values flow through a network on real images: the ranges that quantization needs.

use rayon::prelude::*;

use crate::error::InputError;
use crate::graph::{Graph, Tensor, TensorId};
use crate::interpreter::Interpreter;

/// Bins of a tensor's histogram.
const BINS: usize = 2048;

/// What calibration saw of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorStatistics {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Weights of the values in equal parts of `min..=max`: each image's counts over its sum of squares.
    ///
    /// So an image in which a tensor is quiet says as much as one in which it is loud: what matters is the error
    /// relative to the image's own signal.
    pub histogram: Vec<f64>,
    /// Mean of each channel.
    pub channel_mean: Vec<f32>,
}

/// Statistics of every tensor of a graph, by id.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    tensors: Vec<TensorStatistics>,
    /// Images seen.
    pub images: usize,
}

impl Calibration {
    /// As if every tensor had values from -1 to 1: for what depends on no value.
    pub fn assumed(graph: &Graph) -> Self {
        let of_tensor = |tensor: &Tensor| TensorStatistics {
            min: -1.0,
            max: 1.0,
            histogram: vec![0.0; BINS],
            channel_mean: vec![0.0; tensor.shape.c],
        };
        Calibration {
            tensors: graph.tensors.iter().map(of_tensor).collect(),
            images: 0,
        }
    }

    /// The statistics of a tensor of the graph that was calibrated.
    ///
    /// # Panics
    /// If the id is another graph's.
    pub fn tensor(&self, id: TensorId) -> &TensorStatistics {
        &self.tensors[id.0]
    }
}

/// Looks at the values of one tensor, by its index.
type See<'a> = dyn Fn(&mut [Seen], usize, &[f32]) + Sync + 'a;

/// Runs all images through the graph, twice: for the ranges, then for what lies in them.
///
/// `progress` is called once per image and round. The result does not depend on the number of threads.
///
/// # Shapes
/// Every image is one NHWC input of the graph, normalized.
///
/// # Errors
/// If an image has not the size of the graph's input.
pub fn calibrate<I>(
    interpreter: &Interpreter<'_>,
    graph: &Graph,
    images: &[I],
    progress: impl Fn() + Sync,
) -> Result<Calibration, InputError>
where
    I: Fn() -> Vec<f32> + Sync,
{
    let count = graph.tensors.len();
    let each = |see: &See<'_>| {
        images
            .par_iter()
            .map(|image| {
                let mut seen: Vec<Seen> = (0..count).map(|_| Seen::default()).collect();
                interpreter.run(&image(), |TensorId(at), values| see(&mut seen, at, values))?;
                progress();
                Ok(seen)
            })
            .collect::<Result<Vec<_>, InputError>>()
    };

    let ranges = each(&|seen, at, values| {
        let channels = graph.tensors[at].shape.c;
        seen[at].range = range(values);
        seen[at].channel_sum = channel_sums(values, channels);
    })?;
    let mut tensors = Vec::with_capacity(count);
    for at in 0..count {
        let all = || ranges.iter().map(|seen| &seen[at]);
        let (min, max) = all().fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), seen| {
            (min.min(seen.range.0), max.max(seen.range.1))
        });
        let shape = graph.tensors[at].shape;
        let pixels = (images.len() * shape.h * shape.w).max(1) as f64;
        let mut channel_mean = vec![0.0f64; shape.c];
        for seen in all() {
            for (mean, sum) in channel_mean.iter_mut().zip(&seen.channel_sum) {
                *mean += sum / pixels;
            }
        }
        let channel_mean = channel_mean.into_iter().map(|mean| mean as f32).collect();
        tensors.push(TensorStatistics {
            min,
            max,
            histogram: vec![0.0; BINS],
            channel_mean,
        });
    }

    let histograms = each(&|seen, at, values| {
        seen[at].histogram = histogram(values, tensors[at].min, tensors[at].max);
        seen[at].energy = values
            .iter()
            .map(|&value| f64::from(value) * f64::from(value))
            .sum();
    })?;
    for seen in histograms {
        for (tensor, seen) in tensors.iter_mut().zip(seen) {
            let weight = if seen.energy > 0.0 {
                1.0 / seen.energy
            } else {
                0.0
            };
            for (total, count) in tensor.histogram.iter_mut().zip(seen.histogram) {
                *total += f64::from(count) * weight;
            }
        }
    }
    Ok(Calibration {
        tensors,
        images: images.len(),
    })
}

/// The largest magnitude of each channel of every tensor, by tensor index.
///
/// `progress` is called once per image.
///
/// # Errors
/// If an image has not the size of the graph's input.
pub fn channel_peaks<I>(
    interpreter: &Interpreter<'_>,
    graph: &Graph,
    images: &[I],
    progress: impl Fn() + Sync,
) -> Result<Vec<Vec<f32>>, InputError>
where
    I: Fn() -> Vec<f32> + Sync,
{
    let none = || {
        graph
            .tensors
            .iter()
            .map(|tensor| vec![0.0f32; tensor.shape.c])
            .collect::<Vec<_>>()
    };
    let each = images.par_iter().map(|image| {
        let mut peaks = none();
        interpreter.run(&image(), |TensorId(at), values| {
            for pixel in values.chunks_exact(graph.tensors[at].shape.c) {
                raise(&mut peaks[at], pixel.iter().map(|value| value.abs()));
            }
        })?;
        progress();
        Ok(peaks)
    });
    each.try_reduce(none, |mut all, one| {
        for (all, one) in all.iter_mut().zip(one) {
            raise(all, one);
        }
        Ok(all)
    })
}

fn raise(peaks: &mut [f32], values: impl IntoIterator<Item = f32>) {
    for (peak, value) in peaks.iter_mut().zip(values) {
        *peak = peak.max(value);
    }
}

/// What one image showed of one tensor.
#[derive(Default)]
struct Seen {
    range: (f32, f32),
    channel_sum: Vec<f64>,
    histogram: Vec<u32>,
    energy: f64,
}

fn range(values: &[f32]) -> (f32, f32) {
    values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), &value| {
            (min.min(value), max.max(value))
        })
}

fn channel_sums(values: &[f32], channels: usize) -> Vec<f64> {
    let mut sums = vec![0.0; channels];
    for pixel in values.chunks_exact(channels) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            *sum += f64::from(value);
        }
    }
    sums
}

fn histogram(values: &[f32], min: f32, max: f32) -> Vec<u32> {
    let mut bins = vec![0u32; BINS];
    let per_unit = if max > min {
        BINS as f32 / (max - min)
    } else {
        0.0
    };
    for &value in values {
        let bin = ((value - min) * per_unit) as usize;
        bins[bin.min(BINS - 1)] += 1;
    }
    bins
}

/// How the range of a tensor is chosen from what calibration saw.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum RangeMethod {
    /// From the smallest to the largest value.
    MinMax,
    /// Without the outermost values: this share of all lies inside, and as many are cut off below as above.
    Percentile(f64),
    /// The range with the least mean squared error of rounding and clipping together.
    #[default]
    MeanSquaredError,
}

impl TensorStatistics {
    /// The range of real values that codes shall stand for; zero lies in it.
    pub fn range(&self, method: RangeMethod) -> (f32, f32) {
        let (min, max) = (self.min.min(0.0), self.max.max(0.0));
        match method {
            RangeMethod::MinMax => (min, max),
            RangeMethod::Percentile(share) => self.percentile_range(share, min, max),
            RangeMethod::MeanSquaredError => self.least_error_range(min, max),
        }
    }

    /// Ends of histogram bins between which the share lies.
    fn percentile_range(&self, share: f64, min: f32, max: f32) -> (f32, f32) {
        let total: f64 = self.histogram.iter().sum();
        let outside = total * (1.0 - share) / 2.0;
        let bins_cut = |bins: &mut dyn Iterator<Item = &f64>| {
            let mut mass = 0.0;
            bins.take_while(|&&bin| {
                mass += bin;
                mass <= outside
            })
            .count()
        };
        let width = (self.max - self.min) / BINS as f32;
        let below = bins_cut(&mut self.histogram.iter()) as f32;
        let above = bins_cut(&mut self.histogram.iter().rev()) as f32;
        let low = self.min + below * width;
        let high = self.max - above * width;
        (low.min(0.0).max(min), high.max(0.0).min(max))
    }

    /// Tries ranges cut at either end in steps, and keeps the best.
    fn least_error_range(&self, min: f32, max: f32) -> (f32, f32) {
        const STEPS: u32 = 40;
        let cut = |end: f32, step: u32| end * (1.0 - step as f32 / (STEPS as f32 * 1.25));
        let mut best = (min, max);
        let mut least = self.error(best);
        // One end after the other: the two hardly influence each other.
        for step in 1..STEPS {
            let range = (min, cut(max, step));
            let error = self.error(range);
            if error < least {
                (best, least) = (range, error);
            }
        }
        let upper = best.1;
        for step in 1..STEPS {
            let range = (cut(min, step), upper);
            let error = self.error(range);
            if error < least {
                (best, least) = (range, error);
            }
        }
        best
    }

    /// Sum of squared errors of all values when codes cover this range.
    fn error(&self, (low, high): (f32, f32)) -> f64 {
        let step = f64::from(high - low) / 255.0;
        let width = f64::from(self.max - self.min) / BINS as f64;
        // Values spread evenly over a step are off by step^2 / 12 in the mean.
        let rounding = step * step / 12.0;
        let mut total = 0.0;
        for (bin, &count) in self.histogram.iter().enumerate() {
            if count == 0.0 {
                continue;
            }
            let value = f64::from(self.min) + (bin as f64 + 0.5) * width;
            let clipped = value - value.clamp(f64::from(low), f64::from(high));
            total += count * (rounding + clipped * clipped);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(values: &[f32]) -> TensorStatistics {
        let (min, max) = range(values);
        let histogram = histogram(values, min, max)
            .into_iter()
            .map(f64::from)
            .collect();
        TensorStatistics {
            min,
            max,
            histogram,
            channel_mean: vec![],
        }
    }

    #[test]
    fn one_outlier_among_many_values_is_clipped_by_least_error_only() {
        let mut values: Vec<f32> = (0..1_000_000).map(|k| (k % 1000) as f32 / 1000.0).collect();
        values.push(8.0);
        let seen = statistics(&values);
        assert_eq!(seen.range(RangeMethod::MinMax), (0.0, 8.0));
        let (low, high) = seen.range(RangeMethod::MeanSquaredError);
        assert_eq!(low, 0.0);
        assert!((1.0..4.0).contains(&high), "{high}");
    }

    #[test]
    fn a_percentile_cuts_as_many_values_off_below_as_above() {
        // 2,048 values, one in each bin: two of a thousand are outside, one on either side, that is two bins each.
        let values: Vec<f32> = (0..2048).map(|k| k as f32 - 1024.0).collect();
        let seen = statistics(&values);
        let (low, high) = seen.range(RangeMethod::Percentile(0.998));
        let width = 2047.0 / 2048.0;
        assert!((low - (-1024.0 + 2.0 * width)).abs() < 1e-3, "{low}");
        assert!((high - (1023.0 - 2.0 * width)).abs() < 1e-3, "{high}");
        let all = seen.range(RangeMethod::Percentile(1.0));
        assert_eq!(all, seen.range(RangeMethod::MinMax));
    }

    #[test]
    fn a_range_always_contains_zero() {
        let seen = statistics(&[2.0, 3.0]);
        assert_eq!(seen.range(RangeMethod::MinMax), (0.0, 3.0));
    }
}
