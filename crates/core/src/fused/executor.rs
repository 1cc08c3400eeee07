//! Walks a network on the CPU, with or without a tape and a direction. Images have channels last wherever a kernel wants them so.

use std::ops::Range;

use dfdx::prelude::*;
use walk_arch::{Activation, Network, Op};

use super::Fused;
use super::image_ops::{self, Layout};
use super::ops::{self, NormUse, Operand};
use super::shapes::{channels_and_pixels, conv_shape, pool_shape, whole_image};
use super::tangents::{self, Direction};
use crate::backend::{At, BatchStatistics, Flat, Forward, Rows};
use crate::executor::{uses, walk};
use crate::{BatchNormMode, CoreError};

/// A layer's value, and its tangent where a directional derivative is wanted and it is not zero.
#[derive(Clone)]
struct Value {
    operand: Operand,
    tangent: Option<Rows<Cpu>>,
    layout: Layout,
}

/// The tape between two operations, and the device they run on.
struct Machine<'a, T> {
    device: &'a Cpu,
    tape: T,
}

impl<T: Tape<f32, Cpu>> Machine<'_, T> {
    /// Runs an operation on the tape and keeps the tape of its result.
    fn run(
        &mut self,
        operation: impl FnOnce(T) -> Result<Rows<Cpu, T>, CoreError>,
    ) -> Result<Rows<Cpu>, CoreError> {
        let (rows, tape) = operation(std::mem::take(&mut self.tape))?.split_tape();
        self.tape = tape;
        Ok(rows)
    }

    /// The value in layout `to`.
    fn in_layout(&mut self, x: Value, shape: &[usize], to: Layout) -> Result<Value, CoreError> {
        let image = channels_and_pixels(shape);
        if x.layout == to || image.contains(&1) {
            return Ok(Value { layout: to, ..x });
        }
        let device = self.device;
        // nothing behind an untracked value is trained: no need to carry a gradient back
        if !x.operand.tracked {
            let rows = image_ops::convert(device, x.operand.rows, NoneTape, image, to)?;
            return Ok(Value { operand: Operand { rows, tracked: false }, layout: to, ..x });
        }
        self.linear(x, to, |rows, tape| image_ops::convert(device, rows, tape, image, to))
    }

    /// A layer that is linear in its one input, which maps the tangent as it maps the value.
    fn linear(
        &mut self,
        x: Value,
        layout: Layout,
        operation: impl Fn(Rows<Cpu>, T) -> Result<Rows<Cpu, T>, CoreError>,
    ) -> Result<Value, CoreError> {
        let Operand { rows, tracked } = x.operand;
        let rows = self.run(|tape| operation(rows, tape))?;
        let tangent = x.tangent.map(|dot| self.run(|tape| operation(dot, tape))).transpose()?;
        Ok(Value { operand: Operand { rows, tracked }, tangent, layout })
    }

    fn add(&mut self, a: Value, b: Value) -> Result<Value, CoreError> {
        let (device, layout) = (self.device, a.layout);
        let tracked = a.operand.tracked || b.operand.tracked;
        let rows = self.run(|tape| ops::add(device, a.operand.rows, b.operand.rows, tape))?;
        let tangent = match (a.tangent, b.tangent) {
            (Some(a), Some(b)) => Some(self.run(|tape| ops::add(device, a, b, tape))?),
            (one, other) => one.or(other),
        };
        Ok(Value { operand: Operand { rows, tracked }, tangent, layout })
    }
}

/// A forward pass, and the tangent of its outputs if a direction was given.
type WithTangent<T> = (Forward<Cpu, T>, Option<Rows<Cpu>>);

