//! Directional derivatives of the layers on dfdx's tape: ẏ for a direction ẋ of a layer's input and v of θ. Their
//! reverse pass gives Hessian-vector products.

use dfdx::prelude::*;
use walk_arch::{Activation, LayerParams};
use walk_kernels::batch_norm::{NormDirection, TangentGradients};
use walk_kernels::conv::{self, Algorithm, ConvShape, Fusion, InputGradient, PackedConv, ParamsBackward};
use walk_kernels::linear::{self as linear_kernel, LinearShape};
use walk_kernels::matmul::Write;
use walk_kernels::memory::zeros;

use super::ops::{NormUse, record_losses};
use super::tape::{Operand, TapeRecorder};
use super::view;
use crate::backend::{Flat, Rows};
use crate::kernel_activation::kernel_activation;
use crate::{CoreError, Loss};

/// A layer's input, its tangent (`None` for zero), and the parameters with their direction.
pub(super) struct Direction<'a> {
    pub(super) x: Operand,
    pub(super) dot_x: Option<Operand>,
    pub(super) theta: &'a Flat<Cpu>,
    pub(super) v: &'a Flat<Cpu>,
}

/// ẋ Wᵀ + x Vᵀ + v_b
pub(super) fn linear<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    direction: Direction<'_>,
    params: &LayerParams,
    shape: LinearShape,
) -> Result<Operand, CoreError> {
    let Direction { x, dot_x, theta, v } = direction;
    let weight = params.weight.clone();
    let dots = view::flat(v);
    let mut y = zeros(x.len() / shape.in_features * shape.out_features);
    let bias = &dots[params.bias.clone()];
    linear_kernel::forward(shape, &dots[weight.clone()], bias, view::rows(&x.rows), &mut y);
    if let Some(dot_x) = &dot_x {
        let weight = &view::flat(theta)[weight.clone()];
        linear_kernel::add_product(shape, weight, view::rows(&dot_x.rows), &mut y);
    }
    let (theta, v) = (theta.clone(), v.clone());
    tape.record(y, x.rows.shape().0, move |p, spent, grads| {
        let back = |input: &Operand, weight: &[f32]| {
            if let Some(slot) = &input.grad {
                slot.update(input.len(), |dx| linear_kernel::backward_input(shape, weight, &p, dx));
            }
        };
        back(&x, &view::flat(&v)[weight.clone()]);
        if let Some(dot_x) = &dot_x {
            back(dot_x, &view::flat(&theta)[weight.clone()]);
            let dweight = &mut grads.get_or_alloc_mut(&theta)?[weight];
            linear_kernel::backward_params(shape, view::rows(&dot_x.rows), &p, dweight, &mut []);
        }
        spent.give(p);
        Ok(())
    })
}

/// ẋ * W + x * V + v_b
pub(super) fn conv2d<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    direction: Direction<'_>,
    params: &LayerParams,
    shape: ConvShape,
    algorithm: Algorithm,
) -> Result<Operand, CoreError> {
    let Direction { x, dot_x, theta, v } = direction;
    let rows = x.rows.shape().0;
    let weight = params.weight.clone();
    let forward = |values: &[f32], bias: &[f32], x: &Operand, write: Write, y: &mut [f32]| {
        let mut packed = PackedConv::new(shape, algorithm);
        packed.pack(&values[weight.clone()], bias);
        packed.forward_parallel(view::rows(&x.rows), y, Fusion { norm: None, write }, None);
    };
    let mut y = zeros(rows * shape.out_len());
    let dots = view::flat(v);
    forward(dots, &dots[params.bias.clone()], &x, Write::Replace, &mut y);
    if let Some(dot_x) = &dot_x {
        forward(view::flat(theta), &[], dot_x, Write::Add, &mut y);
    }
    let (theta, v) = (theta.clone(), v.clone());
    let weight = params.weight.clone();
    tape.record(y, rows, move |p, spent, grads| {
        let back = |input: &Operand, weight: &[f32]| {
            let Some(slot) = &input.grad else { return };
            let before = slot.take();
            let write = if before.is_empty() { Write::Replace } else { Write::Add };
            let mut dx = if before.is_empty() { spent.take(input.len()) } else { before };
            InputGradient::new(shape, algorithm, weight).write(&p, &mut dx, write);
            slot.replace(dx);
        };
        back(&x, &view::flat(&v)[weight.clone()]);
        if let Some(dot_x) = &dot_x {
            back(dot_x, &view::flat(&theta)[weight.clone()]);
            let dweight = &mut grads.get_or_alloc_mut(&theta)?[weight];
            let backward = ParamsBackward { x: view::rows(&dot_x.rows), norm: None, dy: &p };
            conv::backward_params(&shape, algorithm, backward, dweight, &mut []);
        }
        spent.give(p);
        Ok(())
    })
}

