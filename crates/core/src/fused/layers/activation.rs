//! Pointwise nonlinearities.

use walk_kernels::activation::Activation as Kernel;
use walk_kernels::memory::{copied, zeros};

use super::super::view;
use super::{Call, FusedLayer, Inputs, Layout, Operand, Output, Pass, Recorder, Value};
use crate::CoreError;

pub(super) struct Activation(pub(super) Kernel);

impl FusedLayer for Activation {
    fn layout(&self) -> Layout {
        // what it makes of padding is skipped as padding is
        Layout { order: None, padded: true, output: Output::Over(0) }
    }

    fn evaluate(&self, call: Call<'_>) {
        self.0.apply(call.y);
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        let (kernel, x) = (self.0, inputs.one());
        let mut y = copied(x.operand.values());
        kernel.apply_parallel(&mut y);
        let input = x.operand.rows.clone();
        let y = pass.tape.map(&x.operand, y, move |dy, dx| {
            kernel.backward_parallel(view::rows(&input), dy, dx);
        })?;
        let tangent = x.tangent.map(|dot_x| tangent(&mut pass.tape, x.operand, dot_x, kernel));
        Ok(Value::new(y, tangent.transpose()?))
    }
}

/// f'(x) ẋ
fn tangent(
    tape: &mut Recorder<'_>,
    x: Operand,
    dot_x: Operand,
    kernel: Kernel,
) -> Result<Operand, CoreError> {
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