/// The outputs for a batch of inputs, and their tangent along `direction`, a direction of θ, if there is one.
pub(super) fn forward<T: Tape<f32, Cpu>>(
    backend: &Fused,
    at: At<'_, Cpu>,
    inputs: Rows<Cpu>,
    direction: Option<&Flat<Cpu>>,
) -> Result<WithTangent<T>, CoreError> {
    use Layout::{ChannelsFirst, ChannelsLast};
    let device = &backend.device;
    let mut machine = Machine { device, tape: T::default() };
    let mut statistics = Vec::new();
    let inputs =
        Value { operand: Operand { rows: inputs, tracked: false }, tangent: None, layout: ChannelsFirst };
    let theta = at.theta;
    let rectified = rectified_norms(at.network, direction.is_some());
    let outputs = walk(at.network, inputs, |index, layer, operands| {
        let mut operands = operands.into_iter();
        let mut next = || operands.next().expect("the graph check holds layers to their arity");
        let x = next();
        let shape = at.network.layers()[layer.inputs[0]].shape.as_slice();
        let params = || layer.params.as_ref().expect("the graph check gives it parameters");
        let m = &mut machine;
        let trained =
            |rows, tangent, layout| Value { operand: Operand { rows, tracked: true }, tangent, layout };
        Ok::<_, CoreError>(match &layer.op {
            Op::Input => x,
            Op::Flatten => m.in_layout(x, shape, ChannelsFirst)?,
            Op::Linear(_) => {
                let y = m.run(|tape| ops::linear(device, x.operand.clone(), tape, theta, params()))?;
                let along = direction.map(|v| Direction { x: x.operand, dot_x: x.tangent, theta, v });
                let tangent = along.map(|d| m.run(|tape| tangents::linear(device, d, tape, params())));
                trained(y, tangent.transpose()?, ChannelsFirst)
            }
            Op::Conv2d(conv) => {
                let (x, conv) = (m.in_layout(x, shape, ChannelsLast)?, conv_shape(conv, shape));
                let conv = (conv, backend.convolution.algorithm(&conv));
                let y =
                    m.run(|tape| image_ops::conv2d(device, x.operand.clone(), tape, theta, params(), conv))?;
                let along = direction.map(|v| Direction { x: x.operand, dot_x: x.tangent, theta, v });
                let tangent = along.map(|d| m.run(|tape| tangents::conv2d(device, d, tape, params(), conv)));
                trained(y, tangent.transpose()?, ChannelsLast)
            }
            Op::BatchNorm(norm) => {
                let x = m.in_layout(x, shape, ChannelsLast)?;
                let running = layer.buffers.as_ref().filter(|_| at.mode == BatchNormMode::Running);
                let used = match running {
                    None => ops::batch_statistics(&x.operand.rows, params().weight.len()),
                    Some(place) => {
                        let buffer = |range: &Range<usize>| at.buffers[range.clone()].to_vec();
                        BatchStatistics { mean: buffer(&place.mean), var: buffer(&place.var), count: 0 }
                    }
                };
                let of_batch = running.is_none();
                let used = NormUse { statistics: used, of_batch, relu: rectified[index] };
                let y = m.run(|tape| {
                    ops::batch_norm(device, x.operand.clone(), tape, theta, params(), norm.eps, used.clone())
                })?;
                if of_batch {
                    statistics.push((index, used.statistics.clone()));
                }
                let along = direction.map(|v| Direction { x: x.operand, dot_x: x.tangent, theta, v });
                let tangent = along
                    .map(|d| m.run(|tape| tangents::batch_norm(device, d, tape, params(), norm.eps, used)));
                trained(y, tangent.transpose()?, ChannelsLast)
            }
            Op::MaxPool2d(pool) => {
                let (x, pool) = (m.in_layout(x, shape, ChannelsLast)?, pool_shape(pool, shape));
                let places = image_ops::max_places(&x.operand.rows, &pool);
                m.linear(x, ChannelsLast, |x, tape| image_ops::gather(device, x, tape, pool, places.clone()))?
            }
            Op::AvgPool2d(pool) => {
                let (x, pool) = (m.in_layout(x, shape, ChannelsLast)?, pool_shape(pool, shape));
                m.linear(x, ChannelsLast, |x, tape| image_ops::avg_pool2d(device, x, tape, pool))?
            }
            Op::GlobalAvgPool => {
                let (x, pool) = (m.in_layout(x, shape, ChannelsLast)?, whole_image(shape));
                m.linear(x, ChannelsFirst, |x, tape| image_ops::avg_pool2d(device, x, tape, pool))?
            }
            Op::Activation(_) if rectified[layer.inputs[0]] => x, // done by the batch norm before it
            Op::Activation(kind) => {
                let Value { operand: Operand { rows: x, tracked }, tangent, layout } = x;
                let rows = m.run(|tape| ops::activation(device, x.clone(), tape, *kind))?;
                let tangent =
                    tangent.map(|dot| m.run(|tape| tangents::activation(device, x, dot, tape, *kind)));
                Value { operand: Operand { rows, tracked }, tangent: tangent.transpose()?, layout }
            }
            Op::Add => {
                let b = m.in_layout(next(), shape, x.layout)?;
                m.add(x, b)?
            }
        })
    })?;
    let tangent = outputs.tangent;
    Ok((Forward { outputs: outputs.operand.rows.put_tape(machine.tape), statistics }, tangent))
}

/// Which layers are batch norms that a ReLU alone reads, so that one pass does both. A tangent needs the values between.
fn rectified_norms(network: &Network, with_tangent: bool) -> Vec<bool> {
    let (layers, uses) = (network.layers(), uses(network));
    let mut rectified = vec![false; layers.len()];
    for layer in layers.iter().filter(|layer| layer.op == Op::Activation(Activation::Relu)) {
        let input = layer.inputs[0];
        rectified[input] = !with_tangent && uses[input] == 1 && matches!(layers[input].op, Op::BatchNorm(_));
    }
    rectified
}
