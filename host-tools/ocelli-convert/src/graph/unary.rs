//! Functions of one number that are no clamp.

/// A function that is applied to each number by itself; on the device a table with an entry for each code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unary {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `clamp(alpha * x + beta, 0, 1)`.
    HardSigmoid {
        /// Slope in the middle.
        alpha: f32,
        /// Value at zero.
        beta: f32,
    },
    /// `x * sigmoid(x)`, also called swish.
    Silu,
    /// `x * clamp(x / 6 + 1 / 2, 0, 1)`.
    HardSwish,
    /// `x * Phi(x)` with the normal distribution's `Phi`.
    Gelu,
    /// The tangent's approximation of GELU.
    GeluTanh,
    /// The hyperbolic tangent.
    Tanh,
    /// `x` above zero, `alpha * x` below.
    LeakyRelu {
        /// Slope below zero.
        alpha: f32,
    },
    /// `x` above zero, `alpha * (exp(x) - 1)` below.
    Elu {
        /// Minus the limit far below zero.
        alpha: f32,
    },
}

impl Unary {
    /// The function's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Unary::Sigmoid => "sigmoid",
            Unary::HardSigmoid { .. } => "hard_sigmoid",
            Unary::Silu => "silu",
            Unary::HardSwish => "hard_swish",
            Unary::Gelu => "gelu",
            Unary::GeluTanh => "gelu_tanh",
            Unary::Tanh => "tanh",
            Unary::LeakyRelu { .. } => "leaky_relu",
            Unary::Elu { .. } => "elu",
        }
    }

    /// The function's value.
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Unary::Sigmoid => sigmoid(x),
            Unary::HardSigmoid { alpha, beta } => (alpha * x + beta).clamp(0.0, 1.0),
            Unary::Silu => x * sigmoid(x),
            Unary::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Unary::Gelu => {
                let x = f64::from(x);
                (0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))) as f32
            }
            Unary::GeluTanh => {
                let cubic = x + 0.044_715 * x * x * x;
                0.5 * x * (1.0 + ((2.0 / std::f32::consts::PI).sqrt() * cubic).tanh())
            }
            Unary::Tanh => x.tanh(),
            Unary::LeakyRelu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * x
                }
            }
            Unary::Elu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    alpha * x.exp_m1()
                }
            }
        }
    }

    /// Whether its parameters are numbers.
    pub(super) fn is_sound(self) -> bool {
        match self {
            Unary::HardSigmoid { alpha, beta } => alpha.is_finite() && beta.is_finite(),
            Unary::LeakyRelu { alpha } | Unary::Elu { alpha } => alpha.is_finite(),
            _ => true,
        }
    }
}

/// Written so that `exp` of a large number never meets a division of infinities.
fn sigmoid(x: f32) -> f32 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_the_values_of_their_formulas() {
        let near = |function: Unary, x: f32, expected: f32| {
            let got = function.apply(x);
            assert!((got - expected).abs() < 1e-6, "{function:?}({x}) = {got}");
        };
        near(Unary::Sigmoid, 0.0, 0.5);
        near(Unary::Sigmoid, -200.0, 0.0);
        near(Unary::Silu, 1.0, 0.731_058_6);
        near(Unary::HardSwish, 1.0, 2.0 / 3.0);
        near(Unary::HardSwish, -3.0, 0.0);
        // Phi(1) = 0.841344746
        near(Unary::Gelu, 1.0, 0.841_344_8);
        near(Unary::GeluTanh, 1.0, 0.841_192);
        near(Unary::LeakyRelu { alpha: 0.1 }, -2.0, -0.2);
        near(Unary::Elu { alpha: 1.0 }, -1.0, -0.632_120_6);
        let hard = Unary::HardSigmoid {
            alpha: 0.2,
            beta: 0.5,
        };
        near(hard, 1.0, 0.7);
        near(hard, 10.0, 1.0);
    }
}
