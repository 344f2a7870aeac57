//! Random small networks: as descriptions that the references run, and as models for an image.

use ocelli_image::{Model, ModelOp, Tensor, WeightPacking};
use ocelli_kernels::{Clamp, Padding, Softmax, SoftmaxParams, Window};

use crate::random::Random;
use crate::reference::{self, Addition, Channels, Factor, Map, Multiplication};

mod body;
mod extreme;
mod grow;

pub use grow::{random_layer_norm, random_window};

/// What a layer computes, in the terms of the references: nothing is folded.
#[derive(Clone, Debug)]
pub enum Layer {
    /// Standard convolution.
    Conv2d {
        /// Its window.
        window: Window,
        /// `[out][filter_h][filter_w][in]`.
        weights: Vec<i8>,
        /// Bias, factors and activation.
        channels: Channels,
    },
    /// Depthwise convolution.
    Depthwise {
        /// Its window.
        window: Window,
        /// Output channels per input channel.
        depth_multiplier: usize,
        /// `[filter_h][filter_w][out]`.
        weights: Vec<i8>,
        /// Bias, factors and activation.
        channels: Channels,
    },
    /// Convolution of single pixels.
    Pointwise {
        /// `[out][in]`.
        weights: Vec<i8>,
        /// Bias, factors and activation.
        channels: Channels,
    },
    /// Dense layer.
    Dense {
        /// `[out][in]`.
        weights: Vec<i8>,
        /// Bias, factors and activation.
        channels: Channels,
    },
    /// Sum of two tensors.
    Add(Addition),
    /// Mean over a window.
    AveragePool(Window, Clamp),
    /// Maximum over a window.
    MaxPool(Window, Clamp),
    /// Mean over the map.
    GlobalAveragePool(Factor, Clamp),
    /// Rows and columns around a tensor.
    Pad(Padding),
    /// Softmax.
    Softmax(SoftmaxParams),
    /// Product of two tensors.
    Multiply(Multiplication),
    /// A function of single codes.
    Table(Box<[i8; 256]>),
    /// Layer normalization over channels.
    LayerNorm {
        /// One for each channel.
        weights: Vec<i8>,
        /// Added to the variance.
        epsilon: u64,
        /// Bias, factors and activation.
        channels: Channels,
    },
    /// Channels of two tensors.
    Concat,
}

/// A network: tensor 0 is the input, layer `k` makes tensor `k + 1`.
#[derive(Clone, Debug)]
pub struct Network {
    /// Height, width and channels of each tensor.
    pub shapes: Vec<[usize; 3]>,
    /// Code of real zero of each tensor.
    pub zero_points: Vec<i8>,
    /// What each layer computes.
    pub layers: Vec<Layer>,
    /// What each layer reads; the same twice for one input.
    pub inputs: Vec<[usize; 2]>,
    /// The classifier.
    pub head: Option<usize>,
}

impl Network {
    /// A network of a few layers: branches, sums, and mostly a classifier.
    pub fn random(random: &mut Random) -> Network {
        let input = [random.size(1..=12), random.size(1..=12), random.size(1..=4)];
        Network::grown(input, random)
    }

    /// The same, sometimes with many rows, a single one or a single column.
    pub fn of_any_height(random: &mut Random) -> Network {
        let (h, w) = (random.size(1..=12), random.size(1..=12));
        let (h, w) = random.pick(&[(h, w), (h, w), (65, w), (33, 1), (1, 65), (h, 1), (64, 2)]);
        Network::grown([h, w, random.size(1..=4)], random)
    }

    fn grown(input: [usize; 3], random: &mut Random) -> Network {
        let mut network = Network {
            shapes: vec![input],
            zero_points: vec![random.code()],
            layers: vec![],
            inputs: vec![],
            head: None,
        };
        for _ in 0..random.size(1..=9) {
            network.grow(random);
        }
        match random.below(4) {
            0 => {}
            1 => network.classify(random),
            2 => {
                network.average(network.last(), random);
                network.classify(random);
            }
            _ => {
                network.average(network.last(), random);
                network.classify(random);
                network.soften();
            }
        }
        network
    }

