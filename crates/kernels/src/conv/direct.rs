//! Convolution by its definition, for few channels: one vector of output channels times a run of pixels at a time, with
//! the sums in registers. No groups.

use pulp::{Arch, Simd, WithSimd};

use super::im2col::Columns;
use super::input::ParamsBackward;
use super::method::{self, Method, place_of_filter, sum_in_parts};
use super::{ConvShape, Scratch};
use crate::matmul::Write;

/// The algorithm.
pub(super) struct Direct;

impl Method for Direct {
    fn fits(&self, shape: &ConvShape) -> bool {
        shape.groups == 1
    }

    fn filters(&self, shape: ConvShape) -> Box<dyn method::Filters> {
        Box::new(Filters::new(shape, false))
    }

    fn gradient_filters(&self, shape: ConvShape) -> Box<dyn method::Filters> {
        // with a stride, the gradient is not a plain convolution
        if shape.stride == [1, 1] && turnable(&shape) {
            Box::new(Filters::new(turned(shape), true))
        } else {
            Columns.gradient_filters(shape)
        }
    }

    fn add_weight_gradient(&self, shape: &ConvShape, backward: ParamsBackward<'_>, dweight: &mut [f32]) {
        let (taps, channels, lanes) = (shape.taps(), shape.in_channels, lanes());
        // as `Filters`: [blocks][taps][in_channels][lanes]
        let len = shape.out_channels.div_ceil(lanes) * taps * channels * lanes;
        let total = sum_in_parts(
            shape,
            backward,
            len,
            |_| 1,
            |scratch, image, dy, sum| {
                pad(shape, image, &mut scratch.columns);
                Arch::new().dispatch(Backward { shape, padded: &scratch.columns, dy, sum });
            },
        );
        for (out, filter) in dweight.chunks_exact_mut(channels * taps).enumerate() {
            for (index, to) in filter.iter_mut().enumerate() {
                let (channel, tap) = (index / taps, index % taps);
                *to += total[(((out / lanes) * taps + tap) * channels + channel) * lanes + out % lanes];
            }
        }
    }
}

/// Whether the padding is no wider than a filter's reach, so that the turned convolution's padding is not negative.
fn turnable(shape: &ConvShape) -> bool {
    (0..2).all(|axis| (shape.kernel[axis] - 1) * shape.dilation[axis] >= shape.padding[axis])
}

/// The gradient of a convolution's input is a convolution of this shape with filters turned by half a turn.
fn turned(shape: ConvShape) -> ConvShape {
    ConvShape {
        in_channels: shape.out_channels,
        out_channels: shape.in_channels,
        padding: [0, 1].map(|axis| (shape.kernel[axis] - 1) * shape.dilation[axis] - shape.padding[axis]),
        input: shape.output(),
        ..shape
    }
}

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
#[derive(Debug)]
struct Filters {
    /// Of the convolution that is computed, which may be [`turned`].
    shape: ConvShape,
    is_turned: bool,
    lanes: usize,
    values: Vec<f32>,
}

impl Filters {
    fn new(shape: ConvShape, is_turned: bool) -> Self {
        let lanes = lanes();
        let blocks = shape.out_channels.div_ceil(lanes);
        let values = vec![0.0; blocks * shape.taps() * shape.in_channels * lanes];
        Self { shape, is_turned, lanes, values }
    }
}

impl method::Filters for Filters {
    fn pack(&mut self, weight: &[f32]) {
        let ConvShape { in_channels, out_channels, .. } = self.shape;
        let taps = self.shape.taps();
        for (index, values) in self.values.chunks_exact_mut(self.lanes).enumerate() {
            let (block, tap, channel) =
                (index / (taps * in_channels), index / in_channels % taps, index % in_channels);
            for (lane, to) in values.iter_mut().enumerate() {
                let out = block * self.lanes + lane;
                *to = if out >= out_channels {
                    0.0
                } else {
                    let place = place_of_filter([in_channels, out_channels], channel, out, self.is_turned);
                    weight[place * taps + if self.is_turned { taps - 1 - tap } else { tap }]
                };
            }
        }
    }

    fn block_images(&self, _images: usize, _tiles: usize) -> usize {
        1
    }

    fn apply(&self, x: &[f32], y: &mut [f32], bias: &[f32], write: Write, scratch: &mut Scratch) {
        let padded = &mut scratch.columns;
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
