//! Additions and averages.

use alloc::vec;
use alloc::vec::Vec;

use ocelli::kernels::*;

use crate::matrix::random_window;
use crate::random::Random;
use crate::{check, codes};

/// Runs the cases; their number.
pub fn sweep() -> usize {
    let mut random = Random::new(0x1234_5679);
    for count in (1..=70).chain(1..=70) {
        add(count, &mut random);
    }
    for _ in 0..70 {
        average(&mut random);
        global_average(&mut random);
    }
    280
}

/// `value * multiplier * 2^(shift - 31)`, rounded as one rule for all ops says.
fn scaled(value: i64, factor: Requant) -> i64 {
    let high = (value * i64::from(factor.multiplier) + (1 << 30)) >> 31;
    let e = -factor.shift;
    match e {
        0 => high,
        _ if high >= 0 => (high + (1 << (e - 1))) >> e,
        _ => -((-high + (1 << (e - 1))) >> e),
    }
}

fn clamp(random: &mut Random) -> Clamp {
    match random.number(0, 1) {
        0 => Clamp::NONE,
        _ => Clamp {
            min: random.number(-128, -20) as i8,
            max: random.number(20, 127) as i8,
        },
    }
}

fn add(count: usize, random: &mut Random) {
    let half = Requant {
        multiplier: 1 << 30,
        shift: 0,
    };
    let other = Requant {
        multiplier: random.number(1 << 30, i32::MAX),
        shift: random.number(-6, 0),
    };
    let params = AddParams {
        zero_points: [random.code(), random.code()],
        factors: random.pick(&[[half, half], [half, other], [other, half], [other, other]]),
        output_factor: Requant {
            multiplier: random.number(1 << 30, i32::MAX),
            shift: random.number(-19, -17),
        },
        output_zero_point: random.code(),
        clamp: clamp(random),
    };
    let inputs = [codes(count, random), codes(count, random)];
    let expected: Vec<i8> = (0..count)
        .map(|at| {
            let terms = [0, 1].map(|input| {
                let code = i64::from(inputs[input][at]) - i64::from(params.zero_points[input]);
                scaled(code << 20, params.factors[input])
            });
            let sum = scaled(terms[0] + terms[1], params.output_factor);
            let code = sum + i64::from(params.output_zero_point);
            code.clamp(params.clamp.min.into(), params.clamp.max.into()) as i8
        })
        .collect();
    let kernel = Add::new(params).expect("a valid addition");
    check(&("add", params), &expected, 0, |_, output| {
        kernel.run(&inputs[0], &inputs[1], output)
    });
}

fn average(random: &mut Random) {
    let (h, w, c) = (random.size(1, 9), random.size(1, 9), random.size(1, 13));
    let (mut window, mut out_h, mut out_w) = random_window(h, w, &[1, 2, 3], random);
    if window.dilation_h != 1 || random.number(0, 3) == 0 {
        // The whole map.
        (window.filter_h, window.filter_w) = (h, w);
        (window.dilation_h, window.dilation_w) = (1, 1);
        (window.padding, out_h, out_w) = (Padding::default(), 1, 1);
    }
    let input = codes(h * w * c, random);
    let clamp = clamp(random);
    let mut expected = vec![];
    for (y, x) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))) {
        for channel in 0..c {
            let (mut sum, mut count) = (0i32, 0i32);
            for at in 0..window.filter_h * window.filter_w {
                let y =
                    (y * window.stride_h + at / window.filter_w).checked_sub(window.padding.top);
                let x =
                    (x * window.stride_w + at % window.filter_w).checked_sub(window.padding.left);
                if let (Some(y), Some(x)) = (y.filter(|&y| y < h), x.filter(|&x| x < w)) {
                    sum += i32::from(input[(y * w + x) * c + channel]);
                    count += 1;
                }
            }
            // Halves away from zero.
            let mean = (2 * sum.abs() + count) / (2 * count) * sum.signum();
            expected.push(mean.clamp(clamp.min.into(), clamp.max.into()) as i8);
        }
    }
    let params = PoolParams {
        input: Shape::new(h, w, c),
        output: Shape::new(out_h, out_w, c),
        window,
        clamp,
    };
    let kernel = AveragePool::new(params).expect("a valid pooling");
    check(&("average", params), &expected, 0, |_, output| {
        kernel.run(&Rows::whole(&input, w * c), 0, output)
    });
}

fn global_average(random: &mut Random) {
    // More pixels than sums of 16 bits have room for, too.
    let (h, w, c) = (random.size(1, 9), random.size(1, 90), random.size(1, 13));
    let input = codes(h * w * c, random);
    let params = GlobalAveragePoolParams {
        input: Shape::new(h, w, c),
        bias: random.number(-1000, 1000),
        factor: Requant {
            multiplier: random.number(1 << 30, i32::MAX),
            shift: -(31 - ((h * w) as u32).leading_zeros() as i32),
        },
        output_zero_point: random.code(),
        clamp: clamp(random),
    };
    let expected: Vec<i8> = (0..c)
        .map(|channel| {
            let pixels = input.iter().skip(channel).step_by(c);
            let sum = pixels.map(|&code| i64::from(code)).sum::<i64>();
            let mean = scaled(sum + i64::from(params.bias), params.factor);
            let code = mean + i64::from(params.output_zero_point);
            code.clamp(params.clamp.min.into(), params.clamp.max.into()) as i8
        })
        .collect();
    let kernel = GlobalAveragePool::new(params).expect("a valid mean");
    let bytes = GlobalAveragePool::sums_bytes(params.input);
    let first = h / 2 * w * c;
    check(&("mean", params), &expected, bytes, |sums, output| {
        kernel.add_rows(&input[..first], true, sums);
        kernel.add_rows(&input[first..], false, sums);
        kernel.finish(sums, output);
    });
}
