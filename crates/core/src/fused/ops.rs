//! Layers on vectors, activations and losses as custom operations on dfdx's tape: forward and backward by walk-kernels.

use std::ops::Range;

use dfdx::prelude::*;
use walk_arch::{Activation, LayerParams};
use walk_kernels::batch_norm::{self as norm_kernel, Moments, NormBackward, Normalization, Normalizer};
use walk_kernels::elementwise::add_parallel;
use walk_kernels::linear::{self as linear_kernel, LinearShape};
use walk_kernels::memory::{copied, zeros};
use walk_kernels::rows::Threads;
use walk_kernels::sample_norms::add_bias_norms_sq;
use walk_kernels::scale_shift::{Columns, Trained};

use super::tape::{Operand, TapeRecorder};
use super::view;
use crate::backend::BatchStatistics;
use crate::kernel_activation::kernel_activation;
use crate::tensors::{Flat, Rows};
use crate::{CoreError, Loss};

pub(super) fn linear<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: Operand,
    theta: &Flat<Cpu>,
    params: &LayerParams,
    shape: LinearShape,
) -> Result<Operand, CoreError> {
    let mut y = zeros(x.len() / shape.in_features * shape.out_features);
    let all = view::flat(theta);
    let (weight, bias) = (&all[params.weight.clone()], &all[params.bias.clone()]);
    linear_kernel::forward(shape, weight, bias, x.values(), &mut y);
    let (theta, params, norms) = (theta.clone(), params.clone(), tape.norms.clone());
    tape.record(y, x.samples(), move |dy, spent, grads| {
        let weight = &view::flat(&theta)[params.weight.clone()];
        x.update_gradient(|dx| linear_kernel::backward_input(shape, weight, &dy, dx));
        let values = x.values();
        if let Some(norms) = norms {
            norms.update(|norms| {
                linear_kernel::add_weight_norms_sq(shape, values, &dy, norms);
                if !params.bias.is_empty() {
                    add_bias_norms_sq(&dy, shape.out_features, norms);
                }
            });
        } else {
            let dtheta = grads.get_or_alloc_mut(&theta)?;
            let [dweight, dbias] = disjoint(dtheta, params.weight, params.bias);
            linear_kernel::backward_params(shape, values, &dy, dweight, dbias);
        }
        spent.give(dy);
        Ok(())
    })
}

/// Two adjacent parts of a slice, weight before bias.
pub(super) fn disjoint(all: &mut [f32], first: Range<usize>, second: Range<usize>) -> [&mut [f32]; 2] {
    let (head, tail) = all.split_at_mut(second.start);
    [&mut head[first], &mut tail[..second.len()]]
}

/// Mean and variance of each channel, the last dimension of the values.
pub(super) fn batch_statistics(x: &Rows<Cpu>, channels: usize) -> BatchStatistics {
    statistics(&Moments::of(view::rows(x), channels, Threads::All))
}

/// Moments in the form that a backend reports.
pub(super) fn statistics(moments: &Moments) -> BatchStatistics {
    BatchStatistics { mean: moments.mean(), var: moments.var(), count: moments.count() }
}

/// A batch norm, and the ReLU after it if that is fused with it.
#[derive(Clone)]
pub(super) struct NormUse {
    /// Where γ and β lie.
    pub(super) params: LayerParams,
    pub(super) eps: f32,
    /// Mean and variance to use.
    pub(super) statistics: BatchStatistics,
    /// Whether they are the batch's, functions of the values.
    pub(super) of_batch: bool,
    pub(super) relu: bool,
}

impl NormUse {
    pub(super) fn normalization<'a>(&'a self, theta: &'a [f32]) -> Normalization<'a> {
        let (scale, shift) = (&theta[self.params.weight.clone()], &theta[self.params.bias.clone()]);
        let BatchStatistics { mean, var, .. } = &self.statistics;
        Normalization { mean, var, scale, shift, eps: self.eps }
    }

    pub(super) fn normalizer(&self, theta: &Flat<Cpu>) -> Normalizer {
        Normalizer::new(self.normalization(view::flat(theta)), self.relu)
    }

    /// (x - μ) / √(σ² + ε)
    fn standardized(&self, x: &[f32]) -> Vec<f32> {
        let BatchStatistics { mean, var, .. } = &self.statistics;
        let (ones, none) = (vec![1.0; mean.len()], vec![0.0; mean.len()]);
        let plain = Normalization { mean, var, scale: &ones, shift: &none, eps: self.eps };
        let mut hat = zeros(x.len());
        Normalizer::new(plain, false).apply_parallel(x, &mut hat);
        hat
    }

