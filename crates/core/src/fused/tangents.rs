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
use crate::kernel_activation::kernel_activation;
use crate::tensors::{Flat, Rows};
use crate::{CoreError, Loss};

/// A layer's input, its tangent (`None` for zero), and the parameters with their direction.
pub(super) struct Direction {
    pub(super) x: Operand,
    pub(super) dot_x: Option<Operand>,
    pub(super) theta: Flat<Cpu>,
    pub(super) v: Flat<Cpu>,
}

/// ẋ Wᵀ + x Vᵀ + v_b
pub(super) fn linear<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    direction: Direction,
    params: &LayerParams,
    shape: LinearShape,
) -> Result<Operand, CoreError> {
    let Direction { x, dot_x, theta, v } = direction;
    let weight = params.weight.clone();
    let dots = view::flat(&v);
    let mut y = zeros(x.len() / shape.in_features * shape.out_features);
    let bias = &dots[params.bias.clone()];
    linear_kernel::forward(shape, &dots[weight.clone()], bias, x.values(), &mut y);
    if let Some(dot_x) = &dot_x {
        let weight = &view::flat(&theta)[weight.clone()];
        linear_kernel::product(shape, weight, dot_x.values(), &mut y, Write::Add);
    }
    tape.record(y, x.samples(), move |p, spent, grads| {
        let back = |input: &Operand, weight: &[f32]| {
            input.update_gradient(|dx| linear_kernel::backward_input(shape, weight, &p, dx));
        };
        back(&x, &view::flat(&v)[weight.clone()]);
        if let Some(dot_x) = &dot_x {
            back(dot_x, &view::flat(&theta)[weight.clone()]);
            let dweight = &mut grads.get_or_alloc_mut(&theta)?[weight];
            linear_kernel::backward_params(shape, dot_x.values(), &p, dweight, &mut []);
        }
        spent.give(p);
        Ok(())
    })
}

/// ẋ * W + x * V + v_b
pub(super) fn conv2d<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    direction: Direction,
    params: &LayerParams,
    shape: ConvShape,
    algorithm: Algorithm,
) -> Result<Operand, CoreError> {
    let Direction { x, dot_x, theta, v } = direction;
    let rows = x.samples();
    let weight = params.weight.clone();
    let forward = |values: &[f32], bias: &[f32], x: &Operand, write: Write, y: &mut [f32]| {
        let mut packed = PackedConv::new(shape, algorithm);
        packed.pack(&values[weight.clone()], bias);
        packed.forward_parallel(x.values(), y, Fusion { norm: None, write }, None);
    };
    let mut y = zeros(rows * shape.out_len());
    let dots = view::flat(&v);
    forward(dots, &dots[params.bias.clone()], &x, Write::Replace, &mut y);
    if let Some(dot_x) = &dot_x {
        forward(view::flat(&theta), &[], dot_x, Write::Add, &mut y);
    }
    let weight = params.weight.clone();
    tape.record(y, rows, move |p, spent, grads| {
        let back = |input: &Operand, weight: &[f32]| {
            input.write_gradient(spent, |dx, write| {
                InputGradient::new(shape, algorithm, weight).write(&p, dx, write);
            });
        };
        back(&x, &view::flat(&v)[weight.clone()]);
        if let Some(dot_x) = &dot_x {
            back(dot_x, &view::flat(&theta)[weight.clone()]);
            let dweight = &mut grads.get_or_alloc_mut(&theta)?[weight];
            let backward = ParamsBackward { x: dot_x.values(), norm: None, dy: &p };
            conv::backward_params(&shape, algorithm, backward, dweight, &mut []);
        }
        spent.give(p);
        Ok(())
    })
}

impl Direction {
    fn through<'a>(&'a self, norm: &'a NormUse) -> NormDirection<'a> {
        let dots = view::flat(&self.v);
        NormDirection {
            x: self.x.values(),
            dot_x: self.dot_x.as_ref().map_or(&[], Operand::values),
            norm: norm.normalization(view::flat(&self.theta)),
            dot_scale: &dots[norm.params.weight.clone()],
            dot_shift: &dots[norm.params.bias.clone()],
            batch_statistics: norm.of_batch,
        }
    }
}

/// Batch norm's ẏ (see [`NormDirection`]) with the statistics that its values were computed with.
pub(super) fn batch_norm<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    direction: Direction,
    norm: NormUse,
) -> Result<Operand, CoreError> {
    let mut y = zeros(direction.x.len());
    let tangent = direction.through(&norm).forward(&mut y);
    tape.record(y, direction.x.samples(), move |p, spent, grads| {
        let Direction { x, dot_x, theta, .. } = &direction;
        let mut grad_x = spent.take(p.len());
        let mut grad_dot_x = dot_x.as_ref().map(|_| spent.take(p.len())).unwrap_or_default();
        let scale = &mut grads.get_or_alloc_mut(theta)?[norm.params.weight.clone()];
        let gradients = TangentGradients { x: &mut grad_x, dot_x: &mut grad_dot_x, scale };
        direction.through(&norm).backward(&tangent, &p, gradients);
        x.add_gradient(grad_x, spent);
        if let Some(dot_x) = dot_x {
            dot_x.add_gradient(grad_dot_x, spent);
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
    kernel.backward_parallel(x.values(), dot_x.values(), &mut y);
    tape.record(y, x.samples(), move |p, spent, _| {
        let (values, dots) = (x.values(), dot_x.values());
        if kernel.is_curved() {
            x.update_gradient(|dx| kernel.tangent_backward(values, dots, &p, dx));
        }
        dot_x.update_gradient(|dx| kernel.backward_parallel(values, &p, dx));
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
