//! Convolution as a matrix product: each output pixel's window of the input is a row.

use rayon::prelude::*;

use super::input::ParamsBackward;
use super::method::{Filters, Method, sum_in_parts};
use super::scratch::grown;
use super::{ConvShape, Scratch};
use crate::channel_order::transpose;
use crate::elementwise::{add, add_row};
use crate::matmul::{Matrix, MatrixMut, Write, matmul};

/// Output pixels per matrix product, so that operands stay in the second-level cache.
const BLOCK_PIXELS: usize = 128;

/// The algorithm.
pub(super) struct Columns;

impl Method for Columns {
    fn filters(&self, shape: ConvShape) -> Box<dyn Filters> {
        Box::new(Weights::new(shape))
    }

    fn gradient_filters(&self, shape: ConvShape) -> Box<dyn Filters> {
        Box::new(Adjoint(Weights::new(shape)))
    }

    fn add_weight_gradient(&self, shape: &ConvShape, backward: ParamsBackward<'_>, dweight: &mut [f32]) {
        let (taps, group_in, group_out) = (shape.taps(), shape.group_in(), shape.group_out());
        let depth = taps * group_in;
        // per group [group_out, taps, group_in]
        let add_block = |scratch: &mut Scratch, x: &[f32], dy: &[f32], sum: &mut [f32]| {
            let rows = dy.len() / shape.out_channels;
            for group in 0..shape.groups {
                let columns = gather(shape, group, x, &mut scratch.columns);
                let out = &mut sum[group * depth * group_out..][..depth * group_out];
                matmul(
                    Matrix::new(&dy[group * group_out..], rows, group_out, shape.out_channels).transposed(),
                    Matrix::new(columns, rows, depth, depth),
                    &mut MatrixMut::new(out, group_out, depth, depth),
                    Write::Add,
                );
            }
        };
        let sum = sum_in_parts(shape, backward, dweight.len(), |_| block_images(shape), add_block);
        dweight.par_chunks_mut(depth).zip(sum.par_chunks(depth)).for_each(|(filter, sum)| {
            let mut channels_first = vec![0.0; depth];
            transpose(taps, group_in, sum, &mut channels_first);
            add(&channels_first, filter);
        });
    }
}

/// A convolution's weights, laid out for its matrix products once per parameter point.
#[derive(Debug)]
struct Weights {
    shape: ConvShape,
    /// Per group `[taps, group_in, group_out]`.
    weight: Vec<f32>,
}

impl Weights {
    fn new(shape: ConvShape) -> Self {
        Self { shape, weight: vec![0.0; shape.weight_len()] }
    }
}

impl Filters for Weights {
    fn pack(&mut self, weight: &[f32]) {
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

    fn block_images(&self, _images: usize, _tiles: usize) -> usize {
        block_images(&self.shape)
    }

    fn apply(&self, x: &[f32], y: &mut [f32], bias: &[f32], write: Write, scratch: &mut Scratch) {
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
}

/// The gradient of the input: dx's windows are the products with the transposed weights.
#[derive(Debug)]
struct Adjoint(Weights);

impl Filters for Adjoint {
    fn pack(&mut self, weight: &[f32]) {
        self.0.pack(weight);
    }

    fn block_images(&self, images: usize, tiles: usize) -> usize {
        self.0.block_images(images, tiles)
    }

    fn apply(&self, dy: &[f32], dx: &mut [f32], _bias: &[f32], write: Write, scratch: &mut Scratch) {
        if write == Write::Replace {
            dx.fill(0.0);
        }
        let Weights { shape, weight } = &self.0;
        let (depth, group_out) = (shape.taps() * shape.group_in(), shape.group_out());
        let rows = dy.len() / shape.out_channels;
        for group in 0..shape.groups {
            let columns = grown(&mut scratch.columns, rows * depth);
            let weight = &weight[group * depth * group_out..][..depth * group_out];
            matmul(
                Matrix::new(&dy[group * group_out..], rows, group_out, shape.out_channels),
                Matrix::new(weight, depth, group_out, group_out).transposed(),
                &mut MatrixMut::new(columns, rows, depth, depth),
                Write::Replace,
            );
            scatter_add(shape, group, columns, dx);
        }
    }
}

/// Images per matrix product.
fn block_images(shape: &ConvShape) -> usize {
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
