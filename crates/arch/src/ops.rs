//! The layers a graph is made of, and the initialisers of their parameters.

mod tensor;

use serde::{Deserialize, Serialize};

use crate::Activation;

pub use self::tensor::{
    Bias, Concat, Dropout, GroupNorm, LayerNorm, Matmul, PadChannels, Permute, Reshape, Subsample, bias,
    dropout, group_norm, layer_norm, matmul, pad_channels, permute, reshape, softmax, subsample,
};

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
    /// N(0, 2/fan_out), with fan_out = kernel height x width x out_channels: what the paper's authors did for
    /// convolutions.
    FanOut,
}

/// One layer's operation. Shapes are per sample: a vector is `[features]`, an image `[channels, height, width]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// The network's input; exactly one, the first node.
    Input,
    /// Fully connected layer.
    Linear(Linear),
    /// Two-dimensional convolution.
    Conv2d(Conv2d),
    /// Batch normalisation.
    BatchNorm(BatchNorm),
    /// Largest value of each window.
    MaxPool2d(Pool2d),
    /// Mean of each window; padding counts as zeros, as PyTorch's default.
    AvgPool2d(Pool2d),
    /// Mean of each channel: `[channels, height, width]` to `[channels]`.
    GlobalAvgPool,
    /// Pointwise nonlinearity.
    Activation(Activation),
    /// Any shape to a vector.
    Flatten,
    /// Sum of two inputs of equal shape.
    Add,
    /// Product of two inputs of equal shape, element by element.
    Mul,
    /// Two inputs one after the other along a dimension.
    Concat(Concat),
    /// The same elements in another shape.
    Reshape(Reshape),
    /// Dimensions in another order.
    Permute(Permute),
    /// Matrix product of two inputs.
    Matmul(Matmul),
    /// e^x / Σ e^x along the last dimension.
    Softmax,
    /// Layer normalisation.
    LayerNorm(LayerNorm),
    /// Group normalisation.
    GroupNorm(GroupNorm),
    /// x + b with a trained b of the value's shape: a position embedding.
    Bias(Bias),
    /// Zeros for some elements at random, in training.
    Dropout(Dropout),
    /// Channels of zeros around those of an image.
    PadChannels(PadChannels),
    /// Every n-th pixel of an image.
    Subsample(Subsample),
}

impl Op {
    /// The name used in messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Linear(_) => "linear",
            Self::Conv2d(_) => "conv2d",
            Self::BatchNorm(_) => "batch_norm",
            Self::MaxPool2d(_) => "max_pool2d",
            Self::AvgPool2d(_) => "avg_pool2d",
            Self::GlobalAvgPool => "global_avg_pool",
            Self::Activation(activation) => activation.name(),
            Self::Flatten => "flatten",
            Self::Add => "add",
            Self::Mul => "mul",
            Self::Concat(_) => "concat",
            Self::Reshape(_) => "reshape",
            Self::Permute(_) => "permute",
            Self::Matmul(_) => "matmul",
            Self::Softmax => "softmax",
            Self::LayerNorm(_) => "layer_norm",
            Self::GroupNorm(_) => "group_norm",
            Self::Bias(_) => "bias",
            Self::Dropout(_) => "dropout",
            Self::PadChannels(_) => "pad_channels",
            Self::Subsample(_) => "subsample",
        }
    }

    /// How many inputs the operation takes.
    pub const fn arity(&self) -> usize {
        match self {
            Self::Input => 0,
            Self::Add | Self::Mul | Self::Concat(_) | Self::Matmul(_) => 2,
            _ => 1,
        }
    }
}

/// y = x Wᵀ + b along the last dimension, with W of shape `[out_features, in_features]`; the last dimension's length gives
/// `in_features`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Length of the output's last dimension.
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

/// Cross-correlation of an image with K filters, as PyTorch's Conv2d: W is `[out_channels, in_channels / groups,
/// height, width]`, b `[out_channels]` if there is one. Pairs are `[vertical, horizontal]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Number of filters.
    pub out_channels: usize,
    /// Size of a filter.
    pub kernel: [usize; 2],
    /// Distance between outputs.
    pub stride: [usize; 2],
    /// Zeros added on each side.
    pub padding: [usize; 2],
    /// Distance between a filter's elements.
    pub dilation: [usize; 2],
    /// Channels fall into this many groups, each with filters of its own.
    pub groups: usize,
    /// Whether there is a b.
    pub bias: bool,
    /// Initialiser of W.
    pub weight_init: Init,
    /// Initialiser of b.
    pub bias_init: Init,
}

/// A square [`Conv2d`] with stride 1, no padding and a bias; W as the paper's authors drew it,
/// N(0, 2 / (k² out_channels)), b as PyTorch does.
pub const fn conv2d(out_channels: usize, kernel: usize) -> Conv2d {
    Conv2d {
        out_channels,
        kernel: [kernel; 2],
        stride: [1; 2],
        padding: [0; 2],
        dilation: [1; 2],
        groups: 1,
        bias: true,
        weight_init: Init::FanOut,
        bias_init: Init::FanIn,
    }
}

impl Conv2d {
    /// The same with another stride.
    #[must_use]
    pub const fn stride(mut self, stride: usize) -> Self {
        self.stride = [stride; 2];
        self
    }

    /// The same with another padding.
    #[must_use]
    pub const fn padding(mut self, padding: usize) -> Self {
        self.padding = [padding; 2];
        self
    }

    /// The same with channels in groups.
    #[must_use]
    pub const fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// The same with or without a bias.
    #[must_use]
    pub const fn bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }
}

/// Windows of a pooling layer. Pairs are `[vertical, horizontal]`; incomplete windows are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool2d {
    /// Size of a window.
    pub kernel: [usize; 2],
    /// Distance between windows.
    pub stride: [usize; 2],
    /// Padding on each side, at most half a window.
    pub padding: [usize; 2],
}

/// [`Op::MaxPool2d`] over square windows that do not overlap.
pub const fn max_pool2d(size: usize) -> Op {
    Op::MaxPool2d(Pool2d { kernel: [size; 2], stride: [size; 2], padding: [0; 2] })
}

/// [`Op::AvgPool2d`] over square windows that do not overlap.
pub const fn avg_pool2d(size: usize) -> Op {
    Op::AvgPool2d(Pool2d { kernel: [size; 2], stride: [size; 2], padding: [0; 2] })
}

/// [`Op::GlobalAvgPool`].
pub const fn global_avg_pool() -> Op {
    Op::GlobalAvgPool
}

/// y = γ (x - μ) / √(σ² + ε) + β per feature of a vector (PyTorch's BatchNorm1d) or per
/// channel of an image (BatchNorm2d).
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

impl From<Conv2d> for Op {
    fn from(layer: Conv2d) -> Self {
        Self::Conv2d(layer)
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
