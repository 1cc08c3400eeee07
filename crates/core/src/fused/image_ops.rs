//! Layers on images, channels last, as custom operations on dfdx's tape.

use std::sync::Arc;

use dfdx::prelude::*;
use walk_arch::LayerParams;
use walk_kernels::batch_norm::Moments;
use walk_kernels::conv::{self, Algorithm, ConvShape, Fusion, InputGradient, PackedConv, ParamsBackward};
use walk_kernels::matmul::Write;
use walk_kernels::memory::{copied, zeros};
use walk_kernels::pool::{self, PoolShape};
use walk_kernels::sample_norms::add_bias_norms_sq;

use super::channel_order::ChannelOrder;
use super::ops::{NormUse, disjoint};
use super::tape::{Operand, TapeRecorder};
use super::view;
use crate::CoreError;
use crate::tensors::Flat;

/// A convolution and what is computed with it.
pub(super) struct ConvCall<'a> {
    pub(super) theta: &'a Flat<Cpu>,
    pub(super) params: &'a LayerParams,
    pub(super) shape: ConvShape,
    pub(super) algorithm: Algorithm,
    /// A norm of the input.
    pub(super) norm: Option<NormUse>,
    /// A value that is added to the output.
    pub(super) residual: Option<Operand>,
    /// Whether to measure the output's moments.
    pub(super) moments: bool,
}

/// A convolution's value, and the moments of its channels if they were asked for.
pub(super) struct ConvOutput {
    pub(super) value: Operand,
    pub(super) moments: Option<Moments>,
}

pub(super) fn conv2d<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: Operand,
    call: ConvCall<'_>,
) -> Result<ConvOutput, CoreError> {
    let ConvCall { theta, params, shape, algorithm, norm, residual, moments } = call;
    let rows = x.samples();
    let all = view::flat(theta);
    let mut packed = PackedConv::new(shape, algorithm);
    packed.pack(&all[params.weight.clone()], &all[params.bias.clone()]);
    let (mut y, write) = match &residual {
        Some(residual) => (copied(residual.values()), Write::Add),
        None => (zeros(rows * shape.out_len()), Write::Replace),
    };
    let normalizer = norm.as_ref().map(|norm| norm.normalizer(theta));
    let fusion = Fusion { norm: normalizer.as_ref(), write };
    let mut moments = moments.then(Moments::default);
    packed.forward_parallel(x.values(), &mut y, fusion, moments.as_mut());
    let (theta, params, norms) = (theta.clone(), params.clone(), tape.norms.clone());
    let residual = residual.and_then(|residual| residual.grad);
    let value = tape.record(y, rows, move |dy, spent, grads| {
        let weight = &view::flat(&theta)[params.weight.clone()];
        let values = x.values();
        let norm = norm.as_ref().map(|norm| (norm, norm.backward(&theta)));
        if let Some((norm, backward)) = &norm {
            let gradient = InputGradient::new(shape, algorithm, weight);
            let mut dx = spent.take(values.len());
            let sums = gradient.write_through(backward, &dy, values, &mut dx);
            let dtheta = grads.get_or_alloc_mut(&theta)?;
            let [scale, shift] = disjoint(dtheta, norm.params.weight.clone(), norm.params.bias.clone());
            sums.add_to(scale, shift);
            if let Some(slot) = &x.grad {
                let before = slot.take();
                backward.input(values, &sums, &mut dx, &before);
                slot.replace(dx);
            }
        } else {
            x.write_gradient(spent, |dx, write| {
                InputGradient::new(shape, algorithm, weight).write(&dy, dx, write);
            });
        }
        if let Some(norms) = norms {
            norms.update(|norms| {
                conv::add_weight_norms_sq(&shape, values, &dy, norms);
                if !params.bias.is_empty() {
                    add_bias_norms_sq(&dy, shape.out_channels, norms);
                }
            });
        } else {
            let norm = norm.as_ref().map(|(_, backward)| backward.normalizer());
            let dtheta = grads.get_or_alloc_mut(&theta)?;
            let [dweight, dbias] = disjoint(dtheta, params.weight, params.bias);
            let backward = ParamsBackward { x: values, norm, dy: &dy };
            conv::backward_params(&shape, algorithm, backward, dweight, dbias);
        }
        match residual {
            Some(slot) => slot.add(dy, spent),
            None => spent.give(dy),
        }
        Ok(())
    })?;
    Ok(ConvOutput { value, moments })
}

/// The place of the largest value of every window.
pub(super) fn max_places(x: &Operand, shape: &PoolShape) -> Arc<Vec<u32>> {
    Arc::new(pool::max_places(shape, x.values()))
}

/// The values at the places of every window: a max pooling, or its tangent.
pub(super) fn gather<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: &Operand,
    shape: PoolShape,
    places: Arc<Vec<u32>>,
) -> Result<Operand, CoreError> {
    let mut y = zeros(x.samples() * shape.out_len());
    pool::gather(&shape, &places, x.values(), &mut y);
    tape.map(x, y, move |dy, dx| pool::scatter_add(&shape, &places, dy, dx))
}

pub(super) fn avg_pool2d<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: &Operand,
    shape: PoolShape,
) -> Result<Operand, CoreError> {
    let mut y = zeros(x.samples() * shape.out_len());
    pool::avg_forward(&shape, x.values(), &mut y);
    tape.map(x, y, move |dy, dx| pool::avg_backward(&shape, dy, dx))
}

/// The same images in another order.
pub(super) fn convert<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: &Operand,
    [channels, pixels]: [usize; 2],
    to: ChannelOrder,
) -> Result<Operand, CoreError> {
    let mut y = zeros(x.len());
    to.convert(channels, pixels, x.values(), &mut y);
    let rows = x.samples();
    let Some(slot) = x.grad.clone() else { return tape.constant(y, rows) };
    tape.record(y, rows, move |dy, spent, _| {
        let mut back = spent.take(dy.len());
        to.other().convert(channels, pixels, &dy, &mut back);
        spent.give(dy);
        slot.add(back, spent);
        Ok(())
    })
}
