//! Convolution as a matrix product: each output pixel's window of the input is a row.

use rayon::prelude::*;

use super::input::{ParamsBackward, normalized};
use super::{ConvShape, Scratch};
use crate::channel_order::transpose;
use crate::elementwise::{add, add_row};
use crate::matmul::{Matrix, MatrixMut, Write, matmul};

/// Output pixels per matrix product, so that operands stay in the second-level cache.
const BLOCK_PIXELS: usize = 128;
/// Parts of a batch whose weight gradients are summed separately, then added up. The number is fixed, so that bits do
/// not depend on the number of threads.
const PARTS: usize = 4;

/// A convolution's weights, laid out for its matrix products once per parameter point.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    shape: ConvShape,
    /// Per group `[taps, group_in, group_out]`.
    weight: Vec<f32>,
}

impl Columns {
    /// Room for a convolution, filled with zeros until [`Columns::pack`].
    pub(super) fn new(shape: ConvShape) -> Self {
        Self { shape, weight: vec![0.0; shape.weight_len()] }
    }

    /// Lays out weights, `[out_channels, in_channels / groups, taps]`.
    pub(super) fn pack(&mut self, weight: &[f32]) {
        let (depth, group_in, group_out) =
            (self.shape.taps() * self.shape.group_in(), self.shape.group_in(), self.shape.group_out());
        let taps = self.shape.taps();
        let groups = weight.par_chunks(depth * group_out).zip(self.weight.par_chunks_mut(depth * group_out));
        groups.for_each(|(from, to)| {
            // [out][in][tap] to [tap][in][out]
            to.par_chunks_mut(group_in * group_out).enumerate().for_each(|(tap, to)| {
                const BLOCK: usize = 16;
                for first in (0..group_out).step_by(BLOCK) {
                    for channel in 0..group_in {
                        let outs = first..group_out.min(first + BLOCK);
                        for (to, out) in to[channel * group_out..][outs.clone()].iter_mut().zip(outs) {
                            *to = from[(out * group_in + channel) * taps + tap];
                        }
                    }
                }
            });
        });
    }

    /// y = (or +=) the convolution of a block of images + bias, on the calling thread.
    pub(super) fn forward_block(
        &self,
        x: &[f32],
        y: &mut [f32],
        bias: &[f32],
        write: Write,
        scratch: &mut Scratch,
    ) {
        let shape = &self.shape;
        let (depth, group_out) = (shape.taps() * shape.group_in(), shape.group_out());
        let rows = y.len() / shape.out_channels;
        for group in 0..shape.groups {
            let columns = gather(shape, group, x, &mut scratch.columns);
            let weight = &self.weight[group * depth * group_out..][..depth * group_out];
            let out = &mut y[group * group_out..];
            matmul(
                Matrix::new(columns, rows, depth, depth),
                Matrix::new(weight, depth, group_out, group_out),
                &mut MatrixMut::new(out, rows, group_out, shape.out_channels),
                write,
            );
        }
        if !bias.is_empty() {
            add_row(y, bias);
        }
    }

    /// dx += the gradient of a block of inputs, on the calling thread.
    pub(super) fn backward_block(&self, dy: &[f32], dx: &mut [f32], scratch: &mut Scratch) {
        let shape = &self.shape;
        let (depth, group_out) = (shape.taps() * shape.group_in(), shape.group_out());
        let rows = dy.len() / shape.out_channels;
        for group in 0..shape.groups {
            scratch.columns.resize(rows * depth, 0.0);
            let weight = &self.weight[group * depth * group_out..][..depth * group_out];
            matmul(
                Matrix::new(&dy[group * group_out..], rows, group_out, shape.out_channels),
                Matrix::new(weight, depth, group_out, group_out).transposed(),
                &mut MatrixMut::new(&mut scratch.columns[..rows * depth], rows, depth, depth),
                Write::Replace,
            );
            scatter_add(shape, group, &scratch.columns, dx);
        }
    }
}

