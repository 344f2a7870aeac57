//! Streaming blocks against the same kernels run layer by layer on whole tensors.

use ocelli::InputError;
use ocelli::block::{
    BlockError, InvertedResidual, InvertedResidualParams, Layer, SeparableConv, SeparableConvParams,
};
use ocelli::kernels::{
    Add, AddParams, ChannelRequant, Clamp, Depthwise, DepthwiseParams, Packing, Padding, Pointwise,
    PointwiseParams, Requant, Rows, Shape, ShapeError, Window,
};

/// A generator of numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as u32
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    fn codes(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| (self.next() >> 8) as i8).collect()
    }
}

/// What a layer owns.
struct Weights {
    weights: Vec<i8>,
    bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<i8>,
    zero_point: i8,
}

impl Weights {
    /// For sums of `taps` products, scaled so that outputs fill the range of codes.
    fn random(taps: usize, filters: usize, count: usize, random: &mut Random) -> Self {
        let shift = -(7 + taps.ilog2() as i8 / 2);
        Weights {
            weights: random.codes(count),
            bias: (0..filters)
                .map(|_| random.below(4000) as i32 - 2000)
                .collect(),
            multiplier: (0..filters)
                .map(|_| (1 << 30) + random.below(1 << 30) as i32)
                .collect(),
            shift: vec![shift; filters],
            zero_point: random.below(21) as i8 - 10,
        }
    }

    fn requant(&self, clamp: Clamp) -> ChannelRequant<'_> {
        ChannelRequant {
            bias: &self.bias,
            multiplier: &self.multiplier,
            shift: &self.shift,
            output_zero_point: self.zero_point,
            clamp,
        }
    }
}

/// A block with its weights.
struct Block {
    input: Shape,
    expanded: usize,
    output: Shape,
    window: Window,
    has_skip: bool,
    weights: [Weights; 3],
    input_zero_point: i8,
}

impl Block {
    fn new(
        input: Shape,
        expansion: usize,
        out_c: usize,
        window: Window,
        random: &mut Random,
    ) -> Self {
        let expanded = input.c * expansion;
        let side = |side, span, padding: [usize; 2], stride| {
            (side + padding[0] + padding[1] - span) / stride + 1
        };
        let p = window.padding;
        let output = Shape {
            h: side(input.h, window.span_h(), [p.top, p.bottom], window.stride_h),
            w: side(input.w, window.span_w(), [p.left, p.right], window.stride_w),
            c: out_c,
        };
        let taps = window.filter_h * window.filter_w;
        let weights = [
            Weights::random(input.c, expanded, expanded * input.c, random),
            Weights::random(taps, expanded, taps * expanded, random),
            Weights::random(expanded, out_c, expanded * out_c, random),
        ];
        let has_skip = input == output;
        let input_zero_point = random.below(21) as i8 - 10;
        Block {
            input,
            expanded,
            output,
            window,
            has_skip,
            weights,
            input_zero_point,
        }
    }

    fn params(&self) -> InvertedResidualParams<'_> {
        let relu = |zero_point| Clamp {
            min: zero_point,
            max: 120,
        };
        let [expand, depthwise, project] = &self.weights;
        let expands = self.expanded != self.input.c;
        let wide = Shape {
            c: self.expanded,
            ..self.input
        };
        let deep = Shape {
            c: self.expanded,
            ..self.output
        };
        let half = Requant {
            multiplier: 1 << 30,
            shift: 0,
        };
        InvertedResidualParams {
            expand: expands.then(|| PointwiseParams {
                input: self.input,
                output: wide,
                weights: &expand.weights,
                packing: Packing::Canonical,
                requant: expand.requant(relu(expand.zero_point)),
            }),
            depthwise: DepthwiseParams {
                input: wide,
                output: deep,
                window: self.window,
                depth_multiplier: 1,
                input_zero_point: if expands {
                    expand.zero_point
                } else {
                    self.input_zero_point
                },
                weights: &depthwise.weights,
                packing: Packing::Canonical,
                requant: depthwise.requant(relu(depthwise.zero_point)),
            },
            project: PointwiseParams {
                input: deep,
                output: self.output,
                weights: &project.weights,
                packing: Packing::Canonical,
                requant: project.requant(Clamp::NONE),
            },
            skip: self.has_skip.then_some(AddParams {
                zero_points: [self.input_zero_point, project.zero_point],
                factors: [half; 2],
                // (a / 2 + b / 2) * 2^20 * 2^-19 = a + b.
                output_factor: Requant {
                    multiplier: 1 << 30,
                    shift: -18,
                },
                output_zero_point: 3,
                clamp: Clamp::NONE,
            }),
        }
    }
}

