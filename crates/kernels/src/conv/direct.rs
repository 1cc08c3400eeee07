//! Convolution by its definition, for few channels: one vector of output channels times a run of pixels at a time, with
//! the sums in registers. No groups.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::ConvShape;
use super::input::{ParamsBackward, normalized};
use crate::elementwise::add;
use crate::matmul::Write;

/// Parts of a batch whose weight gradients are summed separately, then added up. The number is fixed, so that bits do
/// not depend on the number of threads.
const PARTS: usize = 4;

/// Elements of a vector on this machine.
fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    Arch::new().dispatch(Lanes)
}

/// Filters as `[blocks of output channels][taps][in_channels][lanes]`, the last block padded with zeros.
#[derive(Clone, Debug)]
pub(super) struct Filters {
    shape: ConvShape,
    lanes: usize,
    values: Vec<f32>,
}

impl Filters {
    pub(super) fn new(shape: ConvShape) -> Self {
        let lanes = lanes();
        let blocks = shape.out_channels.div_ceil(lanes);
        Self { shape, lanes, values: vec![0.0; blocks * shape.taps() * shape.in_channels * lanes] }
    }

    /// The filters of the gradient of a convolution's input: a convolution of stride 1 with turned filters.
    pub(super) fn of_gradient(shape: ConvShape, weight: &[f32]) -> Self {
        let turned = ConvShape {
            in_channels: shape.out_channels,
            out_channels: shape.in_channels,
            padding: [0, 1].map(|axis| (shape.kernel[axis] - 1) * shape.dilation[axis] - shape.padding[axis]),
            input: shape.output(),
            ..shape
        };
        let mut filters = Self::new(turned);
        let taps = shape.taps();
        filters.fill(|out, channel, tap| weight[(channel * shape.in_channels + out) * taps + taps - 1 - tap]);
        filters
    }

    /// Lays out weights, `[out_channels, in_channels, taps]`.
    pub(super) fn pack(&mut self, weight: &[f32]) {
        let (channels, taps) = (self.shape.in_channels, self.shape.taps());
        self.fill(|out, channel, tap| weight[(out * channels + channel) * taps + tap]);
    }

    fn fill(&mut self, value: impl Fn(usize, usize, usize) -> f32) {
        let (channels, taps) = (self.shape.in_channels, self.shape.taps());
        for (index, values) in self.values.chunks_exact_mut(self.lanes).enumerate() {
            let (block, tap, channel) =
                (index / (taps * channels), index / channels % taps, index % channels);
            for (lane, to) in values.iter_mut().enumerate() {
                let out = block * self.lanes + lane;
                *to = if out < self.shape.out_channels { value(out, channel, tap) } else { 0.0 };
            }
        }
    }

    /// y = (or +=) the convolution of a block of images + bias, on the calling thread.
    pub(super) fn forward_block(
        &self,
        x: &[f32],
        y: &mut [f32],
        bias: &[f32],
        write: Write,
        padded: &mut Vec<f32>,
    ) {
        let images = x.chunks_exact(self.shape.in_len()).zip(y.chunks_exact_mut(self.shape.out_len()));
        for (image, y) in images {
            pad(&self.shape, image, padded);
            Arch::new().dispatch(Forward { filters: self, padded, bias, write, y });
        }
    }
}

/// Width of a padded image.
fn padded_width(shape: &ConvShape) -> usize {
    shape.input[1] + 2 * shape.padding[1]
}

/// Copies an image into the middle of zeros.
fn pad(shape: &ConvShape, image: &[f32], padded: &mut Vec<f32>) {
    let (channels, width) = (shape.in_channels, padded_width(shape));
    padded.clear();
    padded.resize((shape.input[0] + 2 * shape.padding[0]) * width * channels, 0.0);
    for (row, from) in image.chunks_exact(shape.input[1] * channels).enumerate() {
        let start = ((row + shape.padding[0]) * width + shape.padding[1]) * channels;
        padded[start..start + from.len()].copy_from_slice(from);
    }
}

struct Forward<'a> {
    filters: &'a Filters,
    padded: &'a [f32],
    bias: &'a [f32],
    write: Write,
    y: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        let [rows, columns] = self.filters.shape.output();
        // sixteen sums and what they need fit into 32 registers, eight into 16
        let wide = S::F32_LANES >= 16;
        for block in 0..self.filters.shape.out_channels.div_ceil(S::F32_LANES) {
            for row in 0..rows {
                in_runs!([16; 8, 4], wide, column..columns, self.run(s, block, row, column));
            }
        }
    }
}