/// The operands of a batch norm's tangent and of its gradient.
struct NormAt {
    x: Operand,
    dot_x: Option<Operand>,
    theta: Flat<Cpu>,
    v: Flat<Cpu>,
    norm: NormUse,
}

impl NormAt {
    fn direction(&self) -> NormDirection<'_> {
        let (params, dots) = (&self.norm.params, view::flat(&self.v));
        NormDirection {
            x: view::rows(&self.x.rows),
            dot_x: self.dot_x.as_ref().map_or(&[], |dot_x| view::rows(&dot_x.rows)),
            norm: self.norm.normalization(view::flat(&self.theta)),
            dot_scale: &dots[params.weight.clone()],
            dot_shift: &dots[params.bias.clone()],
            batch_statistics: self.norm.of_batch,
        }
    }
}

/// Batch norm's ẏ (see [`NormDirection`]) with the statistics that its values were computed with.
pub(super) fn batch_norm<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    direction: Direction<'_>,
    norm: NormUse,
) -> Result<Operand, CoreError> {
    let Direction { x, dot_x, theta, v } = direction;
    let rows = x.rows.shape().0;
    let at = NormAt { x, dot_x, theta: theta.clone(), v: v.clone(), norm };
    let mut y = zeros(at.x.len());
    let tangent = at.direction().forward(&mut y);
    tape.record(y, rows, move |p, spent, grads| {
        let mut grad_x = spent.take(p.len());
        let mut grad_dot_x = at.dot_x.as_ref().map(|_| spent.take(p.len())).unwrap_or_default();
        let scale = &mut grads.get_or_alloc_mut(&at.theta)?[at.norm.params.weight.clone()];
        let gradients = TangentGradients { x: &mut grad_x, dot_x: &mut grad_dot_x, scale };
        at.direction().backward(&tangent, &p, gradients);
        let slots = [at.x.grad.as_ref(), at.dot_x.as_ref().and_then(|dot_x| dot_x.grad.as_ref())];
        for (slot, gradient) in slots.into_iter().zip([grad_x, grad_dot_x]) {
            match slot {
                Some(slot) => slot.add(gradient, spent),
                None => spent.give(gradient),
            }
        }
        spent.give(p);
        Ok(())
    })
}

/// f'(x) ẋ
pub(super) fn activation<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: Operand,
    dot_x: Operand,
    activation: Activation,
) -> Result<Operand, CoreError> {
    let kernel = kernel_activation(activation);
    let mut y = zeros(x.len());
    kernel.backward_parallel(view::rows(&x.rows), view::rows(&dot_x.rows), &mut y);
    tape.record(y, x.rows.shape().0, move |p, spent, _| {
        let (values, dots) = (view::rows(&x.rows), view::rows(&dot_x.rows));
        if let (Some(slot), true) = (&x.grad, kernel.is_curved()) {
            slot.update(p.len(), |dx| kernel.tangent_backward(values, dots, &p, dx));
        }
        if let Some(slot) = &dot_x.grad {
            slot.update(p.len(), |dx| kernel.backward_parallel(values, &p, dx));
        }
        spent.give(p);
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
    let (_, classes) = *outputs.shape();
    let samples =
        view::rows(&outputs).chunks_exact(classes).zip(view::rows(&dot_outputs).chunks_exact(classes));
    let values = samples.zip(labels).map(|((z, dot), &label)| loss.tangent(z, label, dot) as f32).collect();
    let labels = labels.to_vec();
    record_losses(device, values, tape, move |weights, grads| {
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
        Ok(())
    })
}