/// Whole tensors, one after another.
fn by_layers(params: &InvertedResidualParams<'_>, input: &[i8]) -> Vec<i8> {
    let mut tensor = input.to_vec();
    let mut row_elems = params.input().row_elems();
    if let Some(expand) = params.expand {
        let mut output = vec![0; expand.output.elems()];
        let kernel = Pointwise::new(expand).expect("a sound layer");
        kernel.run(&Rows::whole(&tensor, row_elems), 0, &mut [], &mut output);
        (tensor, row_elems) = (output, expand.output.row_elems());
    }
    let mut output = vec![0; params.depthwise.output.elems()];
    let kernel = Depthwise::new(params.depthwise).expect("a sound layer");
    kernel.run(&Rows::whole(&tensor, row_elems), 0, &mut [], &mut output);
    (tensor, row_elems) = (output, params.depthwise.output.row_elems());

    let mut output = vec![0; params.project.output.elems()];
    let kernel = Pointwise::new(params.project).expect("a sound layer");
    kernel.run(&Rows::whole(&tensor, row_elems), 0, &mut [], &mut output);
    if let Some(skip) = params.skip {
        let mut sum = vec![0; output.len()];
        let kernel = Add::new(skip).expect("a sound layer");
        kernel.run(input, &output, &mut sum);
        return sum;
    }
    output
}

/// Row by row, in a buffer of just the bytes needed.
fn by_rows(params: InvertedResidualParams<'_>, input: &[i8]) -> Vec<i8> {
    let mut buffer = vec![99; params.buffer_bytes()];
    let mut block = InvertedResidual::new(params, &mut buffer).expect("a sound block");
    let mut made = Vec::new();
    for row in input.chunks(params.input().row_elems()) {
        block.push_row(row).expect("a needed row");
        while let Some(row) = block.next_row() {
            made.extend_from_slice(row);
        }
    }
    made
}

fn window(filter: usize, stride: usize, padding: [usize; 4]) -> Window {
    let [top, bottom, left, right] = padding;
    Window {
        filter_h: filter,
        filter_w: filter,
        stride_h: stride,
        stride_w: stride,
        dilation_h: 1,
        dilation_w: 1,
        padding: Padding {
            top,
            bottom,
            left,
            right,
        },
    }
}

/// Codes of a tensor that are worth comparing: not all the same.
fn check(block: &Block, random: &mut Random) {
    let input = random.codes(block.input.elems());
    let expected = by_layers(&block.params(), &input);
    let distinct: std::collections::BTreeSet<i8> = expected.iter().copied().collect();
    assert!(expected.len() < 100 || distinct.len() > 20, "{distinct:?}");
    assert_eq!(by_rows(block.params(), &input), expected);
}

