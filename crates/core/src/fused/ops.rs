//! Layers as custom operations on dfdx's tape: forward and backward by walk-kernels.

use dfdx::prelude::*;
use walk_arch::Activation;
use walk_kernels::batch_norm::{self as norm_kernel, Normalization};
use walk_kernels::linear::{self as linear_kernel, LinearShape};

use super::{kernel_activation, view};
use crate::backend::{BatchStatistics, Flat, LinearLayer, NormLayer, Normed, Rows};
use crate::{CoreError, Loss};

type Grads = Gradients<f32, Cpu>;

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

/// A tensor of `values` and the operation that carries its gradient back.
fn record<S: Shape, T: Tape<f32, Cpu>>(
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
    x: Rows<Cpu, T>,
    theta: &Flat<Cpu>,
    layer: &LinearLayer,
) -> Result<Rows<Cpu, T>, CoreError> {
    let (x, tape) = x.split_tape();
    let rows = x.shape().0;
    let shape = LinearShape { in_features: layer.in_features, out_features: layer.out_features };
    let mut y = vec![0.0; rows * layer.out_features];
    let all = view::flat(theta);
    linear_kernel::forward(
        shape,
        &all[layer.weight.clone()],
        &all[layer.bias.clone()],
        view::rows(&x),
        &mut y,
    );
    let (theta, layer) = (theta.clone(), layer.clone());
    record(device, y, (rows, layer.out_features), tape, move |out, grads| {
        let dy = take!(grads, out);
        let mut dx = take!(grads, &x);
        linear_kernel::backward_input(shape, &view::flat(&theta)[layer.weight.clone()], &dy, &mut dx);
        put!(grads, &x, dx);
        let dtheta = grads.get_or_alloc_mut(&theta)?;
        let (dweight, dbias) = disjoint(dtheta, layer.weight, layer.bias);
        linear_kernel::backward_params(shape, view::rows(&x), &dy, dweight, dbias);
        put!(grads, out, dy);
        Ok(())
    })
}

/// Two neighbouring parts of a slice, weight before bias.
fn disjoint(
    all: &mut [f32],
    first: std::ops::Range<usize>,
    second: std::ops::Range<usize>,
) -> (&mut [f32], &mut [f32]) {
    let (head, tail) = all.split_at_mut(second.start);
    (&mut head[first], &mut tail[..second.len()])
}

pub(super) fn batch_norm<T: Tape<f32, Cpu>>(
    device: &Cpu,
    x: Rows<Cpu, T>,
    theta: &Flat<Cpu>,
    layer: &NormLayer,
) -> Result<Normed<Cpu, T>, CoreError> {
    let (x, tape) = x.split_tape();
    let shape = *x.shape();
    let (mean, var) = match &layer.running {
        Some(running) => running.clone(),
        None => {
            let (mut mean, mut var) = (vec![0.0; shape.1], vec![0.0; shape.1]);
            norm_kernel::moments(view::rows(&x), &mut mean, &mut var);
            (mean, var)
        }
    };
    let of_batch = layer.running.is_none();
    let statistics = of_batch.then(|| BatchStatistics { mean: mean.clone(), var: var.clone() });
    let mut y = view::rows(&x).to_vec();
    norm_kernel::normalize(&mut y, normalization(&mean, &var, theta, layer), false);
    let (theta, layer) = (theta.clone(), layer.clone());
    let y = record(device, y, shape, tape, move |out, grads| {
        let dy = take!(grads, out);
        let mut dx = take!(grads, &x);
        let dtheta = grads.get_or_alloc_mut(&theta)?;
        let (scale, shift) = disjoint(dtheta, layer.scale.clone(), layer.shift.clone());
        let gradients = norm_kernel::Gradients { input: &mut dx, scale, shift };
        let norm = normalization(&mean, &var, &theta, &layer);
        norm_kernel::backward(view::rows(&x), &dy, norm, of_batch, gradients);
        put!(grads, &x, dx);
        put!(grads, out, dy);
        Ok(())
    })?;
    Ok((y, statistics))
}

fn normalization<'a>(
    mean: &'a [f32],
    var: &'a [f32],
    theta: &'a Flat<Cpu>,
    layer: &NormLayer,
) -> Normalization<'a> {
    let theta = view::flat(theta);
    let (scale, shift) = (&theta[layer.scale.clone()], &theta[layer.shift.clone()]);
    Normalization { mean, var, scale, shift, eps: layer.eps }
}

pub(super) fn activation<T: Tape<f32, Cpu>>(
    device: &Cpu,
    x: Rows<Cpu, T>,
    activation: Activation,
) -> Result<Rows<Cpu, T>, CoreError> {
    let (x, tape) = x.split_tape();
    let shape = *x.shape();
    let kernel = kernel_activation(activation);
    let mut y = view::rows(&x).to_vec();
    kernel.apply(&mut y);
    record(device, y, shape, tape, move |out, grads| {
        let dy = take!(grads, out);
        kernel.backward(view::rows(&x), &dy, grads.get_or_alloc_mut(&x)?);
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
