//! A convolution's parameters, laid out once per parameter point for the algorithm that suits its shape.

use rayon::prelude::*;

use super::direct;
use super::im2col::{self, Columns};
use super::winograd::{self, F2, F4, Filters};
use super::{ConvShape, Scratch, ScratchPool};
use crate::matmul::Write;
use crate::rows::add_column_sums;

/// Tiles per block where one thread evaluates a whole batch: filters are read once per block.
const TILES_ALONE: usize = 128;
/// Tiles per block where threads share a batch.
const TILES_SHARED: usize = 64;

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Every output's window as a row of a matrix; rounds as a plain sum does.
    Columns,
    /// The definition, with the sums in registers; rounds as a plain sum does. No groups.
    Direct,
    /// Winograd's F(2x2, 3x3).
    Winograd2,
    /// Winograd's F(4x4, 3x3): fewest products, most rounding.
    Winograd4,
}

impl Algorithm {
    /// One that rounds as a plain sum does.
    pub fn plain(shape: &ConvShape) -> Self {
        if shape.groups > 1 || shape.in_channels > 64 { Self::Columns } else { Self::Direct }
    }

    /// The fastest for a shape; [`Algorithm::Columns`] where only that one fits.
    pub fn fastest(shape: &ConvShape) -> Self {
        let square = shape.kernel == [3, 3] && shape.padding == [1, 1];
        let plain = shape.stride == [1, 1] && shape.dilation == [1, 1] && shape.groups == 1;
        // below 16 channels Winograd's transforms cost more than the products they save
        if !(square && plain) || shape.in_channels.min(shape.out_channels) < 16 {
            Self::plain(shape)
        } else if shape.input[0].min(shape.input[1]) > 2 {
            Self::Winograd4
        } else {
            Self::Winograd2
        }
    }
}

/// Filters, laid out for an algorithm.
#[derive(Clone, Debug)]
enum Layout {
    Columns(Columns),
    Direct(direct::Filters),
    Winograd2(Filters),
    Winograd4(Filters),
}

/// A convolution's parameters, ready for a forward pass.
#[derive(Clone, Debug)]
pub struct PackedConv {
    shape: ConvShape,
    layout: Layout,
    bias: Vec<f32>,
}

impl PackedConv {
    /// Room for a convolution; holds zeros until [`PackedConv::pack`].
    ///
    /// # Panics
    /// If the algorithm does not fit the shape.
    pub fn new(shape: ConvShape, algorithm: Algorithm) -> Self {
        let (from, to) = (shape.in_channels, shape.out_channels);
        let layout = match algorithm {
            Algorithm::Columns => Layout::Columns(Columns::new(shape)),
            Algorithm::Direct => Layout::Direct(direct::Filters::new(shape)),
            Algorithm::Winograd2 => Layout::Winograd2(Filters::new::<4>(from, to)),
            Algorithm::Winograd4 => Layout::Winograd4(Filters::new::<6>(from, to)),
        };
        let winograd = matches!(algorithm, Algorithm::Winograd2 | Algorithm::Winograd4);
        assert!(!winograd || shape.weight_len() == 9 * from * to && shape.output() == shape.input);
        assert!(algorithm != Algorithm::Direct || shape.groups == 1);
        Self { shape, layout, bias: vec![] }
    }

    /// Takes over weights and bias, which may be empty, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn pack(&mut self, weight: &[f32], bias: &[f32]) {
        let from_channels = self.shape.in_channels;
        assert!(weight.len() == self.shape.weight_len());
        assert!(bias.is_empty() || bias.len() == self.shape.out_channels);
        let place = |from, to| (to * from_channels + from) * 9;
        match &mut self.layout {
            Layout::Columns(columns) => columns.pack(weight),
            Layout::Direct(filters) => filters.pack(weight),
            Layout::Winograd2(filters) => filters.pack::<4, 2, F2>(weight, place, false),
            Layout::Winograd4(filters) => filters.pack::<6, 4, F4>(weight, place, false),
        }
        self.bias.clear();
        self.bias.extend_from_slice(bias);
    }

    /// The output of a batch of images, on the calling thread.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn forward(&self, x: &[f32], y: &mut [f32], scratch: &mut Scratch) {
        let images = self.block_images(x, TILES_ALONE);
        let blocks = x.chunks(images * self.shape.in_len()).zip(y.chunks_mut(images * self.shape.out_len()));
        blocks.for_each(|(x, y)| self.forward_block(x, y, scratch));
    }

    /// The output of a batch of images, over all threads; the same bits for any number of them.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn forward_parallel(&self, x: &[f32], y: &mut [f32]) {
        let images = self.block_images(x, TILES_SHARED);
        let pool = ScratchPool::default();
        let blocks =
            x.par_chunks(images * self.shape.in_len()).zip(y.par_chunks_mut(images * self.shape.out_len()));
        blocks.for_each(|(x, y)| pool.with(|scratch| self.forward_block(x, y, scratch)));
    }

    fn block_images(&self, x: &[f32], tiles: usize) -> usize {
        block_images(&self.layout, &self.shape, x.len() / self.shape.in_len(), tiles)
    }

    fn forward_block(&self, x: &[f32], y: &mut [f32], scratch: &mut Scratch) {
        let (input, bias, write) = (self.shape.input, self.bias.as_slice(), Write::Replace);
        match &self.layout {
            Layout::Columns(columns) => columns.forward_block(x, y, bias, scratch),
            Layout::Direct(filters) => filters.forward_block(x, y, bias, write, &mut scratch.columns),
            Layout::Winograd2(filters) => {
                filters.forward_block::<4, 2, F2>(input, (x, y), bias, write, scratch)
            }
            Layout::Winograd4(filters) => {
                filters.forward_block::<6, 4, F4>(input, (x, y), bias, write, scratch)
            }
        }
    }
}