#[test]
fn blocks_of_mobilenet_v2_equal_their_layers_in_every_byte() {
    let random = &mut Random(1);
    let (one, two) = (window(3, 1, [1; 4]), window(3, 2, [1; 4]));
    for (input, expansion, out_c, window, bytes) in [
        // The first block: nothing is expanded. 3 rows of 112 x 32, one of 112 x 32, one of 112 x 16.
        (Shape::new(112, 112, 32), 1, 16, one, 4 * 3584 + 1792),
        // 3 rows of 56 x 144, one of 28 x 144, one of 28 x 32.
        (Shape::new(56, 56, 24), 6, 32, two, 3 * 8064 + 4032 + 896),
        // 3 + 1 rows of 28 x 192; 28 x 32: 2 rows of input, one projected, one sum.
        (Shape::new(28, 28, 32), 6, 32, one, 4 * 5376 + 4 * 896),
        (Shape::new(14, 14, 96), 6, 160, two, 3 * 8064 + 4032 + 1120),
        (Shape::new(7, 7, 160), 6, 160, one, 4 * 6720 + 4 * 1120),
    ] {
        let block = Block::new(input, expansion, out_c, window, random);
        assert_eq!(block.has_skip, input.c == out_c);
        assert_eq!(block.params().buffer_bytes(), bytes);
        check(&block, random);
    }
}

#[test]
fn odd_sizes_strides_paddings_and_filters_equal_their_layers() {
    let random = &mut Random(2);
    let mut skips = 0;
    for _ in 0..600 {
        let filter = 1 + random.below(5);
        let mut window = window(
            filter,
            1 + random.below(3),
            [0; 4].map(|_| random.below(filter)),
        );
        window.dilation_h = 1 + random.below(2);
        if random.below(3) == 0 {
            // Extents that stay, so that the input can be added.
            (window.stride_h, window.stride_w) = (1, 1);
            let p = &mut window.padding;
            p.bottom = (filter - 1) * window.dilation_h - p.top;
            p.right = filter - 1 - p.left;
        }
        let least = |span: usize, padding| usize::max(1, span.saturating_sub(padding));
        let p = window.padding;
        let input = Shape {
            h: least(window.span_h(), p.top + p.bottom) + random.below(9),
            w: least(window.span_w(), p.left + p.right) + random.below(9),
            c: 1 + random.below(5),
        };
        let out_c = if random.below(2) == 0 {
            input.c
        } else {
            1 + random.below(7)
        };
        let block = Block::new(input, 1 + random.below(3), out_c, window, random);
        skips += usize::from(block.has_skip);
        let input = random.codes(block.input.elems());
        let expected = by_layers(&block.params(), &input);
        assert_eq!(
            by_rows(block.params(), &input),
            expected,
            "{:?} {window:?}",
            block.input
        );
    }
    assert!(skips > 50, "only {skips} blocks added their input");
}

#[test]
fn a_separable_convolution_equals_its_layers_and_can_be_used_again() {
    let random = &mut Random(3);
    let block = Block::new(
        Shape::new(25, 17, 8),
        1,
        12,
        window(3, 2, [0, 1, 0, 1]),
        random,
    );
    let params = block.params();
    let separable = SeparableConvParams {
        depthwise: params.depthwise,
        pointwise: params.project,
    };
    let mut buffer = vec![0; separable.buffer_bytes()];
    // 3 rows of 17 x 8, one of 8 x 8, one of 8 x 12.
    assert_eq!(buffer.len(), 3 * 136 + 64 + 96);
    let mut conv = SeparableConv::new(separable, &mut buffer).expect("a sound block");
    for left_at in [13, 25] {
        let input = random.codes(block.input.elems());
        let mut made = Vec::new();
        for row in input.chunks(136).take(left_at) {
            conv.push_row(row).expect("a needed row");
            while let Some(row) = conv.next_row() {
                made.extend_from_slice(row);
            }
        }
        let expected = by_layers(&params, &input);
        assert_eq!(made, expected[..made.len()]);
        // Output row 5 reads the input rows 10 to 12.
        assert_eq!(
            made.len(),
            if left_at == 25 {
                expected.len()
            } else {
                6 * 96
            }
        );
        conv.reset();
    }
}

