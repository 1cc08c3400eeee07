//! a b, element by element.

use walk_kernels::elementwise::{add_product_parallel, multiply};
use walk_kernels::memory::zeros;

use super::{Call, ChannelOrder, FusedLayer, Inputs, Layout, Output, Pass, Value};
use crate::CoreError;

pub(super) struct Mul;

impl FusedLayer for Mul {
    fn layout(&self) -> Layout {
        Layout { order: Some(ChannelOrder::ChannelsFirst), padded: false, output: Output::Over(0) }
    }

    fn evaluate(&self, call: Call<'_>) {
        multiply(call.x[1], call.y);
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        pass.bilinear(inputs.two(), |tape, a, b| {
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
        })
    }
}
