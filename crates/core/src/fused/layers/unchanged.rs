//! Layers that leave the elements unchanged: flatten and reshape, and dropout without its random numbers.

use std::sync::Arc;

use walk_kernels::elementwise::add_product_parallel;
use walk_kernels::memory::zeros;

use super::{ChannelOrder, FusedLayer, Inputs, Layout, Output, Pass, Value};
use crate::CoreError;

/// Elements in the order of channels first, seen in another shape.
pub(super) struct Reshape {
    /// Whether the new shape may be followed by padding, as a vector may.
    pub(super) padded: bool,
}

impl FusedLayer for Reshape {
    fn layout(&self) -> Layout {
        let order = Some(ChannelOrder::ChannelsFirst);
        Layout { order, padded: self.padded, output: Output::Input }
    }

    fn record(&self, _: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        Ok(inputs.one())
    }
}

/// Random elements set to zero in training; losses are evaluated without it.
pub(super) struct Dropout {
    /// Its layer, which has its own random numbers.
    pub(super) layer: usize,
    /// The probability that an element is set to zero.
    pub(super) p: f32,
}

impl FusedLayer for Dropout {
    fn layout(&self) -> Layout {
        let order = Some(ChannelOrder::ChannelsFirst);
        Layout { order, padded: true, output: Output::Input }
    }

    fn record(&self, pass: &mut Pass<'_>, inputs: Inputs) -> Result<Value, CoreError> {
        let x = inputs.one();
        let Some(draw) = pass.at.dropout else { return Ok(x) };
        let mask = Arc::new(draw.mask(self.p, self.layer, x.operand.len()));
        pass.linear(x, |tape, x| {
            let mut y = zeros(x.len());
            add_product_parallel(x.values(), &mask, &mut y);
            let mask = mask.clone();
            tape.map(x, y, move |dy, dx| add_product_parallel(dy, &mask, dx))
        })
    }
}
