//! The ops by their formulas: whole tensors, explicit padding, exact rational rounding. Slow on purpose.
//!
//! A zero point is subtracted from each code here, and a bias is the plain one of the network. Kernels want the zero
//! point folded into the bias ([`Channels::folded`]), so equality shows that folding is right as well.

use ocelli_kernels::{Clamp, Padding, Window};

use crate::random::Random;

/// A whole tensor `[h][w][c]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// Channels.
    pub c: usize,
    /// The codes, row after row.
    pub codes: Vec<i8>,
}

impl Map {
    /// A tensor from a function of row, column and channel.
    pub fn new([h, w, c]: [usize; 3], mut code: impl FnMut(usize, usize, usize) -> i64) -> Map {
        let mut codes = Vec::with_capacity(h * w * c);
        for y in 0..h {
            for x in 0..w {
                for k in 0..c {
                    codes.push(i8::try_from(code(y, x, k)).expect("a code"));
                }
            }
        }
        Map { h, w, c, codes }
    }

    /// A tensor of random codes.
    pub fn random([h, w, c]: [usize; 3], random: &mut Random) -> Map {
        let codes = random.codes(h * w * c);
        Map { h, w, c, codes }
    }

    /// The code at a row, column and channel.
    pub fn at(&self, y: usize, x: usize, k: usize) -> i64 {
        self.codes[(y * self.w + x) * self.c + k].into()
    }

    /// Codes of a row.
    pub fn row_elems(&self) -> usize {
        self.w * self.c
    }

    /// Its extents.
    pub fn shape(&self) -> [usize; 3] {
        [self.h, self.w, self.c]
    }
}

/// Bias, factor and activation of each output channel, nothing folded.
#[derive(Clone, Debug)]
pub struct Channels {
    /// Added to the sum of each channel.
    pub bias: Vec<i32>,
    /// Q31 factors.
    pub multiplier: Vec<i32>,
    /// Powers of two, positive = left.
    pub shift: Vec<i8>,
    /// Output code of real zero.
    pub zero_point: i8,
    /// Fused activation.
    pub clamp: Clamp,
}

impl Channels {
    /// Random ones for sums of `terms` products; most outputs lie inside the range of codes.
    pub fn random(count: usize, terms: usize, random: &mut Random) -> Channels {
        let span = (terms * 128 * 128) as i64;
        // Sums, folded biases included, are at most 2 * span + span / 4, and must stay below 2^30 when shifted left.
        let largest_shift = (0..=14)
            .rev()
            .find(|&shift| 3 * span < (1 << 30) >> shift)
            .expect("sums that fit 32 bits");
        // A sum of n random products is some 5,500 * sqrt(n); this brings it to about 100.
        let natural = -(((terms as f64).sqrt() * 55.0).log2() as i64);
        let bias = |random: &mut Random| {
            let span = if random.once_in(2) {
                span / 64
            } else {
                span / 4
            };
            random.number(-span..=span) as i32
        };
        let multiplier = |random: &mut Random| match random.below(16) {
            0 => random.pick(&[0, 1, 1 << 30, i32::MAX]),
            _ => random.number(1 << 30..=i64::from(i32::MAX)) as i32,
        };
        let shift = |random: &mut Random| {
            let shift = match random.below(8) {
                0 => random.number(-31..=largest_shift),
                1 => largest_shift,
                _ => random.number(natural - 2..=natural + 3),
            };
            shift.min(largest_shift) as i8
        };
        Channels {
            bias: (0..count).map(|_| bias(random)).collect(),
            multiplier: (0..count).map(|_| multiplier(random)).collect(),
            shift: (0..count).map(|_| shift(random)).collect(),
            zero_point: random.code(),
            clamp: random.clamp(),
        }
    }

    /// The biases as kernels want them: less the zero point times the sum of the channel's weights.
    pub fn folded(&self, zero_point: i8, weights_of: impl Fn(usize) -> Vec<i8>) -> Vec<i32> {
        let fold = |(channel, &bias): (usize, &i32)| {
            let sum: i64 = weights_of(channel).into_iter().map(i64::from).sum();
            i32::try_from(i64::from(bias) - i64::from(zero_point) * sum).expect("32 bits")
        };
        self.bias.iter().enumerate().map(fold).collect()
    }

