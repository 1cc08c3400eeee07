//! Layers as custom operations on dfdx's tape: forward and backward by walk-kernels.

use std::ops::Range;

use dfdx::prelude::*;
use walk_arch::{Activation, LayerParams};
use walk_kernels::activation::mask;
use walk_kernels::batch_norm::{self as norm_kernel, Normalization};
use walk_kernels::elementwise::add_parallel;
use walk_kernels::linear::{self as linear_kernel, LinearShape};
use walk_kernels::memory::{copied, zeros};
use walk_kernels::rows::Threads;

use super::{kernel_activation, view};
use crate::backend::{BatchStatistics, Flat, Rows};
use crate::{CoreError, Loss};

pub(super) type Grads = Gradients<f32, Cpu>;

/// A layer's input: its values, and whether anything that is trained lies behind them.
#[derive(Clone)]
pub(super) struct Operand {
    pub(super) rows: Rows<Cpu>,
    pub(super) tracked: bool,
}

/// Takes a tensor's gradient out, zeros if it has none yet; [`put`] brings it back.
macro_rules! take {
    ($grads:expr, $tensor:expr) => {
        std::mem::take(&mut **$grads.get_or_alloc_mut($tensor)?)
    };
}

/// Brings a gradient back.
macro_rules! put {
    ($grads:expr, $tensor:expr, $values:expr) => {
        **$grads.get_or_alloc_mut($tensor)? = $values
    };
}

pub(super) use {put, take};

/// A tensor of `values` and the operation that carries its gradient back.
pub(super) fn record<S: Shape, T: Tape<f32, Cpu>>(
    device: &Cpu,
    values: Vec<f32>,
    shape: S,
    mut tape: T,
    backward: impl FnOnce(&Tensor<S, f32, Cpu>, &mut Grads) -> Result<(), CpuError> + 'static,
) -> Result<Tensor<S, f32, Cpu, T>, CoreError> {
    let out = device.try_tensor_from_vec(values, shape).map_err(CoreError::device)?;
    if T::OWNS_TAPE {
        let out = out.clone();
        tape.add_backward_op(move |grads| backward(&out, grads));
    }
    Ok(out.put_tape(tape))
}

pub(super) fn linear<T: Tape<f32, Cpu>>(
    device: &Cpu,
    x: Operand,
    tape: T,
    theta: &Flat<Cpu>,
    params: &LayerParams,
) -> Result<Rows<Cpu, T>, CoreError> {
    let Operand { rows: x, tracked } = x;
    let (rows, in_features) = *x.shape();
    let shape = LinearShape { in_features, out_features: params.bias.len() };
    let mut y = zeros(rows * shape.out_features);
    let all = view::flat(theta);
    linear_kernel::forward(
        shape,
        &all[params.weight.clone()],
        &all[params.bias.clone()],
        view::rows(&x),
        &mut y,
    );
    let (theta, params) = (theta.clone(), params.clone());
    record(device, y, (rows, shape.out_features), tape, move |out, grads| {
        let dy = take!(grads, out);
        if tracked {
            let mut dx = take!(grads, &x);
            let weight = &view::flat(&theta)[params.weight.clone()];
            linear_kernel::backward_input(shape, weight, &dy, &mut dx);
            put!(grads, &x, dx);
        }
        let dtheta = grads.get_or_alloc_mut(&theta)?;
        let (dweight, dbias) = disjoint(dtheta, params.weight, params.bias);
        linear_kernel::backward_params(shape, view::rows(&x), &dy, dweight, dbias);
        put!(grads, out, dy);
        Ok(())
    })
}

/// Two neighbouring parts of a slice, weight before bias.
pub(super) fn disjoint(
    all: &mut [f32],
    first: Range<usize>,
    second: Range<usize>,
) -> (&mut [f32], &mut [f32]) {
    let (head, tail) = all.split_at_mut(second.start);
    (&mut head[first], &mut tail[..second.len()])
}

/// Mean and variance of each channel, the last dimension of the values.
pub(super) fn batch_statistics(x: &Rows<Cpu>, channels: usize) -> BatchStatistics {
    let values = view::rows(x);
    let (mut mean, mut var) = (vec![0.0; channels], vec![0.0; channels]);
    norm_kernel::moments(values, &mut mean, &mut var, Threads::All);
    BatchStatistics { mean, var, count: values.len() / channels }
}

