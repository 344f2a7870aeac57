//! The int8 head against exact arithmetic on rational numbers.

mod support;

use ocelli_learn::{
    EmbeddingScale, Head, HeadMut, LearnError, MAX_FEATURES, OutputScale, Samples, quantize_head,
};

/// A rational number `mantissa * 2^exponent`, exact.
#[derive(Clone, Copy, Debug)]
struct Dyadic {
    mantissa: i128,
    exponent: i32,
}

impl Dyadic {
    fn integer(value: i64) -> Self {
        Self {
            mantissa: value.into(),
            exponent: 0,
        }
    }

    /// An f32 that is finite and not subnormal.
    fn float(value: f32) -> Self {
        let bits = value.to_bits();
        let exponent = (bits >> 23 & 0xff) as i32;
        assert!(value == 0.0 || (1..255).contains(&exponent));
        let magnitude = i128::from(bits & 0x7f_ffff | 0x80_0000);
        let mantissa = if value < 0.0 { -magnitude } else { magnitude };
        Self {
            mantissa: if value == 0.0 { 0 } else { mantissa },
            exponent: exponent - 150,
        }
    }

    fn power_of_two(exponent: i32) -> Self {
        Self {
            mantissa: 1,
            exponent,
        }
    }

    fn times(self, other: Self) -> Self {
        Self {
            mantissa: self.mantissa.checked_mul(other.mantissa).unwrap(),
            exponent: self.exponent + other.exponent,
        }
    }

    fn less(self, other: Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        let at = |value: Self| {
            let factor = 1i128
                .checked_shl((value.exponent - exponent) as u32)
                .unwrap();
            value.mantissa.checked_mul(factor).unwrap()
        };
        Self {
            mantissa: at(self) - at(other),
            exponent,
        }
    }

    fn sign(self) -> i128 {
        self.mantissa.signum()
    }
}

/// Whether `quotient` is `value / unit`, rounded half away from zero.
fn is_rounded(quotient: i64, value: Dyadic, unit: Dyadic) -> bool {
    // |value| in [|quotient| - 1/2, |quotient| + 1/2) * unit, and the signs agree.
    let negative = value.sign() < 0;
    let twice = value.times(Dyadic::integer(if negative { -2 } else { 2 }));
    let quotient = if negative { -quotient } else { quotient };
    let low = unit.times(Dyadic::integer(2 * quotient - 1));
    let high = unit.times(Dyadic::integer(2 * quotient + 1));
    quotient >= 0 && (quotient == 0 || twice.less(low).sign() >= 0) && twice.less(high).sign() < 0
}

/// Whether `rounded` is the f32 next to `value / divisor`.
fn is_nearest(rounded: f32, value: Dyadic, divisor: i64) -> bool {
    let ulp = Dyadic::power_of_two(Dyadic::float(rounded).exponent);
    let error = Dyadic::float(rounded)
        .times(Dyadic::integer(divisor))
        .less(value);
    let error = error.times(Dyadic::integer(if error.sign() < 0 { -2 } else { 2 }));
    error.less(ulp.times(Dyadic::integer(divisor))).sign() <= 0
}

#[derive(Debug, Default)]
struct Int8Head {
    weights: Vec<i8>,
    bias: Vec<i32>,
    multiplier: Vec<i32>,
    shift: Vec<i8>,
    weight_scale: Vec<f32>,
}

impl Int8Head {
    fn new(classes: usize, features: usize) -> Self {
        Self {
            weights: vec![99; classes * features],
            bias: vec![99; classes],
            multiplier: vec![99; classes],
            shift: vec![99; classes],
            weight_scale: vec![99.0; classes],
        }
    }

    fn quantize(
        &mut self,
        head: &Head<'_>,
        embedding: EmbeddingScale,
        samples: &Samples<'_>,
    ) -> Result<OutputScale, LearnError> {
        let mut out = HeadMut {
            weights: &mut self.weights,
            bias: &mut self.bias,
            multiplier: &mut self.multiplier,
            shift: &mut self.shift,
            weight_scale: &mut self.weight_scale,
        };
        quantize_head(head, embedding, samples, &mut out)
    }

    fn acc(&self, class: usize, codes: &[i8]) -> i64 {
        let row = &self.weights[class * codes.len()..][..codes.len()];
        let products = row.iter().zip(codes);
        let sum: i64 = products.map(|(&w, &x)| i64::from(w) * i64::from(x)).sum();
        sum + i64::from(self.bias[class])
    }
}

const FEATURES: usize = 37;
const CLASSES: usize = 5;
const EMBEDDING: EmbeddingScale = EmbeddingScale {
    scale: 0.016_914_54,
    zero_point: -128,
};

fn made_up(count: usize, seed: usize, scale: f32) -> Vec<f32> {
    let value = |at: usize| ((at * 7919 + seed * 104_729) % 2003) as f32 - 1001.0;
    (0..count).map(|at| value(at) * scale).collect()
}