impl Forward<'_> {
    /// P pixels of a row, one block of channels.
    #[inline(always)]
    fn run<const P: usize, S: Simd>(&mut self, s: S, block: usize, row: usize, column: usize) {
        let shape = &self.filters.shape;
        let (channels, taps) = (shape.in_channels, shape.taps());
        let width = padded_width(shape);
        let filters =
            &self.filters.values[block * taps * channels * S::F32_LANES..][..taps * channels * S::F32_LANES];
        let (filters, _) = S::as_simd_f32s(filters);
        let mut sums = [s.splat_f32s(0.0); P];
        for tap in 0..taps {
            let (i, j) = (tap / shape.kernel[1], tap % shape.kernel[1]);
            let y = row * shape.stride[0] + i * shape.dilation[0];
            let x = column * shape.stride[1] + j * shape.dilation[1];
            let mut pixels = [&self.padded[..0]; P];
            for p in 0..P {
                pixels[p] = &self.padded[(y * width + x + p * shape.stride[1]) * channels..][..channels];
            }
            let filters = &filters[tap * channels..][..channels];
            for channel in 0..channels {
                let filter = filters[channel];
                for p in 0..P {
                    sums[p] = s.mul_add_f32s(s.splat_f32s(pixels[p][channel]), filter, sums[p]);
                }
            }
        }
        let (out_channels, first) = (shape.out_channels, block * S::F32_LANES);
        let lanes = S::F32_LANES.min(out_channels - first);
        let bias = if self.bias.is_empty() {
            s.splat_f32s(0.0)
        } else {
            s.partial_load_f32s(&self.bias[first..first + lanes])
        };
        let columns = shape.output()[1];
        for p in 0..P {
            let at = (row * columns + column + p) * out_channels + first;
            let to = &mut self.y[at..at + lanes];
            let y = s.add_f32s(bias, sums[p]);
            let y = if self.write == Write::Add { s.add_f32s(s.partial_load_f32s(to), y) } else { y };
            s.partial_store_f32s(to, y);
        }
    }
}

/// dW += the gradient of the weights, over all threads.
pub(super) fn backward_params(
    shape: &ConvShape,
    ParamsBackward { x, norm, dy }: ParamsBackward<'_>,
    dweight: &mut [f32],
) {
    let images = dy.len() / shape.out_len();
    let part = images.div_ceil(PARTS).max(1);
    let (taps, channels, lanes) = (shape.taps(), shape.in_channels, lanes());
    let blocks = shape.out_channels.div_ceil(lanes);
    let parts = x.par_chunks(part * shape.in_len()).zip(dy.par_chunks(part * shape.out_len()));
    let sums: Vec<Vec<f32>> = parts
        .map(|(x, dy)| {
            // as `Filters`: [blocks][taps][in_channels][lanes]
            let mut sum = vec![0.0; blocks * taps * channels * lanes];
            let (mut padded, mut held) = (vec![], vec![]);
            for (image, dy) in x.chunks_exact(shape.in_len()).zip(dy.chunks_exact(shape.out_len())) {
                pad(shape, normalized(norm, image, &mut held), &mut padded);
                Arch::new().dispatch(Backward { shape, padded: &padded, dy, sum: &mut sum });
            }
            sum
        })
        .collect();
    let mut total = sums[0].clone();
    sums[1..].iter().for_each(|sum| add(sum, &mut total));
    for (out, filter) in dweight.chunks_exact_mut(channels * taps).enumerate() {
        for (index, to) in filter.iter_mut().enumerate() {
            let (channel, tap) = (index / taps, index % taps);
            *to += total[(((out / lanes) * taps + tap) * channels + channel) * lanes + out % lanes];
        }
    }
}

struct Backward<'a> {
    shape: &'a ConvShape,
    padded: &'a [f32],
    dy: &'a [f32],
    sum: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        let (taps, channels) = (self.shape.taps(), self.shape.in_channels);
        let wide = S::F32_LANES >= 16;
        for block in 0..self.shape.out_channels.div_ceil(S::F32_LANES) {
            for tap in 0..taps {
                in_runs!([16; 8], wide, channel..channels, self.run(s, block, tap, channel));
            }
        }
    }
}

impl Backward<'_> {
    /// The sums over an image's pixels of P input channels times a block of output channels, for one tap.
    #[inline(always)]
    fn run<const P: usize, S: Simd>(&mut self, s: S, block: usize, tap: usize, channel: usize) {
        let shape = self.shape;
        let (channels, out_channels, width) = (shape.in_channels, shape.out_channels, padded_width(shape));
        let (i, j) = (tap / shape.kernel[1], tap % shape.kernel[1]);
        let [rows, columns] = shape.output();
        let first = block * S::F32_LANES;
        let lanes = S::F32_LANES.min(out_channels - first);
        let mut sums = [s.splat_f32s(0.0); P];
        for row in 0..rows {
            let y = row * shape.stride[0] + i * shape.dilation[0];
            for column in 0..columns {
                let x = column * shape.stride[1] + j * shape.dilation[1];
                let pixel = &self.padded[(y * width + x) * channels + channel..][..P];
                let dy = &self.dy[(row * columns + column) * out_channels + first..][..lanes];
                let dy =
                    if lanes == S::F32_LANES { S::as_simd_f32s(dy).0[0] } else { s.partial_load_f32s(dy) };
                for p in 0..P {
                    sums[p] = s.mul_add_f32s(s.splat_f32s(pixel[p]), dy, sums[p]);
                }
            }
        }
        let start = ((block * shape.taps() + tap) * channels + channel) * S::F32_LANES;
        let to = S::as_mut_simd_f32s(&mut self.sum[start..start + P * S::F32_LANES]).0;
        for p in 0..P {
            to[p] = s.add_f32s(to[p], sums[p]);
        }
    }
}
