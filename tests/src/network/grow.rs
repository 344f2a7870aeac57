//! How random networks grow, a layer at a time.

use ocelli_kernels::{Padding, SoftmaxParams, Window};

use super::{Layer, Network};
use crate::random::Random;
use crate::reference::{self, Addition, Channels, Multiplication};

impl Network {
    /// Adds a layer on the last tensor or, sometimes, on an earlier one.
    pub(super) fn grow(&mut self, random: &mut Random) {
        let input = match random.below(5) {
            0 => random.below(self.shapes.len()),
            _ => self.last(),
        };
        let ([h, w, c], zero_point) = (self.shapes[input], self.zero_points[input]);
        let one = [input; 2];
        match random.below(13) {
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
                let other = self.any(random, |shape| shape == [h, w, c]);
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
            7 => {
                let table = random.codes(256).try_into().expect("256 codes");
                self.push(Layer::Table(table), one, [h, w, c], random.code());
            }
            8 => {
                let (weights, epsilon, channels) = random_layer_norm(c, random);
                let zero = channels.zero_point;
                let layer = Layer::LayerNorm {
                    weights,
                    epsilon,
                    channels,
                };
                self.push(layer, one, [h, w, c], zero);
            }
            9 => {
                let other = self.any(random, |shape| shape[..2] == [h, w]);
                let c = c + self.shapes[other][2];
                self.push(Layer::Concat, [input, other], [h, w, c], zero_point);
            }
            10 | 11 => {
                // With any tensor of the same shape, or with a factor for each channel, as a gate.
                if random.once_in(2) {
                    self.average(input, random);
                }
                let fits = |shape| shape == [h, w, c] || shape == [1, 1, c];
                let other = self.any(random, fits);
                let op = Multiplication::random([zero_point, self.zero_points[other]], random);
                let zero = op.output_zero_point;
                self.push(Layer::Multiply(op), [input, other], [h, w, c], zero);
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

    /// A tensor with a shape that fits; there is one.
    fn any(&self, random: &mut Random, fits: impl Fn([usize; 3]) -> bool) -> usize {
        let fitting: Vec<usize> = (0..self.shapes.len())
            .filter(|&other| fits(self.shapes[other]))
            .collect();
        random.pick(&fitting)
    }

    pub(super) fn average(&mut self, input: usize, random: &mut Random) {
        let [h, w, c] = self.shapes[input];
        let factor = reference::random_factor(-i64::from((h * w).ilog2()), random);
        let layer = Layer::GlobalAveragePool(factor, random.clamp());
        self.push(layer, [input; 2], [1, 1, c], random.code());
    }

    pub(super) fn classify(&mut self, random: &mut Random) {
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

    pub(super) fn soften(&mut self) {
        let shape = self.shapes[self.last()];
        let params = SoftmaxParams {
            multiplier: 1 << 30,
            left_shift: 23,
            difference_min: -248,
        };
        self.push(Layer::Softmax(params), [self.last(); 2], shape, i8::MIN);
    }
}

/// Weights, epsilon and channels of a layer norm of `c` channels.
pub fn random_layer_norm(c: usize, random: &mut Random) -> (Vec<i8>, u64, Channels) {
    // A normalized code times a weight is as large as this many products of codes.
    let channels = Channels::random(c, 1 << 14, random);
    let squares = (c * c) as u64;
    let epsilon = random.pick(&[0, 0, 1, squares, 100 * squares, 1 << 40, (1 << 62) - 1]);
    (random.codes(c), epsilon, channels)
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
