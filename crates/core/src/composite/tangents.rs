//! Directional derivatives of the layers that are not linear in their inputs, in dfdx operations.

use dfdx::prelude::*;
use walk_arch::Activation;
use walk_kernels::activation::Activation as Kernel;

use super::layers::{ChannelStatistics, targets};
use super::number::Number;
use crate::Loss;
use crate::kernel_activation::kernel_activation;
use crate::tensors::{Flat, Rows};

/// f'(x) ẋ. dfdx lacks some second derivatives (of gelu even the first is wrong), so f'(x) is f'(c) + f''(c) (x - c) with
/// c = x as a constant: the value and the first derivative, which are all that a reverse pass uses, are those of f'. Both are
/// computed in f32.
pub(super) fn activation<E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &D,
    x: Rows<D, T, E>,
    dot_x: Rows<D, NoneTape, E>,
    activation: Activation,
) -> Result<Rows<D, T, E>, D::Err> {
    let shape = *x.shape();
    let values: Vec<f32> = x.as_vec().into_iter().map(E::rounded).collect();
    let kernel: Kernel = kernel_activation(activation);
    let ones = vec![1.0; values.len()];
    let (mut slope, mut curve) = (vec![0.0; values.len()], vec![0.0; values.len()]);
    kernel.backward(&values, &ones, &mut slope);
    kernel.tangent_backward(&values, &ones, &ones, &mut curve);
    let constant = |values: Vec<f32>| {
        device.try_tensor_from_vec(values.into_iter().map(|x| E::of(x.into())).collect(), shape)
    };
    let apart = x.try_sub(constant(values)?)?.try_mul(constant(curve)?)?;
    apart.try_add(constant(slope)?)?.try_mul(dot_x.retaped::<T>())
}

/// Batch norm's ẋ̂ = (ċ - x̂ ṡ) / s with c = x - μ, s = √(σ² + ε), ċ = ẋ - mean(ẋ), ṡ = mean(x̂ ċ), means per channel over
/// rows and pixels; ẋ / s with given statistics.
pub(super) fn standardize<E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &D,
    x: Rows<D, T, E>,
    dot_x: Rows<D, NoneTape, E>,
    eps: f32,
    shape: &[usize],
    running: Option<ChannelStatistics<E>>,
) -> Result<Rows<D, T, E>, D::Err> {
    let flat = *x.shape();
    let (channels, pixels) = (shape[0], shape[1..].iter().product::<usize>());
    let full = (flat.0, channels, pixels);
    let dot_x = dot_x.retaped::<T>().try_reshape_like(&full)?;
    if let Some(ChannelStatistics { var, .. }) = running {
        let std = |var: &E| E::of((var.precise() + f64::from(eps)).sqrt());
        let std: Vec<E> = var.iter().map(std).collect();
        let std = device.try_tensor_from_vec(std, (channels,))?;
        let (_, tape) = x.split_tape();
        let std = std.put_tape(tape).try_broadcast_like::<_, Axes2<0, 2>>(&full)?;
        return dot_x.try_div(std)?.try_reshape_like(&flat);
    }
    // rows and pixels of a channel, side by side
    let turned = |x: Tensor<(usize, usize, usize), E, D, T>| {
        let x = x.try_permute::<(usize, usize, usize), Axes3<1, 0, 2>>()?.try_contiguous()?;
        x.try_reshape_like(&(channels, flat.0 * pixels))
    };
    let y = row_tangent(turned(x.try_reshape_like(&full)?)?, turned(dot_x)?, eps)?;
    let y = y.try_reshape_like(&(channels, flat.0, pixels))?;
    let y = y.try_permute::<(usize, usize, usize), Axes3<1, 0, 2>>()?.try_contiguous()?;
    y.try_reshape_like(&flat)
}

