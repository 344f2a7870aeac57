//! Pools over a window and over the whole map.

use ocelli_kernels::{
    AveragePool, Clamp, GlobalAveragePool, GlobalAveragePoolParams, MaxPool, PoolParams, Requant,
    Rows, Shape, Window,
};
use ocelli_tests::network::random_window;
use ocelli_tests::random::{Random, cases};
use ocelli_tests::reference::{self, Map};

use crate::by_rows::{check, every_padding, small_extents, window_rows};

fn check_pools(input: &Map, window: Window, random: &mut Random) {
    let clamp = random.clamp();
    let average = reference::average_pool(input, &window, clamp);
    let maximum = reference::max_pool(input, &window, clamp);
    let params = PoolParams {
        input: Shape::new(input.h, input.w, input.c),
        output: Shape::new(average.h, average.w, average.c),
        window,
        clamp,
    };
    let case = (input.shape(), window, clamp);
    let pool = AveragePool::new(params).expect("a valid average pool");
    let run = |rows: &Rows<'_>, first, output: &mut [i8]| pool.run(rows, first, output);
    let needs = window_rows(window, input.h);
    check(input, &average, &needs, run, random, ("average", case));
    let pool = MaxPool::new(params).expect("a valid max pool");
    let run = |rows: &Rows<'_>, first, output: &mut [i8]| pool.run(rows, first, output);
    check(input, &maximum, &needs, run, random, ("maximum", case));
}

#[test]
fn pools_equal_the_references_on_random_shapes() {
    cases(600, |random| {
        let input = Map::random([1, 1, 1].map(|_: usize| random.size(1..=17)), random);
        let window = random_window(input.h, input.w, 1, random);
        check_pools(&input, window, random);
    });
}

#[test]
fn pools_equal_the_references_with_every_filter_and_padding() {
    let mut random = Random::new(3);
    every_padding(7, |window| {
        let (h, w) = small_extents(&window, &mut random);
        let window = Window {
            stride_h: random.size(1..=3),
            stride_w: random.size(1..=3),
            ..window
        };
        let c = random.size(1..=2);
        check_pools(&Map::random([h, w, c], &mut random), window, &mut random);
    });
}

#[test]
fn a_mean_of_an_exact_half_is_rounded_away_from_zero() {
    // Means 0.5, -0.5, 2.5 and -2.5 of two pixels each.
    for (pixels, mean) in [([0, 1], 1), ([0, -1], -1), ([2, 3], 3), ([-2, -3], -3)] {
        let window = Window {
            filter_w: 2,
            ..Window::POINT
        };
        let pool = AveragePool::new(PoolParams {
            input: Shape::new(1, 2, 1),
            output: Shape::new(1, 1, 1),
            window,
            clamp: Clamp::NONE,
        });
        let mut output = [0];
        let rows = Rows::whole(&pixels, 2);
        pool.expect("a valid pool").run(&rows, 0, &mut output);
        assert_eq!(output, [mean], "of {pixels:?}");
    }
}

#[test]
fn a_global_average_equals_the_reference_however_its_rows_come() {
    cases(1000, |random| {
        let input = Map::random([1, 1, 1].map(|_: usize| random.size(1..=17)), random);
        let (zero_point, output_zero_point) = (random.code(), random.code());
        let pixels = (input.h * input.w) as i64;
        let factor = reference::random_factor(-(pixels.ilog2() as i64), random);
        let clamp = random.clamp();
        let expected =
            reference::global_average_pool(&input, zero_point, factor, output_zero_point, clamp);
        let pool = GlobalAveragePool::new(GlobalAveragePoolParams {
            input: Shape::new(input.h, input.w, input.c),
            bias: (-pixels * i64::from(zero_point)) as i32,
            factor: Requant {
                multiplier: factor.0,
                shift: factor.1,
            },
            output_zero_point,
            clamp,
        })
        .expect("a valid global average pool");
        let sums_bytes = GlobalAveragePool::sums_bytes(Shape::new(input.h, input.w, input.c));
        let mut sums = random.codes(sums_bytes);
        let mut left = input.codes.as_slice();
        while !left.is_empty() {
            let rows = random.size(1..=left.len() / input.row_elems());
            let (now, later) = left.split_at(rows * input.row_elems());
            pool.add_rows(now, left.len() == input.codes.len(), &mut sums);
            left = later;
        }
        let mut output = vec![0x55; input.c + 2];
        pool.finish(&sums, &mut output[1..=input.c]);
        assert_eq!(output[1..=input.c], expected.codes);
        assert_eq!([output[0], output[input.c + 1]], [0x55; 2]);
    });
}