/// How a batch norm is to be computed.
#[derive(Clone)]
pub(super) struct NormUse {
    /// Mean and variance to use.
    pub(super) statistics: BatchStatistics,
    /// Whether they are the values' own, functions of them.
    pub(super) of_batch: bool,
    /// Whether a ReLU follows in the same pass.
    pub(super) relu: bool,
}

/// Batch norm of values whose last dimension is the channel: vectors, or images with channels last.
pub(super) fn batch_norm<T: Tape<f32, Cpu>>(
    device: &Cpu,
    x: Operand,
    tape: T,
    theta: &Flat<Cpu>,
    params: &LayerParams,
    eps: f32,
    NormUse { statistics, of_batch, relu }: NormUse,
) -> Result<Rows<Cpu, T>, CoreError> {
    let Operand { rows: x, tracked } = x;
    let shape = *x.shape();
    let mut y = copied(view::rows(&x));
    norm_kernel::normalize(&mut y, normalization(&statistics, theta, params, eps), relu, Threads::All);
    let (theta, params) = (theta.clone(), params.clone());
    record(device, y, shape, tape, move |out, grads| {
        let mut dy = take!(grads, out);
        if relu {
            mask(view::rows(out), &mut dy);
        }
        let mut dx = if tracked { take!(grads, &x) } else { vec![0.0; dy.len()] };
        let dtheta = grads.get_or_alloc_mut(&theta)?;
        let (scale, shift) = disjoint(dtheta, params.weight.clone(), params.bias.clone());
        let gradients = norm_kernel::Gradients { input: &mut dx, scale, shift };
        let norm = normalization(&statistics, &theta, &params, eps);
        norm_kernel::backward(view::rows(&x), &dy, norm, of_batch, gradients);
        if tracked {
            put!(grads, &x, dx);
        }
        put!(grads, out, dy);
        Ok(())
    })
}

fn normalization<'a>(
    statistics: &'a BatchStatistics,
    theta: &'a Flat<Cpu>,
    params: &LayerParams,
    eps: f32,
) -> Normalization<'a> {
    let theta = view::flat(theta);
    let (scale, shift) = (&theta[params.weight.clone()], &theta[params.bias.clone()]);
    Normalization { mean: &statistics.mean, var: &statistics.var, scale, shift, eps }
}

pub(super) fn activation<T: Tape<f32, Cpu>>(
    device: &Cpu,
    x: Rows<Cpu>,
    tape: T,
    activation: Activation,
) -> Result<Rows<Cpu, T>, CoreError> {
    let shape = *x.shape();
    let kernel = kernel_activation(activation);
    let mut y = copied(view::rows(&x));
    kernel.apply_parallel(&mut y);
    record(device, y, shape, tape, move |out, grads| {
        let dy = take!(grads, out);
        kernel.backward_parallel(view::rows(&x), &dy, grads.get_or_alloc_mut(&x)?);
        put!(grads, out, dy);
        Ok(())
    })
}

pub(super) fn add<T: Tape<f32, Cpu>>(
    device: &Cpu,
    a: Rows<Cpu>,
    b: Rows<Cpu>,
    tape: T,
) -> Result<Rows<Cpu, T>, CoreError> {
    let shape = *a.shape();
    let mut y = copied(view::rows(&a));
    add_parallel(view::rows(&b), &mut y);
    record(device, y, shape, tape, move |out, grads| {
        let dy = take!(grads, out);
        add_parallel(&dy, grads.get_or_alloc_mut(&a)?);
        add_parallel(&dy, grads.get_or_alloc_mut(&b)?);
        put!(grads, out, dy);
        Ok(())
    })
}

pub(super) fn losses<T: Tape<f32, Cpu>>(
    device: &Cpu,
    outputs: Rows<Cpu, T>,
    labels: &[usize],
    loss: Loss,
) -> Result<Flat<Cpu, T>, CoreError> {
    let (outputs, tape) = outputs.split_tape();
    let (rows, classes) = *outputs.shape();
    let values = view::rows(&outputs).chunks_exact(classes).zip(labels);
    let values: Vec<f32> = values.map(|(row, &label)| loss.value(row, label) as f32).collect();
    let labels = labels.to_vec();
    record(device, values, (rows,), tape, move |out, grads| {
        let weights = take!(grads, out);
        let gradient = grads.get_or_alloc_mut(&outputs)?;
        let each = view::rows(&outputs).chunks_exact(classes).zip(gradient.chunks_exact_mut(classes));
        for ((row, gradient), (&label, &weight)) in each.zip(labels.iter().zip(&weights)) {
            loss.backward(row, label, weight, gradient);
        }
        put!(grads, out, weights);
        Ok(())
    })
}
