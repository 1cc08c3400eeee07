//! scale · x + shift, with constants.

use walk_arch::Affine as Constants;
use walk_kernels::elementwise::{add_scaled_parallel, affine, affine_parallel};
use walk_kernels::memory::copied;

use super::{Call, ChannelOrder, FusedLayer, Inputs, Layout, Operand, Output, Pass, Recorder, Value};
use crate::CoreError;

pub(super) struct Affine(pub(super) Constants);

impl Affine {
    fn value(&self, tape: &mut Recorder<'_>, x: &Operand, shift: f32) -> Result<Operand, CoreError> {
        let scale = self.0.scale;
        let mut y = copied(x.values());
        affine_parallel(&mut y, scale, shift);
        tape.map(x, y, move |dy, dx| add_scaled_parallel(dy, scale, dx))
    }
}

impl FusedLayer for Affine {
    fn layout(&self) -> Layout {
        Layout { order: Some(ChannelOrder::ChannelsFirst), padded: false, output: Output::Over(0) }
    }

    fn evaluate(&self, Call { y, .. }: Call<'_>) {
        let Constants { scale, shift } = self.0;
        affine(y, scale, shift);
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        let x = inputs.one();
        let y = self.value(&mut pass.tape, &x.operand, self.0.shift)?;
        let tangent = x.tangent.map(|dot| self.value(&mut pass.tape, &dot, 0.0)).transpose()?;
        Ok(Value::new(y, tangent))
    }
}
