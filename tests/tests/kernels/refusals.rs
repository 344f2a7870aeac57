//! What `new` refuses: one case per reason.

use ocelli_kernels::*;

const WINDOW: Window = Window {
    filter_h: 3,
    filter_w: 3,
    padding: Padding {
        top: 1,
        bottom: 1,
        left: 1,
        right: 1,
    },
    ..Window::POINT
};

/// A convolution of a 4x4x2 tensor to 4x4x3 codes that `new` accepts.
const CONV: Conv2dParams<'static> = Conv2dParams {
    input: Shape::new(4, 4, 2),
    output: Shape::new(4, 4, 3),
    window: WINDOW,
    input_zero_point: 0,
    weights: &[1; 54],
    packing: Packing::Canonical,
    requant: REQUANT,
};

const REQUANT: ChannelRequant<'static> = ChannelRequant {
    bias: &[0; 3],
    multiplier: &[1 << 30; 3],
    shift: &[0; 3],
    output_zero_point: 0,
    clamp: Clamp::NONE,
};

const POOL: PoolParams = PoolParams {
    input: Shape::new(4, 4, 2),
    output: Shape::new(4, 4, 2),
    window: WINDOW,
    clamp: Clamp::NONE,
};

fn extent<T>(operand: Operand, needed: usize, got: usize) -> Result<T, ShapeError> {
    Err(ShapeError::Extent {
        operand,
        needed,
        got,
    })
}

#[test]
fn a_convolution_is_refused_with_what_is_wrong() {
    let new = |params| Conv2d::new(params).map(|_| ());
    assert_eq!(new(CONV), Ok(()));
    let with = |change: fn(&mut Conv2dParams<'static>)| {
        let mut params = CONV;
        change(&mut params);
        new(params)
    };
    assert_eq!(
        with(|p| p.weights = &[1; 53]),
        extent(Operand::Weights, 54, 53)
    );
    assert_eq!(
        with(|p| p.requant.bias = &[0; 4]),
        extent(Operand::Bias, 3, 4)
    );
    assert_eq!(
        with(|p| p.requant.multiplier = &[1]),
        extent(Operand::Multiplier, 3, 1)
    );
    assert_eq!(
        with(|p| p.requant.shift = &[]),
        extent(Operand::Shift, 3, 0)
    );
    assert_eq!(
        with(|p| p.output.h = 5),
        extent(Operand::OutputHeight, 4, 5)
    );
    assert_eq!(with(|p| p.output.w = 2), extent(Operand::OutputWidth, 4, 2));
    assert_eq!(with(|p| p.window.stride_w = 0), Err(ShapeError::Zero));
    assert_eq!(with(|p| p.window.dilation_h = 0), Err(ShapeError::Zero));
    assert_eq!(with(|p| p.input.c = 0), Err(ShapeError::Zero));
    assert_eq!(with(|p| p.window.padding.top = 3), Err(ShapeError::Padding));
    assert_eq!(
        with(|p| p.window.padding.right = 3),
        Err(ShapeError::Padding)
    );
    assert_eq!(
        with(|p| p.requant.multiplier = &[1, -1, 1]),
        Err(ShapeError::Requant { at: 1 })
    );
    assert_eq!(
        with(|p| p.requant.shift = &[0, 0, 31]),
        Err(ShapeError::Requant { at: 2 })
    );
    assert_eq!(
        with(|p| p.requant.bias = &[0, i32::MIN, 0]),
        Err(ShapeError::Accumulator { at: 1 })
    );
    // 18 products of 2^14 are below 2^19: shifted left by 11 they may reach 2^30.
    assert_eq!(
        with(|p| p.requant.shift = &[0, 0, 12]),
        Err(ShapeError::Accumulator { at: 2 })
    );
    assert_eq!(
        with(|p| p.requant.clamp = Clamp { min: 1, max: 0 }),
        Err(ShapeError::Clamp)
    );
}

#[test]
fn a_pool_is_refused_with_what_is_wrong() {
    let with = |change: fn(&mut PoolParams)| {
        let mut params = POOL;
        change(&mut params);
        let error = MaxPool::new(params).err();
        assert_eq!(AveragePool::new(params).err(), error);
        error
    };
    assert_eq!(with(|_| ()), None);
    assert_eq!(
        with(|p| p.output.c = 1),
        extent::<()>(Operand::OutputChannels, 2, 1).err()
    );
    assert_eq!(
        with(|p| {
            p.window.dilation_w = 2;
            p.output.w = 2;
        }),
        Some(ShapeError::Dilation)
    );
    assert_eq!(
        with(|p| {
            p.input = Shape::new(300, 300, 2);
            p.window.filter_h = 300;
            p.window.filter_w = 300;
            p.output = Shape::new(3, 3, 2);
        }),
        Some(ShapeError::Accumulator { at: 0 })
    );
}

