//! Layers on vectors, activations and losses.

use std::ops::Range;

use dfdx::prelude::*;
use walk_arch::{Activation, LayerParams};

use super::number::Number;
use crate::Loss;
use crate::backend::BatchStatistics;
use crate::tensors::{Flat, Rows};

/// A part of θ as a vector on the same tape. This does not use dfdx 0.13.0's `slice`, whose backward pass on the CPU
/// overwrites gradients: the gradient of a part that is read twice, as in Hv, would be lost.
pub(super) fn part<E: Number, D: Device<E>, T: Tape<E, D>>(
    theta: &Flat<D, NoneTape, E>,
    range: &Range<usize>,
) -> Result<Flat<D, T, E>, D::Err> {
    let index = theta.device().try_tensor_from_vec(range.clone().collect::<Vec<usize>>(), (range.len(),))?;
    theta.retaped::<T>().try_gather(index)
}

/// x Wᵀ + b along the last dimension; without b if its range is empty.
pub(super) fn linear<E: Number, D: Device<E>, T: Tape<E, D>>(
    x: Rows<D, T, E>,
    theta: &Flat<D, NoneTape, E>,
    params: &LayerParams,
    shape: &[usize],
    out_features: usize,
) -> Result<Rows<D, T, E>, D::Err> {
    let (rows, len) = *x.shape();
    let in_features = *shape.last().expect("shapes have a dimension");
    let pieces = len / in_features;
    let x = x.try_reshape_like(&(rows * pieces, in_features))?;
    let weight = part::<E, D, T>(theta, &params.weight)?.try_reshape_like(&(out_features, in_features))?;
    let mut y = x.try_matmul(weight.try_permute::<(usize, usize), Axes2<1, 0>>()?)?;
    if !params.bias.is_empty() {
        let bias = part::<E, D, T>(theta, &params.bias)?;
        y = y.try_add(bias.try_broadcast_like::<_, Axis<0>>(&(rows * pieces, out_features))?)?;
    }
    y.try_reshape_like(&(rows, pieces * out_features))
}

/// Given mean and variance of each channel.
#[derive(Clone)]
pub(super) struct ChannelStatistics<E> {
    pub(super) mean: Vec<E>,
    pub(super) var: Vec<E>,
}

/// Standardized values, and the statistics if they are the batch's.
pub(super) struct Standardized<E: Number, D: Device<E>, T> {
    pub(super) hat: Rows<D, T, E>,
    pub(super) statistics: Option<BatchStatistics>,
}

