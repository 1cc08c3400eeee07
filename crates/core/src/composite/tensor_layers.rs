//! Layers on values of any shape.

use dfdx::prelude::*;
use walk_arch::{LayerParams, Matmul, Op};

use super::image::gather;
use super::layers::part;
use super::number::Number;
use crate::tensors::{Flat, Rows};

/// x times another value.
pub(super) fn mul<E: Number, D: Device<E>, T: Tape<E, D>>(
    a: Rows<D, T, E>,
    b: Rows<D, NoneTape, E>,
) -> Result<Rows<D, T, E>, D::Err> {
    // a may be b, and dfdx's binary operations do not take the same tensor twice; times 1 it is a copy
    b.retaped::<T>().try_mul(E::of(1.0)).and_then(|b| a.try_mul(b))
}

/// x times constants.
pub(super) fn times<E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &D,
    x: Rows<D, T, E>,
    constants: Vec<f32>,
) -> Result<Rows<D, T, E>, D::Err> {
    let shape = *x.shape();
    let constants = constants.into_iter().map(|x| E::of(x.into())).collect();
    x.try_mul(device.try_tensor_from_vec::<(usize, usize)>(constants, shape)?)
}

/// Both values, seen as matrices `[rows · dimensions before the axis, the rest]`, side by side.
pub(super) fn concat<E: Number, D: Device<E>, T: Tape<E, D>>(
    a: Rows<D, T, E>,
    b: Rows<D, NoneTape, E>,
    [a_shape, b_shape]: [&[usize]; 2],
    axis: usize,
) -> Result<Rows<D, T, E>, D::Err> {
    let rows = a.shape().0;
    let outer: usize = rows * a_shape[..axis].iter().product::<usize>();
    let inner = |shape: &[usize]| shape[axis..].iter().product::<usize>();
    // dfdx joins along the first dimension without copying element by element: columns become rows and back
    let turned = |x: Rows<D, T, E>, inner: usize| {
        x.try_reshape_like(&(outer, inner))?.try_permute::<(usize, usize), Axes2<1, 0>>()?.try_contiguous()
    };
    let (a, tape) = a.split_tape();
    let a = turned(a.put_tape(tape), inner(a_shape))?;
    let b = turned(b.retaped::<T>().try_mul(E::of(1.0))?, inner(b_shape))?;
    let y =
        (a, b).try_concat_along(Axis::<0>)?.try_permute::<(usize, usize), Axes2<1, 0>>()?.try_contiguous()?;
    y.try_reshape_like(&(rows, outer / rows * (inner(a_shape) + inner(b_shape))))
}

/// The elements of every row in another order, zero where the operation pads.
pub(super) fn rearrange<E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &D,
    x: Rows<D, T, E>,
    op: &Op,
    shape: &[usize],
    out: &[usize],
) -> Result<Rows<D, T, E>, D::Err> {
    let (rows, len) = *x.shape();
    let digits = |mut place: usize| {
        let mut digits = vec![0; out.len()];
        for d in (0..out.len()).rev() {
            digits[d] = place % out[d];
            place /= out[d];
        }
        digits
    };
    let place = |at: &[usize]| at.iter().zip(shape).fold(0, |place, (digit, size)| place * size + digit);
    let from = |to: usize| {
        let to = digits(to);
        match op {
            Op::Permute(permute) => {
                let mut at = vec![0; shape.len()];
                permute.order.iter().zip(&to).for_each(|(&d, &digit)| at[d] = digit);
                place(&at)
            }
            Op::PadChannels(pad) => match to[0].checked_sub(pad.before) {
                Some(channel) if channel < shape[0] => place(&[channel, to[1], to[2]]),
                _ => len,
            },
            Op::Crop(crop) => {
                let at = to.iter().zip(&crop.start).map(|(&to, &start)| usize::try_from(to as i64 + start));
                let at: Option<Vec<usize>> = at.map(Result::ok).collect();
                at.filter(|at| at.iter().zip(shape).all(|(at, size)| at < size)).map_or(len, |at| place(&at))
            }
            Op::Subsample(sample) => place(&[to[0], to[1] * sample.stride[0], to[2] * sample.stride[1]]),
            op => unreachable!("{op:?} does more than move elements"),
        }
    };
    let index = (0..out.iter().product()).map(from).collect();
    let y: Rows<D, T, E> = gather(device, x, index)?;
    let y = y.try_permute::<(usize, usize), Axes2<1, 0>>()?.try_contiguous()?;
    debug_assert_eq!(y.shape().0, rows);
    Ok(y)
}

