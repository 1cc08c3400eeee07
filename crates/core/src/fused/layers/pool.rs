//! Pooling of images.

use std::sync::Arc;

use walk_arch::Pool2d;
use walk_kernels::memory::zeros;
use walk_kernels::pool::{self, PoolShape};

use super::{Call, ChannelOrder, FusedLayer, Inputs, Layout, Output, Pass, Value};
use crate::CoreError;

/// The pooling of images of shape `[channels, height, width]`.
pub(super) fn pool_shape(pool: &Pool2d, shape: &[usize]) -> PoolShape {
    let Pool2d { kernel, stride, padding } = *pool;
    PoolShape { channels: shape[0], kernel, stride, padding, input: [shape[1], shape[2]] }
}

/// The pooling of whole images of shape `[channels, height, width]`.
pub(super) fn whole_image(shape: &[usize]) -> PoolShape {
    let input = [shape[1], shape[2]];
    PoolShape { channels: shape[0], kernel: input, stride: input, padding: [0, 0], input }
}

fn layout(shape: &PoolShape) -> Layout {
    let output = Output::New(shape.out_len());
    Layout { order: Some(ChannelOrder::ChannelsLast), padded: true, output }
}

/// The largest value of each window.
pub(super) struct MaxPool(pub(super) PoolShape);

impl FusedLayer for MaxPool {
    fn layout(&self) -> Layout {
        layout(&self.0)
    }

    fn evaluate(&self, call: Call<'_>) {
        pool::max_forward(&self.0, call.x[0], call.y);
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        let (shape, x) = (self.0, inputs.one());
        // the tangent is rearranged like the value
        let places = Arc::new(pool::max_places(&shape, x.operand.values()));
        pass.linear(x, |tape, x| {
            let mut y = zeros(x.samples() * shape.out_len());
            pool::gather(&shape, &places, x.values(), &mut y);
            let places = places.clone();
            tape.map(x, y, move |dy, dx| pool::scatter_add(&shape, &places, dy, dx))
        })
    }
}

/// The mean of each window.
pub(super) struct AvgPool(pub(super) PoolShape);

impl FusedLayer for AvgPool {
    fn layout(&self) -> Layout {
        layout(&self.0)
    }

    fn evaluate(&self, call: Call<'_>) {
        pool::avg_forward(&self.0, call.x[0], call.y);
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        let shape = self.0;
        pass.linear(inputs.one(), |tape, x| {
            let mut y = zeros(x.samples() * shape.out_len());
            pool::avg_forward(&shape, x.values(), &mut y);
            tape.map(x, y, move |dy, dx| pool::avg_backward(&shape, dy, dx))
        })
    }
}