    pub(super) fn backward(&self, theta: &Flat<Cpu>) -> NormBackward {
        NormBackward::new(self.normalization(view::flat(theta)), self.relu, self.of_batch)
    }
}

/// Batch norm of values whose last dimension is the channel: vectors, or images with channels last.
pub(super) fn batch_norm<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: Operand,
    theta: &Flat<Cpu>,
    norm: NormUse,
) -> Result<Operand, CoreError> {
    let mut y = zeros(x.len());
    norm.normalizer(theta).apply_parallel(x.values(), &mut y);
    let (theta, norms) = (theta.clone(), tape.norms.clone());
    tape.record(y, x.samples(), move |mut dy, spent, grads| {
        if let Some(norms) = &norms {
            let hat = norm.standardized(x.values());
            let columns = Columns { columns: norm.params.weight.len(), inner: 1 };
            norms.update(|norms| {
                columns.add_sample_norms_sq(&hat, &dy, Trained { scale: true, shift: true }, norms)
            });
        }
        let before = x.grad.as_ref().map(|slot| slot.take()).unwrap_or_default();
        let sums = norm_kernel::backward(&norm.backward(&theta), x.values(), &mut dy, &before);
        if norms.is_none() {
            let dtheta = grads.get_or_alloc_mut(&theta)?;
            let [scale, shift] = disjoint(dtheta, norm.params.weight.clone(), norm.params.bias.clone());
            sums.add_to(scale, shift);
        }
        match &x.grad {
            Some(slot) => slot.replace(dy),
            None => spent.give(dy),
        }
        Ok(())
    })
}

pub(super) fn activation<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: Operand,
    activation: Activation,
) -> Result<Operand, CoreError> {
    let kernel = kernel_activation(activation);
    let mut y = copied(x.values());
    kernel.apply_parallel(&mut y);
    let input = x.rows.clone();
    tape.map(&x, y, move |dy, dx| kernel.backward_parallel(view::rows(&input), dy, dx))
}

pub(super) fn add<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    a: Operand,
    b: Operand,
) -> Result<Operand, CoreError> {
    let rows = a.samples();
    let mut y = copied(a.values());
    add_parallel(b.values(), &mut y);
    if a.grad.is_none() && b.grad.is_none() {
        return tape.constant(y, rows);
    }
    tape.record(y, rows, move |dy, spent, _| {
        if let (Some(a), Some(b)) = (&a.grad, &b.grad) {
            let mut copy = spent.take(dy.len());
            copy.copy_from_slice(&dy);
            b.add(copy, spent);
            a.add(dy, spent);
        } else if let Some(slot) = a.grad.or(b.grad) {
            slot.add(dy, spent);
        }
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
    let (_, classes) = *outputs.shape();
    let values = view::rows(&outputs).chunks_exact(classes).zip(labels);
    let values: Vec<f32> = values.map(|(row, &label)| loss.value(row, label) as f32).collect();
    let labels = labels.to_vec();
    record_losses(device, values, tape, move |weights, grads| {
        let gradient = grads.get_or_alloc_mut(&outputs)?;
        let samples = view::rows(&outputs).chunks_exact(classes).zip(gradient.chunks_exact_mut(classes));
        for ((row, gradient), (&label, &weight)) in samples.zip(labels.iter().zip(weights)) {
            loss.backward(row, label, weight, gradient);
        }
        Ok(())
    })
}

/// One value per sample as a tensor, and the operation that carries its gradient back.
pub(super) fn record_losses<T: Tape<f32, Cpu>>(
    device: &Cpu,
    values: Vec<f32>,
    mut tape: T,
    backward: impl FnOnce(&[f32], &mut super::tape::Grads) -> Result<(), CpuError> + 'static,
) -> Result<Flat<Cpu, T>, CoreError> {
    let rows = values.len();
    let out = device.try_tensor_from_vec(values, (rows,)).map_err(CoreError::device)?;
    if T::OWNS_TAPE {
        let out = out.clone();
        tape.add_backward_op(move |grads| {
            let weights = std::mem::take(&mut **grads.get_or_alloc_mut(&out)?);
            backward(&weights, grads)?;
            **grads.get_or_alloc_mut(&out)? = weights;
            Ok(())
        });
    }
    Ok(out.put_tape(tape))
}