/// Matrix products, one per sample and leading dimension.
pub(super) fn matmul<E: Number, D: Device<E>, T: Tape<E, D>>(
    a: Rows<D, T, E>,
    b: Rows<D, NoneTape, E>,
    [a_shape, b_shape]: [&[usize]; 2],
    matmul: &Matmul,
) -> Result<Rows<D, T, E>, D::Err> {
    let rows = a.shape().0;
    let matrix = |shape: &[usize]| (shape[shape.len() - 2], shape[shape.len() - 1]);
    let ((m, k), (p, q)) = (matrix(a_shape), matrix(b_shape));
    let pairs = rows * a_shape[..a_shape.len() - 2].iter().product::<usize>();
    let a = a.try_reshape_like(&(pairs, m, k))?;
    let b = b.retaped::<T>().try_mul(E::of(matmul.scale.into()))?.try_reshape_like(&(pairs, p, q))?;
    let (b, n) = if matmul.transposed {
        (b.try_permute::<(usize, usize, usize), Axes3<0, 2, 1>>()?.try_contiguous()?, p)
    } else {
        (b, q)
    };
    a.try_matmul(b)?.try_reshape_like(&(rows, pairs / rows * m * n))
}

/// Softmax along the last dimension, of `len` elements.
pub(super) fn softmax<E: Number, D: Device<E>, T: Tape<E, D>>(
    x: Rows<D, T, E>,
    len: usize,
) -> Result<Rows<D, T, E>, D::Err> {
    let (rows, columns) = *x.shape();
    let x = x.try_reshape_like(&(rows * columns / len, len))?;
    x.try_softmax::<Axis<1>>()?.try_reshape_like(&(rows, columns))
}

/// (x - μ) / √(σ² + ε) of rows of `len` elements.
pub(super) fn standardize<E: Number, D: Device<E>, T: Tape<E, D>>(
    x: Rows<D, T, E>,
    len: usize,
    eps: f32,
) -> Result<Rows<D, T, E>, D::Err> {
    let flat = *x.shape();
    let shape = (flat.0 * flat.1 / len, len);
    let (x, tape) = x.try_reshape_like(&shape)?.split_tape();
    let mean = x.retaped::<T>().try_mean::<(usize,), Axis<1>>()?.try_broadcast_like::<_, Axis<1>>(&shape)?;
    let centered = x.put_tape(tape).try_sub(mean)?;
    let (centered, tape) = centered.split_tape();
    let var = centered.retaped::<T>().try_square()?.try_mean::<(usize,), Axis<1>>()?;
    let std = var.try_add(E::of(eps.into()))?.try_sqrt()?.try_broadcast_like::<_, Axis<1>>(&shape)?;
    centered.put_tape(tape).try_div(std)?.try_reshape_like(&flat)
}

/// x γ + β, a sample being `[outer, columns, inner]`; without β if its range is empty.
pub(super) fn scale_shift<E: Number, D: Device<E>, T: Tape<E, D>>(
    x: Rows<D, T, E>,
    theta: &Flat<D, NoneTape, E>,
    params: &LayerParams,
    [columns, inner]: [usize; 2],
) -> Result<Rows<D, T, E>, D::Err> {
    let flat = *x.shape();
    let shape = (flat.0 * flat.1 / (columns * inner), columns, inner);
    let scale = part::<E, D, T>(theta, &params.weight)?.try_broadcast_like::<_, Axes2<0, 2>>(&shape)?;
    let mut y = x.try_reshape_like(&shape)?.try_mul(scale)?;
    if !params.bias.is_empty() {
        y = y.try_add(part::<E, D, T>(theta, &params.bias)?.try_broadcast_like::<_, Axes2<0, 2>>(&shape)?)?;
    }
    y.try_reshape_like(&flat)
}

/// x + b, a sample being `[outer, columns, inner]`.
pub(super) fn shift<E: Number, D: Device<E>, T: Tape<E, D>>(
    x: Rows<D, T, E>,
    theta: &Flat<D, NoneTape, E>,
    params: &LayerParams,
    [columns, inner]: [usize; 2],
) -> Result<Rows<D, T, E>, D::Err> {
    let flat = *x.shape();
    let shape = (flat.0 * flat.1 / (columns * inner), columns, inner);
    let shift = part::<E, D, T>(theta, &params.bias)?.try_broadcast_like::<_, Axes2<0, 2>>(&shape)?;
    x.try_reshape_like(&shape)?.try_add(shift)?.try_reshape_like(&flat)
}