    fn code(&self, channel: usize, sum: i64) -> i64 {
        let acc = sum + i64::from(self.bias[channel]);
        let scaled = requantize(acc, self.multiplier[channel], self.shift[channel].into());
        clamped(scaled + i64::from(self.zero_point), self.clamp)
    }
}

/// `n / d` rounded to nearest, halves towards plus infinity; `d` is positive.
fn nearest_up(n: i128, d: i128) -> i128 {
    (2 * n + d).div_euclid(2 * d)
}

/// `n / d` rounded to nearest, halves away from zero; `d` is positive.
fn nearest_away(n: i128, d: i128) -> i128 {
    n.signum() * ((2 * n.abs() + d) / (2 * d))
}

/// A sum times `multiplier * 2^(shift - 31)` with the two roundings of TensorFlow Lite.
pub fn requantize(acc: i64, multiplier: i32, shift: i32) -> i64 {
    let left = 1i128 << shift.max(0);
    let right = 1i128 << (-shift).max(0);
    let high = nearest_up(i128::from(acc) * left * i128::from(multiplier), 1 << 31);
    nearest_away(high, right) as i64
}

fn clamped(code: i64, clamp: Clamp) -> i64 {
    code.max(clamp.min.into()).min(clamp.max.into())
}

/// The tensor with rows and columns of one code around it.
pub fn pad(input: &Map, padding: Padding, value: i8) -> Map {
    let shape = [
        input.h + padding.top + padding.bottom,
        input.w + padding.left + padding.right,
        input.c,
    ];
    Map::new(shape, |y, x, k| {
        let inside = (padding.top..padding.top + input.h).contains(&y)
            && (padding.left..padding.left + input.w).contains(&x);
        if inside {
            input.at(y - padding.top, x - padding.left, k)
        } else {
            value.into()
        }
    })
}

/// How many windows fit into `extent`, counted by moving one.
fn windows(extent: usize, filter: usize, dilation: usize, stride: usize) -> usize {
    (0..extent)
        .step_by(stride)
        .take_while(|first| first + (filter - 1) * dilation < extent)
        .count()
}

/// Output rows and columns of a window on a tensor.
pub fn output_extents(h: usize, w: usize, window: &Window) -> [usize; 2] {
    let p = window.padding;
    [
        windows(
            h + p.top + p.bottom,
            window.filter_h,
            window.dilation_h,
            window.stride_h,
        ),
        windows(
            w + p.left + p.right,
            window.filter_w,
            window.dilation_w,
            window.stride_w,
        ),
    ]
}

/// Standard convolution, `weights[out][filter_h][filter_w][in]`.
pub fn conv2d(
    input: &Map,
    zero_point: i8,
    window: &Window,
    weights: &[i8],
    channels: &Channels,
) -> Map {
    let padded = pad(input, window.padding, zero_point);
    let [h, w] = output_extents(input.h, input.w, window);
    Map::new([h, w, channels.bias.len()], |y, x, k| {
        let mut sum = 0;
        for i in 0..window.filter_h {
            for j in 0..window.filter_w {
                for c in 0..input.c {
                    let code = padded.at(
                        y * window.stride_h + i * window.dilation_h,
                        x * window.stride_w + j * window.dilation_w,
                        c,
                    );
                    let weight =
                        weights[((k * window.filter_h + i) * window.filter_w + j) * input.c + c];
                    sum += (code - i64::from(zero_point)) * i64::from(weight);
                }
            }
        }
        channels.code(k, sum)
    })
}

/// Depthwise convolution, `weights[filter_h][filter_w][out]`; output channel `k` reads input channel `k / multiplier`.
pub fn depthwise(
    input: &Map,
    zero_point: i8,
    window: &Window,
    depth_multiplier: usize,
    weights: &[i8],
    channels: &Channels,
) -> Map {
    let padded = pad(input, window.padding, zero_point);
    let [h, w] = output_extents(input.h, input.w, window);
    let count = input.c * depth_multiplier;
    Map::new([h, w, count], |y, x, k| {
        let mut sum = 0;
        for i in 0..window.filter_h {
            for j in 0..window.filter_w {
                let code = padded.at(
                    y * window.stride_h + i * window.dilation_h,
                    x * window.stride_w + j * window.dilation_w,
                    k / depth_multiplier,
                );
                let weight = weights[(i * window.filter_w + j) * count + k];
                sum += (code - i64::from(zero_point)) * i64::from(weight);
            }
        }
        channels.code(k, sum)
    })
}

