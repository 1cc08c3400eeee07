//! Walks a network on a backend, with or without a tape.

use dfdx::prelude::*;
use walk_arch::{LayerBuffers, LayerParams, Network, Op};

use crate::backend::{Backend, BatchStatistics, Flat, LinearLayer, NormLayer, Rows};
use crate::{BatchNormMode, CoreError};

/// What a forward pass leaves: the network's outputs and each batch-norm layer's statistics.
pub(crate) struct Forward<D: Device<f32>, T> {
    pub(crate) outputs: Rows<D, T>,
    /// By layer index, for layers that used the batch's statistics.
    pub(crate) statistics: Vec<(usize, BatchStatistics)>,
}

/// Computes the outputs for a batch of inputs, `[rows, input length]`.
pub(crate) fn forward<B: Backend, T: Tape<f32, B::Device>>(
    backend: &B,
    network: &Network,
    theta: &Flat<B::Device>,
    buffers: &[f32],
    mode: BatchNormMode,
    inputs: Rows<B::Device>,
) -> Result<Forward<B::Device, T>, CoreError> {
    let layers = network.layers();
    let mut uses = vec![0usize; layers.len()];
    layers.iter().flat_map(|layer| &layer.inputs).for_each(|&input| uses[input] += 1);
    let mut values: Vec<Option<Rows<B::Device>>> = vec![None; layers.len()];
    let mut tape = T::default();
    let mut statistics = Vec::new();
    let mut inputs = Some(inputs);
    for (index, layer) in layers.iter().enumerate() {
        let operands: Vec<Rows<B::Device>> =
            layer.inputs.iter().map(|&input| take_or_clone(&mut values, &mut uses, input)).collect();
        let mut operands = operands.into_iter();
        let mut next = || operands.next().expect("the graph check holds layers to their arity");
        let value = match &layer.op {
            Op::Input => {
                values[index] = inputs.take();
                continue;
            }
            Op::Flatten => {
                values[index] = Some(next()); // values are rows already
                continue;
            }
            Op::Linear(linear) => {
                let x = next();
                let LayerParams { weight, bias } =
                    layer.params.clone().expect("a linear layer has parameters");
                let (in_features, out_features) = (x.shape().1, linear.out_features);
                let layer = LinearLayer { in_features, out_features, weight, bias };
                backend.linear(x.put_tape(std::mem::take(&mut tape)), theta, &layer)?
            }
            Op::BatchNorm(norm) => {
                let LayerParams { weight, bias } = layer.params.clone().expect("a norm has parameters");
                let LayerBuffers { mean, var } = layer.buffers.clone().expect("a norm has buffers");
                let running = match mode {
                    BatchNormMode::Batch => None,
                    BatchNormMode::Running => Some((buffers[mean].to_vec(), buffers[var].to_vec())),
                };
                let layer = NormLayer { scale: weight, shift: bias, eps: norm.eps, running };
                let (y, measured) =
                    backend.batch_norm(next().put_tape(std::mem::take(&mut tape)), theta, &layer)?;
                statistics.extend(measured.map(|measured| (index, measured)));
                y
            }
            Op::Activation(activation) => {
                backend.activation(next().put_tape(std::mem::take(&mut tape)), *activation)?
            }
            Op::Add => {
                let a = next().put_tape(std::mem::take(&mut tape));
                backend.add(a, next())?
            }
        };
        let (value, rest) = value.split_tape();
        values[index] = Some(value);
        tape = rest;
    }
    let outputs = values[network.output()].take().expect("every layer has been computed");
    Ok(Forward { outputs: outputs.put_tape(tape), statistics })
}

/// The value of `input`: moved out at its last use.
fn take_or_clone<D: Device<f32>>(
    values: &mut [Option<Rows<D>>],
    uses: &mut [usize],
    input: usize,
) -> Rows<D> {
    uses[input] -= 1;
    let value = if uses[input] == 0 { values[input].take() } else { values[input].clone() };
    value.expect("inputs come before the layers that read them")
}