    fn last(&self) -> usize {
        self.layers.len()
    }

    fn push(&mut self, layer: Layer, inputs: [usize; 2], shape: [usize; 3], zero_point: i8) {
        self.layers.push(layer);
        self.inputs.push(inputs);
        self.shapes.push(shape);
        self.zero_points.push(zero_point);
    }

    /// All tensors for an input, by the references.
    ///
    /// Softmax alone is the kernel's own: what it computes is tested elsewhere, here only whether it is run rightly.
    pub fn run(&self, input: &Map) -> Vec<Map> {
        let mut tensors = vec![input.clone()];
        for (layer, inputs) in self.layers.iter().zip(&self.inputs) {
            let [a, b] = inputs.map(|input| &tensors[input]);
            let zero_point = self.zero_points[inputs[0]];
            let output_zero_point = self.zero_points[tensors.len()];
            let made = match layer {
                Layer::Conv2d {
                    window,
                    weights,
                    channels,
                } => reference::conv2d(a, zero_point, window, weights, channels),
                Layer::Depthwise {
                    window,
                    depth_multiplier,
                    weights,
                    channels,
                } => reference::depthwise(
                    a,
                    zero_point,
                    window,
                    *depth_multiplier,
                    weights,
                    channels,
                ),
                Layer::Pointwise { weights, channels } => {
                    reference::conv2d(a, zero_point, &Window::POINT, weights, channels)
                }
                Layer::Dense { weights, channels } => {
                    reference::dense(a, zero_point, weights, channels)
                }
                Layer::Add(op) => reference::add(a, b, op),
                Layer::AveragePool(window, clamp) => reference::average_pool(a, window, *clamp),
                Layer::MaxPool(window, clamp) => reference::max_pool(a, window, *clamp),
                Layer::GlobalAveragePool(factor, clamp) => reference::global_average_pool(
                    a,
                    zero_point,
                    *factor,
                    output_zero_point,
                    *clamp,
                ),
                Layer::Pad(padding) => reference::pad(a, *padding, zero_point),
                Layer::Softmax(params) => {
                    let mut output = a.clone();
                    let softmax = Softmax::new(*params).expect("a valid softmax");
                    softmax.run(&a.codes, &mut output.codes);
                    output
                }
                Layer::Multiply(op) => reference::multiply(a, b, op),
                Layer::Table(table) => reference::table(a, table),
                Layer::LayerNorm {
                    weights,
                    epsilon,
                    channels,
                } => reference::layer_norm(a, weights, *epsilon, channels),
                Layer::Concat => reference::concat(a, b),
            };
            tensors.push(made);
        }
        tensors
    }

    /// The model with the plainest plan: every tensor whole and in a place of its own, an op a segment.
    pub fn model(&self) -> Model {
        let mut offset = 0;
        let mut place = |bytes: usize| {
            let at = offset;
            offset += bytes;
            at
        };
        let tensor = |(&[h, w, c], &zero_point): (&[usize; 3], &i8)| Tensor {
            h,
            w,
            c,
            zero_point,
            offset: place(h * w * c),
            rows_held: h,
        };
        let tensors: Vec<Tensor> = self
            .shapes
            .iter()
            .zip(&self.zero_points)
            .map(tensor)
            .collect();
        let op = |(at, layer): (usize, &Layer)| {
            let [_, _, c] = self.shapes[at + 1];
            let scratch = match layer {
                Layer::GlobalAveragePool(..) => (place(4 * c), 4 * c),
                _ => (0, 0),
            };
            ModelOp {
                body: self.body(at),
                inputs: self.inputs[at],
                weight_packing: WeightPacking::Canonical,
                rows_per_step: 1,
                scratch,
            }
        };
        let ops: Vec<ModelOp> = self.layers.iter().enumerate().map(op).collect();
        Model {
            arena_bytes: offset,
            segments: vec![1; ops.len()],
            tensors,
            ops,
            head: self.head,
            preprocess: None,
            labels: vec![],
            names: vec![],
            tensor_scale: vec![],
            regions: vec![],
        }
    }
}
