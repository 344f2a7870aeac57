//! Random small networks: as descriptions that the references run, and as models for an image.

use ocelli_image::{
    Body, Channels as FoldedChannels, Factor as FactorRecord, Model, ModelOp, PaddingRecord,
    Tensor, WeightPacking, WindowRecord,
};
use ocelli_kernels::{Clamp, Padding, Softmax, SoftmaxParams, Window};

use crate::random::Random;
use crate::reference::{self, Addition, Channels, Factor, Map};

mod extreme;

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
                network.average(random);
                network.classify(random);
            }
            _ => {
                network.average(random);
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

    /// Adds a layer on the last tensor or, sometimes, on an earlier one.
    fn grow(&mut self, random: &mut Random) {
        let input = match random.below(5) {
            0 => random.below(self.shapes.len()),
            _ => self.last(),
        };
        let ([h, w, c], zero_point) = (self.shapes[input], self.zero_points[input]);
        let one = [input; 2];
        match random.below(8) {
            0 | 1 => {
                let window = random_window(h, w, 2, random);
                let taps = window.filter_h * window.filter_w * c;
                let count = random.size(1..=8);
                let channels = Channels::random(count, taps, random);
                let weights = random.codes(taps * count);
                let [h, w] = reference::output_extents(h, w, &window);
                let zero = channels.zero_point;
                let layer = Layer::Conv2d {
                    window,
                    weights,
                    channels,
                };
                self.push(layer, one, [h, w, count], zero);
            }
            2 => {
                let window = random_window(h, w, 2, random);
                let taps = window.filter_h * window.filter_w;
                let depth_multiplier = if c < 9 { random.pick(&[1, 1, 2]) } else { 1 };
                let count = c * depth_multiplier;
                let channels = Channels::random(count, taps, random);
                let weights = random.codes(taps * count);
                let [h, w] = reference::output_extents(h, w, &window);
                let zero = channels.zero_point;
                let layer = Layer::Depthwise {
                    window,
                    depth_multiplier,
                    weights,
                    channels,
                };
                self.push(layer, one, [h, w, count], zero);
            }
            3 => {
                let count = random.size(1..=12);
                let channels = Channels::random(count, c, random);
                let weights = random.codes(c * count);
                let zero = channels.zero_point;
                self.push(
                    Layer::Pointwise { weights, channels },
                    one,
                    [h, w, count],
                    zero,
                );
            }
            4 | 5 => {
                // With any tensor of the same shape: a residual where there is one, else with itself.
                let alike: Vec<usize> = (0..self.shapes.len())
                    .filter(|&other| self.shapes[other] == [h, w, c])
                    .collect();
                let other = random.pick(&alike);
                let op = Addition::random([zero_point, self.zero_points[other]], random);
                let zero = op.output_zero_point;
                self.push(Layer::Add(op), [input, other], [h, w, c], zero);
            }
            6 => {
                let window = random_window(h, w, 1, random);
                let clamp = random.clamp();
                let layer = match random.below(2) {
                    0 => Layer::AveragePool(window, clamp),
                    _ => Layer::MaxPool(window, clamp),
                };
                let [h, w] = reference::output_extents(h, w, &window);
                self.push(layer, one, [h, w, c], zero_point);
            }
            _ => {
                let [top, bottom, left, right] = [0; 4].map(|_: usize| random.below(4));
                let padding = Padding {
                    top,
                    bottom,
                    left,
                    right,
                };
                let shape = [h + top + bottom, w + left + right, c];
                self.push(Layer::Pad(padding), one, shape, zero_point);
            }
        }
    }

    fn average(&mut self, random: &mut Random) {
        let [h, w, c] = self.shapes[self.last()];
        let factor = reference::random_factor(-i64::from((h * w).ilog2()), random);
        let layer = Layer::GlobalAveragePool(factor, random.clamp());
        self.push(layer, [self.last(); 2], [1, 1, c], random.code());
    }

    fn classify(&mut self, random: &mut Random) {
        let inputs: usize = self.shapes[self.last()].iter().product();
        let count = random.size(1..=10);
        let channels = Channels::random(count, inputs, random);
        let weights = random.codes(inputs * count);
        let zero = channels.zero_point;
        self.head = Some(self.last());
        self.push(
            Layer::Dense { weights, channels },
            [self.last(); 2],
            [1, 1, count],
            zero,
        );
    }

    fn soften(&mut self) {
        let shape = self.shapes[self.last()];
        let params = SoftmaxParams {
            multiplier: 1 << 30,
            left_shift: 23,
            difference_min: -248,
        };
        self.push(Layer::Softmax(params), [self.last(); 2], shape, i8::MIN);
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
        }
    }

    /// The parameters of a layer as the image holds them, zero points folded into biases.
    fn body(&self, at: usize) -> Body<FoldedChannels> {
        let input = self.inputs[at][0];
        let ([h, w, c], zero_point) = (self.shapes[input], self.zero_points[input]);
        let filters = |weights: &Vec<i8>, channels: &Channels| {
            let taps = weights.len() / channels.bias.len();
            let bias = channels.folded(zero_point, |k| weights[k * taps..(k + 1) * taps].to_vec());
            folded(weights, bias, channels)
        };
        match &self.layers[at] {
            Layer::Conv2d {
                window: w,
                weights,
                channels,
            } => Body::Conv2d {
                window: window(w),
                channels: filters(weights, channels),
            },
            Layer::Depthwise {
                window: w,
                depth_multiplier,
                weights,
                channels,
            } => {
                let count = c * depth_multiplier;
                let bias = channels.folded(zero_point, |k| {
                    weights.iter().skip(k).step_by(count).copied().collect()
                });
                Body::Depthwise {
                    window: window(w),
                    depth_multiplier: *depth_multiplier as u16,
                    channels: folded(weights, bias, channels),
                }
            }
            Layer::Pointwise { weights, channels } => Body::Pointwise {
                channels: filters(weights, channels),
            },
            Layer::Dense { weights, channels } => Body::Dense {
                channels: filters(weights, channels),
            },
            Layer::Add(op) => Body::Add {
                factors: op.factors.map(factor),
                output_factor: factor(op.output_factor),
                clamp: pair(op.clamp),
            },
            Layer::AveragePool(w, clamp) => Body::AveragePool {
                window: window(w),
                clamp: pair(*clamp),
            },
            Layer::MaxPool(w, clamp) => Body::MaxPool {
                window: window(w),
                clamp: pair(*clamp),
            },
            Layer::GlobalAveragePool(f, clamp) => Body::GlobalAveragePool {
                bias: -i32::from(zero_point) * (h * w) as i32,
                factor: factor(*f),
                clamp: pair(*clamp),
            },
            Layer::Pad(p) => Body::Pad {
                padding: padding(*p),
            },
            Layer::Softmax(params) => Body::Softmax {
                multiplier: params.multiplier,
                left_shift: params.left_shift,
                difference_min: params.difference_min,
            },
        }
    }
}

