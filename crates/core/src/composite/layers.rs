//! Layers on vectors, activations and losses.

use std::ops::Range;

use dfdx::prelude::*;
use walk_arch::{Activation, LayerParams};

use crate::Loss;
use crate::backend::{BatchStatistics, Flat, Rows};

/// A part of θ as a vector on the same tape. Not by dfdx 0.13.0's `slice`, whose backward pass on the CPU overwrites: the
/// gradient of a part that is read twice, as Hv reads it, would be lost.
pub(super) fn part<D: Device<f32>, T: Tape<f32, D>>(
    theta: &Flat<D>,
    range: &Range<usize>,
) -> Result<Flat<D, T>, D::Err> {
    let index = theta.device().try_tensor_from_vec(range.clone().collect::<Vec<usize>>(), (range.len(),))?;
    theta.retaped::<T>().try_gather(index)
}

/// x Wᵀ + b along the last dimension; without b if its range is empty.
pub(super) fn linear<D: Device<f32>, T: Tape<f32, D>>(
    x: Rows<D, T>,
    theta: &Flat<D>,
    params: &LayerParams,
    shape: &[usize],
    out_features: usize,
) -> Result<Rows<D, T>, D::Err> {
    let (rows, len) = *x.shape();
    let in_features = *shape.last().expect("shapes have a dimension");
    let pieces = len / in_features;
    let x = x.try_reshape_like(&(rows * pieces, in_features))?;
    let weight = part::<D, T>(theta, &params.weight)?.try_reshape_like(&(out_features, in_features))?;
    let mut y = x.try_matmul(weight.try_permute::<(usize, usize), Axes2<1, 0>>()?)?;
    if !params.bias.is_empty() {
        let bias = part::<D, T>(theta, &params.bias)?;
        y = y.try_add(bias.try_broadcast_like::<_, Axis<0>>(&(rows * pieces, out_features))?)?;
    }
    y.try_reshape_like(&(rows, pieces * out_features))
}

/// Standardised values, and the statistics if they are the batch's.
type Normed<D, T> = (Rows<D, T>, Option<BatchStatistics>);

/// (x - μ) / √(σ² + ε) per channel, the first dimension of `shape`.
pub(super) fn standardize<D: Device<f32>, T: Tape<f32, D>>(
    device: &D,
    x: Rows<D, T>,
    eps: f32,
    shape: &[usize],
    running: Option<(Vec<f32>, Vec<f32>)>,
) -> Result<Normed<D, T>, D::Err> {
    let flat = *x.shape();
    let (channels, pixels) = (shape[0], shape[1..].iter().product::<usize>());
    let full = (flat.0, channels, pixels);
    let (x, tape) = x.try_reshape_like(&full)?.split_tape();
    let of_batch = running.is_none();
    let (mean, var) = match running {
        Some((mean, var)) => {
            let constant = |values| device.try_tensor_from_vec(values, (channels,));
            (constant(mean)?.put_tape(T::default()), constant(var)?.put_tape(T::default()))
        }
        None => {
            let mean = x.retaped::<T>().try_mean::<(usize,), Axes2<0, 2>>()?;
            let spread = mean.retaped::<T>().try_broadcast_like::<_, Axes2<0, 2>>(&full)?;
            let var = x.retaped::<T>().try_sub(spread)?.try_square()?.try_mean::<(usize,), Axes2<0, 2>>()?;
            (mean, var)
        }
    };
    let count = flat.0 * pixels;
    let statistics = of_batch.then(|| BatchStatistics { mean: mean.as_vec(), var: var.as_vec(), count });
    let centred = x.put_tape(tape).try_sub(mean.try_broadcast_like::<_, Axes2<0, 2>>(&full)?)?;
    let std = var.try_add(eps)?.try_sqrt()?;
    let hat = centred.try_div(std.try_broadcast_like::<_, Axes2<0, 2>>(&full)?)?;
    Ok((hat.try_reshape_like(&flat)?, statistics))
}

pub(super) fn activation<D: Device<f32>, T: Tape<f32, D>>(
    x: Rows<D, T>,
    activation: Activation,
) -> Result<Rows<D, T>, D::Err> {
    match activation {
        Activation::Relu => x.try_relu(),
        Activation::LeakyRelu => x.try_prelu(Activation::LEAKY_SLOPE),
        Activation::Gelu => gelu(x),
        Activation::Silu => {
            let (x, tape) = x.split_tape();
            x.retaped::<T>().try_sigmoid().and_then(|gate| x.put_tape(tape).try_mul(gate))
        }
        Activation::Tanh => x.try_tanh(),
        Activation::Sigmoid => x.try_sigmoid(),
    }
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

pub(super) fn add<D: Device<f32>, T: Tape<f32, D>>(a: Rows<D, T>, b: Rows<D>) -> Result<Rows<D, T>, D::Err> {
    // a may be b, and dfdx's binary operations refuse one tensor twice; times 1 it is another
    b.retaped::<T>().try_mul(1.0).and_then(|b| a.try_add(b))
}

pub(super) fn losses<D: Device<f32>, T: Tape<f32, D>>(
    device: &D,
    outputs: Rows<D, T>,
    labels: &[usize],
    loss: Loss,
) -> Result<Flat<D, T>, D::Err> {
    let (rows, classes) = *outputs.shape();
    match loss {
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
    }
}
