//! The options of the layers on values of any shape: those of transformers, mixers and shortcuts without parameters.

use serde::{Deserialize, Serialize};

use super::Init;
use super::layers::{is_yes, yes};

/// Concatenates two values along dimension `axis`; the other dimensions must be equal. The channels of images are axis 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The dimension, counted from 0 within one sample.
    pub axis: usize,
}

/// The same elements, in row-major order, in another shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The new shape of one sample.
    pub shape: Vec<usize>,
}

/// Dimension d of the result is dimension `order[d]` of the input, as in PyTorch's permute without the batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permute {
    /// A permutation of the dimensions of one sample.
    pub order: Vec<usize>,
}

/// scale · A B, or scale · A Bᵀ, over the last two dimensions; the dimensions before them must be equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matmul {
    /// Whether the second input is transposed.
    pub transposed: bool,
    /// Factor of the product: 1/√d in attention.
    pub scale: f32,
}

/// A plain [`Matmul`].
pub const fn matmul() -> Matmul {
    Matmul { transposed: false, scale: 1.0 }
}

impl Matmul {
    /// Transposes the second input.
    #[must_use]
    pub const fn transposed(mut self) -> Self {
        self.transposed = true;
        self
    }

    /// Sets the factor.
    #[must_use]
    pub const fn scale(mut self, scale: f32) -> Self {
        self.scale = scale;
        self
    }
}

/// y = γ (x - μ) / √(σ² + ε) + β with μ and the biased σ² over the last `dims` dimensions of a sample, γ and β of their
/// shape (Ba et al., 2016; PyTorch's LayerNorm).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// Number of trailing dimensions that are normalized together.
    pub dims: usize,
    /// ε, added to the variance.
    pub eps: f32,
    /// Whether there are γ and β.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub affine: bool,
}

/// A [`LayerNorm`] of the last dimension with PyTorch's ε = 1e-5.
pub const fn layer_norm() -> LayerNorm {
    LayerNorm { dims: 1, eps: 1e-5, affine: true }
}

/// y = γ (x - μ) / √(σ² + ε) + β with μ and the biased σ² over each group of channels of a sample, γ and β one value per
/// channel, the first dimension (Wu & He, 2018; PyTorch's GroupNorm).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// Number of groups; it divides the channels.
    pub groups: usize,
    /// ε, added to the variance.
    pub eps: f32,
    /// Whether there are γ and β.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub affine: bool,
}

/// A [`GroupNorm`] with PyTorch's ε = 1e-5.
pub const fn group_norm(groups: usize) -> GroupNorm {
    GroupNorm { groups, eps: 1e-5, affine: true }
}

/// y = x + b with b of the shape of some consecutive dimensions, all if none are given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bias {
    /// Initializer of b.
    pub init: Init,
    /// The first dimension that b has, and the first after it that b does not have: `[0, 1]` for a b per channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axes: Option<[usize; 2]>,
}

/// A [`Bias`] initialized from N(0, std²).
pub const fn bias(std: f32) -> Bias {
    Bias { init: Init::Normal { std }, axes: None }
}

/// y = γ x with a trained γ of the shape of some consecutive dimensions, all if none are given: the layer scale of ConvNeXt
/// (Touvron et al., 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Initializer of γ.
    pub init: Init,
    /// The dimensions of γ, as those of [`Bias`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axes: Option<[usize; 2]>,
}

/// y = scale · x + shift, with constants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affine {
    /// Factor of the value.
    pub scale: f32,
    /// What is added to the product.
    pub shift: f32,
}

/// A window of a value, zero outside of it: `y[i] = x[start + i]` in every dimension. A slice, a part of a split, or zero padding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// The first place of the window in each dimension; negative for padding before it.
    pub start: Vec<i64>,
    /// The shape of the window.
    pub shape: Vec<usize>,
}

/// During training, each element is set to 0 with probability `p` and divided by 1 - p otherwise (Srivastava et al., 2014).
/// Losses are evaluated without dropout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// Probability of setting an element to zero.
    pub p: f32,
}

/// Adds channels of zeros; with [`Subsample`], this is the parameter-free shortcut of He et al. (2016).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PadChannels {
    /// Number of new channels before the existing ones.
    pub before: usize,
    /// Number of new channels after the existing ones.
    pub after: usize,
}

/// The pixels of an image whose row and column are multiples of the stride.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subsample {
    /// Stride between pixels, `[vertical, horizontal]`.
    pub stride: [usize; 2],
}
