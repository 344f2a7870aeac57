//! Softmax: not a formula of whole numbers, so it is held against exact real arithmetic.

use ocelli_kernels::{Softmax, SoftmaxParams};
use ocelli_tests::random::cases;
use ocelli_tests::reference;

/// A softmax whose exponent moves by `step` per code, with the parameters that TensorFlow Lite makes of it.
fn softmax(step: f64) -> Softmax {
    let factor = step * f64::from(1 << 26);
    let left_shift = factor.log2().floor() as i32 + 1;
    let multiplier = (factor / f64::from(left_shift).exp2() * 2f64.powi(31)).round();
    // The largest difference that is not shifted out of Q5.26.
    let difference_min = -(f64::from((1 << 5) - 1) * 2f64.powi(26 - left_shift)).floor() as i32;
    Softmax::new(SoftmaxParams {
        multiplier: multiplier.min(f64::from(i32::MAX)) as i32,
        left_shift: left_shift.try_into().expect("a left shift"),
        difference_min,
    })
    .expect("a valid softmax")
}

#[test]
fn probabilities_are_within_one_code_of_the_exact_ones_and_keep_their_order() {
    let (mut count, mut not_nearest) = (0, 0);
    cases(2000, |random| {
        let step = 2f64.powf(random.number(-700..=0) as f64 / 100.0);
        let classes = random.pick(&[1, 2, 3, 10, 100, 300, 1000, 4096]);
        let codes = random.codes(classes);
        let mut output = vec![0; classes];
        softmax(step).run(&codes, &mut output);
        let exact = reference::softmax(&codes, step);
        for (&code, exact) in output.iter().zip(&exact) {
            // Code 127 stands for everything from 255 on.
            let nearest = (exact.round() - 128.0).min(127.0);
            let apart = (f64::from(code) - nearest).abs();
            assert!(apart <= 1.0, "{code} for {exact} of {classes}, step {step}");
            count += 1;
            not_nearest += usize::from(apart > 0.0);
        }
        let mut order: Vec<usize> = (0..classes).collect();
        order.sort_by_key(|&k| codes[k]);
        assert!(order.is_sorted_by_key(|&k| output[k]));
    });
    // Seldom more than the last bit of fixed-point arithmetic at a half.
    assert!(
        not_nearest * 500 < count,
        "{not_nearest} of {count} are not the nearest code"
    );
}

#[test]
fn a_thousand_equal_classes_get_nothing_each() {
    // 256 / 1000 is nearest to 0: the sum of exponentials is beyond 2^9, and the division by a power of two beyond 31.
    for classes in [513, 1000, 2048, 4096] {
        let mut output = vec![0; classes];
        softmax(0.1).run(&vec![3; classes], &mut output);
        assert!(output.iter().all(|&code| code == -128), "{classes} classes");
    }
    // 256 / 511 is just above a half.
    let mut output = [0; 511];
    softmax(0.1).run(&[3; 511], &mut output);
    assert_eq!(output, [-127; 511]);
}
