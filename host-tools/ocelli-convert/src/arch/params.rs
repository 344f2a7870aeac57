//! The weights that an architecture asks for, by name and shape, from a file or made up.

use std::collections::BTreeSet;

use super::Naming;
use crate::error::ImportError;
use crate::graph::{Clamp, Op, Window};
use crate::weights::{StateDict, WeightTensor};

/// Hands out tensors by name and remembers which.
pub(super) struct Params<'a> {
    arch: &'static str,
    source: Source<'a>,
}

enum Source<'a> {
    File {
        weights: &'a StateDict,
        used: BTreeSet<String>,
    },
    Random {
        seed: u64,
        naming: Option<Naming>,
        made: StateDict,
    },
}

/// The seed of a classifier that replaces the file's.
const NEW_CLASSIFIER_SEED: u64 = 0;

impl<'a> Params<'a> {
    pub(super) fn of(arch: &'static str, weights: &'a StateDict) -> Self {
        let used = BTreeSet::new();
        let source = Source::File { weights, used };
        Self { arch, source }
    }

    /// Weights with these names, or with the first of the names that the architecture has.
    pub(super) fn random(arch: &'static str, seed: u64, naming: Option<Naming>) -> Self {
        let source = Source::Random {
            seed,
            naming,
            made: StateDict::new(),
        };
        Self { arch, source }
    }

