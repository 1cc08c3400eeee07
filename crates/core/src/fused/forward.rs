//! Runs a network on the CPU, with or without a tape and a direction. Images are converted to channels last for the
//! kernels that require it.

mod pass;
mod tensor_layers;

use std::ops::Range;

use dfdx::prelude::*;
use walk_arch::{Layer, Op};
use walk_kernels::linear::LinearShape;

use self::pass::{Pass, Value, params};
use super::Convolution;
use super::channel_order::ChannelOrder;
use super::fusion::{self, FusedNorm, FusionGroup};
use super::image_ops::{self, ConvCall, ConvOutput};
use super::ops::{self, NormUse};
use super::shapes::{conv_shape, pool_shape, whole_image};
use super::tangents;
use super::tape::{Operand, SampleNorms, TapeRecorder};
use crate::backend::BatchStatistics;
use crate::executor::walk;
use crate::tensors::{At, DirectionalForward, Flat, Forward, Rows};
use crate::{BatchNormMode, CoreError};

/// The outputs for a batch of inputs, and their tangent along `direction`, a direction of θ, if there is one. With `norms`
/// the reverse pass collects the norms of the samples' own gradients there instead of the gradient of θ.
pub(super) fn forward<T: Tape<f32, Cpu>>(
    device: &Cpu,
    convolution: Convolution,
    at: At<'_, Cpu>,
    inputs: Rows<Cpu>,
    direction: Option<&Flat<Cpu>>,
    norms: Option<SampleNorms>,
) -> Result<DirectionalForward<Cpu, T>, CoreError> {
    // tangents and the samples' own gradients need the values between layers
    let apart = direction.is_some() || norms.is_some();
    let groups = if apart { fusion::unfused(at.network) } else { fusion::fused(at.network) };
    let output = at.network.output();
    let inputs = Value::new(Operand { rows: inputs, grad: None }, None, ChannelOrder::ChannelsFirst);
    let tape = TapeRecorder::new(device, norms);
    let mut pass = Pass { at, direction, convolution, tape, measured: vec![] };
    let wires = groups.iter().map(|group| &group.wire);
    let outputs = walk(wires, output, inputs, |place, operands| pass.step(&groups[place], operands))?;
    let rows = pass.tape.leave(outputs.operand);
    let tangent = outputs.tangent.map(|tangent| pass.tape.leave(tangent));
    let outputs = rows.put_tape(pass.tape.tape);
    Ok(DirectionalForward { forward: Forward { outputs, statistics: pass.measured }, tangent })
}