#[test]
fn rows_out_of_order_are_refused_and_change_nothing() {
    let random = &mut Random(4);
    let block = Block::new(Shape::new(4, 4, 4), 2, 4, window(3, 1, [1; 4]), random);
    let input = random.codes(64);
    let mut buffer = vec![0; block.params().buffer_bytes()];
    let mut conv = InvertedResidual::new(block.params(), &mut buffer).expect("a sound block");
    let mut made = Vec::new();
    for (r, row) in input.chunks(16).enumerate() {
        let (needed, got) = (16, 15);
        assert_eq!(
            conv.push_row(&row[1..]),
            Err(InputError::Length { needed, got })
        );
        conv.push_row(row).expect("a needed row");
        if r == 0 {
            assert_eq!(conv.next_row(), None);
            continue;
        }
        assert_eq!(conv.push_row(row), Err(InputError::NotNeeded));
        while let Some(row) = conv.next_row() {
            made.extend_from_slice(row);
        }
    }
    assert_eq!(conv.push_row(&input[..16]), Err(InputError::NotNeeded));
    assert_eq!(conv.next_row(), None);
    assert_eq!(made, by_layers(&block.params(), &input));
}

#[test]
fn layers_that_do_not_follow_each_other_are_refused() {
    let random = &mut Random(5);
    let block = Block::new(Shape::new(8, 8, 4), 2, 4, window(3, 1, [1; 4]), random);
    let sound = block.params();
    let refused = |params: InvertedResidualParams<'_>| {
        InvertedResidual::new(params, &mut [0; 4096]).expect_err("refused")
    };
    let mut wrong = sound;
    wrong.project.input.h = 7;
    wrong.project.output.h = 7;
    assert_eq!(
        refused(wrong),
        BlockError::Extents {
            layer: Layer::Project
        }
    );
    let mut wrong = sound;
    wrong.depthwise.input_zero_point ^= 1;
    assert_eq!(
        refused(wrong),
        BlockError::ZeroPoint {
            layer: Layer::Depthwise
        }
    );
    let mut wrong = sound;
    wrong.skip.as_mut().expect("a sum").zero_points[1] ^= 1;
    assert_eq!(refused(wrong), BlockError::ZeroPoint { layer: Layer::Skip });
    let mut wrong = sound;
    wrong.expand = None;
    assert_eq!(refused(wrong), BlockError::Extents { layer: Layer::Skip });
    let mut wrong = sound;
    wrong.depthwise.window.stride_w = 0;
    let error = ShapeError::Zero;
    assert_eq!(
        refused(wrong),
        BlockError::Layer {
            layer: Layer::Depthwise,
            error
        }
    );

    let (needed, got) = (sound.buffer_bytes(), sound.buffer_bytes() - 1);
    let error = InvertedResidual::new(sound, &mut vec![0; got]).expect_err("refused");
    assert_eq!(error, BlockError::Buffer { needed, got });
}

#[test]
fn a_tensor_of_too_many_rows_is_refused() {
    let bias = [0; 1];
    let (multiplier, shift) = ([1 << 30; 1], [0; 1]);
    let requant = ChannelRequant {
        bias: &bias,
        multiplier: &multiplier,
        shift: &shift,
        output_zero_point: 0,
        clamp: Clamp::NONE,
    };
    for h in [65_535, 65_536, usize::MAX] {
        let shape = Shape::new(h, 1, 1);
        let params = SeparableConvParams {
            depthwise: DepthwiseParams {
                input: shape,
                output: shape,
                window: Window::POINT,
                depth_multiplier: 1,
                input_zero_point: 0,
                weights: &[1],
                packing: Packing::Canonical,
                requant,
            },
            pointwise: PointwiseParams {
                input: shape,
                output: shape,
                weights: &[1],
                packing: Packing::Canonical,
                requant,
            },
        };
        let error = SeparableConv::new(params, &mut [0; 3]).err();
        assert_eq!(error, (h > 65_535).then_some(BlockError::Side));
    }
}
