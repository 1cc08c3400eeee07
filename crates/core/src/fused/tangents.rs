//! Directional derivatives of the layers on dfdx's tape: ẏ for a direction ẋ of a layer's input and v of θ. Their
//! reverse pass gives Hessian-vector products.

use dfdx::prelude::*;
use walk_arch::{Activation, LayerParams};
use walk_kernels::batch_norm::Normalization;
use walk_kernels::conv::{self, Algorithm, ConvShape, InputGradient, PackedConv};
use walk_kernels::linear::{self as linear_kernel, LinearShape};
use walk_kernels::norm_tangent::NormDirection;

use super::ops::{NormUse, Operand, put, record, take};
use super::{kernel_activation, view};
use crate::backend::{BatchStatistics, Flat, Rows};
use crate::{CoreError, Loss};

/// A layer's input, its tangent (`None` for zero), and the parameters with their direction.
pub(super) struct Direction<'a> {
    pub(super) x: Operand,
    pub(super) dot_x: Option<Rows<Cpu>>,
    pub(super) theta: &'a Flat<Cpu>,
    pub(super) v: &'a Flat<Cpu>,
}

/// ẋ Wᵀ + x Vᵀ + v_b
pub(super) fn linear<T: Tape<f32, Cpu>>(
    device: &Cpu,
    direction: Direction<'_>,
    tape: T,
    params: &LayerParams,
) -> Result<Rows<Cpu, T>, CoreError> {
    let Direction { x: Operand { rows: x, tracked }, dot_x, theta, v } = direction;
    let (rows, in_features) = *x.shape();
    let shape = LinearShape { in_features, out_features: params.bias.len() };
    let weight = params.weight.clone();
    let dots = view::flat(v);
    let mut y = vec![0.0; rows * shape.out_features];
    linear_kernel::forward(shape, &dots[weight.clone()], &dots[params.bias.clone()], view::rows(&x), &mut y);
    if let Some(dot_x) = &dot_x {
        linear_kernel::add_product(shape, &view::flat(theta)[weight.clone()], view::rows(dot_x), &mut y);
    }
    let (theta, v) = (theta.clone(), v.clone());
    record(device, y, (rows, shape.out_features), tape, move |out, grads| {
        let p = take!(grads, out);
        if tracked {
            let mut dx = take!(grads, &x);
            linear_kernel::backward_input(shape, &view::flat(&v)[weight.clone()], &p, &mut dx);
            put!(grads, &x, dx);
        }
        if let Some(dot_x) = &dot_x {
            let mut grad = take!(grads, dot_x);
            linear_kernel::backward_input(shape, &view::flat(&theta)[weight.clone()], &p, &mut grad);
            put!(grads, dot_x, grad);
            let dweight = &mut grads.get_or_alloc_mut(&theta)?[weight];
            linear_kernel::backward_params(shape, view::rows(dot_x), &p, dweight, &mut []);
        }
        put!(grads, out, p);
        Ok(())
    })
}

/// ẋ * W + x * V + v_b
pub(super) fn conv2d<T: Tape<f32, Cpu>>(
    device: &Cpu,
    direction: Direction<'_>,
    tape: T,
    params: &LayerParams,
    (shape, algorithm): (ConvShape, Algorithm),
) -> Result<Rows<Cpu, T>, CoreError> {
    let Direction { x: Operand { rows: x, tracked }, dot_x, theta, v } = direction;
    let rows = x.shape().0;
    let weight = params.weight.clone();
    let forward = |values: &[f32], bias: &[f32], x: &Rows<Cpu>| {
        let mut packed = PackedConv::new(shape, algorithm);
        packed.pack(&values[weight.clone()], bias);
        let mut y = vec![0.0; rows * shape.out_len()];
        packed.forward_parallel(view::rows(x), &mut y);
        y
    };
    let dots = view::flat(v);
    let mut y = forward(dots, &dots[params.bias.clone()], &x);
    if let Some(dot_x) = &dot_x {
        walk_kernels::elementwise::add_parallel(&forward(view::flat(theta), &[], dot_x), &mut y);
    }
    let (theta, v) = (theta.clone(), v.clone());
    let weight = params.weight.clone();
    record(device, y, (rows, shape.out_len()), tape, move |out, grads| {
        let p = take!(grads, out);
        if tracked {
            let mut dx = take!(grads, &x);
            InputGradient::new(shape, algorithm, &view::flat(&v)[weight.clone()]).add(&p, &mut dx);
            put!(grads, &x, dx);
        }
        if let Some(dot_x) = &dot_x {
            let mut grad = take!(grads, dot_x);
            InputGradient::new(shape, algorithm, &view::flat(&theta)[weight.clone()]).add(&p, &mut grad);
            put!(grads, dot_x, grad);
            let dweight = &mut grads.get_or_alloc_mut(&theta)?[weight];
            conv::backward_params(&shape, algorithm, (view::rows(dot_x), &p), dweight, &mut []);
        }
        put!(grads, out, p);
        Ok(())
    })
}

