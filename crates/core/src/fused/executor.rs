//! Walks a network on the CPU, with or without a tape. Images have channels last wherever a kernel wants them so.

use dfdx::prelude::*;
use walk_arch::Op;

use super::image_ops::{self, Layout};
use super::ops::{self, Operand};
use super::shapes::{channels_and_pixels, conv_shape, pool_shape, whole_image};
use crate::backend::{At, Forward, Rows};
use crate::executor::walk;
use crate::{BatchNormMode, CoreError};

/// A layer's value.
#[derive(Clone)]
struct Value {
    operand: Operand,
    layout: Layout,
}

/// The tape between two operations, and the device they run on.
struct Machine<'a, T> {
    device: &'a Cpu,
    tape: T,
}

impl<T: Tape<f32, Cpu>> Machine<'_, T> {
    fn take_tape(&mut self) -> T {
        std::mem::take(&mut self.tape)
    }

    /// Keeps the tape of an operation's result.
    fn keep(&mut self, rows: Rows<Cpu, T>, layout: Layout, tracked: bool) -> Value {
        let (rows, tape) = rows.split_tape();
        self.tape = tape;
        Value { operand: Operand { rows, tracked }, layout }
    }

    /// The value in layout `to`.
    fn in_layout(&mut self, x: Value, shape: &[usize], to: Layout) -> Result<Value, CoreError> {
        let [channels, pixels] = channels_and_pixels(shape);
        if x.layout == to || channels == 1 || pixels == 1 {
            return Ok(Value { layout: to, ..x });
        }
        // nothing behind an untracked value is trained: no need to carry a gradient back
        let tracked = x.operand.tracked;
        if tracked {
            let tape = self.take_tape();
            let y = image_ops::convert(self.device, x.operand, tape, [channels, pixels], to)?;
            Ok(self.keep(y, to, tracked))
        } else {
            let y = image_ops::convert(self.device, x.operand, NoneTape, [channels, pixels], to)?;
            Ok(Value { operand: Operand { rows: y, tracked }, layout: to })
        }
    }
}

pub(super) fn forward<T: Tape<f32, Cpu>>(
    device: &Cpu,
    at: At<'_, Cpu>,
    inputs: Rows<Cpu>,
) -> Result<Forward<Cpu, T>, CoreError> {
    use Layout::{ChannelsFirst, ChannelsLast};
    let mut machine = Machine { device, tape: T::default() };
    let mut statistics = Vec::new();
    let inputs = Value { operand: Operand { rows: inputs, tracked: false }, layout: ChannelsFirst };
    let outputs = walk(at.network, inputs, |index, layer, operands| {
        let mut operands = operands.into_iter();
        let mut next = || operands.next().expect("the graph check holds layers to their arity");
        let x = next();
        let shape = at.network.layers()[layer.inputs[0]].shape.as_slice();
        let params = || layer.params.as_ref().expect("the graph check gives it parameters");
        let m = &mut machine;
        let (y, layout, tracked) = match &layer.op {
            Op::Input => return Ok(x),
            Op::Flatten => return m.in_layout(x, shape, ChannelsFirst),
            Op::Linear(_) => {
                let tape = m.take_tape();
                (ops::linear(device, x.operand, tape, at.theta, params())?, ChannelsFirst, true)
            }
            Op::Conv2d(conv) => {
                let x = m.in_layout(x, shape, ChannelsLast)?;
                let (tape, shape) = (m.take_tape(), conv_shape(conv, shape));
                (image_ops::conv2d(device, x.operand, tape, at.theta, params(), shape)?, ChannelsLast, true)
            }
            Op::BatchNorm(norm) => {
                let x = m.in_layout(x, shape, ChannelsLast)?;
                let running = layer.buffers.as_ref().filter(|_| at.mode == BatchNormMode::Running);
                let running =
                    running.map(|place| (&at.buffers[place.mean.clone()], &at.buffers[place.var.clone()]));
                let tape = m.take_tape();
                let (y, measured) =
                    ops::batch_norm(device, x.operand, tape, at.theta, params(), norm.eps, running)?;
                statistics.extend(measured.map(|measured| (index, measured)));
                (y, ChannelsLast, true)
            }
            Op::MaxPool2d(pool) => {
                let x = m.in_layout(x, shape, ChannelsLast)?;
                let (tape, tracked) = (m.take_tape(), x.operand.tracked);
                (
                    image_ops::max_pool2d(device, x.operand, tape, pool_shape(pool, shape))?,
                    ChannelsLast,
                    tracked,
                )
            }
            Op::AvgPool2d(pool) => {
                let x = m.in_layout(x, shape, ChannelsLast)?;
                let (tape, tracked) = (m.take_tape(), x.operand.tracked);
                (
                    image_ops::avg_pool2d(device, x.operand, tape, pool_shape(pool, shape))?,
                    ChannelsLast,
                    tracked,
                )
            }
            Op::GlobalAvgPool => {
                let x = m.in_layout(x, shape, ChannelsLast)?;
                let (tape, tracked) = (m.take_tape(), x.operand.tracked);
                (image_ops::avg_pool2d(device, x.operand, tape, whole_image(shape))?, ChannelsFirst, tracked)
            }
            Op::Activation(activation) => {
                let (tape, layout, tracked) = (m.take_tape(), x.layout, x.operand.tracked);
                (ops::activation(device, x.operand, tape, *activation)?, layout, tracked)
            }
            Op::Add => {
                let b = m.in_layout(next(), shape, x.layout)?;
                let (tape, layout) = (m.take_tape(), x.layout);
                let tracked = x.operand.tracked || b.operand.tracked;
                (ops::add(device, x.operand, b.operand, tape)?, layout, tracked)
            }
        };
        Ok::<_, CoreError>(m.keep(y, layout, tracked))
    })?;
    Ok(Forward { outputs: outputs.operand.rows.put_tape(machine.tape), statistics })
}