fn folded(weights: &[i8], bias: Vec<i32>, channels: &Channels) -> FoldedChannels {
    FoldedChannels {
        weights: weights.to_vec(),
        bias,
        multiplier: channels.multiplier.clone(),
        shift: channels.shift.clone(),
        clamp: pair(channels.clamp),
        weight_scale: vec![],
    }
}

fn factor((multiplier, shift): Factor) -> FactorRecord {
    FactorRecord { multiplier, shift }
}

fn pair(clamp: Clamp) -> [i8; 2] {
    [clamp.min, clamp.max]
}

fn padding(padding: Padding) -> PaddingRecord {
    PaddingRecord {
        top: padding.top as u8,
        bottom: padding.bottom as u8,
        left: padding.left as u8,
        right: padding.right as u8,
    }
}

fn window(window: &Window) -> WindowRecord {
    WindowRecord {
        filter_h: window.filter_h as u8,
        filter_w: window.filter_w as u8,
        stride_h: window.stride_h as u8,
        stride_w: window.stride_w as u8,
        dilation_h: window.dilation_h as u8,
        dilation_w: window.dilation_w as u8,
        padding: padding(window.padding),
    }
}

/// A window of any kind that fits a tensor of `h` rows and `w` columns.
pub fn random_window(h: usize, w: usize, dilations: usize, random: &mut Random) -> Window {
    let padding = |random: &mut Random, span: usize| match random.below(3) {
        0 => 0,
        1 => (span - 1) / 2,
        _ => random.below(span),
    };
    loop {
        let (filter_h, filter_w) = (random.size(1..=7), random.size(1..=7));
        let (dilation_h, dilation_w) = (random.size(1..=dilations), random.size(1..=dilations));
        let span_h = (filter_h - 1) * dilation_h + 1;
        let span_w = (filter_w - 1) * dilation_w + 1;
        let padding = Padding {
            top: padding(random, span_h),
            bottom: padding(random, span_h),
            left: padding(random, span_w),
            right: padding(random, span_w),
        };
        let fits = h + padding.top + padding.bottom >= span_h
            && w + padding.left + padding.right >= span_w;
        if fits {
            return Window {
                filter_h,
                filter_w,
                stride_h: random.size(1..=3),
                stride_w: random.size(1..=3),
                dilation_h,
                dilation_w,
                padding,
            };
        }
    }
}