#[test]
fn every_number_of_the_int8_head_is_the_rounded_rational() {
    let mut weights = made_up(CLASSES * FEATURES, 1, 0.000_37);
    // Rows of different ranges; one of scale 1, where quotients are halves.
    weights[..FEATURES].iter_mut().for_each(|w| *w *= 13.7);
    for (at, weight) in weights[FEATURES..2 * FEATURES].iter_mut().enumerate() {
        *weight = (at * 7 % 255) as f32 - 127.0;
        *weight *= 0.5;
    }
    weights[FEATURES] = 127.0;
    let bias = made_up(CLASSES, 5, 0.0021);
    let (embeddings, labels) = support::pattern(40, FEATURES, CLASSES, 3);
    let samples = Samples::new(&embeddings, &labels, FEATURES).unwrap();
    let head = Head {
        weights: &weights,
        bias: &bias,
    };
    let mut int8 = Int8Head::new(CLASSES, FEATURES);
    let output = int8.quantize(&head, EMBEDDING, &samples).unwrap();

    let (mut min, mut max) = (Dyadic::integer(0), Dyadic::integer(0));
    for class in 0..CLASSES {
        let row = &weights[class * FEATURES..][..FEATURES];
        let codes = &int8.weights[class * FEATURES..][..FEATURES];
        let largest = row.iter().fold(0.0f32, |a, w| a.max(w.abs()));
        let weight_scale = int8.weight_scale[class];
        assert!(is_nearest(weight_scale, Dyadic::float(largest), 127));
        let unit = Dyadic::float(weight_scale);
        for (&code, &weight) in codes.iter().zip(row) {
            assert!(
                is_rounded(code.into(), Dyadic::float(weight), unit),
                "{code} {weight}"
            );
        }
        let total: i64 = codes.iter().map(|&code| i64::from(code)).sum();
        let acc_unit = unit.times(Dyadic::float(EMBEDDING.scale));
        let unfolded = i64::from(int8.bias[class]) + i64::from(EMBEDDING.zero_point) * total;
        assert!(is_rounded(unfolded, Dyadic::float(bias[class]), acc_unit));
        for (embedding, _) in samples.iter() {
            let logit = acc_unit.times(Dyadic::integer(int8.acc(class, embedding)));
            min = if logit.less(min).sign() < 0 {
                logit
            } else {
                min
            };
            max = if logit.less(max).sign() > 0 {
                logit
            } else {
                max
            };
        }
        // acc_unit / scale = multiplier * 2^(shift - 31)
        let (multiplier, shift) = (int8.multiplier[class], int8.shift[class]);
        let step = Dyadic::float(output.scale).times(Dyadic::power_of_two(i32::from(shift) - 31));
        assert!((1 << 30..=i32::MAX).contains(&multiplier));
        assert!(is_rounded(multiplier.into(), acc_unit, step));
    }
    assert!(is_nearest(output.scale, max.less(min), 255));
    let from_bottom = i64::from(output.zero_point) + 128;
    let below_zero = Dyadic::integer(0).less(min);
    assert!(is_rounded(
        from_bottom,
        below_zero,
        Dyadic::float(output.scale)
    ));
}

#[test]
fn int8_logits_are_within_their_rounding_of_the_f32_logits() {
    let weights = made_up(CLASSES * FEATURES, 2, 0.000_37);
    let bias = made_up(CLASSES, 4, 0.002);
    let (embeddings, labels) = support::pattern(60, FEATURES, CLASSES, 8);
    let samples = Samples::new(&embeddings, &labels, FEATURES).unwrap();
    let head = Head {
        weights: &weights,
        bias: &bias,
    };
    let mut int8 = Int8Head::new(CLASSES, FEATURES);
    let output = int8.quantize(&head, EMBEDDING, &samples).unwrap();
    for (codes, _) in samples.iter() {
        for class in 0..CLASSES {
            let row = &weights[class * FEATURES..][..FEATURES];
            let (mut logit, mut magnitude) = (f64::from(bias[class]), 0.0);
            for (&weight, &code) in row.iter().zip(codes) {
                let real = f64::from(EMBEDDING.scale) * f64::from(i32::from(code) + 128);
                logit += f64::from(weight) * real;
                magnitude += real;
            }
            // The factor applied in f64; the kernel's own rounding is tested with the kernels.
            let shift = 2f64.powi(i32::from(int8.shift[class]) - 31);
            let factor = f64::from(int8.multiplier[class]) * shift;
            let code = (int8.acc(class, codes) as f64 * factor).round();
            let code = code + f64::from(output.zero_point);
            assert!((-128.0..=127.0).contains(&code), "{code}");
            let real = f64::from(output.scale) * (code - f64::from(output.zero_point));
            // Half a code of the logit, and half a code of each weight.
            let bound = 0.5 * f64::from(output.scale)
                + 0.5 * f64::from(int8.weight_scale[class]) * magnitude;
            assert!(
                (real - logit).abs() < 1.0001 * bound,
                "{real} {logit} {bound}"
            );
        }
    }
}

