//! Addition, multiplication, tables, concatenation and padding.

use ocelli_kernels::{
    Add, AddParams, Concat, ConcatParams, Multiply, MultiplyParams, Pad, PadParams, Padding,
    Requant, Rows, Shape, Table, TableParams,
};
use ocelli_tests::random::cases;
use ocelli_tests::reference::{self, Addition, Map, Multiplication};

use crate::by_rows::check;

fn shape(map: &Map) -> Shape {
    Shape::new(map.h, map.w, map.c)
}

fn multiplication([a, b]: [&Map; 2], op: &Multiplication) -> Multiply {
    let (multiplier, shift) = op.factor;
    Multiply::new(MultiplyParams {
        inputs: [shape(a), shape(b)],
        output: shape(a),
        zero_points: op.zero_points,
        factor: Requant { multiplier, shift },
        output_zero_point: op.output_zero_point,
        clamp: op.clamp,
    })
    .expect("a valid multiplication")
}

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

#[test]
fn multiplication_equals_the_reference_for_every_pair_of_codes() {
    let a = Map::new([256, 256, 1], |y, _, _| y as i64 - 128);
    let b = Map::new([256, 256, 1], |_, x, _| x as i64 - 128);
    cases(40, |random| {
        let op = Multiplication::random([random.code(), random.code()], random);
        let expected = reference::multiply(&a, &b, &op);
        let mut output = vec![0x55; expected.codes.len()];
        let [first, second] = [&a, &b].map(|map| Rows::whole(&map.codes, map.row_elems()));
        multiplication([&a, &b], &op).run([&first, &second], 0, &mut output);
        assert_eq!(output, expected.codes, "{op:?}");
    });
}

#[test]
fn multiplication_equals_the_reference_with_a_second_input_of_one_shape_or_one_pixel() {
    cases(800, |random| {
        let a = Map::random([1, 1, 1].map(|_: usize| random.size(1..=17)), random);
        let second = if random.once_in(2) {
            a.shape()
        } else {
            [1, 1, a.c]
        };
        let b = Map::random(second, random);
        let op = Multiplication::random([random.code(), random.code()], random);
        let expected = reference::multiply(&a, &b, &op);
        let multiply = multiplication([&a, &b], &op);
        let second = Rows::whole(&b.codes, b.row_elems());
        let run = |rows: &Rows<'_>, first, output: &mut [i8]| {
            multiply.run([rows, &second], first, output);
        };
        let case = (a.shape(), b.shape(), op);
        check(&a, &expected, |rows| rows, run, random, case);
    });
}

#[test]
fn a_table_equals_the_reference() {
    cases(400, |random| {
        let input = Map::random([1, 1, 1].map(|_: usize| random.size(1..=17)), random);
        let codes: [i8; 256] = random.codes(256).try_into().expect("256 codes");
        let table = Table::new(TableParams {
            input: shape(&input),
            output: shape(&input),
            table: &codes,
        })
        .expect("a valid table");
        let expected = reference::table(&input, &codes);
        let run = |rows: &Rows<'_>, first, output: &mut [i8]| table.run(rows, first, output);
        check(&input, &expected, |rows| rows, run, random, input.shape());
    });
}

#[test]
fn a_table_begins_with_the_lowest_code() {
    let codes: [i8; 256] = core::array::from_fn(|at| (127 - at as i64) as i8);
    let shape = Shape::new(1, 4, 1);
    let table = Table::new(TableParams {
        input: shape,
        output: shape,
        table: &codes,
    });
    let mut output = [0; 4];
    let rows = Rows::whole(&[-128, -1, 0, 127], 4);
    table.expect("a valid table").run(&rows, 0, &mut output);
    assert_eq!(output, [127, 0, -1, -128]);
}

#[test]
fn concatenation_equals_the_reference() {
    cases(600, |random| {
        let [h, w] = [0; 2].map(|_: usize| random.size(1..=9));
        let [a, b] = [0; 2].map(|_: usize| Map::random([h, w, random.size(1..=17)], random));
        let expected = reference::concat(&a, &b);
        let concat = Concat::new(ConcatParams {
            inputs: [shape(&a), shape(&b)],
            output: shape(&expected),
        })
        .expect("a valid concatenation");
        let case = (a.shape(), b.shape());
        let whole = Rows::whole(&b.codes, b.row_elems());
        let run =
            |rows: &Rows<'_>, first, output: &mut [i8]| concat.run([rows, &whole], first, output);
        check(&a, &expected, |rows| rows, run, random, case);
        let whole = Rows::whole(&a.codes, a.row_elems());
        let run =
            |rows: &Rows<'_>, first, output: &mut [i8]| concat.run([&whole, rows], first, output);
        check(&b, &expected, |rows| rows, run, random, case);
    });
}
