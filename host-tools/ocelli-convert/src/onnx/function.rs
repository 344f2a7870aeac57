//! Functions of single numbers, and which of them a device has.
//!
//! Exporters spell one function in many ways: a hard swish as Add, Clip, Mul and Div, a GELU with Erf or Tanh, a leaky
//! ReLU with Where. So no spelling is looked for. Whatever a chain of operators makes of a single tensor is a function
//! of one number; it is computed at many points and compared with the functions that there are.

use crate::graph::{Clamp, Unary};

/// What an operator does with the numbers at one place of its inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    Where,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Not,
    Neg,
    Abs,
    Exp,
    Sqrt,
    Reciprocal,
    Erf,
    Floor,
    Ceil,
    /// The number, not below the second and then not above the third.
    Clip,
    /// The number, times the second if below zero.
    PRelu,
    Sigmoid,
    Tanh,
    Elu {
        alpha: f64,
    },
    HardSigmoid {
        alpha: f64,
        beta: f64,
    },
    HardSwish,
    Gelu,
    GeluTanh,
    Swish {
        alpha: f64,
    },
}

impl Function {
    /// The value for these arguments; what is missing counts as 0.
    pub fn value(self, args: &[f64]) -> f64 {
        let arg = |at: usize| args.get(at).copied().unwrap_or(0.0);
        let x = arg(0);
        let truth = |is: bool| f64::from(u8::from(is));
        match self {
            Function::Add => x + arg(1),
            Function::Sub => x - arg(1),
            Function::Mul => x * arg(1),
            Function::Div => x / arg(1),
            Function::Pow => libm::pow(x, arg(1)),
            Function::Min => args.iter().copied().fold(f64::INFINITY, f64::min),
            Function::Max => args.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            Function::Where if x != 0.0 => arg(1),
            Function::Where => arg(2),
            Function::Less => truth(x < arg(1)),
            Function::LessOrEqual => truth(x <= arg(1)),
            Function::Greater => truth(x > arg(1)),
            Function::GreaterOrEqual => truth(x >= arg(1)),
            Function::Equal => truth(x == arg(1)),
            Function::Not => truth(x == 0.0),
            Function::Neg => -x,
            Function::Abs => x.abs(),
            Function::Exp => libm::exp(x),
            Function::Sqrt => x.sqrt(),
            Function::Reciprocal => 1.0 / x,
            Function::Erf => libm::erf(x),
            Function::Floor => x.floor(),
            Function::Ceil => x.ceil(),
            Function::Clip => x.max(arg(1)).min(arg(2)),
            Function::PRelu => x * if x < 0.0 { arg(1) } else { 1.0 },
            Function::Sigmoid => sigmoid(x),
            Function::Tanh => libm::tanh(x),
            Function::Elu { alpha } if x < 0.0 => alpha * libm::expm1(x),
            Function::Elu { .. } => x,
            Function::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Function::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Function::Gelu => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
            Function::GeluTanh => {
                let inner = std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + libm::tanh(inner))
            }
            Function::Swish { alpha } => x * sigmoid(alpha * x),
        }
    }

    /// The value for whole numbers, where it is one; none too if there is no such number.
    pub fn whole(self, args: &[i64]) -> Option<i64> {
        let arg = |at: usize| args.get(at).copied();
        let x = arg(0)?;
        match self {
            Function::Add => x.checked_add(arg(1)?),
            Function::Sub => x.checked_sub(arg(1)?),
            Function::Mul => x.checked_mul(arg(1)?),
            Function::Div => x.checked_div(arg(1)?),
            Function::Min => args.iter().copied().min(),
            Function::Max => args.iter().copied().max(),
            Function::Where => arg(if x != 0 { 1 } else { 2 }),
            Function::Neg => x.checked_neg(),
            Function::Abs => x.checked_abs(),
            Function::Clip => Some(x.max(arg(1)?).min(arg(2)?)),
            Function::Floor | Function::Ceil => Some(x),
            other => other.is_truth().then(|| {
                other.value(&args.iter().map(|&arg| arg as f64).collect::<Vec<_>>()) as i64
            }),
        }
    }

    /// Whether values are true or false.
    pub fn is_truth(self) -> bool {
        matches!(
            self,
            Function::Less
                | Function::LessOrEqual
                | Function::Greater
                | Function::GreaterOrEqual
                | Function::Equal
                | Function::Not
        )
    }
}

fn sigmoid(x: f64) -> f64 {
    // Of a large number exp is infinite, and the quotient 0.
    1.0 / (1.0 + libm::exp(-x))
}

/// A function that a graph has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Known {
    /// The number itself.
    Same,
    /// The number forced into a range.
    Clamp(Clamp),
    /// `scale * x + shift`.
    Affine { scale: f32, shift: f32 },
    /// Any other.
    Unary(Unary),
}

/// The first points: far out, where ends and slopes show, and around zero.
const FAR: f64 = 1e30;
const NEAR: f64 = 1.0 / 1024.0;
const SPECIAL: [f64; 6] = [-FAR, FAR, 0.0, 1.0, -1.0, NEAR];

