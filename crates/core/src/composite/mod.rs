//! Every layer as a composition of stable dfdx operations: right on any dfdx device, and the oracle for the fused
//! kernels. Images have channels first, as PyTorch's.

mod image;
mod layers;
mod tensor_layers;

use dfdx::prelude::*;
use walk_arch::{LayerParams, Op};

use crate::backend::{At, Backend, Flat, Forward, Rows};
use crate::executor::{layer_by_layer, walk};
use crate::{BatchNormMode, CoreError, Loss};

/// Runs networks on any dfdx device, by compositions of its operations.
#[derive(Clone, Debug, Default)]
pub struct Composite<D> {
    device: D,
}

impl<D> Composite<D> {
    /// A backend on `device`.
    pub fn new(device: D) -> Self {
        Self { device }
    }
}

/// The implementation is the same on every device; only the name differs.
macro_rules! composite_backend {
    ($device:ty, $name:literal) => {
        impl Backend for Composite<$device> {
            type Device = $device;
            const NAME: &'static str = $name;

            fn device(&self) -> &$device {
                &self.device
            }

            fn forward<T: Tape<f32, $device>>(
                &self,
                at: At<'_, $device>,
                inputs: Rows<$device>,
            ) -> Result<Forward<$device, T>, CoreError> {
                forward(&self.device, at, inputs)
            }

            fn losses<T: Tape<f32, $device>>(
                &self,
                outputs: Rows<$device, T>,
                labels: &[usize],
                loss: Loss,
            ) -> Result<Flat<$device, T>, CoreError> {
                layers::losses(&self.device, outputs, labels, loss).map_err(CoreError::device)
            }
        }
    };
}

composite_backend!(Cpu, "cpu, composite");
#[cfg(feature = "cuda")]
composite_backend!(Cuda, "cuda");

fn forward<D: Device<f32>, T: Tape<f32, D>>(
    device: &D,
    at: At<'_, D>,
    inputs: Rows<D>,
) -> Result<Forward<D, T>, CoreError> {
    let mut tape = T::default();
    let mut statistics = Vec::new();
    let wires = layer_by_layer(at.network);
    let outputs = walk(wires.iter(), at.network.output(), inputs, |place, operands| {
        let index = wires[place].value;
        let layer = &at.network.layers()[index];
        let mut operands = operands.into_iter();
        let mut next = || operands.next().expect("the graph check holds layers to their arity");
        let x = next().put_tape(std::mem::take(&mut tape));
        let shapes: Vec<&[usize]> =
            layer.inputs.iter().map(|&input| at.network.layers()[input].shape.as_slice()).collect();
        let shape = shapes[0];
        let params = || layer.params.clone().expect("the graph check gives it parameters");
        let y = match &layer.op {
            Op::Input | Op::Flatten | Op::Reshape(_) => Ok(x), // values are rows already
            Op::Linear(_) => layers::linear(x, at.theta, &params(), shape),
            Op::Conv2d(conv) => image::conv2d(device, x, at.theta, &params(), conv, shape),
            Op::BatchNorm(norm) => {
                let LayerParams { weight, bias } = params();
                let running = layer.buffers.as_ref().filter(|_| at.mode == BatchNormMode::Running);
                let running = running.map(|place| {
                    (at.buffers[place.mean.clone()].to_vec(), at.buffers[place.var.clone()].to_vec())
                });
                let normed =
                    layers::batch_norm(device, x, at.theta, (weight, bias), norm.eps, shape, running);
                normed.map(|(y, measured)| {
                    statistics.extend(measured.map(|measured| (index, measured)));
                    y
                })
            }
            Op::MaxPool2d(pool) => image::max_pool2d(device, x, pool, shape),
            Op::AvgPool2d(pool) => image::avg_pool2d(device, x, pool, shape),
            Op::GlobalAvgPool => image::global_avg_pool(x, shape),
            Op::Activation(activation) => layers::activation(x, *activation),
            Op::Add => layers::add(x, next()),
            Op::Mul => tensor_layers::mul(x, next()),
            Op::Concat(concat) => tensor_layers::concat(x, next(), [shape, shapes[1]], concat.axis),
            Op::Matmul(matmul) => tensor_layers::matmul(x, next(), [shape, shapes[1]], matmul),
            Op::Permute(_) | Op::PadChannels(_) | Op::Subsample(_) => {
                tensor_layers::rearrange(device, x, &layer.op, shape, &layer.shape)
            }
            Op::Softmax => tensor_layers::softmax(x, *shape.last().expect("shapes have a dimension")),
            Op::LayerNorm(norm) => {
                let len = shape[shape.len() - norm.dims..].iter().product();
                let hat = tensor_layers::standardize(x, len, norm.eps);
                hat.and_then(|hat| tensor_layers::scale_shift(hat, at.theta, &params(), 1))
            }
            Op::GroupNorm(norm) => {
                let len: usize = shape.iter().product();
                let hat = tensor_layers::standardize(x, len / norm.groups, norm.eps);
                hat.and_then(|hat| tensor_layers::scale_shift(hat, at.theta, &params(), len / shape[0]))
            }
            Op::Bias(_) => tensor_layers::scale_shift(x, at.theta, &params(), 1),
            Op::Dropout(dropout) => match at.dropout {
                Some(draw) => {
                    let (rows, len) = *x.shape();
                    tensor_layers::times(device, x, draw.mask(dropout.p, index, rows * len))
                }
                None => Ok(x),
            },
        };
        let (y, rest) = y.map_err(CoreError::device)?.split_tape();
        tape = rest;
        Ok::<_, CoreError>(y)
    })?;
    Ok(Forward { outputs: outputs.put_tape(tape), statistics })
}
