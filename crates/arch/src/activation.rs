//! Pointwise nonlinearities.

use serde::{Deserialize, Serialize};

/// A pointwise nonlinearity, y = f(x).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(0, x); the derivative at 0 is 0, as in PyTorch.
    #[default]
    Relu,
    /// x for x > 0, 0.01 x elsewhere (PyTorch's default slope).
    LeakyRelu,
    /// x Φ(x), with the exact normal distribution function Φ (PyTorch's default, not the tanh formula).
    Gelu,
    /// x / (1 + e^(-x)).
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// 1 / (1 + e^(-x)).
    Sigmoid,
    /// min(max(0, x), 6); the derivative at 0 and 6 is 0, as in PyTorch.
    Relu6,
    /// x for x > 0, e^x - 1 elsewhere.
    Elu,
    /// x min(max(0, x + 3), 6) / 6; the derivative is 0 at -3 and 1 at 3, as in PyTorch.
    HardSwish,
}

impl Activation {
    /// All activations, in the order in which they are listed to users.
    pub const ALL: [Self; 9] = [
        Self::Relu,
        Self::LeakyRelu,
        Self::Gelu,
        Self::Silu,
        Self::Tanh,
        Self::Sigmoid,
        Self::Relu6,
        Self::Elu,
        Self::HardSwish,
    ];

    /// Negative slope of [`Activation::LeakyRelu`].
    pub const LEAKY_SLOPE: f32 = 0.01;

    /// The name used in experiment files and graphs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::LeakyRelu => "leaky_relu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Relu6 => "relu6",
            Self::Elu => "elu",
            Self::HardSwish => "hard_swish",
        }
    }
}
