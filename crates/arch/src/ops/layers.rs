//! The options of the layers on vectors and images.

use serde::{Deserialize, Serialize};

use super::Init;

/// y = x Wᵀ + b along the last dimension, with W of shape `[out_features, in_features]`; `in_features` is the length of
/// the last dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Length of the last dimension of the output.
    pub out_features: usize,
    /// Whether there is a b.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bias: bool,
    /// Initializer of W.
    pub weight_init: Init,
    /// Initializer of b.
    pub bias_init: Init,
}

/// A [`Linear`] layer with a bias and PyTorch's initializers.
pub const fn linear(out_features: usize) -> Linear {
    Linear { out_features, bias: true, weight_init: Init::FanIn, bias_init: Init::FanIn }
}

impl Linear {
    /// Sets whether there is a bias.
    #[must_use]
    pub const fn bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }
}

/// The value of a switch that graphs leave out where it is on.
pub(super) const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
pub(super) const fn is_yes(value: &bool) -> bool {
    *value
}

/// Cross-correlation of an image with K filters, as PyTorch's Conv2d: W is `[out_channels, in_channels / groups,
/// height, width]`, b `[out_channels]` if present. Pairs are `[vertical, horizontal]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Number of filters.
    pub out_channels: usize,
    /// Size of a filter.
    pub kernel: [usize; 2],
    /// Stride between outputs.
    pub stride: [usize; 2],
    /// Zeros added on each side.
    pub padding: [usize; 2],
    /// Distance between a filter's elements.
    pub dilation: [usize; 2],
    /// Number of groups of channels, each with its own filters.
    pub groups: usize,
    /// Whether there is a bias b.
    pub bias: bool,
    /// Initializer of W.
    pub weight_init: Init,
    /// Initializer of b.
    pub bias_init: Init,
}

/// A square [`Conv2d`] with stride 1, no padding and a bias; W is initialized as by the
/// paper's authors, N(0, 2 / (k² out_channels)), and b as in PyTorch.
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
    /// Sets the stride.
    #[must_use]
    pub const fn stride(mut self, stride: usize) -> Self {
        self.stride = [stride; 2];
        self
    }

    /// Sets the padding.
    #[must_use]
    pub const fn padding(mut self, padding: usize) -> Self {
        self.padding = [padding; 2];
        self
    }

    /// Sets the number of groups.
    #[must_use]
    pub const fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Sets whether there is a bias.
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
    /// Stride between windows.
    pub stride: [usize; 2],
    /// Padding on each side, at most half a window.
    pub padding: [usize; 2],
}

/// y = γ (x - μ) / √(σ² + ε) + β per feature of a vector (PyTorch's BatchNorm1d) or per
/// channel of an image (BatchNorm2d).
///
/// With batch statistics, σ² is the biased variance; running statistics are moved by `momentum` toward the batch's
/// mean and unbiased variance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// ε, added to the variance.
    pub eps: f32,
    /// Weight of the newest batch in the running statistics.
    pub momentum: f32,
    /// Initializer of γ. Old versions of PyTorch drew it from U(0, 1) for BatchNorm1d; now it is 1.
    pub scale_init: Init,
}

/// A [`BatchNorm`] with PyTorch's ε = 1e-5, momentum 0.1, γ = 1, β = 0.
pub const fn batch_norm() -> BatchNorm {
    BatchNorm { eps: 1e-5, momentum: 0.1, scale_init: Init::Constant(1.0) }
}
