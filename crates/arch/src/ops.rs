//! The layers a graph is made of, and the initialisers of their parameters.

use serde::{Deserialize, Serialize};

use crate::Activation;

/// How a parameter tensor gets its first values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Every value the same.
    Constant(f32),
    /// U(low, high).
    Uniform {
        /// Lower end.
        low: f32,
        /// Upper end.
        high: f32,
    },
    /// N(0, std²).
    Normal {
        /// Standard deviation.
        std: f32,
    },
    /// U(-1/√fan_in, 1/√fan_in): what PyTorch's `Linear` does for weight and bias.
    FanIn,
}

/// One layer's operation. Shapes are per sample: a vector is `[features]`, an image `[channels, height, width]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// The network's input; exactly one, the first node.
    Input,
    /// Fully connected layer.
    Linear(Linear),
    /// Batch normalisation.
    BatchNorm(BatchNorm),
    /// Pointwise nonlinearity.
    Activation(Activation),
    /// Any shape to a vector.
    Flatten,
    /// Sum of two inputs of equal shape.
    Add,
}

impl Op {
    /// The name used in messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Linear(_) => "linear",
            Self::BatchNorm(_) => "batch_norm",
            Self::Activation(activation) => activation.name(),
            Self::Flatten => "flatten",
            Self::Add => "add",
        }
    }

    /// How many inputs the operation takes.
    pub const fn arity(&self) -> usize {
        match self {
            Self::Input => 0,
            Self::Add => 2,
            _ => 1,
        }
    }
}

/// y = x Wᵀ + b with W of shape `[out_features, in_features]`; the input's length gives `in_features`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Length of the output vector.
    pub out_features: usize,
    /// Initialiser of W.
    pub weight_init: Init,
    /// Initialiser of b.
    pub bias_init: Init,
}

/// A [`Linear`] layer with PyTorch's initialisers.
pub const fn linear(out_features: usize) -> Linear {
    Linear { out_features, weight_init: Init::FanIn, bias_init: Init::FanIn }
}

/// y = γ (x - μ) / √(σ² + ε) + β per feature of a vector, as PyTorch's BatchNorm1d.
///
/// With batch statistics σ² is the biased variance; running statistics move by `momentum` towards the batch's
/// mean and unbiased variance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// ε, added to the variance.
    pub eps: f32,
    /// Weight of the newest batch in the running statistics.
    pub momentum: f32,
    /// Initialiser of γ. Old PyTorch drew BatchNorm1d's from U(0, 1); today's is 1.
    pub scale_init: Init,
}

/// A [`BatchNorm`] with PyTorch's ε = 1e-5, momentum 0.1, γ = 1, β = 0.
pub const fn batch_norm() -> BatchNorm {
    BatchNorm { eps: 1e-5, momentum: 0.1, scale_init: Init::Constant(1.0) }
}

/// [`Op::Flatten`].
pub const fn flatten() -> Op {
    Op::Flatten
}

impl From<Linear> for Op {
    fn from(layer: Linear) -> Self {
        Self::Linear(layer)
    }
}

impl From<BatchNorm> for Op {
    fn from(layer: BatchNorm) -> Self {
        Self::BatchNorm(layer)
    }
}

impl From<Activation> for Op {
    fn from(activation: Activation) -> Self {
        Self::Activation(activation)
    }
}