/// The same over rows of `len` elements, of which each sample has one or more.
pub(super) fn standardize_rows<E: Number, D: Device<E>, T: Tape<E, D>>(
    x: Rows<D, T, E>,
    dot_x: Rows<D, NoneTape, E>,
    len: usize,
    eps: f32,
) -> Result<Rows<D, T, E>, D::Err> {
    let flat = *x.shape();
    let shape = (flat.0 * flat.1 / len, len);
    let dot_x = dot_x.retaped::<T>().try_reshape_like(&shape)?;
    row_tangent(x.try_reshape_like(&shape)?, dot_x, eps)?.try_reshape_like(&flat)
}

fn row_tangent<E: Number, D: Device<E>, T: Tape<E, D>>(
    x: Rows<D, T, E>,
    dot_x: Rows<D, T, E>,
    eps: f32,
) -> Result<Rows<D, T, E>, D::Err> {
    let shape = *x.shape();
    let spread = |x: Flat<D, T, E>| x.try_broadcast_like::<(usize, usize), Axis<1>>(&shape);
    let center = |x: Rows<D, T, E>| {
        let (x, tape) = x.split_tape();
        let mean = x.retaped::<T>().try_mean::<(usize,), Axis<1>>()?;
        x.put_tape(tape).try_sub(spread(mean)?)
    };
    let (c, c_tape) = center(x)?.split_tape();
    let (dot_c, dot_tape) = center(dot_x)?.split_tape();
    let var = c.retaped::<T>().try_square()?.try_mean::<(usize,), Axis<1>>()?;
    let (s, s_tape) = spread(var.try_add(E::of(eps.into()))?.try_sqrt()?)?.split_tape();
    let (hat, hat_tape) = c.put_tape(c_tape).try_div(s.clone().put_tape(s_tape))?.split_tape();
    let dot_s = hat.retaped::<T>().try_mul(dot_c.retaped::<T>())?.try_mean::<(usize,), Axis<1>>()?;
    let through = hat.put_tape(hat_tape).try_mul(spread(dot_s)?)?;
    dot_c.put_tape(dot_tape).try_sub(through)?.try_div(s.retaped::<T>())
}

/// y (ẋ - Σ y ẋ) for y the softmax of rows of `len` elements.
pub(super) fn softmax<E: Number, D: Device<E>, T: Tape<E, D>>(
    y: Rows<D, T, E>,
    dot_x: Rows<D, NoneTape, E>,
    len: usize,
) -> Result<Rows<D, T, E>, D::Err> {
    let flat = *y.shape();
    let shape = (flat.0 * flat.1 / len, len);
    let (y, tape) = y.try_reshape_like(&shape)?.split_tape();
    let (dot, dot_tape) = dot_x.retaped::<T>().try_reshape_like(&shape)?.split_tape();
    let sum = y.retaped::<T>().try_mul(dot.retaped::<T>())?.try_sum::<(usize,), Axis<1>>()?;
    let sum = sum.try_broadcast_like::<(usize, usize), Axis<1>>(&shape)?;
    let apart = dot.put_tape(dot_tape).try_sub(sum)?;
    y.put_tape(tape).try_mul(apart)?.try_reshape_like(&flat)
}

/// ∇ℓ(z)·ż of every sample.
pub(super) fn losses<E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &D,
    outputs: Rows<D, T, E>,
    dot_outputs: Rows<D, NoneTape, E>,
    labels: &[usize],
    loss: Loss,
) -> Result<Flat<D, T, E>, D::Err> {
    let classes = outputs.shape().1;
    let targets = targets(device, labels, classes, loss)?;
    let predicted = match loss {
        Loss::CrossEntropy | Loss::SmoothedCrossEntropy { .. } => outputs.try_softmax::<Axis<1>>()?,
        Loss::SquaredError | Loss::MeanSquaredError => outputs,
    };
    let factor = if loss == Loss::MeanSquaredError { 2.0 / classes as f64 } else { 1.0 };
    let slopes = predicted.try_sub(targets)?.try_mul(dot_outputs.retaped::<T>())?;
    slopes.try_sum::<(usize,), Axis<1>>()?.try_mul(E::of(factor))
}
