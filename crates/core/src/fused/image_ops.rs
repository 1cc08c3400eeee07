//! Layers on images, channels last, as custom operations on dfdx's tape.

use std::sync::Arc;

use dfdx::prelude::*;
use walk_arch::LayerParams;
use walk_kernels::conv::{self, Algorithm, ConvShape, InputGradient, PackedConv};
use walk_kernels::layout::{to_channels_first, to_channels_last};
use walk_kernels::memory::zeros;
use walk_kernels::pool::{self, PoolShape};

use super::ops::{Operand, disjoint, put, record, take};
use super::view;
use crate::CoreError;
use crate::backend::{Flat, Rows};

pub(super) fn conv2d<T: Tape<f32, Cpu>>(
    device: &Cpu,
    x: Operand,
    tape: T,
    theta: &Flat<Cpu>,
    params: &LayerParams,
    (shape, algorithm): (ConvShape, Algorithm),
) -> Result<Rows<Cpu, T>, CoreError> {
    let Operand { rows: x, tracked } = x;
    let rows = x.shape().0;
    let all = view::flat(theta);
    let mut packed = PackedConv::new(shape, algorithm);
    packed.pack(&all[params.weight.clone()], &all[params.bias.clone()]);
    let mut y = zeros(rows * shape.out_len());
    packed.forward_parallel(view::rows(&x), &mut y);
    let (theta, params) = (theta.clone(), params.clone());
    record(device, y, (rows, shape.out_len()), tape, move |out, grads| {
        let dy = take!(grads, out);
        if tracked {
            let mut dx = take!(grads, &x);
            let weight = &view::flat(&theta)[params.weight.clone()];
            InputGradient::new(shape, algorithm, weight).add(&dy, &mut dx);
            put!(grads, &x, dx);
        }
        let dtheta = grads.get_or_alloc_mut(&theta)?;
        let (dweight, dbias) = disjoint(dtheta, params.weight, params.bias);
        conv::backward_params(&shape, algorithm, (view::rows(&x), &dy), dweight, dbias);
        put!(grads, out, dy);
        Ok(())
    })
}

/// The place of the largest value of every window.
pub(super) fn max_places(x: &Rows<Cpu>, shape: &PoolShape) -> Arc<Vec<u32>> {
    Arc::new(pool::max_places(shape, view::rows(x)))
}

/// The values at the places of every window: a max pooling, or its tangent.
pub(super) fn gather<T: Tape<f32, Cpu>>(
    device: &Cpu,
    x: Rows<Cpu>,
    tape: T,
    shape: PoolShape,
    places: Arc<Vec<u32>>,
) -> Result<Rows<Cpu, T>, CoreError> {
    let rows = x.shape().0;
    let mut y = zeros(rows * shape.out_len());
    pool::gather(&shape, &places, view::rows(&x), &mut y);
    record(device, y, (rows, shape.out_len()), tape, move |out, grads| {
        let dy = take!(grads, out);
        pool::scatter_add(&shape, &places, &dy, grads.get_or_alloc_mut(&x)?);
        put!(grads, out, dy);
        Ok(())
    })
}

pub(super) fn avg_pool2d<T: Tape<f32, Cpu>>(
    device: &Cpu,
    x: Rows<Cpu>,
    tape: T,
    shape: PoolShape,
) -> Result<Rows<Cpu, T>, CoreError> {
    let rows = x.shape().0;
    let mut y = zeros(rows * shape.out_len());
    pool::avg_forward(&shape, view::rows(&x), &mut y);
    record(device, y, (rows, shape.out_len()), tape, move |out, grads| {
        let dy = take!(grads, out);
        pool::avg_backward(&shape, &dy, grads.get_or_alloc_mut(&x)?);
        put!(grads, out, dy);
        Ok(())
    })
}

/// Which dimension of an image comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[channels, height, width]`, and vectors.
    ChannelsFirst,
    /// `[height, width, channels]`.
    ChannelsLast,
}

impl Layout {
    /// Writes images of another layout in this one.
    pub(super) fn convert(self, channels: usize, pixels: usize, from: &[f32], to: &mut [f32]) {
        match self {
            Self::ChannelsLast => to_channels_last(channels, pixels, from, to),
            Self::ChannelsFirst => to_channels_first(channels, pixels, from, to),
        }
    }

    fn other(self) -> Self {
        match self {
            Self::ChannelsLast => Self::ChannelsFirst,
            Self::ChannelsFirst => Self::ChannelsLast,
        }
    }
}

/// The same images in layout `to`.
pub(super) fn convert<T: Tape<f32, Cpu>>(
    device: &Cpu,
    x: Rows<Cpu>,
    tape: T,
    image: [usize; 2],
    to: Layout,
) -> Result<Rows<Cpu, T>, CoreError> {
    let [channels, pixels] = image;
    let shape = *x.shape();
    let mut y = zeros(shape.0 * shape.1);
    to.convert(channels, pixels, view::rows(&x), &mut y);
    record(device, y, shape, tape, move |out, grads| {
        let dy = take!(grads, out);
        let mut back = vec![0.0; dy.len()];
        to.other().convert(channels, pixels, &dy, &mut back);
        walk_kernels::elementwise::add_parallel(&back, grads.get_or_alloc_mut(&x)?);
        put!(grads, out, dy);
        Ok(())
    })
}
