//! Two blocks wired by hand, without a model image: a separable convolution and an inverted residual that adds its input.
//!
//! `cargo run -p ocelli --example inverted_residual` runs a picture of codes through them, row by row, and prints how much
//! memory that takes beside whole tensors. The weights are made up; real ones come from a training tool, with a factor
//! for each channel: the scales of input and weights over that of the output.

use ocelli::block::{InvertedResidual, InvertedResidualParams, SeparableConv, SeparableConvParams};
use ocelli::kernels::{
    AddParams, ChannelRequant, Clamp, DepthwiseParams, Packing, Padding, PointwiseParams, Requant,
    Shape, Window,
};

/// Rows and columns of both blocks' output.
const SIDE: usize = 48;

/// What a layer owns: a firmware would have it in flash.
struct Layer {
    weights: Vec<i8>,
    bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<i8>,
}

impl Layer {
    /// `taps` weights for each of `channels` outputs, which are divided by a power of two.
    fn new(channels: usize, taps: usize, shift: i8) -> Self {
        let weight = |at: usize| (at * 37 % 61) as i8 - 30;
        Layer {
            weights: (0..channels * taps).map(weight).collect(),
            bias: vec![0; channels],
            multiplier: vec![1 << 30; channels],
            shift: vec![shift; channels],
        }
    }

    /// Zero is code 0 everywhere here, so nothing is folded into the bias.
    fn requant(&self, clamp: Clamp) -> ChannelRequant<'_> {
        ChannelRequant {
            bias: &self.bias,
            multiplier: &self.multiplier,
            shift: &self.shift,
            output_zero_point: 0,
            clamp,
        }
    }
}

/// Three by three, with one row or column of padding on each side.
fn three_by_three(stride: usize) -> Window {
    Window {
        filter_h: 3,
        filter_w: 3,
        stride_h: stride,
        stride_w: stride,
        padding: Padding {
            top: 1,
            bottom: 1,
            left: 1,
            right: 1,
        },
        ..Window::POINT
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let relu = Clamp { min: 0, max: 127 };
    let [first_depthwise, first_pointwise] = [Layer::new(8, 9, -7), Layer::new(16, 8, -7)];
    let [expand, depthwise] = [Layer::new(96, 16, -7), Layer::new(96, 9, -7)];
    let project = Layer::new(16, 96, -8);

    // 95 rows of 95 pixels: an odd size becomes 48.
    let narrow = Shape::new(SIDE, SIDE, 16);
    let separable = SeparableConvParams {
        depthwise: DepthwiseParams {
            input: Shape::new(2 * SIDE - 1, 2 * SIDE - 1, 8),
            output: Shape::new(SIDE, SIDE, 8),
            window: three_by_three(2),
            depth_multiplier: 1,
            input_zero_point: 0,
            weights: &first_depthwise.weights,
            packing: Packing::Canonical,
            requant: first_depthwise.requant(relu),
        },
        pointwise: PointwiseParams {
            input: Shape::new(SIDE, SIDE, 8),
            output: narrow,
            weights: &first_pointwise.weights,
            packing: Packing::Canonical,
            requant: first_pointwise.requant(Clamp::NONE),
        },
    };
    let wide = Shape::new(SIDE, SIDE, 96);
    let half = Requant {
        multiplier: 1 << 30,
        shift: 0,
    };
    let residual = InvertedResidualParams {
        expand: Some(PointwiseParams {
            input: narrow,
            output: wide,
            weights: &expand.weights,
            packing: Packing::Canonical,
            requant: expand.requant(relu),
        }),
        depthwise: DepthwiseParams {
            input: wide,
            output: wide,
            window: three_by_three(1),
            depth_multiplier: 1,
            input_zero_point: 0,
            weights: &depthwise.weights,
            packing: Packing::Canonical,
            requant: depthwise.requant(relu),
        },
        project: PointwiseParams {
            input: wide,
            output: narrow,
            weights: &project.weights,
            packing: Packing::Canonical,
            requant: project.requant(Clamp::NONE),
        },
        skip: Some(AddParams {
            zero_points: [0; 2],
            factors: [half; 2],
            // Each input counts 2^19 times; this takes that back.
            output_factor: Requant {
                multiplier: 1 << 30,
                shift: -18,
            },
            output_zero_point: 0,
            clamp: Clamp::NONE,
        }),
    };

    // On a device: two statics of sizes known when it is built.
    let mut first_buffer = vec![0; separable.buffer_bytes()];
    let mut second_buffer = vec![0; residual.buffer_bytes()];
    let mut first = SeparableConv::new(separable, &mut first_buffer)?;
    let mut second = InvertedResidual::new(residual, &mut second_buffer)?;

    let input = separable.depthwise.input;
    let (mut rows, mut sum) = (0, 0i64);
    for r in 0..input.h {
        let row: Vec<i8> = (0..input.row_elems())
            .map(|at| (r * 5 + at * 3) as i8)
            .collect();
        first.push_row(&row)?;
        while let Some(row) = first.next_row() {
            second.push_row(row)?;
            while let Some(row) = second.next_row() {
                rows += 1;
                sum += row.iter().map(|&code| i64::from(code)).sum::<i64>();
            }
        }
    }
    let streamed = separable.buffer_bytes() + residual.buffer_bytes();
    println!("{rows} rows of {} codes, sum {sum}", narrow.row_elems());
    println!("memory of both blocks   {streamed} bytes");
    println!("one wide tensor alone   {} bytes", wide.elems());
    Ok(())
}
