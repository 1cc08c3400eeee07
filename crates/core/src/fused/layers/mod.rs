//! The layers of the fused backend, one file each. A new layer requires a file here and a line in [`fused_layer`].

mod activation;
mod add;
mod affine;
mod batch_norm;
mod conv;
mod linear;
mod matmul;
mod mul;
mod pool;
mod rearrange;
mod scale_shift;
mod softmax;
mod unchanged;

use walk_arch::{Network, Op};

use self::activation::Activation;
use self::add::Add;
use self::affine::Affine;
use self::batch_norm::BatchNorm;
use self::conv::Conv;
pub(super) use self::conv::conv_shape;
use self::linear::Linear;
use self::matmul::Matmul;
use self::mul::Mul;
use self::pool::{AvgPool, MaxPool, pool_shape, whole_image};
use self::rearrange::Rearrange;
use self::scale_shift::ScaleShift;
use self::softmax::Softmax;
use self::unchanged::{Dropout, Reshape};
use super::Convolution;
use super::channel_order::ChannelOrder;
use super::fusion::{FusedNorm, FusionGroup};
use super::layer::{Call, FusedLayer, Inputs, Layout, Measured, Output};
use super::parameters::{Parameters, params, values};
use super::pass::{Direction, Pass, Value};
use super::tape::{Operand, Recorder};
use crate::kernel_activation::kernel_activation;

/// The layer that computes a group of a network's layers.
pub(super) fn fused_layer(
    network: &Network,
    group: &FusionGroup,
    convolution: Convolution,
) -> Box<dyn FusedLayer> {
    let layers = network.layers();
    let index = group.layer;
    let layer = &layers[index];
    let shapes: Vec<&[usize]> = layer.inputs.iter().map(|&input| layers[input].shape.as_slice()).collect();
    match &layer.op {
        Op::Input => unreachable!("the input is in no group"),
        Op::Linear(_) => Box::new(Linear::new(layer, shapes[0])),
        Op::Conv2d(_) => Box::new(Conv::new(network, group, convolution)),
        Op::BatchNorm(_) => Box::new(BatchNorm::new(network, FusedNorm { layer: index, relu: group.relu })),
        Op::MaxPool2d(pool) => Box::new(MaxPool(pool_shape(pool, shapes[0]))),
        Op::AvgPool2d(pool) => Box::new(AvgPool(pool_shape(pool, shapes[0]))),
        Op::GlobalAvgPool => Box::new(AvgPool(whole_image(shapes[0]))),
        Op::Activation(activation) => Box::new(Activation(kernel_activation(*activation))),
        Op::Flatten => Box::new(Reshape { padded: true }),
        Op::Reshape(_) => Box::new(Reshape { padded: false }),
        Op::Dropout(dropout) => Box::new(Dropout { layer: index, p: dropout.p }),
        Op::Affine(affine) => Box::new(Affine(affine.clone())),
        Op::Add => Box::new(Add),
        Op::Mul => Box::new(Mul),
        Op::Matmul(matmul) => Box::new(Matmul::new(matmul, shapes[0], shapes[1], layer.len())),
        Op::Softmax => Box::new(Softmax { len: *layer.shape.last().expect("shapes have a dimension") }),
        Op::LayerNorm(_) | Op::GroupNorm(_) | Op::Bias(_) | Op::Scale(_) => Box::new(ScaleShift::new(layer)),
        Op::Permute(_) | Op::Concat(_) | Op::PadChannels(_) | Op::Subsample(_) | Op::Crop(_) => {
            Box::new(Rearrange::new(&layer.op, &shapes, &layer.shape))
        }
    }
}
