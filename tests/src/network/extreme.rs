//! Networks of one layer, or a gate, at the ends of what an image can say.

use ocelli_kernels::{Padding, Window};

use super::{Layer, Network};
use crate::random::Random;
use crate::reference::{self, Channels, Multiplication};

impl Network {
    /// One layer, or a gate, with extents and windows from the ends of their ranges, of up to `products` products.
    pub fn extreme(products: usize, random: &mut Random) -> Network {
        const SIDES: [usize; 8] = [1, 2, 3, 254, 255, 256, 300, 65_535];
        loop {
            let [h, w] = [0; 2].map(|_: usize| random.pick(&SIDES));
            let c = random.pick(&[1, 1, 1, 2, 3, 17, 255, 4096, 65_535]);
            let window = extreme_window(random);
            let span = (window.filter_h - 1) * window.dilation_h + 1;
            let span_w = (window.filter_w - 1) * window.dilation_w + 1;
            let p = window.padding;
            let fits = h + p.top + p.bottom >= span
                && w + p.left + p.right >= span_w
                && p.top.max(p.bottom) < span
                && p.left.max(p.right) < span_w;
            if !fits || !small(&[h, w, c], 300_000) {
                continue;
            }
            let taps = window.filter_h * window.filter_w;
            let [out_h, out_w] = reference::output_extents(h, w, &window);
            let pixels = out_h * out_w;
            let mut network = Network {
                shapes: vec![[h, w, c]],
                zero_points: vec![random.code()],
                layers: vec![],
                inputs: vec![],
                head: None,
            };
            let clamp = random.clamp();
            match random.below(7) {
                0 if taps * c <= 20_000 && small(&[pixels, taps, c], products) => {
                    let channels = Channels::random(1, taps * c, random);
                    let zero = channels.zero_point;
                    let weights = random.codes(taps * c);
                    let layer = Layer::Conv2d {
                        window,
                        weights,
                        channels,
                    };
                    network.push(layer, [0; 2], [out_h, out_w, 1], zero);
                }
                1 if taps <= 20_000 && small(&[pixels, taps, c], products) => {
                    let channels = Channels::random(c, taps, random);
                    let zero = channels.zero_point;
                    let weights = random.codes(taps * c);
                    let layer = Layer::Depthwise {
                        window,
                        depth_multiplier: 1,
                        weights,
                        channels,
                    };
                    network.push(layer, [0; 2], [out_h, out_w, c], zero);
                }
                2 if window.dilation_h * window.dilation_w == 1
                    && small(&[pixels, taps, c], products) =>
                {
                    let layer = match random.below(2) {
                        0 => Layer::AveragePool(window, clamp),
                        _ => Layer::MaxPool(window, clamp),
                    };
                    let zero = network.zero_points[0];
                    network.push(layer, [0; 2], [out_h, out_w, c], zero);
                }
                3 => network.average(0, random),
                4 if h.max(w) < 65_000 && small(&[h + 510, w + 510, c], products) => {
                    let [top, bottom, left, right] = [0; 4].map(|_: usize| random.pick(&[0, 255]));
                    let padding = Padding {
                        top,
                        bottom,
                        left,
                        right,
                    };
                    let shape = [h + top + bottom, w + left + right, c];
                    let zero = network.zero_points[0];
                    network.push(Layer::Pad(padding), [0; 2], shape, zero);
                }
                5 => {
                    network.average(0, random);
                    let zero_points = [network.zero_points[0], network.zero_points[1]];
                    let op = Multiplication::random(zero_points, random);
                    let zero = op.output_zero_point;
                    network.push(Layer::Multiply(op), [0, 1], [h, w, c], zero);
                }
                6 if c <= 4096 && small(&[h, w, c, c], 20 * products) => {
                    let (weights, epsilon, channels) = super::random_layer_norm(c, random);
                    let zero = channels.zero_point;
                    let layer = Layer::LayerNorm {
                        weights,
                        epsilon,
                        channels,
                    };
                    network.push(layer, [0; 2], [h, w, c], zero);
                }
                _ => continue,
            }
            return network;
        }
    }
}

/// Whether a product is at most `most`; it may be more than fits a number of 32 bits.
fn small(factors: &[usize], most: usize) -> bool {
    factors.iter().map(|&factor| factor as u64).product::<u64>() <= most as u64
}

/// A window with numbers from the ends of their ranges; it may fit nothing.
fn extreme_window(random: &mut Random) -> Window {
    let number = |random: &mut Random| random.pick(&[1, 1, 2, 3, 254, 255]);
    let added = |random: &mut Random| random.pick(&[0, 0, 1, 254, 255]);
    Window {
        filter_h: number(random),
        filter_w: number(random),
        stride_h: number(random),
        stride_w: number(random),
        dilation_h: number(random),
        dilation_w: number(random),
        padding: Padding {
            top: added(random),
            bottom: added(random),
            left: added(random),
            right: added(random),
        },
    }
}
