//! A forward pass in progress and the layers that it treats alike.

use dfdx::prelude::*;
use walk_arch::{Layer, LayerParams};

use super::super::Convolution;
use super::super::channel_order::ChannelOrder;
use super::super::image_ops;
use super::super::ops;
use super::super::shapes::channels_and_pixels;
use super::super::tangents::Direction;
use super::super::tape::{Operand, TapeRecorder};
use crate::CoreError;
use crate::backend::BatchStatistics;
use crate::tensors::{At, Flat};

/// A layer's value, and its tangent if there is a direction and the tangent is not zero.
#[derive(Clone)]
pub(super) struct Value {
    pub(super) operand: Operand,
    pub(super) tangent: Option<Operand>,
    pub(super) order: ChannelOrder,
    /// The statistics of its channels, if they are known.
    pub(super) statistics: Option<BatchStatistics>,
}

impl Value {
    pub(super) fn new(operand: Operand, tangent: Option<Operand>, order: ChannelOrder) -> Self {
        Self { operand, tangent, order, statistics: None }
    }
}

/// A forward pass in progress.
pub(super) struct Pass<'a, T> {
    pub(super) at: At<'a, Cpu>,
    pub(super) direction: Option<&'a Flat<Cpu>>,
    pub(super) convolution: Convolution,
    pub(super) tape: TapeRecorder<'a, T>,
    /// By layer index, what batch norms measured.
    pub(super) measured: Vec<(usize, BatchStatistics)>,
}

impl<T: Tape<f32, Cpu>> Pass<'_, T> {
    /// The tangent of a layer with parameters by its `rule`, if there is a direction.
    pub(super) fn tangent(
        &mut self,
        x: Value,
        rule: impl FnOnce(&mut TapeRecorder<'_, T>, Direction) -> Result<Operand, CoreError>,
    ) -> Result<Option<Operand>, CoreError> {
        let (Some(v), theta) = (self.direction.cloned(), self.at.theta.clone()) else { return Ok(None) };
        rule(&mut self.tape, Direction { x: x.operand, dot_x: x.tangent, theta, v }).map(Some)
    }

    /// The value in order `to`.
    pub(super) fn in_order(
        &mut self,
        x: Value,
        shape: &[usize],
        to: ChannelOrder,
    ) -> Result<Value, CoreError> {
        let image = channels_and_pixels(shape);
        if x.order == to || image.contains(&1) {
            return Ok(Value { order: to, ..x });
        }
        self.linear(x, to, |tape, x| image_ops::convert(tape, x, image, to))
    }

    /// A layer that is linear in its only input, so the tangent is mapped as the value is.
    pub(super) fn linear(
        &mut self,
        x: Value,
        order: ChannelOrder,
        operation: impl Fn(&mut TapeRecorder<'_, T>, &Operand) -> Result<Operand, CoreError>,
    ) -> Result<Value, CoreError> {
        let y = operation(&mut self.tape, &x.operand)?;
        let tangent = x.tangent.map(|dot| operation(&mut self.tape, &dot)).transpose()?;
        Ok(Value::new(y, tangent, order))
    }

    pub(super) fn add(&mut self, a: Value, b: Value) -> Result<Value, CoreError> {
        let y = ops::add(&mut self.tape, a.operand, b.operand)?;
        let tangent = self.sum(a.tangent, b.tangent)?;
        Ok(Value::new(y, tangent, a.order))
    }

    /// The sum of two tangents; `None` is zero.
    pub(super) fn sum(
        &mut self,
        a: Option<Operand>,
        b: Option<Operand>,
    ) -> Result<Option<Operand>, CoreError> {
        match (a, b) {
            (Some(a), Some(b)) => ops::add(&mut self.tape, a, b).map(Some),
            (one, other) => Ok(one.or(other)),
        }
    }
}

pub(super) fn params(layer: &Layer) -> &LayerParams {
    layer.params.as_ref().expect("the graph check gives it parameters")
}
