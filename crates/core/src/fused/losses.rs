//! The losses of samples on dfdx's tape, and their derivatives along a direction.

use dfdx::prelude::*;

use super::tape::Grads;
use super::view;
use crate::tensors::{Flat, Rows};
use crate::{CoreError, Loss};

/// ℓ(z) of every sample.
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
    record(device, values, tape, move |weights, grads| {
        let gradient = grads.get_or_alloc_mut(&outputs)?;
        let samples = view::rows(&outputs).chunks_exact(classes).zip(gradient.chunks_exact_mut(classes));
        for ((row, gradient), (&label, &weight)) in samples.zip(labels.iter().zip(weights)) {
            loss.backward(row, label, weight, gradient);
        }
        Ok(())
    })
}

/// ∇ℓ(z)·ż of every sample.
pub(super) fn directional<T: Tape<f32, Cpu>>(
    device: &Cpu,
    outputs: Rows<Cpu, T>,
    dot_outputs: Rows<Cpu>,
    labels: &[usize],
    loss: Loss,
) -> Result<Flat<Cpu, T>, CoreError> {
    let (outputs, tape) = outputs.split_tape();
    let (_, classes) = *outputs.shape();
    let samples =
        view::rows(&outputs).chunks_exact(classes).zip(view::rows(&dot_outputs).chunks_exact(classes));
    let values = samples.zip(labels).map(|((z, dot), &label)| loss.tangent(z, label, dot) as f32).collect();
    let labels = labels.to_vec();
    record(device, values, tape, move |weights, grads| {
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

/// One value per sample as a tensor, and the operation that carries its gradient back.
fn record<T: Tape<f32, Cpu>>(
    device: &Cpu,
    values: Vec<f32>,
    mut tape: T,
    backward: impl FnOnce(&[f32], &mut Grads) -> Result<(), CpuError> + 'static,
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