impl<T: Tape<f32, Cpu>> Pass<'_, T> {
    fn step(&mut self, group: &FusionGroup, operands: Vec<Value>) -> Result<Value, CoreError> {
        use ChannelOrder::{ChannelsFirst, ChannelsLast};
        let layers = self.at.network.layers();
        let layer = &layers[group.layer];
        let mut operands = operands.into_iter();
        let mut next = || operands.next().expect("the graph check holds layers to their arity");
        let x = next();
        let shape = layers[layer.inputs[0]].shape.as_slice();
        match &layer.op {
            Op::Input => Ok(x),
            Op::Flatten | Op::Reshape(_) => self.in_order(x, shape, ChannelsFirst),
            Op::Linear(linear) => {
                let in_features = *shape.last().expect("the graph check requires a dimension");
                let shape = LinearShape { in_features, out_features: linear.out_features };
                let params = params(layer);
                let y = ops::linear(&mut self.tape, x.operand.clone(), self.at.theta, params, shape)?;
                let tangent = self.tangent(x, |tape, along| tangents::linear(tape, along, params, shape))?;
                Ok(Value::new(y, tangent, ChannelsFirst))
            }
            Op::Conv2d(_) => {
                let residual = if group.residual { Some(next()) } else { None };
                self.conv2d(group, layer, x, residual)
            }
            Op::BatchNorm(_) => {
                let x = self.in_order(x, shape, ChannelsLast)?;
                let norm = self.norm_use(FusedNorm { layer: group.layer, relu: group.relu }, &x);
                let y = ops::batch_norm(&mut self.tape, x.operand.clone(), self.at.theta, norm.clone())?;
                let tangent = self.tangent(x, |tape, along| tangents::batch_norm(tape, along, norm))?;
                Ok(Value::new(y, tangent, ChannelsLast))
            }
            Op::MaxPool2d(pool) => {
                let (x, pool) = (self.in_order(x, shape, ChannelsLast)?, pool_shape(pool, shape));
                let places = image_ops::max_places(&x.operand, &pool);
                self.linear(x, ChannelsLast, |tape, x| image_ops::gather(tape, x, pool, places.clone()))
            }
            Op::AvgPool2d(pool) => {
                let (x, pool) = (self.in_order(x, shape, ChannelsLast)?, pool_shape(pool, shape));
                self.linear(x, ChannelsLast, |tape, x| image_ops::avg_pool2d(tape, x, pool))
            }
            Op::GlobalAvgPool => {
                let (x, pool) = (self.in_order(x, shape, ChannelsLast)?, whole_image(shape));
                self.linear(x, ChannelsFirst, |tape, x| image_ops::avg_pool2d(tape, x, pool))
            }
            Op::Activation(kind) => {
                let Value { operand, tangent, order, .. } = x;
                let y = ops::activation(&mut self.tape, operand.clone(), *kind)?;
                let tangent = tangent.map(|dot| tangents::activation(&mut self.tape, operand, dot, *kind));
                Ok(Value::new(y, tangent.transpose()?, order))
            }
            Op::Add => {
                let b = self.in_order(next(), shape, x.order)?;
                self.add(x, b)
            }
            _ => self.tensor_layer(group.layer, x, operands.next()),
        }
    }

    fn conv2d(
        &mut self,
        group: &FusionGroup,
        layer: &Layer,
        x: Value,
        residual: Option<Value>,
    ) -> Result<Value, CoreError> {
        let Op::Conv2d(conv) = &layer.op else { unreachable!("only called for convolutions") };
        let image = self.at.network.layers()[layer.inputs[0]].shape.as_slice();
        let shape = conv_shape(conv, image);
        let algorithm = self.convolution.algorithm(&shape);
        let params = params(layer);
        let x = self.in_order(x, image, ChannelOrder::ChannelsLast)?;
        let norm = group.norm.map(|norm| self.norm_use(norm, &x));
        let residual = residual.map(|value| self.in_order(value, &layer.shape, ChannelOrder::ChannelsLast));
        let residual = residual.transpose()?.map(|value| value.operand);
        let call = ConvCall {
            theta: self.at.theta,
            params,
            shape,
            algorithm,
            norm,
            residual,
            moments: group.moments,
        };
        let ConvOutput { value: y, moments } = image_ops::conv2d(&mut self.tape, x.operand.clone(), call)?;
        let tangent =
            self.tangent(x, |tape, along| tangents::conv2d(tape, along, params, shape, algorithm))?;
        let statistics = moments.as_ref().map(ops::statistics);
        Ok(Value { statistics, ..Value::new(y, tangent, ChannelOrder::ChannelsLast) })
    }

    /// A batch norm as it is applied to `x`, which is measured here if the statistics are the batch's.
    fn norm_use(&mut self, FusedNorm { layer, relu }: FusedNorm, x: &Value) -> NormUse {
        let norm = &self.at.network.layers()[layer];
        let Op::BatchNorm(options) = &norm.op else { unreachable!("only called for batch norms") };
        let params = params(norm).clone();
        let running = norm.buffers.as_ref().filter(|_| self.at.mode == BatchNormMode::Running);
        let of_batch = running.is_none();
        let statistics = match running {
            None => {
                // a norm that several convolutions read is measured once
                let before = self.measured.iter().find(|(measured, _)| *measured == layer);
                if let Some((_, statistics)) = before {
                    statistics.clone()
                } else {
                    let known = x.statistics.clone();
                    let channels = params.weight.len();
                    let measured = known.unwrap_or_else(|| ops::batch_statistics(&x.operand.rows, channels));
                    self.measured.push((layer, measured.clone()));
                    measured
                }
            }
            Some(place) => {
                let buffer = |range: &Range<usize>| self.at.buffers[range.clone()].to_vec();
                BatchStatistics { mean: buffer(&place.mean), var: buffer(&place.var), count: 0 }
            }
        };
        NormUse { params, eps: options.eps, statistics, of_batch, relu }
    }
}
