//! Walks a network's layers on the tape.

use dfdx::prelude::*;

use super::Convolution;
use super::fusion::{self, FusionGroup};
use super::layer::Inputs;
use super::layers::fused_layer;
use super::pass::{Pass, Value};
use super::tape::{Operand, Recorder, SampleNorms};
use crate::CoreError;
use crate::executor::walk;
use crate::tensors::{At, DirectionalForward, Flat, Forward, Rows};

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
    let inputs = Value::new(Operand { rows: inputs, grad: None }, None);
    let mut pass = Pass { at, direction, tape: Recorder::new::<T>(device, norms), measured: vec![] };
    let wires = groups.iter().map(|group| &group.wire);
    let outputs = walk(wires, at.network.output(), inputs, |place, operands| {
        step(&mut pass, &groups[place], operands, convolution)
    })?;
    let rows = pass.tape.leave(outputs.operand);
    let tangent = outputs.tangent.map(|tangent| pass.tape.leave(tangent));
    let outputs = rows.put_tape(pass.tape.into_tape());
    Ok(DirectionalForward { forward: Forward { outputs, statistics: pass.measured }, tangent })
}

fn step(
    pass: &mut Pass<'_>,
    group: &FusionGroup,
    operands: Vec<Value>,
    convolution: Convolution,
) -> Result<Value, CoreError> {
    let network = pass.at.network;
    let layer = fused_layer(network, group, convolution);
    let order = layer.layout().order.unwrap_or(operands[0].order);
    let operands = operands.into_iter().zip(&group.wire.inputs);
    let inputs: Result<Vec<Value>, CoreError> =
        operands.map(|(value, &input)| pass.in_order(value, &network.layers()[input].shape, order)).collect();
    let value = layer.record(pass, Inputs::new(inputs?))?;
    Ok(Value { order, ..value })
}