#[test]
fn a_layer_norm_is_refused_with_what_is_wrong() {
    let params = LayerNormParams {
        input: Shape::new(2, 2, 3),
        output: Shape::new(2, 2, 3),
        weights: &[1; 3],
        epsilon: (1 << 62) - 1,
        requant: REQUANT,
    };
    let with = |change: fn(&mut LayerNormParams<'static>)| {
        let mut params = params;
        change(&mut params);
        LayerNorm::new(params).map(|_| ())
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(with(|p| p.epsilon += 1), Err(ShapeError::Epsilon));
    assert_eq!(
        with(|p| p.weights = &[1; 4]),
        extent(Operand::Weights, 3, 4)
    );
    assert_eq!(with(|p| p.output.w = 3), extent(Operand::OutputWidth, 2, 3));
    assert_eq!(with(|p| p.input.h = 0), Err(ShapeError::Zero));
    assert_eq!(
        with(|p| {
            p.input.c = 4097;
            p.output.c = 4097;
            p.weights = &[1; 4097];
        }),
        Err(ShapeError::Accumulator { at: 4096 })
    );
    // Normalized codes times weights reach 2^28, which leaves room for one bit to the left.
    assert_eq!(with(|p| p.requant.shift = &[0, 1, 0]), Ok(()));
    assert_eq!(
        with(|p| p.requant.shift = &[0, 2, 0]),
        Err(ShapeError::Accumulator { at: 1 })
    );
    assert_eq!(
        with(|p| p.requant.bias = &[0, 0, 3 << 28]),
        Err(ShapeError::Accumulator { at: 2 })
    );
}

#[test]
fn a_multiplication_is_refused_with_what_is_wrong() {
    let with = |change: fn(&mut MultiplyParams)| {
        let mut params = MultiplyParams {
            inputs: [Shape::new(4, 5, 2), Shape::new(1, 1, 2)],
            output: Shape::new(4, 5, 2),
            zero_points: [0; 2],
            factor: Requant {
                multiplier: 1 << 30,
                shift: 14,
            },
            output_zero_point: 0,
            clamp: Clamp::NONE,
        };
        change(&mut params);
        Multiply::new(params).map(|_| ())
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(with(|p| p.inputs[1] = p.inputs[0]), Ok(()));
    // The first input is not repeated, nor is a row, nor a code.
    assert_eq!(
        with(|p| p.inputs.reverse()),
        extent(Operand::OutputHeight, 1, 4)
    );
    assert_eq!(
        with(|p| p.inputs[1].w = 5),
        extent(Operand::OutputHeight, 4, 1)
    );
    assert_eq!(
        with(|p| p.inputs[1].c = 1),
        extent(Operand::OutputHeight, 4, 1)
    );
    assert_eq!(
        with(|p| p.output.c = 3),
        extent(Operand::OutputChannels, 2, 3)
    );
    assert_eq!(
        with(|p| p.factor.shift = 15),
        Err(ShapeError::Accumulator { at: 0 })
    );
    assert_eq!(with(|p| p.clamp.max = -128), Ok(()));
    assert_eq!(
        with(|p| p.clamp = Clamp { min: 1, max: 0 }),
        Err(ShapeError::Clamp)
    );
}

#[test]
fn a_concatenation_is_refused_with_what_is_wrong() {
    let with = |change: fn(&mut ConcatParams)| {
        let mut params = ConcatParams {
            inputs: [Shape::new(4, 5, 2), Shape::new(4, 5, 7)],
            output: Shape::new(4, 5, 9),
        };
        change(&mut params);
        Concat::new(params).map(|_| ())
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(
        with(|p| p.inputs[1].h = 3),
        extent(Operand::OutputHeight, 3, 4)
    );
    assert_eq!(
        with(|p| p.inputs[0].w = 1),
        extent(Operand::OutputWidth, 1, 5)
    );
    assert_eq!(
        with(|p| p.output.c = 8),
        extent(Operand::OutputChannels, 9, 8)
    );
    assert_eq!(with(|p| p.inputs[0].c = 0), Err(ShapeError::Zero));
}

#[test]
fn extents_at_the_end_of_the_range_are_refused_and_overflow_nothing() {
    const MOST: usize = usize::MAX;
    let mut conv = CONV;
    conv.input = Shape::new(MOST, MOST, MOST);
    assert!(Conv2d::new(conv).is_err());
    conv.window.filter_h = MOST;
    conv.window.filter_w = MOST;
    conv.window.padding.bottom = MOST - 1;
    assert!(Conv2d::new(conv).is_err());
    let pad = PadParams {
        input: Shape::new(MOST, MOST, MOST),
        output: Shape::new(1, 1, MOST),
        padding: WINDOW.padding,
        value: 0,
    };
    assert!(Pad::new(pad).is_err());
    let global = GlobalAveragePoolParams {
        input: Shape::new(MOST, MOST, 1),
        bias: i32::MIN,
        factor: Requant {
            multiplier: 1,
            shift: 0,
        },
        output_zero_point: 0,
        clamp: Clamp::NONE,
    };
    assert!(GlobalAveragePool::new(global).is_err());
    let far = Shape::new(MOST, MOST, MOST);
    let concat = ConcatParams {
        inputs: [far; 2],
        output: Shape::new(MOST, MOST, 1),
    };
    assert!(Concat::new(concat).is_err());
    let dense = DenseParams {
        inputs: MOST,
        outputs: MOST,
        weights: &[],
        packing: Packing::Canonical,
        requant: REQUANT,
    };
    assert!(Dense::new(dense).is_err());
}