#[test]
fn the_accumulator_stays_below_half_its_range_for_the_worst_head() {
    let weights = vec![1.0; 2 * MAX_FEATURES];
    let samples = vec![127; MAX_FEATURES];
    let samples = Samples::new(&samples, &[0], MAX_FEATURES).unwrap();
    for (bias, zero_point) in [(3e9, 127), (3e9, -128), (-3e9, 127), (-3e9, -128)] {
        let head = Head {
            weights: &weights,
            bias: &[bias, 0.0],
        };
        let embedding = EmbeddingScale {
            scale: 0.001,
            zero_point,
        };
        let mut int8 = Int8Head::new(2, MAX_FEATURES);
        int8.quantize(&head, embedding, &samples).unwrap();
        for bias in int8.bias {
            let bound = i64::from(bias).abs() + MAX_FEATURES as i64 * 128 * 128;
            assert!(bound < 1 << 30, "{bias}");
        }
        assert!(int8.shift.iter().all(|&shift| shift <= 0));
    }
}

#[test]
fn a_large_bias_makes_the_scale_of_its_class_larger() {
    let head = Head {
        weights: &[1e-6, -1e-6, 1.0, -1.0],
        bias: &[1000.0, 1000.0],
    };
    let samples = Samples::new(&[10, 20], &[0], 2).unwrap();
    let embedding = EmbeddingScale {
        scale: 0.01,
        zero_point: 0,
    };
    let mut int8 = Int8Head::new(2, 2);
    let output = int8.quantize(&head, embedding, &samples).unwrap();
    // 1000 / 0.01 / (2^29 - 2^10) instead of 1e-6 / 127.
    assert!((int8.weight_scale[0] - 1.862_66e-4).abs() < 1e-8);
    assert_eq!(int8.weights, [0, 0, 127, -127]);
    for class in 0..2 {
        let acc_scale = f64::from(embedding.scale) * f64::from(int8.weight_scale[class]);
        assert!((f64::from(int8.bias[class]) * acc_scale - 1000.0).abs() < 1e-3);
    }
    assert_eq!(output.zero_point, -128);
}

#[test]
fn a_head_of_zeros_gives_the_zero_point_for_everything() {
    let head = Head {
        weights: &[0.0; 6],
        bias: &[0.0; 2],
    };
    let samples = Samples::new(&[10, 20, 30], &[0], 3).unwrap();
    let mut int8 = Int8Head::new(2, 3);
    let output = int8.quantize(&head, EMBEDDING, &samples).unwrap();
    assert_eq!(int8.weights, [0; 6]);
    assert_eq!(int8.bias, [0; 2]);
    assert!(output.scale > 0.0 && int8.weight_scale.iter().all(|&scale| scale > 0.0));
}

#[test]
fn heads_that_cannot_be_quantized_are_refused() {
    let samples = Samples::new(&[1, 2, 3], &[0], 3).unwrap();
    let good = [0.5; 6];
    let try_with = |weights: &[f32], bias: &[f32], embedding, samples: &Samples<'_>| {
        let head = Head { weights, bias };
        Int8Head::new(2, 3)
            .quantize(&head, embedding, samples)
            .err()
    };
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut weights = good;
        weights[4] = bad;
        let error = try_with(&weights, &[0.0; 2], EMBEDDING, &samples);
        assert_eq!(error, Some(LearnError::NotFinite));
        let error = try_with(&good, &[0.0, bad], EMBEDDING, &samples);
        assert_eq!(error, Some(LearnError::NotFinite));
    }
    let error = try_with(&good[..5], &[0.0; 2], EMBEDDING, &samples);
    assert_eq!(error, Some(LearnError::HeadElems { needed: 6, got: 5 }));
    let error = try_with(&good, &[0.0; 3], EMBEDDING, &samples);
    assert_eq!(error, Some(LearnError::HeadElems { needed: 9, got: 6 }));
    let no_scale = EmbeddingScale {
        scale: 0.0,
        zero_point: 0,
    };
    let error = try_with(&good, &[0.0; 2], no_scale, &samples);
    assert_eq!(error, Some(LearnError::EmbeddingScale));
    let empty = Samples::new(&[], &[], 3).unwrap();
    let error = try_with(&good, &[0.0; 2], EMBEDDING, &empty);
    assert_eq!(error, Some(LearnError::NoSamples));
    let features = MAX_FEATURES + 1;
    let codes = vec![0; features];
    let wide = Samples::new(&codes, &[0], features).unwrap();
    let error = try_with(&good, &[0.0; 2], EMBEDDING, &wide);
    let expected = LearnError::TooManyFeatures {
        max: MAX_FEATURES,
        got: features,
    };
    assert_eq!(error, Some(expected));
}
