//! Addition and padding.

use ocelli_kernels::{Add, AddParams, Pad, PadParams, Padding, Requant, Rows, Shape};
use ocelli_tests::random::cases;
use ocelli_tests::reference::{self, Addition, Map};

use crate::by_rows::check;

#[test]
fn addition_equals_the_reference_for_every_pair_of_codes() {
    // One tensor has every code in its rows, the other in its columns.
    let a = Map::new([256, 256, 1], |y, _, _| y as i64 - 128);
    let b = Map::new([256, 256, 1], |_, x, _| x as i64 - 128);
    cases(40, |random| {
        let op = Addition::random([random.code(), random.code()], random);
        let expected = reference::add(&a, &b, &op);
        let requant = |(multiplier, shift)| Requant { multiplier, shift };
        let add = Add::new(AddParams {
            zero_points: op.zero_points,
            factors: op.factors.map(requant),
            output_factor: requant(op.output_factor),
            output_zero_point: op.output_zero_point,
            clamp: op.clamp,
        })
        .expect("a valid addition");
        let count = expected.codes.len();
        let mut output = vec![0x55; count + 2];
        add.run(&a.codes, &b.codes, &mut output[1..=count]);
        assert_eq!(output[1..=count], expected.codes, "{op:?}");
        assert_eq!([output[0], output[count + 1]], [0x55; 2]);
    });
}

#[test]
fn padding_equals_the_reference_on_every_side() {
    cases(800, |random| {
        let input = Map::random([1, 1, 1].map(|_: usize| random.size(1..=17)), random);
        let [top, bottom, left, right] = [0; 4].map(|_: usize| random.below(8));
        let padding = Padding {
            top,
            bottom,
            left,
            right,
        };
        let value = random.code();
        let expected = reference::pad(&input, padding, value);
        let pad = Pad::new(PadParams {
            input: Shape::new(input.h, input.w, input.c),
            output: Shape::new(expected.h, expected.w, expected.c),
            padding,
            value,
        })
        .expect("a valid pad");
        let inside = |row: usize| row.saturating_sub(top).min(input.h);
        let needs = |rows: std::ops::Range<usize>| inside(rows.start)..inside(rows.end);
        let run = |rows: &Rows<'_>, first, output: &mut [i8]| pad.run(rows, first, output);
        let case = (input.shape(), padding, value);
        check(&input, &expected, needs, run, random, case);
    });
}
