//! Softmax along the last dimension.

use std::sync::Arc;

use walk_kernels::memory::{copied, zeros};
use walk_kernels::softmax::{softmax, softmax_backward, softmax_parallel, softmax_tangent_backward};

use super::{Call, ChannelOrder, FusedLayer, Inputs, Layout, Operand, Output, Pass, Recorder, Value};
use crate::CoreError;

/// Of rows of `len` elements.
pub(super) struct Softmax {
    pub(super) len: usize,
}

impl FusedLayer for Softmax {
    fn layout(&self) -> Layout {
        Layout { order: Some(ChannelOrder::ChannelsFirst), padded: false, output: Output::Over(0) }
    }

    fn evaluate(&self, call: Call<'_>) {
        softmax(call.y, self.len);
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        let (len, x) = (self.len, inputs.one());
        let mut y = copied(x.operand.values());
        softmax_parallel(&mut y, len);
        let values = Arc::new(y.clone());
        let y = pass.tape.map(&x.operand, y, move |dy, dx| softmax_backward(&values, dy, len, dx))?;
        let tangent = x.tangent.map(|dot_x| tangent(&mut pass.tape, y.clone(), dot_x, len)).transpose()?;
        Ok(Value::new(y, tangent))
    }
}

/// ẏ = y (ẋ - Σ y ẋ) for y = softmax x.
fn tangent(tape: &mut Recorder<'_>, y: Operand, dot_x: Operand, len: usize) -> Result<Operand, CoreError> {
    let mut dot_y = zeros(y.len());
    softmax_backward(y.values(), dot_x.values(), len, &mut dot_y);
    tape.record(dot_y, y.samples(), move |p, spent, _| {
        let (values, dots) = (y.values(), dot_x.values());
        y.update_gradient(|grad| softmax_tangent_backward(values, dots, &p, len, grad));
        dot_x.update_gradient(|grad| softmax_backward(values, &p, len, grad));
        spent.give(p);
        Ok(())
    })
}