fn block_images(layout: &Layout, shape: &ConvShape, images: usize, tiles: usize) -> usize {
    match layout {
        Layout::Columns(_) => im2col::block_images(shape),
        Layout::Direct(_) => 1,
        Layout::Winograd2(_) => winograd::block_images::<2>(shape.input, images, tiles),
        Layout::Winograd4(_) => winograd::block_images::<4>(shape.input, images, tiles),
    }
}

/// A convolution's weights, ready for the gradient of its input.
#[derive(Clone, Debug)]
pub struct InputGradient {
    shape: ConvShape,
    layout: Layout,
}

impl InputGradient {
    /// Lays out weights, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn new(shape: ConvShape, algorithm: Algorithm, weight: &[f32]) -> Self {
        let (from, to) = (shape.in_channels, shape.out_channels);
        // the gradient is a convolution from the outputs' channels to the inputs', with turned filters
        let place = |out_channel, in_channel| (out_channel * from + in_channel) * 9;
        let layout = match algorithm {
            // with a stride the gradient is no plain convolution
            Algorithm::Direct if shape.stride == [1, 1] && turnable(&shape) => {
                Layout::Direct(direct::Filters::of_gradient(shape, weight))
            }
            Algorithm::Columns | Algorithm::Direct => {
                let mut columns = Columns::new(shape);
                columns.pack(weight);
                Layout::Columns(columns)
            }
            Algorithm::Winograd2 => {
                let mut filters = Filters::new::<4>(to, from);
                filters.pack::<4, 2, F2>(weight, place, true);
                Layout::Winograd2(filters)
            }
            Algorithm::Winograd4 => {
                let mut filters = Filters::new::<6>(to, from);
                filters.pack::<6, 4, F4>(weight, place, true);
                Layout::Winograd4(filters)
            }
        };
        Self { shape, layout }
    }

    /// dx += the gradient of a batch of inputs, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn add(&self, dy: &[f32], dx: &mut [f32]) {
        let shape = &self.shape;
        let images = block_images(&self.layout, shape, dy.len() / shape.out_len(), TILES_SHARED);
        let pool = ScratchPool::default();
        let blocks = dy.par_chunks(images * shape.out_len()).zip(dx.par_chunks_mut(images * shape.in_len()));
        blocks.for_each(|(dy, dx)| {
            pool.with(|scratch| match &self.layout {
                Layout::Columns(columns) => columns.backward_block(dy, dx, scratch),
                Layout::Direct(filters) => {
                    filters.forward_block(dy, dx, &[], Write::Add, &mut scratch.columns);
                }
                Layout::Winograd2(filters) => {
                    filters.forward_block::<4, 2, F2>(shape.input, (dy, dx), &[], Write::Add, scratch);
                }
                Layout::Winograd4(filters) => {
                    filters.forward_block::<6, 4, F4>(shape.input, (dy, dx), &[], Write::Add, scratch);
                }
            });
        });
    }
}

/// Whether the padding is no wider than a filter's reach, so that the turned convolution's padding is not negative.
fn turnable(shape: &ConvShape) -> bool {
    (0..2).all(|axis| (shape.kernel[axis] - 1) * shape.dilation[axis] >= shape.padding[axis])
}

/// dW += and db += the gradients of the parameters, over all threads; `dbias` is empty if there is no bias.
///
/// # Panics
/// If a length does not fit.
pub fn backward_params(
    shape: &ConvShape,
    algorithm: Algorithm,
    (x, dy): (&[f32], &[f32]),
    dweight: &mut [f32],
    dbias: &mut [f32],
) {
    match algorithm {
        Algorithm::Columns => im2col::backward_params(shape, x, dy, dweight),
        Algorithm::Direct => direct::backward_params(shape, x, dy, dweight),
        Algorithm::Winograd2 => winograd::backward_params::<4, 2, F2>(shape, x, dy, dweight),
        Algorithm::Winograd4 => winograd::backward_params::<6, 4, F4>(shape, x, dy, dweight),
    }
    if !dbias.is_empty() {
        add_column_sums(dy, dbias);
    }
}
