//! Every layer as a composition of stable dfdx operations: right on any dfdx device, and the oracle for the fused
//! kernels.

use std::ops::Range;

use dfdx::prelude::*;
use walk_arch::Activation;

use crate::backend::{Backend, BatchStatistics, Flat, LinearLayer, NormLayer, Normed, Rows};
use crate::{CoreError, Loss};

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

impl Backend for Composite<Cpu> {
    type Device = Cpu;
    const NAME: &'static str = "cpu, composite";
    fn device(&self) -> &Cpu {
        &self.device
    }
}

#[cfg(feature = "cuda")]
impl Backend for Composite<Cuda> {
    type Device = Cuda;
    const NAME: &'static str = "cuda";
    fn device(&self) -> &Cuda {
        &self.device
    }
}

/// A part of θ as a vector on the same tape.
fn part<D: Device<f32>, T: Tape<f32, D>>(
    theta: &Flat<D>,
    range: &Range<usize>,
) -> Result<Flat<D, T>, CoreError> {
    theta.retaped::<T>().try_slice((range.clone(),)).map_err(CoreError::device)
}

pub(crate) fn linear<D: Device<f32>, T: Tape<f32, D>>(
    x: Rows<D, T>,
    theta: &Flat<D>,
    layer: &LinearLayer,
) -> Result<Rows<D, T>, CoreError> {
    let weight = part::<D, T>(theta, &layer.weight)?;
    let bias = part::<D, T>(theta, &layer.bias)?;
    let shape = (x.shape().0, layer.out_features);
    let compute = || {
        let weight = weight.try_reshape_like(&(layer.out_features, layer.in_features))?;
        let product = x.try_matmul(weight.try_permute::<(usize, usize), Axes2<1, 0>>()?)?;
        product.try_add(bias.try_broadcast_like::<_, Axis<0>>(&shape)?)
    };
    compute().map_err(CoreError::device)
}

pub(crate) fn batch_norm<D: Device<f32>, T: Tape<f32, D>>(
    device: &D,
    x: Rows<D, T>,
    theta: &Flat<D>,
    layer: &NormLayer,
) -> Result<Normed<D, T>, CoreError> {
    let scale = part::<D, T>(theta, &layer.scale)?;
    let shift = part::<D, T>(theta, &layer.shift)?;
    let shape = *x.shape();
    let compute = || {
        let (x, tape) = x.split_tape();
        let (mean, var, x) = match &layer.running {
            Some((mean, var)) => {
                let mean = device.try_tensor_from_vec(mean.clone(), (shape.1,))?.put_tape(T::default());
                let var = device.try_tensor_from_vec(var.clone(), (shape.1,))?.put_tape(T::default());
                (mean, var, x.put_tape(tape))
            }
            None => {
                let mean = x.retaped::<T>().try_mean::<(usize,), Axis<0>>()?;
                let centred = x
                    .retaped::<T>()
                    .try_sub(mean.retaped::<T>().try_broadcast_like::<_, Axis<0>>(&shape)?)?;
                let var = centred.try_square()?.try_mean::<(usize,), Axis<0>>()?;
                (mean, var, x.put_tape(tape))
            }
        };
        let statistics = layer.running.is_none().then(|| (mean.as_vec(), var.as_vec()));
        let centred = x.try_sub(mean.try_broadcast_like::<_, Axis<0>>(&shape)?)?;
        let std = var.try_add(layer.eps)?.try_sqrt()?;
        let hat = centred.try_div(std.try_broadcast_like::<_, Axis<0>>(&shape)?)?;
        let scaled = hat.try_mul(scale.try_broadcast_like::<_, Axis<0>>(&shape)?)?;
        let y = scaled.try_add(shift.try_broadcast_like::<_, Axis<0>>(&shape)?)?;
        Ok::<_, D::Err>((y, statistics.map(|(mean, var)| BatchStatistics { mean, var })))
    };
    compute().map_err(CoreError::device)
}

pub(crate) fn activation<D: Device<f32>, T: Tape<f32, D>>(
    x: Rows<D, T>,
    activation: Activation,
) -> Result<Rows<D, T>, CoreError> {
    let y = match activation {
        Activation::Relu => x.try_relu(),
        Activation::LeakyRelu => x.try_prelu(Activation::LEAKY_SLOPE),
        Activation::Gelu => gelu(x),
        Activation::Silu => {
            let (x, tape) = x.split_tape();
            x.retaped::<T>().try_sigmoid().and_then(|gate| x.put_tape(tape).try_mul(gate))
        }
        Activation::Tanh => x.try_tanh(),
        Activation::Sigmoid => x.try_sigmoid(),
    };
    y.map_err(CoreError::device)
}

/// x Φ(x). dfdx 0.13.0's `accurate_gelu` has the right value, but the derivative Φ(x) + √2 x φ(x) in place of
/// Φ(x) + x φ(x); so a term is added whose value is 0 and whose derivative is (1 - √2) x φ(x): (√2 - 1) (φ(x) - φ),
/// with the second φ a constant.
fn gelu<D: Device<f32>, T: Tape<f32, D>>(x: Rows<D, T>) -> Result<Rows<D, T>, D::Err> {
    const NORM: f32 = 0.398_942_3; // 1/√(2π)
    let (x, tape) = x.split_tape();
    let density = x.retaped::<T>().try_square()?.try_mul(-0.5)?.try_exp()?.try_mul(NORM)?;
    let (density, density_tape) = density.split_tape();
    let constant = density.clone().try_mul(1.0)?;
    let zero = density.put_tape(density_tape).try_sub(constant)?.try_mul(std::f32::consts::SQRT_2 - 1.0)?;
    x.put_tape(tape).try_accurate_gelu()?.try_add(zero)
}

pub(crate) fn add<D: Device<f32>, T: Tape<f32, D>>(
    a: Rows<D, T>,
    b: Rows<D>,
) -> Result<Rows<D, T>, CoreError> {
    // a may be b, and dfdx's binary operations refuse one tensor twice; times 1 it is another
    b.retaped::<T>().try_mul(1.0).and_then(|b| a.try_add(b)).map_err(CoreError::device)
}

pub(crate) fn losses<D: Device<f32>, T: Tape<f32, D>>(
    device: &D,
    outputs: Rows<D, T>,
    labels: &[usize],
    loss: Loss,
) -> Result<Flat<D, T>, CoreError> {
    let (rows, classes) = *outputs.shape();
    let compute = || match loss {
        Loss::CrossEntropy => {
            let labels: Tensor<(usize,), usize, D> = device.try_tensor_from_vec(labels.to_vec(), (rows,))?;
            outputs.try_log_softmax::<Axis<1>>()?.try_select(labels)?.try_negate()
        }
        Loss::SquaredError => {
            let mut targets = vec![0.0; rows * classes];
            labels.iter().enumerate().for_each(|(row, label)| targets[row * classes + label] = 1.0);
            let residual = outputs.try_sub(device.try_tensor_from_vec(targets, (rows, classes))?)?;
            residual.try_square()?.try_sum::<(usize,), Axis<1>>()?.try_mul(0.5)
        }
    };
    compute().map_err(CoreError::device)
}
