//! Layers on values of any shape, channels first.

use std::sync::Arc;

use dfdx::prelude::*;
use walk_arch::{LayerParams, Op};
use walk_kernels::memory::zeros;
use walk_kernels::rearrange::Rearrangement;

use super::super::channel_order::ChannelOrder::ChannelsFirst;
use super::super::shapes::{batch_matmul, columns, rearrangements};
use super::super::tape::Operand;
use super::super::tensor_ops::{self, ScaleShift};
use super::pass::{Pass, Value, params};
use crate::CoreError;
use crate::row_norm::RowNorm;

impl<T: Tape<f32, Cpu>> Pass<'_, T> {
    pub(super) fn tensor_layer(
        &mut self,
        index: usize,
        x: Value,
        other: Option<Value>,
    ) -> Result<Value, CoreError> {
        let network = self.at.network;
        let layer = &network.layers()[index];
        let shapes: Vec<&[usize]> =
            layer.inputs.iter().map(|&input| network.layers()[input].shape.as_slice()).collect();
        let x = self.in_order(x, shapes[0], ChannelsFirst)?;
        let other = other.map(|other| self.in_order(other, shapes[1], ChannelsFirst)).transpose()?;
        let second = || other.clone().expect("the graph check holds layers to their arity");
        if let Some(parts) = rearrangements(&layer.op, &shapes, &layer.shape) {
            return self.rearrange(x, other, parts.into_iter().map(Arc::new).collect());
        }
        match &layer.op {
            Op::Mul => self.bilinear(x, second(), |pass, a, b| tensor_ops::mul(&mut pass.tape, a, b)),
            Op::Matmul(matmul) => {
                let shape = batch_matmul(matmul, shapes[0], shapes[1]);
                self.bilinear(x, second(), |pass, a, b| tensor_ops::matmul(&mut pass.tape, a, b, shape))
            }
            Op::Softmax => {
                let len = *layer.shape.last().expect("shapes have a dimension");
                let y = tensor_ops::softmax(&mut self.tape, &x.operand, len)?;
                let tangent =
                    x.tangent.map(|dot| tensor_ops::softmax_tangent(&mut self.tape, y.clone(), dot, len));
                let tangent = tangent.transpose()?;
                Ok(Value::new(y, tangent, ChannelsFirst))
            }
            Op::Dropout(dropout) => match self.at.dropout {
                None => Ok(x),
                Some(draw) => {
                    let mask = Arc::new(draw.mask(dropout.p, index, x.operand.len()));
                    self.linear(x, ChannelsFirst, |tape, x| tensor_ops::times(tape, x, &mask))
                }
            },
            op => match RowNorm::new(op, &layer.shape) {
                Some(norm) => self.row_norm(index, x, norm),
                None => self.scale_shift(index, x),
            },
        }
    }

    /// A concatenation is the sum of its parts, each padded with zeros.
    fn rearrange(
        &mut self,
        x: Value,
        other: Option<Value>,
        parts: Vec<Arc<Rearrangement>>,
    ) -> Result<Value, CoreError> {
        let first = self.linear(x, ChannelsFirst, |tape, x| tensor_ops::rearrange(tape, x, &parts[0]))?;
        let Some(other) = other else { return Ok(first) };
        let second =
            self.linear(other, ChannelsFirst, |tape, x| tensor_ops::rearrange(tape, x, &parts[1]))?;
        self.add(first, second)
    }

    /// y = a b for a product of any kind: ẏ = ȧ b + a ḃ.
    fn bilinear(
        &mut self,
        a: Value,
        b: Value,
        product: impl Fn(&mut Self, Operand, Operand) -> Result<Operand, CoreError>,
    ) -> Result<Value, CoreError> {
        let y = product(self, a.operand.clone(), b.operand.clone())?;
        let left = a.tangent.map(|dot| product(self, dot, b.operand.clone())).transpose()?;
        let right = b.tangent.map(|dot| product(self, a.operand.clone(), dot)).transpose()?;
        let tangent = self.sum(left, right)?;
        Ok(Value::new(y, tangent, ChannelsFirst))
    }

    /// Layer or group norm.
    fn row_norm(
        &mut self,
        index: usize,
        x: Value,
        RowNorm { len, eps }: RowNorm,
    ) -> Result<Value, CoreError> {
        let standard = tensor_ops::standardize(&mut self.tape, &x.operand, len, eps)?;
        let tangent =
            x.tangent.map(|dot| tensor_ops::standardize_tangent(&mut self.tape, x.operand, dot, &standard));
        let tangent = tangent.transpose()?;
        self.scale_shift(index, Value::new(standard.hat, tangent, ChannelsFirst))
    }

    /// x γ + β; its tangent is ẋ γ + x γ̇ + β̇.
    fn scale_shift(&mut self, index: usize, x: Value) -> Result<Value, CoreError> {
        let layer = &self.at.network.layers()[index];
        let (params, columns) = (params(layer), columns(&layer.op, &layer.shape));
        let (tape, theta) = (&mut self.tape, self.at.theta);
        let from_theta = |params| ScaleShift { source: theta, params, columns, trained: true };
        let y = tensor_ops::scale_shift(tape, &x.operand, from_theta(params))?;
        let Some(v) = self.direction else { return Ok(Value::new(y, None, ChannelsFirst)) };
        let without_scale = params.weight.is_empty();
        let own = if without_scale {
            let rows = x.operand.samples();
            &tape.constant(zeros(x.operand.len()), rows)?
        } else {
            &x.operand
        };
        let own =
            tensor_ops::scale_shift(tape, own, ScaleShift { source: v, params, columns, trained: false })?;
        let scale = LayerParams { weight: params.weight.clone(), bias: params.weight.end..params.weight.end };
        let scaled = match x.tangent {
            Some(dot) if !without_scale => Some(tensor_ops::scale_shift(tape, &dot, from_theta(&scale))?),
            dot => dot,
        };
        let tangent = self.sum(Some(own), scaled)?;
        Ok(Value::new(y, tangent, ChannelsFirst))
    }
}