/// dW += the gradient of the weights, over all threads.
pub(super) fn backward_params(
    shape: &ConvShape,
    ParamsBackward { x, norm, dy }: ParamsBackward<'_>,
    dweight: &mut [f32],
) {
    let (depth, group_out) = (shape.taps() * shape.group_in(), shape.group_out());
    let images = dy.len() / shape.out_len();
    let part = images.div_ceil(PARTS).max(1);
    let block = block_images(shape);
    let parts = x.par_chunks(part * shape.in_len()).zip(dy.par_chunks(part * shape.out_len()));
    let sums: Vec<Vec<f32>> = parts
        .map(|(x, dy)| {
            let (mut scratch, mut held) = (Scratch::default(), vec![]);
            // per group [group_out, taps, group_in]
            let mut sum = vec![0.0; dweight.len()];
            for (x, dy) in x.chunks(block * shape.in_len()).zip(dy.chunks(block * shape.out_len())) {
                let rows = dy.len() / shape.out_channels;
                let x = normalized(norm, x, &mut held);
                for group in 0..shape.groups {
                    let columns = gather(shape, group, x, &mut scratch.columns);
                    let out = &mut sum[group * depth * group_out..][..depth * group_out];
                    matmul(
                        Matrix::new(&dy[group * group_out..], rows, group_out, shape.out_channels)
                            .transposed(),
                        Matrix::new(columns, rows, depth, depth),
                        &mut MatrixMut::new(out, group_out, depth, depth),
                        Write::Add,
                    );
                }
            }
            sum
        })
        .collect();
    let (taps, group_in) = (shape.taps(), shape.group_in());
    dweight.par_chunks_mut(depth).enumerate().for_each(|(out, filter)| {
        let mut total = sums[0][out * depth..][..depth].to_vec();
        sums[1..].iter().for_each(|sum| add(&sum[out * depth..][..depth], &mut total));
        let mut channels_first = vec![0.0; depth];
        transpose(taps, group_in, &total, &mut channels_first);
        add(&channels_first, filter);
    });
}

/// Images per matrix product.
pub(super) fn block_images(shape: &ConvShape) -> usize {
    (BLOCK_PIXELS / shape.out_pixels()).max(1)
}

/// The windows of one group's channels, `[pixels of all images, taps, group_in]`.
pub(super) fn gather<'a>(
    shape: &ConvShape,
    group: usize,
    x: &'a [f32],
    columns: &'a mut Vec<f32>,
) -> &'a [f32] {
    if shape.taps() == 1 && shape.groups == 1 && shape.stride == [1, 1] && shape.padding == [0, 0] {
        return x;
    }
    let group_in = shape.group_in();
    let rows = x.len() / shape.in_len() * shape.out_pixels();
    columns.clear();
    columns.resize(rows * shape.taps() * group_in, 0.0);
    windows(shape, group, x.len() / shape.in_len(), |column, pixel| {
        columns[column..column + group_in].copy_from_slice(&x[pixel..pixel + group_in]);
    });
    columns
}

/// The adjoint of [`gather`]: adds every window's elements back to the pixels they came from.
fn scatter_add(shape: &ConvShape, group: usize, columns: &[f32], dx: &mut [f32]) {
    let group_in = shape.group_in();
    windows(shape, group, dx.len() / shape.in_len(), |column, pixel| {
        let to = &mut dx[pixel..pixel + group_in];
        to.iter_mut().zip(&columns[column..column + group_in]).for_each(|(to, &from)| *to += from);
    });
}

/// Calls `visit` with the place in the columns and the place in the images of every element inside the images.
fn windows(shape: &ConvShape, group: usize, images: usize, mut visit: impl FnMut(usize, usize)) {
    let ([rows, columns], [height, width]) = (shape.output(), shape.input);
    let group_in = shape.group_in();
    let mut column = 0;
    for image in 0..images {
        for (out_row, out_column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            for tap_row in 0..shape.kernel[0] {
                let row =
                    (out_row * shape.stride[0] + tap_row * shape.dilation[0]).wrapping_sub(shape.padding[0]);
                for tap_column in 0..shape.kernel[1] {
                    let across = (out_column * shape.stride[1] + tap_column * shape.dilation[1])
                        .wrapping_sub(shape.padding[1]);
                    if row < height && across < width {
                        let pixel = (image * height + row) * width + across;
                        visit(column, pixel * shape.in_channels + group * group_in);
                    }
                    column += group_in;
                }
            }
        }
    }
}
