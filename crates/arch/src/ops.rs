//! The operations of a graph's layers.

mod init;
mod layers;
mod tensor;

use serde::{Deserialize, Serialize};

pub use self::init::Init;
pub use self::layers::{BatchNorm, Conv2d, Linear, Pool2d, batch_norm, conv2d, linear};
pub use self::tensor::{
    Affine, Bias, Concat, Crop, Dropout, GroupNorm, LayerNorm, Matmul, PadChannels, Permute, Reshape, Scale,
    Subsample, bias, group_norm, layer_norm, matmul,
};
use crate::Activation;

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
    /// Batch normalization.
    BatchNorm(BatchNorm),
    /// Largest value of each window.
    MaxPool2d(Pool2d),
    /// Mean of each window; padding counts as zeros, as by default in PyTorch.
    AvgPool2d(Pool2d),
    /// Mean of each channel: `[channels, height, width]` to `[channels]`.
    GlobalAvgPool,
    /// Pointwise nonlinearity.
    Activation(Activation),
    /// Flattens any shape to a vector.
    Flatten,
    /// Sum of two inputs of equal shape.
    Add,
    /// Product of two inputs of equal shape, element by element.
    Mul,
    /// Concatenation of two inputs along a dimension.
    Concat(Concat),
    /// The same elements in another shape.
    Reshape(Reshape),
    /// Dimensions in another order.
    Permute(Permute),
    /// Matrix product of two inputs.
    Matmul(Matmul),
    /// e^x / Σ e^x along the last dimension.
    Softmax,
    /// Layer normalization.
    LayerNorm(LayerNorm),
    /// Group normalization.
    GroupNorm(GroupNorm),
    /// x + b with a trained b, e.g. a position embedding.
    Bias(Bias),
    /// γ x with a trained γ.
    Scale(Scale),
    /// A constant times x, plus a constant.
    Affine(Affine),
    /// A window of a value, zero outside of it.
    Crop(Crop),
    /// Sets random elements to zero during training.
    Dropout(Dropout),
    /// Adds channels of zeros before and after those of an image.
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
            Self::Scale(_) => "scale",
            Self::Affine(_) => "affine",
            Self::Crop(_) => "crop",
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

/// [`Op::Flatten`].
pub const fn flatten() -> Op {
    Op::Flatten
}

/// [`Op::Reshape`].
pub fn reshape(shape: &[usize]) -> Op {
    Op::Reshape(Reshape { shape: shape.to_vec() })
}

/// [`Op::Permute`].
pub fn permute(order: &[usize]) -> Op {
    Op::Permute(Permute { order: order.to_vec() })
}

/// [`Op::Softmax`].
pub const fn softmax() -> Op {
    Op::Softmax
}

/// [`Op::Dropout`].
pub const fn dropout(p: f32) -> Op {
    Op::Dropout(Dropout { p })
}

/// [`Op::Affine`].
pub const fn affine(scale: f32, shift: f32) -> Op {
    Op::Affine(Affine { scale, shift })
}

/// [`Op::Crop`].
pub fn crop(start: &[i64], shape: &[usize]) -> Op {
    Op::Crop(Crop { start: start.to_vec(), shape: shape.to_vec() })
}

/// [`Op::PadChannels`].
pub const fn pad_channels(before: usize, after: usize) -> Op {
    Op::PadChannels(PadChannels { before, after })
}

/// [`Op::Subsample`] with the same stride in both dimensions.
pub const fn subsample(stride: usize) -> Op {
    Op::Subsample(Subsample { stride: [stride; 2] })
}

/// Converts layer options to operations.
macro_rules! from_layers {
    ($($layer:ident),+) => {
        $(impl From<$layer> for Op {
            fn from(layer: $layer) -> Self {
                Self::$layer(layer)
            }
        })+
    };
}

from_layers!(Activation, BatchNorm, Bias, Conv2d, GroupNorm, LayerNorm, Linear, Matmul, Scale);