/// Dense layer, `weights[out][in]`, on the codes in memory order.
pub fn dense(input: &Map, zero_point: i8, weights: &[i8], channels: &Channels) -> Map {
    let inputs = input.codes.len();
    Map::new([1, 1, channels.bias.len()], |_, _, k| {
        let mut sum = 0;
        for (i, &code) in input.codes.iter().enumerate() {
            sum += (i64::from(code) - i64::from(zero_point)) * i64::from(weights[k * inputs + i]);
        }
        channels.code(k, sum)
    })
}

/// The codes of the pixels of a window that lie inside the input.
fn pixels_inside(input: &Map, window: &Window, [y, x, k]: [usize; 3]) -> Vec<i64> {
    let mut codes = vec![];
    for i in 0..window.filter_h {
        for j in 0..window.filter_w {
            // Coordinates in the padded tensor.
            let (row, column) = (y * window.stride_h + i, x * window.stride_w + j);
            let (top, left) = (window.padding.top, window.padding.left);
            if (top..top + input.h).contains(&row) && (left..left + input.w).contains(&column) {
                codes.push(input.at(row - top, column - left, k));
            }
        }
    }
    codes
}

/// Mean over a window, halves away from zero, only of pixels inside.
pub fn average_pool(input: &Map, window: &Window, clamp: Clamp) -> Map {
    let [h, w] = output_extents(input.h, input.w, window);
    Map::new([h, w, input.c], |y, x, k| {
        let codes = pixels_inside(input, window, [y, x, k]);
        let sum: i64 = codes.iter().sum();
        clamped(nearest_away(sum.into(), codes.len() as i128) as i64, clamp)
    })
}

/// Maximum over a window.
pub fn max_pool(input: &Map, window: &Window, clamp: Clamp) -> Map {
    let [h, w] = output_extents(input.h, input.w, window);
    Map::new([h, w, input.c], |y, x, k| {
        let codes = pixels_inside(input, window, [y, x, k]);
        clamped(*codes.iter().max().expect("a pixel inside"), clamp)
    })
}

/// A factor `multiplier * 2^(shift - 31)`: `(multiplier, shift)`.
pub type Factor = (i32, i32);

/// A random factor of about `2^exponent`.
pub fn random_factor(exponent: i64, random: &mut Random) -> Factor {
    let multiplier = random.number(1 << 30..=i64::from(i32::MAX)) as i32;
    (
        multiplier,
        random.number(exponent - 1..=exponent + 1) as i32,
    )
}

/// Mean of each channel over the map: `factor` is the ratio of scales over the number of pixels.
pub fn global_average_pool(
    input: &Map,
    zero_point: i8,
    factor: Factor,
    output_zero_point: i8,
    clamp: Clamp,
) -> Map {
    Map::new([1, 1, input.c], |_, _, k| {
        let mut sum = 0;
        for y in 0..input.h {
            for x in 0..input.w {
                sum += input.at(y, x, k) - i64::from(zero_point);
            }
        }
        let mean = requantize(sum, factor.0, factor.1);
        clamped(mean + i64::from(output_zero_point), clamp)
    })
}

/// What an addition is: codes of zero and factors of both inputs and of the sum.
#[derive(Clone, Copy, Debug)]
pub struct Addition {
    /// Codes of real zero of the inputs.
    pub zero_points: [i8; 2],
    /// Factors of the inputs.
    pub factors: [Factor; 2],
    /// Factor of the sum.
    pub output_factor: Factor,
    /// Output code of real zero.
    pub output_zero_point: i8,
    /// Fused activation.
    pub clamp: Clamp,
}

impl Addition {
    /// Factors as of three tensors with random scales.
    pub fn random(zero_points: [i8; 2], random: &mut Random) -> Addition {
        let near_one = |random: &mut Random| {
            let (multiplier, _) = random_factor(0, random);
            (multiplier, -random.pick(&[0, 0, 0, 1, 1, 3, 12, 31]))
        };
        Addition {
            zero_points,
            factors: [near_one(random), near_one(random)],
            output_factor: random_factor(-19, random),
            output_zero_point: random.code(),
            clamp: random.clamp(),
        }
    }
}