    /// Which of the naming schemes the weights follow: the first one whose witness is among them, or the only one.
    pub(super) fn naming(&self, schemes: &[(Naming, &'static str)]) -> Result<Naming, ImportError> {
        let found = match &self.source {
            Source::File { .. } if schemes.len() == 1 => schemes.first(),
            Source::File { weights, .. } => schemes
                .iter()
                .find(|(_, witness)| weights.contains_key(*witness)),
            Source::Random { naming, .. } => schemes
                .iter()
                .find(|(scheme, _)| naming.is_none_or(|naming| naming == *scheme)),
        };
        if let Some((scheme, _)) = found {
            return Ok(*scheme);
        }
        let names: Vec<&String> = match &self.source {
            Source::File { weights, .. } => weights.keys().collect(),
            Source::Random { .. } => Vec::new(),
        };
        Err(ImportError::UnknownNames {
            arch: self.arch,
            expected: schemes.iter().map(|(_, witness)| *witness).collect(),
            got: names.len(),
            first: names
                .first()
                .map_or_else(String::new, |name| (*name).clone()),
        })
    }

    /// A convolution without bias: `name.weight`, `[out][in][h][w]` at its source.
    pub(super) fn conv(
        &mut self,
        name: &str,
        in_channels: usize,
        out_channels: usize,
        window: Window,
    ) -> Result<Op, ImportError> {
        let shape = [out_channels, in_channels, window.filter_h, window.filter_w];
        let source = self.take(format!("{name}.weight"), &shape, Fill::Fan)?;
        // [out][in][taps] becomes [out][taps][in].
        let mut weights = Vec::with_capacity(source.len());
        for filter in source.chunks_exact((in_channels * window.taps()).max(1)) {
            for tap in 0..window.taps() {
                weights.extend(filter.iter().skip(tap).step_by(window.taps()));
            }
        }
        Ok(Op::Conv2d {
            window,
            weights,
            bias: vec![0.0; out_channels],
            clamp: Clamp::NONE,
        })
    }

    /// A convolution of each channel by itself, without bias: `name.weight`, `[c][1][h][w]`.
    pub(super) fn depthwise(
        &mut self,
        name: &str,
        channels: usize,
        window: Window,
    ) -> Result<Op, ImportError> {
        let shape = [channels, 1, window.filter_h, window.filter_w];
        let source = self.take(format!("{name}.weight"), &shape, Fill::Fan)?;
        // [c][taps] becomes [taps][c].
        let taps = window.taps();
        let weights = (0..taps)
            .flat_map(|tap| source.iter().skip(tap).step_by(taps).copied())
            .collect();
        Ok(Op::DepthwiseConv2d {
            window,
            depth_multiplier: 1,
            weights,
            bias: vec![0.0; channels],
            clamp: Clamp::NONE,
        })
    }

    /// The same op with the bias `name.bias`.
    pub(super) fn with_bias(&mut self, name: &str, mut op: Op) -> Result<Op, ImportError> {
        if let Op::Conv2d { bias, .. } | Op::DepthwiseConv2d { bias, .. } = &mut op {
            *bias = self.take(
                format!("{name}.bias"),
                &[bias.len()],
                Fill::Around(0.0, 0.1),
            )?;
        }
        Ok(op)
    }

    /// A dense layer on every pixel: `name.weight`, `[out][in]` or `[out][in][1][1]`, and `name.bias`.
    pub(super) fn linear(
        &mut self,
        name: &str,
        in_channels: usize,
        out_channels: usize,
    ) -> Result<Op, ImportError> {
        let shapes: [&[usize]; 2] = [
            &[out_channels, in_channels],
            &[out_channels, in_channels, 1, 1],
        ];
        let weights = self.take_either(format!("{name}.weight"), shapes, Fill::Fan)?;
        let op = Op::Conv2d {
            window: Window::POINT,
            weights,
            bias: vec![0.0; out_channels],
            clamp: Clamp::NONE,
        };
        self.with_bias(name, op)
    }

    /// A factor for each channel: `name`, `[c]` or `[c][1][1]`.
    pub(super) fn layer_scale(&mut self, name: &str, channels: usize) -> Result<Op, ImportError> {
        let shapes: [&[usize]; 2] = [&[channels], &[channels, 1, 1]];
        Ok(Op::BatchNorm {
            scale: self.take_either(name.to_string(), shapes, Fill::Around(1.0, 0.5))?,
            shift: vec![0.0; channels],
        })
    }

    /// A layer norm over the channels: `weight` and `bias`.
    pub(super) fn layer_norm(
        &mut self,
        name: &str,
        channels: usize,
        epsilon: f32,
    ) -> Result<Op, ImportError> {
        let mut take = |part: &str, fill| self.take(format!("{name}.{part}"), &[channels], fill);
        Ok(Op::LayerNorm {
            scale: take("weight", Fill::Around(1.0, 0.5))?,
            shift: take("bias", Fill::Around(0.0, 0.5))?,
            epsilon,
        })
    }

    /// A batch norm with its statistics worked in: `weight`, `bias`, `running_mean`, `running_var`.
    pub(super) fn batch_norm(
        &mut self,
        name: &str,
        channels: usize,
        epsilon: f32,
    ) -> Result<Op, ImportError> {
        let mut take = |part: &str, fill| self.take(format!("{name}.{part}"), &[channels], fill);
        let gamma = take("weight", Fill::Around(1.0, 0.5))?;
        let beta = take("bias", Fill::Around(0.0, 0.5))?;
        let mean = take("running_mean", Fill::Around(0.0, 0.5))?;
        let variance = take("running_var", Fill::Around(1.0, 0.5))?;
        if let Some((channel, &value)) = variance
            .iter()
            .enumerate()
            .find(|&(_, &value)| value < 0.0 || value + epsilon <= 0.0)
        {
            return Err(ImportError::Variance {
                tensor: format!("{name}.running_var"),
                channel,
                value,
            });
        }
        // In f64: this is done once, and what is lost here is lost for every picture.
        let factor = |(&gamma, &variance): (&f32, &f32)| {
            f64::from(gamma) / (f64::from(variance) + f64::from(epsilon)).sqrt()
        };
        let factors: Vec<f64> = gamma.iter().zip(&variance).map(factor).collect();
        let shift = factors
            .iter()
            .zip(beta.iter().zip(&mean))
            .map(|(factor, (&beta, &mean))| (f64::from(beta) - f64::from(mean) * factor) as f32);
        Ok(Op::BatchNorm {
            shift: shift.collect(),
            scale: factors.iter().map(|&factor| factor as f32).collect(),
        })
    }

    /// The last layer on a pooled input: `name.weight` `[classes][in_channels]` and `name.bias`.
    ///
    /// A new one where the file has none or one for another number of classes than wanted.
    pub(super) fn classifier(
        &mut self,
        name: &str,
        in_channels: usize,
        classes: Option<usize>,
    ) -> Result<Op, ImportError> {
        let [weights, bias] = ["weight", "bias"].map(|part| format!("{name}.{part}"));
        let in_file = match &self.source {
            Source::File { weights: file, .. } => {
                file.get(&weights).and_then(|tensor| tensor.shape.first())
            }
            Source::Random { .. } => None,
        };
        let classes = match (classes, in_file) {
            (Some(wanted), Some(found)) if wanted != *found => {
                return Ok(self.new_classifier([weights, bias], in_channels, wanted));
            }
            (Some(wanted), None) if matches!(self.source, Source::File { .. }) => {
                return Ok(self.new_classifier([weights, bias], in_channels, wanted));
            }
            (Some(wanted), _) => wanted,
            (None, Some(found)) => *found,
            // Any number would do: the error that follows names the tensor.
            (None, None) => 1000,
        };
        Ok(Op::Dense {
            weights: self.take(weights, &[classes, in_channels], Fill::Fan)?,
            bias: self.take(bias, &[classes], Fill::Around(0.0, 0.1))?,
            clamp: Clamp::NONE,
        })
    }

    /// Random weights; the file's tensors of these names count as used.
    fn new_classifier(&mut self, replaced: [String; 2], in_channels: usize, classes: usize) -> Op {
        if let Source::File { used, .. } = &mut self.source {
            used.extend(replaced);
        }
        let mut rng = Rng(NEW_CLASSIFIER_SEED);
        // As torch starts a linear layer.
        let spread = 1.0 / (in_channels.max(1) as f32).sqrt();
        Op::Dense {
            weights: rng.values(classes * in_channels, 0.0, spread),
            bias: vec![0.0; classes],
            clamp: Clamp::NONE,
        }
    }

    /// A tensor that some store with the first and some with the second shape.
    fn take_either(
        &mut self,
        name: String,
        [first, second]: [&[usize]; 2],
        fill: Fill,
    ) -> Result<Vec<f32>, ImportError> {
        let is_second = match &self.source {
            Source::File { weights, .. } => weights
                .get(&name)
                .is_some_and(|tensor| tensor.shape == second),
            Source::Random { .. } => false,
        };
        self.take(name, if is_second { second } else { first }, fill)
    }

    fn take(&mut self, name: String, shape: &[usize], fill: Fill) -> Result<Vec<f32>, ImportError> {
        match &mut self.source {
            Source::File { weights, used } => {
                let Some(tensor) = weights.get(&name) else {
                    return Err(ImportError::MissingTensor {
                        arch: self.arch,
                        tensor: name,
                        expected: shape.to_vec(),
                    });
                };
                if tensor.shape != shape {
                    return Err(ImportError::TensorShape {
                        arch: self.arch,
                        tensor: name,
                        expected: shape.to_vec(),
                        got: tensor.shape.clone(),
                    });
                }
                used.insert(name);
                Ok(tensor.data.clone())
            }
            Source::Random { seed, made, .. } => {
                // By name, so that the order in which tensors are asked for does not matter.
                let data = fill.values(&mut Rng(*seed ^ hash(&name)), shape);
                let shape = shape.to_vec();
                made.insert(
                    name,
                    WeightTensor {
                        shape,
                        data: data.clone(),
                    },
                );
                Ok(data)
            }
        }
    }

    /// Refuses a file with tensors that nobody asked for.
    pub(super) fn all_used(&self) -> Result<(), ImportError> {
        let Source::File { weights, used } = &self.source else {
            return Ok(());
        };
        let mut unused = weights.keys().filter(|name| !used.contains(*name));
        match unused.next() {
            None => Ok(()),
            Some(first) => Err(ImportError::UnusedTensors {
                arch: self.arch,
                first: first.clone(),
                count: 1 + unused.count(),
            }),
        }
    }

    /// The random weights handed out so far.
    pub(super) fn into_made(self) -> StateDict {
        match self.source {
            Source::File { .. } => StateDict::new(),
            Source::Random { made, .. } => made,
        }
    }
}

/// How a random tensor is filled.
enum Fill {
    /// Evenly within a distance of a centre.
    Around(f32, f32),
    /// Such that a rectified layer keeps the variance of its input (He et al. 2015).
    Fan,
}

impl Fill {
    fn values(&self, rng: &mut Rng, shape: &[usize]) -> Vec<f32> {
        let count = shape.iter().product();
        match self {
            Fill::Around(centre, reach) => rng.values(count, *centre, *reach),
            Fill::Fan => {
                let fan_in: usize = shape.iter().skip(1).product();
                rng.values(count, 0.0, (6.0 / fan_in.max(1) as f32).sqrt())
            }
        }
    }
}

/// Steele, Lea and Flood's SplitMix64 (2014): small, and the same numbers everywhere.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Evenly from `centre - reach` up to `centre + reach`.
    fn values(&mut self, count: usize, centre: f32, reach: f32) -> Vec<f32> {
        let unit = |bits: u64| (bits >> 40) as f32 / (1u32 << 24) as f32;
        (0..count)
            .map(|_| centre + reach * (2.0 * unit(self.next()) - 1.0))
            .collect()
    }
}

/// Fowler, Noll and Vo's FNV-1a.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