/// What a batch norm's tangent and its gradient are computed from.
struct NormAt {
    x: Rows<Cpu>,
    dot_x: Option<Rows<Cpu>>,
    theta: Flat<Cpu>,
    v: Flat<Cpu>,
    params: LayerParams,
    statistics: BatchStatistics,
    eps: f32,
    batch_statistics: bool,
}

impl NormAt {
    fn direction(&self) -> NormDirection<'_> {
        let (point, dots) = (view::flat(&self.theta), view::flat(&self.v));
        let (scale, shift) = (&point[self.params.weight.clone()], &point[self.params.bias.clone()]);
        let (mean, var, eps) = (&self.statistics.mean, &self.statistics.var, self.eps);
        NormDirection {
            x: view::rows(&self.x),
            dot_x: self.dot_x.as_ref().map_or(&[], |dot_x| view::rows(dot_x)),
            norm: Normalization { mean, var, scale, shift, eps },
            dot_scale: &dots[self.params.weight.clone()],
            dot_shift: &dots[self.params.bias.clone()],
            batch_statistics: self.batch_statistics,
        }
    }
}

/// Batch norm's ẏ (see [`walk_kernels::norm_tangent`]) with the statistics that its values were computed with.
pub(super) fn batch_norm<T: Tape<f32, Cpu>>(
    device: &Cpu,
    direction: Direction<'_>,
    tape: T,
    params: &LayerParams,
    eps: f32,
    norm: NormUse,
) -> Result<Rows<Cpu, T>, CoreError> {
    let Direction { x: Operand { rows: x, tracked }, dot_x, theta, v } = direction;
    let shape = *x.shape();
    let (theta, v, params) = (theta.clone(), v.clone(), params.clone());
    let NormUse { statistics, of_batch: batch_statistics, .. } = norm;
    let at = NormAt { x, dot_x, theta, v, params, statistics, eps, batch_statistics };
    let mut y = vec![0.0; shape.0 * shape.1];
    at.direction().forward(&mut y);
    record(device, y, shape, tape, move |out, grads| {
        let p = take!(grads, out);
        let mut grad_x = if tracked { take!(grads, &at.x) } else { vec![0.0; p.len()] };
        let mut grad_dot_x = match &at.dot_x {
            Some(dot_x) => take!(grads, dot_x),
            None => vec![],
        };
        let grad_scale = &mut grads.get_or_alloc_mut(&at.theta)?[at.params.weight.clone()];
        at.direction().backward(&p, &mut grad_x, &mut grad_dot_x, grad_scale);
        if tracked {
            put!(grads, &at.x, grad_x);
        }
        if let Some(dot_x) = &at.dot_x {
            put!(grads, dot_x, grad_dot_x);
        }
        put!(grads, out, p);
        Ok(())
    })
}

/// f'(x) ẋ
pub(super) fn activation<T: Tape<f32, Cpu>>(
    device: &Cpu,
    x: Rows<Cpu>,
    dot_x: Rows<Cpu>,
    tape: T,
    activation: Activation,
) -> Result<Rows<Cpu, T>, CoreError> {
    let shape = *x.shape();
    let kernel = kernel_activation(activation);
    let mut y = vec![0.0; shape.0 * shape.1];
    kernel.tangent(view::rows(&x), view::rows(&dot_x), &mut y);
    record(device, y, shape, tape, move |out, grads| {
        let p = take!(grads, out);
        kernel.tangent_backward(view::rows(&x), view::rows(&dot_x), &p, grads.get_or_alloc_mut(&x)?);
        kernel.backward_parallel(view::rows(&x), &p, grads.get_or_alloc_mut(&dot_x)?);
        put!(grads, out, p);
        Ok(())
    })
}

/// ∇ℓ(z)·ż of every sample.
pub(super) fn losses<T: Tape<f32, Cpu>>(
    device: &Cpu,
    outputs: Rows<Cpu>,
    dot_outputs: Rows<Cpu>,
    tape: T,
    labels: &[usize],
    loss: Loss,
) -> Result<Flat<Cpu, T>, CoreError> {
    let (rows, classes) = *outputs.shape();
    let each = view::rows(&outputs).chunks_exact(classes).zip(view::rows(&dot_outputs).chunks_exact(classes));
    let values = each.zip(labels).map(|((z, dot), &label)| loss.tangent(z, label, dot) as f32).collect();
    let labels = labels.to_vec();
    record(device, values, (rows,), tape, move |out, grads| {
        let weights = take!(grads, out);
        let (z, dot) = (view::rows(&outputs), view::rows(&dot_outputs));
        let rows = |row: usize| row * classes..(row + 1) * classes;
        let grad = grads.get_or_alloc_mut(&outputs)?;
        for (row, &weight) in weights.iter().enumerate() {
            loss.hessian_product(&z[rows(row)], &dot[rows(row)], weight, &mut grad[rows(row)]);
        }
        let grad = grads.get_or_alloc_mut(&dot_outputs)?;
        for (row, (&weight, &label)) in weights.iter().zip(&labels).enumerate() {
            loss.backward(&z[rows(row)], label, weight, &mut grad[rows(row)]);
        }
        put!(grads, out, weights);
        Ok(())
    })
}
