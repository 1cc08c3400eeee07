//! walk-kernels' shapes of a network's layers.

use walk_arch::{Conv2d, Pool2d};
use walk_kernels::conv::ConvShape;
use walk_kernels::pool::PoolShape;

/// Channels and pixels of a value: a vector's elements are channels of one pixel.
pub(super) fn channels_and_pixels(shape: &[usize]) -> [usize; 2] {
    [shape[0], shape[1..].iter().product()]
}

/// A convolution of images of shape `[channels, height, width]`.
pub(super) fn conv_shape(conv: &Conv2d, shape: &[usize]) -> ConvShape {
    let Conv2d { out_channels, kernel, stride, padding, dilation, groups, .. } = *conv;
    let input = [shape[1], shape[2]];
    ConvShape { in_channels: shape[0], out_channels, groups, kernel, stride, padding, dilation, input }
}

/// A pooling of images of shape `[channels, height, width]`.
pub(super) fn pool_shape(pool: &Pool2d, shape: &[usize]) -> PoolShape {
    let Pool2d { kernel, stride, padding } = *pool;
    PoolShape { channels: shape[0], kernel, stride, padding, input: [shape[1], shape[2]] }
}

/// The pooling of whole images of shape `[channels, height, width]`.
pub(super) fn whole_image(shape: &[usize]) -> PoolShape {
    let input = [shape[1], shape[2]];
    PoolShape { channels: shape[0], kernel: input, stride: input, padding: [0, 0], input }
}