/// Where functions are compared.
pub fn points() -> Vec<f64> {
    let even = (-160..=160).map(|step| f64::from(step) * 0.125 + 0.03);
    let wide = (0..24).flat_map(|step| {
        let x = 1e-4 * f64::from(1 << step);
        [x, -x]
    });
    SPECIAL.into_iter().chain(even).chain(wide).collect()
}

/// The function that has these values at [`points`], if it is one that there is.
pub fn recognize(values: &[f64]) -> Option<Known> {
    let points = points();
    let &[low, high, zero, one, minus_one, near, ..] = values else {
        return None;
    };
    if values.len() != points.len() || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let of_middle = points.iter().zip(values).filter(|(x, _)| x.abs() <= 3.0);
    let size = of_middle.fold(0.0f64, |size, (_, y)| size.max(y.abs()));
    let is = |function: &dyn Fn(f64) -> f64| {
        points.iter().zip(values).all(|(&x, &y)| {
            let expected = function(x);
            (y - expected).abs() <= 1e-6 * (expected.abs() + size)
        })
    };
    let end = |end: f64, infinite: f32| {
        if end.abs() >= FAR / 10.0 {
            infinite
        } else {
            end as f32
        }
    };
    let clamp = Clamp {
        min: end(low, f32::NEG_INFINITY),
        max: end(high, f32::INFINITY),
    };
    let (scale, shift) = ((one - zero) as f32, zero as f32);
    if is(&|x| x) {
        return Some(Known::Same);
    }
    if clamp.min <= clamp.max && is(&|x| x.max(clamp.min.into()).min(clamp.max.into())) {
        return Some(Known::Clamp(clamp));
    }
    if is(&|x| f64::from(scale) * x + f64::from(shift)) {
        return Some(Known::Affine { scale, shift });
    }
    let hard = (((near - zero) / NEAR) as f32, zero as f32);
    let unaries = [
        (Unary::Sigmoid, Function::Sigmoid),
        (Unary::Silu, Function::Swish { alpha: 1.0 }),
        (Unary::HardSwish, Function::HardSwish),
        (Unary::Gelu, Function::Gelu),
        (Unary::GeluTanh, Function::GeluTanh),
        (Unary::Tanh, Function::Tanh),
        (
            Unary::HardSigmoid {
                alpha: hard.0,
                beta: hard.1,
            },
            Function::HardSigmoid {
                alpha: hard.0.into(),
                beta: hard.1.into(),
            },
        ),
        (
            Unary::Elu { alpha: -low as f32 },
            Function::Elu { alpha: -low },
        ),
    ];
    if let Some((unary, _)) = unaries
        .into_iter()
        .find(|(_, function)| is(&|x| function.value(&[x])))
    {
        return Some(Known::Unary(unary));
    }
    let alpha = -minus_one as f32;
    is(&|x| Function::PRelu.value(&[x, alpha.into()]))
        .then_some(Known::Unary(Unary::LeakyRelu { alpha }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(function: impl Fn(f64) -> f64) -> Option<Known> {
        let values: Vec<f64> = points().into_iter().map(function).collect();
        recognize(&values)
    }

    #[test]
    fn functions_are_known_by_their_values_however_they_are_spelled() {
        let unary = |unary| Some(Known::Unary(unary));
        assert_eq!(of(|x| 2.0 * x - x), Some(Known::Same));
        assert_eq!(of(|x| (x + x.abs()) / 2.0), Some(Known::Clamp(Clamp::RELU)));
        let clamp = Clamp {
            min: -0.25,
            max: 1e4,
        };
        assert_eq!(of(|x| x.clamp(-0.25, 1e4)), Some(Known::Clamp(clamp)));
        let (scale, shift) = (1e-6, -3.0);
        let affine = Some(Known::Affine { scale, shift });
        assert_eq!(of(|x| f64::from(scale) * x - 3.0), affine);
        assert_eq!(
            of(|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
            unary(Unary::HardSwish)
        );
        assert_eq!(of(|x| x / (1.0 + (-x).exp())), unary(Unary::Silu));
        let root = f64::from(std::f32::consts::SQRT_2);
        let erf = |x: f64| x * (libm::erf(x / root) + 1.0) * 0.5;
        assert_eq!(of(erf), unary(Unary::Gelu));
        assert_eq!(
            of(|x| x.max(0.0) + 0.1 * x.min(0.0)),
            unary(Unary::LeakyRelu { alpha: 0.1 })
        );
        let hard = Unary::HardSigmoid {
            alpha: 0.2,
            beta: 0.5,
        };
        assert_eq!(of(|x| (0.2 * x + 0.5).clamp(0.0, 1.0)), unary(hard));
    }

    #[test]
    fn functions_that_differ_a_little_are_not_known() {
        assert_eq!(of(|x| x / (1.0 + (-1.001 * x).exp())), None);
        assert_eq!(of(|x| x * x), None);
        assert_eq!(of(libm::erf), None);
        assert_eq!(of(f64::sqrt), None);
        assert_eq!(of(|x| x.abs()), unary_leaky_of_minus_one());
        assert_eq!(of(|x| x.max(0.0) + 1.0), None);
    }

    /// The absolute value is a leaky ReLU that leaks with slope -1.
    fn unary_leaky_of_minus_one() -> Option<Known> {
        Some(Known::Unary(Unary::LeakyRelu { alpha: -1.0 }))
    }
}
