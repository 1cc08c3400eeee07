//! Layers on values of any shape as custom operations on dfdx's tape, and their tangents.

use std::sync::Arc;

use dfdx::prelude::*;
use walk_arch::LayerParams;
use walk_kernels::batch_matmul::BatchMatmul;
use walk_kernels::elementwise::add_product_parallel;
use walk_kernels::matmul::Write;
use walk_kernels::memory::{copied, zeros};
use walk_kernels::rearrange::Rearrangement;
use walk_kernels::scale_shift::{Columns, Trained};
use walk_kernels::softmax as softmax_kernel;
use walk_kernels::standardize as standardize_kernel;

use super::ops::disjoint;
use super::tape::{Operand, TapeRecorder};
use super::view;
use crate::CoreError;
use crate::tensors::Flat;

pub(super) fn rearrange<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: &Operand,
    rearrangement: &Arc<Rearrangement>,
) -> Result<Operand, CoreError> {
    let mut y = zeros(x.samples() * rearrangement.from.len());
    rearrangement.apply_parallel(x.values(), &mut y);
    let rearrangement = rearrangement.clone();
    tape.map(x, y, move |dy, dx| rearrangement.backward(dy, dx))
}

/// x times constants.
pub(super) fn times<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: &Operand,
    constants: &Arc<Vec<f32>>,
) -> Result<Operand, CoreError> {
    let mut y = zeros(x.len());
    add_product_parallel(x.values(), constants, &mut y);
    let constants = constants.clone();
    tape.map(x, y, move |dy, dx| add_product_parallel(dy, &constants, dx))
}

pub(super) fn mul<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    a: Operand,
    b: Operand,
) -> Result<Operand, CoreError> {
    let mut y = zeros(a.len());
    add_product_parallel(a.values(), b.values(), &mut y);
    let rows = a.samples();
    tape.record(y, rows, move |dy, spent, _| {
        for (one, other) in [(&a, &b), (&b, &a)] {
            one.update_gradient(|grad| add_product_parallel(&dy, other.values(), grad));
        }
        spent.give(dy);
        Ok(())
    })
}

pub(super) fn matmul<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    a: Operand,
    b: Operand,
    shape: BatchMatmul,
) -> Result<Operand, CoreError> {
    let pairs = a.len() / (shape.rows * shape.inner);
    let mut y = zeros(pairs * shape.rows * shape.columns);
    shape.apply_parallel(a.values(), b.values(), &mut y, Write::Replace);
    let rows = a.samples();
    tape.record(y, rows, move |dy, spent, _| {
        let (a_values, b_values) = (a.values(), b.values());
        a.update_gradient(|grad| shape.backward_a(b_values, &dy, grad));
        b.update_gradient(|grad| shape.backward_b(a_values, &dy, grad));
        spent.give(dy);
        Ok(())
    })
}

/// Softmax of rows of `len` elements.
pub(super) fn softmax<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: &Operand,
    len: usize,
) -> Result<Operand, CoreError> {
    let mut y = copied(x.values());
    softmax_kernel::softmax_parallel(&mut y, len);
    let values = Arc::new(y.clone());
    tape.map(x, y, move |dy, dx| softmax_kernel::softmax_backward(&values, dy, len, dx))
}

/// ẏ = y (ẋ - Σ y ẋ) for y = softmax x.
pub(super) fn softmax_tangent<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    y: Operand,
    dot_x: Operand,
    len: usize,
) -> Result<Operand, CoreError> {
    let mut dot_y = zeros(y.len());
    softmax_kernel::softmax_backward(y.values(), dot_x.values(), len, &mut dot_y);
    tape.record(dot_y, y.samples(), move |p, spent, _| {
        let (values, dots) = (y.values(), dot_x.values());
        y.update_gradient(|grad| softmax_kernel::softmax_tangent_backward(values, dots, &p, len, grad));
        dot_x.update_gradient(|grad| softmax_kernel::softmax_backward(values, &p, len, grad));
        spent.give(p);
        Ok(())
    })
}

/// x̂ of rows of `len` elements, and each row's 1/√(σ² + ε).
pub(super) struct Standardized {
    pub(super) hat: Operand,
    pub(super) r: Arc<Vec<f32>>,
    pub(super) len: usize,
}

pub(super) fn standardize<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: &Operand,
    len: usize,
    eps: f32,
) -> Result<Standardized, CoreError> {
    let mut hat = copied(x.values());
    let r = Arc::new(standardize_kernel::standardize_parallel(&mut hat, len, eps));
    let (values, factors) = (hat.clone(), r.clone());
    let hat = tape.map(x, hat, move |dy, dx| {
        standardize_kernel::standardize_backward(&values, &factors, dy, len, dx)
    })?;
    Ok(Standardized { hat, r, len })
}

/// ẋ̂ = r (ẋ - mean ẋ - x̂ mean(x̂ ẋ)).
pub(super) fn standardize_tangent<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: Operand,
    dot_x: Operand,
    standardized: &Standardized,
) -> Result<Operand, CoreError> {
    let Standardized { hat, r, len } = standardized;
    let (hat, r, len) = (hat.rows.clone(), r.clone(), *len);
    let mut y = zeros(x.len());
    standardize_kernel::standardize_backward(view::rows(&hat), &r, dot_x.values(), len, &mut y);
    tape.record(y, x.samples(), move |p, spent, _| {
        let (hat, dots) = (view::rows(&hat), dot_x.values());
        x.update_gradient(|grad| {
            standardize_kernel::standardize_tangent_backward(hat, &r, dots, &p, len, grad);
        });
        dot_x.update_gradient(|grad| standardize_kernel::standardize_backward(hat, &r, &p, len, grad));
        spent.give(p);
        Ok(())
    })
}

/// Where the γ and β of a layer come from.
#[derive(Clone, Copy)]
pub(super) struct ScaleShift<'a> {
    /// θ, or a direction of it.
    pub(super) source: &'a Flat<Cpu>,
    pub(super) params: &'a LayerParams,
    pub(super) columns: Columns,
    /// Whether `source` gets their gradients; otherwise they are constants.
    pub(super) trained: bool,
}

/// x γ + β
pub(super) fn scale_shift<T: Tape<f32, Cpu>>(
    tape: &mut TapeRecorder<'_, T>,
    x: &Operand,
    ScaleShift { source, params, columns, trained }: ScaleShift<'_>,
) -> Result<Operand, CoreError> {
    let mut y = copied(x.values());
    let all = view::flat(source);
    columns.apply_parallel(&mut y, &all[params.weight.clone()], &all[params.bias.clone()]);
    let (x, source, params, norms) = (x.clone(), source.clone(), params.clone(), tape.norms.clone());
    tape.record(y, x.samples(), move |mut dy, spent, grads| {
        if let (true, Some(norms)) = (trained, &norms) {
            let trained = Trained { scale: !params.weight.is_empty(), shift: !params.bias.is_empty() };
            norms.update(|norms| columns.add_sample_norms_sq(x.values(), &dy, trained, norms));
        } else if trained {
            let dsource = grads.get_or_alloc_mut(&source)?;
            let [scale, shift] = disjoint(dsource, params.weight.clone(), params.bias.clone());
            columns.backward_params(x.values(), &dy, scale, shift);
        }
        if x.grad.is_some() {
            columns.apply_parallel(&mut dy, &view::flat(&source)[params.weight.clone()], &[]);
        }
        x.add_gradient(dy, spent);
        Ok(())
    })
}
