//! x γ + β, including a trained scale or bias, and the layers that standardize first: layer and group norm.

use std::sync::Arc;

use walk_arch::{Layer, LayerParams};
use walk_kernels::memory::{copied, zeros};
use walk_kernels::scale_shift::{Columns, Trained};
use walk_kernels::standardize as kernel;

use super::super::view;
use super::{
    Call, ChannelOrder, FusedLayer, Inputs, Layout, Operand, Output, Parameters, Pass, Recorder, Value,
    params, values,
};
use crate::row_norm::{RowNorm, trained_columns};
use crate::{CoreError, Point};

pub(super) struct ScaleShift {
    /// Where γ and β lie; either is empty where there is none.
    params: LayerParams,
    columns: Columns,
    /// The preceding standardization, for layer and group norm.
    norm: Option<RowNorm>,
    packed: [Vec<f32>; 2],
}

impl ScaleShift {
    pub(super) fn new(layer: &Layer) -> Self {
        let [columns, inner] = trained_columns(&layer.op, &layer.shape);
        let (params, columns) = (params(layer), Columns { columns, inner });
        let norm = RowNorm::new(&layer.op, &layer.shape);
        Self { params, columns, norm, packed: Default::default() }
    }

    /// x γ + β; its tangent is ẋ γ + x γ̇ + β̇.
    fn scaled(&self, pass: &mut Pass<'_>, x: Value) -> Result<Value, CoreError> {
        let (columns, theta) = (self.columns, pass.parameters(&self.params));
        let tape = &mut pass.tape;
        let y = scale_shift(tape, &x.operand, columns, &theta, true)?;
        let Some(v) = pass.direction else { return Ok(Value::new(y, None)) };
        let without_scale = theta.weight().is_empty();
        let own = if without_scale {
            let rows = x.operand.samples();
            &tape.constant(zeros(x.operand.len()), rows)?
        } else {
            &x.operand
        };
        let own = scale_shift(tape, own, columns, &Parameters::new(v, &self.params), false)?;
        let scaled = match x.tangent {
            Some(dot) if !without_scale => {
                Some(scale_shift(tape, &dot, columns, &theta.without_bias(), true)?)
            }
            dot => dot,
        };
        let tangent = pass.sum(Some(own), scaled)?;
        Ok(Value::new(y, tangent))
    }
}

impl FusedLayer for ScaleShift {
    fn layout(&self) -> Layout {
        Layout { order: Some(ChannelOrder::ChannelsFirst), padded: false, output: Output::Over(0) }
    }

    fn pack(&mut self, point: &Point) {
        self.packed = values(point, &self.params).map(<[f32]>::to_vec);
    }

    fn evaluate(&self, Call { y, .. }: Call<'_>) {
        if let Some(RowNorm { len, eps }) = self.norm {
            kernel::standardize(y, len, eps);
        }
        let [scale, shift] = &self.packed;
        self.columns.apply(y, scale, shift);
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        let x = inputs.one();
        let x = match self.norm {
            Some(norm) => standardized(pass, x, norm)?,
            None => x,
        };
        if self.params.weight.is_empty() && self.params.bias.is_empty() {
            return Ok(x);
        }
        self.scaled(pass, x)
    }
}

/// x̂ = r (x - mean x) with r = 1/√(σ² + ε) of each row; its tangent is ẋ̂ = r (ẋ - mean ẋ - x̂ mean(x̂ ẋ)).
fn standardized(pass: &mut Pass<'_>, x: Value, RowNorm { len, eps }: RowNorm) -> Result<Value, CoreError> {
    let mut hat = copied(x.operand.values());
    let r = Arc::new(kernel::standardize_parallel(&mut hat, len, eps));
    let (values, factors) = (hat.clone(), r.clone());
    let hat = pass.tape.map(&x.operand, hat, move |dy, dx| {
        kernel::standardize_backward(&values, &factors, dy, len, dx);
    })?;
    let Some(dot_x) = x.tangent else { return Ok(Value::new(hat, None)) };
    let (x, values) = (x.operand, hat.rows.clone());
    let mut dot = zeros(x.len());
    kernel::standardize_backward(view::rows(&values), &r, dot_x.values(), len, &mut dot);
    let dot = pass.tape.record(dot, x.samples(), move |p, spent, _| {
        let (hat, dots) = (view::rows(&values), dot_x.values());
        x.update_gradient(|grad| kernel::standardize_tangent_backward(hat, &r, dots, &p, len, grad));
        dot_x.update_gradient(|grad| kernel::standardize_backward(hat, &r, &p, len, grad));
        spent.give(p);
        Ok(())
    })?;
    Ok(Value::new(hat, Some(dot)))
}

/// x γ + β. Parameters that are not `trained` are constants.
fn scale_shift(
    tape: &mut Recorder<'_>,
    x: &Operand,
    columns: Columns,
    params: &Parameters,
    trained: bool,
) -> Result<Operand, CoreError> {
    let mut y = copied(x.values());
    columns.apply_parallel(&mut y, params.weight(), params.bias());
    let (x, params, norms) = (x.clone(), params.clone(), tape.norms.clone());
    tape.record(y, x.samples(), move |mut dy, spent, grads| {
        if let (true, Some(norms)) = (trained, &norms) {
            let trained = Trained { scale: !params.weight().is_empty(), shift: !params.bias().is_empty() };
            norms.update(|norms| columns.add_sample_norms_sq(x.values(), &dy, trained, norms));
        } else if trained {
            let [scale, shift] = params.gradients(grads)?;
            columns.backward_params(x.values(), &dy, scale, shift);
        }
        if x.grad.is_some() {
            columns.apply_parallel(&mut dy, params.weight(), &[]);
        }
        x.add_gradient(dy, spent);
        Ok(())
    })
}