/// Sum of two tensors: both scaled up by 2^20, brought to one scale, added, and brought to the output's.
pub fn add(a: &Map, b: &Map, op: &Addition) -> Map {
    Map::new(a.shape(), |y, x, k| {
        let scaled = |input: &Map, which: usize| {
            let real = input.at(y, x, k) - i64::from(op.zero_points[which]);
            requantize(real << 20, op.factors[which].0, op.factors[which].1)
        };
        let sum = scaled(a, 0) + scaled(b, 1);
        let code = requantize(sum, op.output_factor.0, op.output_factor.1);
        clamped(code + i64::from(op.output_zero_point), op.clamp)
    })
}

/// What a multiplication is: codes of zero of both inputs, and the factor of the product.
#[derive(Clone, Copy, Debug)]
pub struct Multiplication {
    /// Codes of real zero of the inputs.
    pub zero_points: [i8; 2],
    /// Factor of the product.
    pub factor: Factor,
    /// Output code of real zero.
    pub output_zero_point: i8,
    /// Fused activation.
    pub clamp: Clamp,
}

impl Multiplication {
    /// A factor that brings most products of random codes into the range of codes, or an extreme one.
    pub fn random(zero_points: [i8; 2], random: &mut Random) -> Multiplication {
        let exponent = random.pick(&[-5, -5, -6, -7, -8, -30, 0, 13]);
        Multiplication {
            zero_points,
            factor: random_factor(exponent, random),
            output_zero_point: random.code(),
            clamp: random.clamp(),
        }
    }
}

/// Product of two tensors; a second one of one pixel is multiplied with every pixel.
pub fn multiply(a: &Map, b: &Map, op: &Multiplication) -> Map {
    Map::new(a.shape(), |y, x, k| {
        let second = if b.h * b.w == 1 {
            b.at(0, 0, k)
        } else {
            b.at(y, x, k)
        };
        let [zero_a, zero_b] = op.zero_points.map(i64::from);
        let product = (a.at(y, x, k) - zero_a) * (second - zero_b);
        let code = requantize(product, op.factor.0, op.factor.1);
        clamped(code + i64::from(op.output_zero_point), op.clamp)
    })
}

/// Each code by its place in a table that begins with code -128.
pub fn table(input: &Map, table: &[i8; 256]) -> Map {
    Map::new(input.shape(), |y, x, k| {
        table[(input.at(y, x, k) + 128) as usize].into()
    })
}

/// The channels of one tensor and then those of another.
pub fn concat(a: &Map, b: &Map) -> Map {
    Map::new([a.h, a.w, a.c + b.c], |y, x, k| {
        if k < a.c {
            a.at(y, x, k)
        } else {
            b.at(y, x, k - a.c)
        }
    })
}

/// The largest number whose square is at most `n`, by halving.
fn root(n: u128) -> u128 {
    let (mut low, mut high) = (0, 1 << 64);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if middle * middle <= n {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Layer normalization over the channels of each pixel; `epsilon` is in codes squared times the channels squared.
pub fn layer_norm(input: &Map, weights: &[i8], epsilon: u64, channels: &Channels) -> Map {
    let n = input.c as i128;
    Map::new(input.shape(), |y, x, k| {
        let codes = (0..input.c).map(|k| i128::from(input.at(y, x, k)));
        let sum: i128 = codes.clone().sum();
        let squares: i128 = codes.map(|code| code * code).sum();
        let mut d = (n * squares - sum * sum) as u128 + u128::from(epsilon);
        if d == 0 {
            return channels.code(k, 0);
        }
        let mut unit = 1i128 << 47;
        while d < 1 << 62 {
            d *= 4;
            unit /= 2;
        }
        let factor = (1u128 << 62) / root(d);
        let distance = n * i128::from(input.at(y, x, k)) - sum;
        let normalized = nearest_up(distance * factor as i128, unit) as i64;
        assert!(normalized.abs() < 1 << 21);
        channels.code(k, normalized * i64::from(weights[k]))
    })
}

/// Exact probabilities of codes with `step` of the exponent per code, in units of 1/256.
pub fn softmax(codes: &[i8], step: f64) -> Vec<f64> {
    let max = f64::from(*codes.iter().max().expect("codes"));
    let powers: Vec<f64> = codes
        .iter()
        .map(|&code| ((f64::from(code) - max) * step).exp())
        .collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| 256.0 * power / sum).collect()
}