/// (x - μ) / √(σ² + ε) per channel, the first dimension of `shape`.
pub(super) fn standardize<E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &D,
    x: Rows<D, T, E>,
    eps: f32,
    shape: &[usize],
    running: Option<ChannelStatistics<E>>,
) -> Result<Standardized<E, D, T>, D::Err> {
    let flat = *x.shape();
    let (channels, pixels) = (shape[0], shape[1..].iter().product::<usize>());
    let full = (flat.0, channels, pixels);
    let (x, tape) = x.try_reshape_like(&full)?.split_tape();
    let of_batch = running.is_none();
    let (mean, var) = match running {
        Some(ChannelStatistics { mean, var }) => {
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
    let in_f32 = |x: &Flat<D, T, E>| x.as_vec().into_iter().map(E::rounded).collect();
    let statistics = of_batch.then(|| BatchStatistics { mean: in_f32(&mean), var: in_f32(&var), count });
    let centered = x.put_tape(tape).try_sub(mean.try_broadcast_like::<_, Axes2<0, 2>>(&full)?)?;
    let std = var.try_add(E::of(eps.into()))?.try_sqrt()?;
    let hat = centered.try_div(std.try_broadcast_like::<_, Axes2<0, 2>>(&full)?)?;
    Ok(Standardized { hat: hat.try_reshape_like(&flat)?, statistics })
}

pub(super) fn activation<E: Number, D: Device<E>, T: Tape<E, D>>(
    x: Rows<D, T, E>,
    activation: Activation,
) -> Result<Rows<D, T, E>, D::Err> {
    match activation {
        Activation::Relu => x.try_relu(),
        Activation::LeakyRelu => x.try_prelu(E::of(Activation::LEAKY_SLOPE.into())),
        Activation::Gelu => gelu(x),
        Activation::Silu => {
            let (x, tape) = x.split_tape();
            x.retaped::<T>().try_sigmoid().and_then(|gate| x.put_tape(tape).try_mul(gate))
        }
        Activation::Tanh => x.try_tanh(),
        Activation::Sigmoid => x.try_sigmoid(),
        Activation::Relu6 => x.try_clamp(0.0, 6.0),
        Activation::Elu => {
            // e^min(x, 0) - 1 is 0 for positive x
            let (x, tape) = x.split_tape();
            let below = x.retaped::<T>().try_clamp(f64::from(f32::MIN), 0.0)?;
            let below = below.try_exp()?.try_sub(E::of(1.0))?;
            x.put_tape(tape).try_relu()?.try_add(below)
        }
        Activation::HardSwish => {
            let (x, tape) = x.split_tape();
            let gate = x.retaped::<T>().try_add(E::of(3.0))?.try_clamp(0.0, 6.0)?;
            x.put_tape(tape).try_mul(gate)?.try_div(E::of(6.0))
        }
    }
}

/// x Φ(x). dfdx 0.13.0's `accurate_gelu` has the right value, but the derivative Φ(x) + √2 x φ(x) instead of
/// Φ(x) + x φ(x). Therefore a term is added whose value is 0 and whose derivative is (1 - √2) x φ(x): (√2 - 1) (φ(x) - φ),
/// with the second φ a constant.
fn gelu<E: Number, D: Device<E>, T: Tape<E, D>>(x: Rows<D, T, E>) -> Result<Rows<D, T, E>, D::Err> {
    let norm = E::of(std::f64::consts::TAU.sqrt().recip());
    let (x, tape) = x.split_tape();
    let density = x.retaped::<T>().try_square()?.try_mul(E::of(-0.5))?.try_exp()?.try_mul(norm)?;
    let (density, density_tape) = density.split_tape();
    let constant = density.clone().try_mul(E::of(1.0))?;
    let factor = E::of(std::f64::consts::SQRT_2 - 1.0);
    let zero = density.put_tape(density_tape).try_sub(constant)?.try_mul(factor)?;
    x.put_tape(tape).try_accurate_gelu()?.try_add(zero)
}

pub(super) fn add<E: Number, D: Device<E>, T: Tape<E, D>>(
    a: Rows<D, T, E>,
    b: Rows<D, NoneTape, E>,
) -> Result<Rows<D, T, E>, D::Err> {
    // a may be b, and dfdx's binary operations do not take the same tensor twice; times 1 it is a copy
    b.retaped::<T>().try_mul(E::of(1.0)).and_then(|b| a.try_add(b))
}

pub(super) fn losses<E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &D,
    outputs: Rows<D, T, E>,
    labels: &[usize],
    loss: Loss,
) -> Result<Flat<D, T, E>, D::Err> {
    let (rows, classes) = *outputs.shape();
    match loss {
        Loss::CrossEntropy => {
            let labels: Tensor<(usize,), usize, D> = device.try_tensor_from_vec(labels.to_vec(), (rows,))?;
            outputs.try_log_softmax::<Axis<1>>()?.try_select(labels)?.try_negate()
        }
        Loss::SmoothedCrossEntropy { .. } => {
            let targets = targets(device, labels, classes, loss)?;
            outputs
                .try_log_softmax::<Axis<1>>()?
                .try_mul(targets)?
                .try_sum::<(usize,), Axis<1>>()?
                .try_negate()
        }
        Loss::MeanSquaredError => {
            let residual = outputs.try_sub(targets(device, labels, classes, loss)?)?;
            residual.try_square()?.try_mean::<(usize,), Axis<1>>()
        }
        Loss::SquaredError => {
            let residual = outputs.try_sub(targets(device, labels, classes, loss)?)?;
            residual.try_square()?.try_sum::<(usize,), Axis<1>>()?.try_mul(E::of(0.5))
        }
    }
}

/// 1 at every sample's label, 0 elsewhere, `[rows, classes]`; with label smoothing, ε / classes more and ε less.
pub(super) fn targets<E: Number, D: Device<E>>(
    device: &D,
    labels: &[usize],
    classes: usize,
    loss: Loss,
) -> Result<Rows<D, NoneTape, E>, D::Err> {
    let smoothing: f64 = match loss {
        Loss::SmoothedCrossEntropy { smoothing } => smoothing.into(),
        _ => 0.0,
    };
    let shared = smoothing / classes as f64;
    let mut targets = vec![E::of(shared); labels.len() * classes];
    let own = E::of(1.0 - smoothing + shared);
    labels.iter().enumerate().for_each(|(row, label)| targets[row * classes + label] = own);
    device.try_tensor_from_vec(targets, (labels.len(), classes))
}
