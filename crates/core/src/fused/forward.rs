//! Runs a network's layers on the tape.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use dfdx::prelude::*;
use walk_arch::Network;

use super::fusion::{self, FusionGroup};
use super::layer::Inputs;
use super::layers::fused_layer;
use super::pass::{Pass, Value};
use super::segments::{Segment, Segments};
use super::setup::Setup;
use super::tape::{Operand, Recorder, SampleNorms, Slot};
use crate::batch::DropoutDraw;
use crate::executor::{Values, Wire};
use crate::tensors::{At, DirectionalForward, Flat, Forward, Rows};
use crate::{BatchNormMode, CoreError};

/// The outputs for a batch of inputs, and their tangent along `direction`, a direction of θ, if there is one. With `norms`
/// the reverse pass collects the norms of the samples' own gradients there instead of the gradient of θ.
pub(super) fn forward<T: Tape<f32, Cpu>>(
    setup: &Setup,
    at: At<'_, Cpu>,
    inputs: Rows<Cpu>,
    direction: Option<&Flat<Cpu>>,
    norms: Option<SampleNorms>,
) -> Result<DirectionalForward<Cpu, T>, CoreError> {
    let rows = inputs.shape().0;
    let walk = Rc::new(Walk::new(setup, at, direction, norms.is_some()));
    // without a reverse pass nothing is kept for it
    let budget = if T::OWNS_TAPE { setup.values_budget } else { usize::MAX };
    let segments = Segments::within(budget, at.network, &walk.groups, walk.unit(rows));
    let output = at.network.output();
    let mut values = Values::new(walk.wires(0..walk.groups.len()), &[output]);
    values.set(0, Value::new(Operand { rows: inputs, grad: None }, None));
    let mut pass = walk.pass(Recorder::new::<T>(&walk.setup.device, norms));
    for segment in segments.segments {
        if segment.again {
            walk.run_twice(&mut pass, segment, &mut values)?;
        } else {
            walk.run(&mut pass, segment.groups, &mut values)?;
        }
    }
    let outputs = values.take(output);
    let rows = pass.tape.leave(outputs.operand);
    let tangent = outputs.tangent.map(|tangent| pass.tape.leave(tangent));
    let outputs = rows.put_tape(pass.tape.into_tape());
    Ok(DirectionalForward { forward: Forward { outputs, statistics: pass.measured }, tangent })
}

/// A network at a point with everything that its values depend on, except the inputs.
struct Walk {
    setup: Setup,
    network: Arc<Network>,
    groups: Vec<FusionGroup>,
    theta: Flat<Cpu>,
    buffers: Vec<f32>,
    mode: BatchNormMode,
    dropout: Option<DropoutDraw>,
    direction: Option<Flat<Cpu>>,
}

impl Walk {
    fn new(setup: &Setup, at: At<'_, Cpu>, direction: Option<&Flat<Cpu>>, norms: bool) -> Self {
        // tangents and the samples' own gradients need the values between layers
        let apart = direction.is_some() || norms;
        let At { network, theta, buffers, mode, dropout } = at;
        Self {
            setup: setup.clone(),
            network: network.clone(),
            groups: if apart { fusion::unfused(network) } else { fusion::fused(network) },
            theta: theta.clone(),
            buffers: buffers.to_vec(),
            mode,
            dropout,
            direction: direction.cloned(),
        }
    }

    fn pass<'a>(&'a self, tape: Recorder<'a>) -> Pass<'a> {
        let Self { network, theta, buffers, mode, dropout, .. } = self;
        let at = At { network, theta, buffers, mode: *mode, dropout: *dropout };
        Pass { at, direction: self.direction.as_ref(), tape, measured: vec![] }
    }

    fn wires(&self, groups: Range<usize>) -> impl Iterator<Item = &Wire> + Clone {
        self.groups[groups].iter().map(|group| &group.wire)
    }

    /// Bytes of an element of a value, and of its tangent, for all samples.
    fn unit(&self, rows: usize) -> usize {
        rows * size_of::<f32>() * if self.direction.is_some() { 2 } else { 1 }
    }

    /// Computes the values of groups, and records the operations if the tape does.
    fn run(
        &self,
        pass: &mut Pass<'_>,
        groups: Range<usize>,
        values: &mut Values<Value>,
    ) -> Result<(), CoreError> {
        for group in &self.groups[groups] {
            let operands = values.read(&group.wire.inputs);
            values.set(group.wire.value, self.step(pass, group, operands)?);
        }
        Ok(())
    }

    /// Computes the values of a segment and forgets those that are not read after it; records that the reverse pass computes
    /// them again.
    fn run_twice(
        self: &Rc<Self>,
        pass: &mut Pass<'_>,
        segment: Segment,
        values: &mut Values<Value>,
    ) -> Result<(), CoreError> {
        let inputs: Vec<Value> = segment.reads.iter().map(|&read| values.get(read).clone()).collect();
        let operations = pass.tape.pause();
        self.run(pass, segment.groups.clone(), values)?;
        pass.tape.go_on(operations);
        let slots = |value: &Value| -> Vec<Slot> { value.slots().cloned().collect() };
        let outputs: Vec<Vec<Slot>> = segment.writes.iter().map(|&write| slots(values.get(write))).collect();
        let (walk, measured, twin) = (self.clone(), pass.measured.clone(), pass.tape.twin());
        pass.tape.push(move |grads| {
            let mut pass = Pass { measured, ..walk.pass(twin.recorder(&walk.setup.device)) };
            let mut values = Values::new(walk.wires(segment.groups.clone()), &segment.writes);
            segment.reads.iter().zip(inputs).for_each(|(&read, value)| values.set(read, value));
            walk.run(&mut pass, segment.groups, &mut values)
                .expect("what was computed once can be computed again");
            for (write, slots) in segment.writes.into_iter().zip(outputs) {
                let value = values.take(write);
                value.slots().zip(slots).for_each(|(to, from)| to.replace(from.take()));
            }
            drop(values);
            pass.tape.reverse(grads)
        });
        Ok(())
    }

    fn step(
        &self,
        pass: &mut Pass<'_>,
        group: &FusionGroup,
        operands: Vec<Value>,
    ) -> Result<Value, CoreError> {
        let layer = fused_layer(&self.network, group, self.setup.convolution);
        let order = layer.layout().order.unwrap_or(operands[0].order);
        let operands = operands.into_iter().zip(&group.wire.inputs);
        let shape = |input: usize| &self.network.layers()[input].shape;
        let inputs: Result<Vec<Value>, CoreError> =
            operands.map(|(value, &input)| pass.in_order(value, shape(input), order)).collect();
        let value = layer.record(pass, Inputs::new(inputs?))?;
        Ok(Value { order, ..value })
    }
}
