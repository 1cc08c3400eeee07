//! A pass over a network on the tape: values of layers, with tangents if there is a direction.

use dfdx::prelude::*;
use walk_arch::LayerParams;
use walk_kernels::memory::zeros;

use super::channel_order::{ChannelOrder, channels_and_pixels, is_in_either};
use super::parameters::Parameters;
use super::tape::{Operand, Recorder, Slot};
use crate::CoreError;
use crate::backend::BatchStatistics;
use crate::tensors::{At, Flat};

/// A layer's value, and its tangent if there is a direction and the tangent is not zero.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) operand: Operand,
    pub(super) tangent: Option<Operand>,
    pub(super) order: ChannelOrder,
    /// The statistics of its channels, if they are known.
    pub(super) statistics: Option<BatchStatistics>,
}

impl Value {
    /// In the order given by the layer's layout.
    pub(super) fn new(operand: Operand, tangent: Option<Operand>) -> Self {
        Self { operand, tangent, order: ChannelOrder::ChannelsFirst, statistics: None }
    }
}

impl Value {
    /// Where the gradients of value and tangent are accumulated.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        [Some(&self.operand), self.tangent.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(|part| part.grad.as_ref())
    }
}

/// A layer's input, its tangent (`None` for zero), and the parameters with their direction.
pub(super) struct Direction {
    pub(super) x: Operand,
    pub(super) dot_x: Option<Operand>,
    pub(super) theta: Parameters,
    pub(super) v: Parameters,
}

/// A pass in progress.
pub(super) struct Pass<'a> {
    pub(super) at: At<'a, Cpu>,
    pub(super) direction: Option<&'a Flat<Cpu>>,
    pub(super) tape: Recorder<'a>,
    /// By layer index, the statistics measured by batch norms.
    pub(super) measured: Vec<(usize, BatchStatistics)>,
}

impl Pass<'_> {
    /// A layer's parameters.
    pub(super) fn parameters(&self, params: &LayerParams) -> Parameters {
        Parameters::new(self.at.theta, params)
    }

    /// The tangent of a layer with parameters by its `rule`, if there is a direction.
    pub(super) fn tangent(
        &mut self,
        x: Value,
        params: &LayerParams,
        rule: impl FnOnce(&mut Recorder<'_>, Direction) -> Result<Operand, CoreError>,
    ) -> Result<Option<Operand>, CoreError> {
        let Some(v) = self.direction else { return Ok(None) };
        let (theta, v) = (self.parameters(params), Parameters::new(v, params));
        rule(&mut self.tape, Direction { x: x.operand, dot_x: x.tangent, theta, v }).map(Some)
    }

    /// The value of shape `shape` in order `to`.
    pub(super) fn in_order(
        &mut self,
        x: Value,
        shape: &[usize],
        to: ChannelOrder,
    ) -> Result<Value, CoreError> {
        if x.order == to || is_in_either(shape) {
            return Ok(Value { order: to, ..x });
        }
        let image = channels_and_pixels(shape);
        let converted = self.linear(x, |tape, x| convert(tape, x, image, to))?;
        Ok(Value { order: to, ..converted })
    }

    /// A layer that is linear in its only input, so the tangent is mapped in the same way as the value.
    pub(super) fn linear(
        &mut self,
        x: Value,
        operation: impl Fn(&mut Recorder<'_>, &Operand) -> Result<Operand, CoreError>,
    ) -> Result<Value, CoreError> {
        let y = operation(&mut self.tape, &x.operand)?;
        let tangent = x.tangent.map(|dot| operation(&mut self.tape, &dot)).transpose()?;
        Ok(Value::new(y, tangent))
    }

    /// y = a b for a product of any kind: ẏ = ȧ b + a ḃ.
    pub(super) fn bilinear(
        &mut self,
        [a, b]: [Value; 2],
        product: impl Fn(&mut Recorder<'_>, Operand, Operand) -> Result<Operand, CoreError>,
    ) -> Result<Value, CoreError> {
        let tape = &mut self.tape;
        let y = product(tape, a.operand.clone(), b.operand.clone())?;
        let left = a.tangent.map(|dot| product(tape, dot, b.operand.clone())).transpose()?;
        let right = b.tangent.map(|dot| product(tape, a.operand.clone(), dot)).transpose()?;
        let tangent = self.sum(left, right)?;
        Ok(Value::new(y, tangent))
    }

    /// a + b
    pub(super) fn add(&mut self, a: Value, b: Value) -> Result<Value, CoreError> {
        let y = self.tape.add(a.operand, b.operand)?;
        let tangent = self.sum(a.tangent, b.tangent)?;
        Ok(Value::new(y, tangent))
    }

    /// The sum of two tangents; `None` is zero.
    pub(super) fn sum(
        &mut self,
        a: Option<Operand>,
        b: Option<Operand>,
    ) -> Result<Option<Operand>, CoreError> {
        match (a, b) {
            (Some(a), Some(b)) => self.tape.add(a, b).map(Some),
            (one, other) => Ok(one.or(other)),
        }
    }

    /// The batch's statistics in batch norm `layer`, by `measure` unless another reader of the norm has measured them.
    pub(super) fn statistics(
        &mut self,
        layer: usize,
        measure: impl FnOnce() -> BatchStatistics,
    ) -> BatchStatistics {
        if let Some((_, statistics)) = self.measured.iter().find(|(measured, _)| *measured == layer) {
            return statistics.clone();
        }
        let measured = measure();
        self.measured.push((layer, measured.clone()));
        measured
    }
}

/// The same images in another order.
fn convert(
    tape: &mut Recorder<'_>,
    x: &Operand,
    [channels, pixels]: [usize; 2],
    to: ChannelOrder,
) -> Result<Operand, CoreError> {
    let mut y = zeros(x.len());
    to.convert(channels, pixels, x.values(), &mut y);
    let rows = x.samples();
    let Some(slot) = x.grad.clone() else { return tape.constant(y, rows) };
    tape.record(y, rows, move |dy, spent, _| {
        let mut back = spent.take(dy.len());
        to.other().convert(channels, pixels, &dy, &mut back);
        spent.give(dy);
        slot.add(back, spent);
        Ok(())
    })
}
