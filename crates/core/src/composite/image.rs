//! Layers on images, `[channels, height, width]` per row: windows are gathered by index.

use dfdx::prelude::*;
use walk_arch::{Conv2d, LayerParams, Pool2d};

use super::layers::part;
use super::number::Number;
use crate::tensors::{Flat, Rows};

/// How a window moves over one image.
struct Window {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    input: [usize; 2],
}

impl Window {
    fn pool(pool: &Pool2d, shape: &[usize]) -> Self {
        let Pool2d { kernel, stride, padding } = *pool;
        Self { kernel, stride, padding, dilation: [1, 1], input: [shape[1], shape[2]] }
    }

    fn output(&self) -> [usize; 2] {
        [0, 1].map(|axis| {
            let span = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
            (self.input[axis] + 2 * self.padding[axis] - span) / self.stride[axis] + 1
        })
    }

    fn places(&self) -> usize {
        let [rows, columns] = self.output();
        rows * columns
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The pixel under tap `tap` at position `place`, `None` in the padding.
    fn pixel(&self, place: usize, tap: usize) -> Option<usize> {
        let [height, width] = self.input;
        let columns = self.output()[1];
        let at = |axis: usize, place: usize, tap: usize| {
            (place * self.stride[axis] + tap * self.dilation[axis]).wrapping_sub(self.padding[axis])
        };
        let row = at(0, place / columns, tap / self.kernel[1]);
        let column = at(1, place % columns, tap % self.kernel[1]);
        (row < height && column < width).then(|| row * width + column)
    }
}

/// `[index.len(), n]` out of `[n, len]`, by index along a row; an index of `len` gives a zero.
pub(super) fn gather<E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &D,
    x: Rows<D, T, E>,
    index: Vec<usize>,
) -> Result<Rows<D, T, E>, D::Err> {
    let (rows, _) = *x.shape();
    let zero = device.try_tensor_from_vec(vec![E::default(); rows], (1, rows))?;
    let columns = x.try_permute::<(usize, usize), Axes2<1, 0>>()?.try_contiguous()?;
    let padded = (columns, zero).try_concat_along(Axis::<0>)?;
    let len = index.len();
    padded.try_gather(device.try_tensor_from_vec(index, (len,))?)
}

/// Cross-correlation with K filters.
pub(super) fn conv2d<E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &D,
    x: Rows<D, T, E>,
    theta: &Flat<D, NoneTape, E>,
    params: &LayerParams,
    conv: &Conv2d,
    shape: &[usize],
) -> Result<Rows<D, T, E>, D::Err> {
    let Conv2d { kernel, stride, padding, dilation, groups, .. } = *conv;
    let window = Window { kernel, stride, padding, dilation, input: [shape[1], shape[2]] };
    let (rows, len) = *x.shape();
    let (places, taps, pixels) = (window.places(), window.taps(), shape[1] * shape[2]);
    let (group_in, group_out) = (shape[0] / groups, conv.out_channels / groups);
    let depth = group_in * taps;
    let (x, mut tape) = x.split_tape();
    let mut outputs: Option<Rows<D, T, E>> = None;
    for group in 0..groups {
        let element = |i: usize| {
            let (channel, tap, place) = (i / (taps * places), i / places % taps, i % places);
            window.pixel(place, tap).map_or(len, |pixel| (group * group_in + channel) * pixels + pixel)
        };
        let index = (0..depth * places).map(element).collect();
        let columns = gather(device, x.clone().put_tape(std::mem::take(&mut tape)), index)?;
        let columns = columns.try_reshape_like(&(depth, places * rows))?;
        let start = params.weight.start + group * group_out * depth;
        let weight = part::<E, D, T>(theta, &(start..start + group_out * depth))?;
        let y = weight.try_reshape_like(&(group_out, depth))?.try_matmul(columns)?;
        outputs = Some(match outputs {
            None => y,
            Some(before) => (before, y).try_concat_along(Axis::<0>)?,
        });
    }
    let mut y = outputs.expect("there is at least one group");
    if !params.bias.is_empty() {
        let bias = part::<E, D, T>(theta, &params.bias)?;
        y = y.try_add(bias.try_broadcast_like::<_, Axis<1>>(&(conv.out_channels, places * rows))?)?;
    }
    let y = y.try_reshape_like(&(conv.out_channels * places, rows))?;
    y.try_permute::<(usize, usize), Axes2<1, 0>>()?.try_contiguous()
}

/// The position of the largest value of each window, `[rows, outputs]`. They are determined on the host, so that the first of
/// equal values gets the gradient, as in PyTorch; with dfdx's own maximum, each would.
pub(super) fn max_places<E: Number, D: Device<E>>(
    x: &Rows<D, NoneTape, E>,
    pool: &Pool2d,
    shape: &[usize],
) -> Vec<usize> {
    let window = Window::pool(pool, shape);
    let (rows, len) = *x.shape();
    let values: Vec<f64> = x.as_vec().into_iter().map(E::precise).collect();
    let (places, taps, pixels) = (window.places(), window.taps(), shape[1] * shape[2]);
    let mut index = Vec::with_capacity(rows * shape[0] * places);
    for row in values.chunks_exact(len) {
        for (channel, place) in (0..shape[0]).flat_map(|c| (0..places).map(move |place| (c, place))) {
            let candidates = (0..taps).filter_map(|tap| window.pixel(place, tap));
            let candidates = candidates.map(|pixel| channel * pixels + pixel);
            let larger = |a: usize, b: usize| if row[b] > row[a] || row[b].is_nan() { b } else { a };
            index.push(candidates.reduce(larger).expect("padding is at most half a window"));
        }
    }
    index
}

/// The largest value of each window, given its position.
pub(super) fn max_pool2d<E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &D,
    x: Rows<D, T, E>,
    places: Vec<usize>,
) -> Result<Rows<D, T, E>, D::Err> {
    let rows = x.shape().0;
    let outputs = places.len() / rows;
    x.try_gather(device.try_tensor_from_vec(places, (rows, outputs))?)
}

/// The mean of each window, padding counted as zeros.
pub(super) fn avg_pool2d<E: Number, D: Device<E>, T: Tape<E, D>>(
    device: &D,
    x: Rows<D, T, E>,
    pool: &Pool2d,
    shape: &[usize],
) -> Result<Rows<D, T, E>, D::Err> {
    let window = Window::pool(pool, shape);
    let (rows, len) = *x.shape();
    let (places, taps, pixels) = (window.places(), window.taps(), shape[1] * shape[2]);
    let outputs = shape[0] * places;
    let element = |i: usize| {
        let (tap, channel, place) = (i / outputs, i % outputs / places, i % places);
        window.pixel(place, tap).map_or(len, |pixel| channel * pixels + pixel)
    };
    let columns = gather(device, x, (0..taps * outputs).map(element).collect())?;
    let sums = columns.try_reshape_like(&(taps, outputs * rows))?.try_sum::<(usize,), Axis<0>>()?;
    let means = sums.try_mul(E::of(1.0 / taps as f64))?.try_reshape_like(&(outputs, rows))?;
    means.try_permute::<(usize, usize), Axes2<1, 0>>()?.try_contiguous()
}

/// The mean of each channel.
pub(super) fn global_avg_pool<E: Number, D: Device<E>, T: Tape<E, D>>(
    x: Rows<D, T, E>,
    shape: &[usize],
) -> Result<Rows<D, T, E>, D::Err> {
    let rows = x.shape().0;
    x.try_reshape_like(&(rows, shape[0], shape[1] * shape[2]))?.try_mean::<(usize, usize), Axis<2>>()
}
