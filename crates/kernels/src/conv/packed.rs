//! A convolution's parameters, laid out once per parameter point for the algorithm that suits its shape.

use rayon::prelude::*;

use super::direct;
use super::im2col::{self, Columns};
use super::input::{ParamsBackward, normalized};
use super::scratch::ScratchPool;
use super::winograd::{self, F2, F4, Filters};
use super::{Algorithm, ConvShape, Scratch};
use crate::batch_norm::{BackwardSums, Moments, NormBackward, Normalizer};
use crate::matmul::Write;
use crate::rows::add_column_sums;

/// Tiles per block where one thread evaluates a whole batch: filters are read once per block.
const TILES_ALONE: usize = 128;
/// Tiles per block where threads share a batch.
const TILES_SHARED: usize = 64;

/// The operations fused with a convolution: on its input as it is read, on its output as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Fusion<'a> {
    /// A batch norm (and ReLU) of the input, computed block by block while the values are in the caches.
    pub norm: Option<&'a Normalizer>,
    /// Whether the output is replaced or added to.
    pub write: Write,
}

impl Fusion<'_> {
    /// The convolution alone.
    pub const NONE: Self = Self { norm: None, write: Write::Replace };
}

/// Filters, laid out for an algorithm.
#[derive(Clone, Debug)]
enum PackedFilters {
    Columns(Columns),
    Direct(direct::Filters),
    Winograd2(Filters),
    Winograd4(Filters),
}

impl PackedFilters {
    /// Images per block: about `tiles` tiles of Winograd's.
    fn block_images(&self, shape: &ConvShape, images: usize, tiles: usize) -> usize {
        match self {
            Self::Columns(_) => im2col::block_images(shape),
            Self::Direct(_) => 1,
            Self::Winograd2(_) => winograd::block_images::<2>(shape.input, images, tiles),
            Self::Winograd4(_) => winograd::block_images::<4>(shape.input, images, tiles),
        }
    }

    /// y = (or +=) the convolution of a block of images + bias, on the calling thread.
    fn forward_block(
        &self,
        input: [usize; 2],
        x: &[f32],
        y: &mut [f32],
        bias: &[f32],
        write: Write,
        scratch: &mut Scratch,
    ) {
        match self {
            Self::Columns(columns) => columns.forward_block(x, y, bias, write, scratch),
            Self::Direct(filters) => filters.forward_block(x, y, bias, write, &mut scratch.columns),
            Self::Winograd2(filters) => {
                filters.forward_block::<4, 2, F2>(input, x, y, bias, write, scratch);
            }
            Self::Winograd4(filters) => {
                filters.forward_block::<6, 4, F4>(input, x, y, bias, write, scratch);
            }
        }
    }
}

/// A convolution's parameters, ready for a forward pass.
#[derive(Clone, Debug)]
pub struct PackedConv {
    shape: ConvShape,
    filters: PackedFilters,
    bias: Vec<f32>,
}

impl PackedConv {
    /// Room for a convolution, filled with zeros until [`PackedConv::pack`].
    ///
    /// # Panics
    /// If the algorithm does not fit the shape.
    pub fn new(shape: ConvShape, algorithm: Algorithm) -> Self {
        let (from, to) = (shape.in_channels, shape.out_channels);
        let filters = match algorithm {
            Algorithm::Columns => PackedFilters::Columns(Columns::new(shape)),
            Algorithm::Direct => PackedFilters::Direct(direct::Filters::new(shape)),
            Algorithm::Winograd2 => PackedFilters::Winograd2(Filters::new::<4>(from, to)),
            Algorithm::Winograd4 => PackedFilters::Winograd4(Filters::new::<6>(from, to)),
        };
        let winograd = matches!(algorithm, Algorithm::Winograd2 | Algorithm::Winograd4);
        assert!(!winograd || shape.weight_len() == 9 * from * to && shape.output() == shape.input);
        assert!(algorithm != Algorithm::Direct || shape.groups == 1);
        Self { shape, filters, bias: vec![] }
    }

    /// Channels of the output.
    pub fn out_channels(&self) -> usize {
        self.shape.out_channels
    }

    /// Lays out the weights and the bias, which may be empty, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn pack(&mut self, weight: &[f32], bias: &[f32]) {
        let from_channels = self.shape.in_channels;
        assert!(weight.len() == self.shape.weight_len());
        assert!(bias.is_empty() || bias.len() == self.shape.out_channels);
        let place = |from, to| (to * from_channels + from) * 9;
        match &mut self.filters {
            PackedFilters::Columns(columns) => columns.pack(weight),
            PackedFilters::Direct(filters) => filters.pack(weight),
            PackedFilters::Winograd2(filters) => filters.pack::<4, 2, F2>(weight, place, false),
            PackedFilters::Winograd4(filters) => filters.pack::<6, 4, F4>(weight, place, false),
        }
        self.bias.clear();
        self.bias.extend_from_slice(bias);
    }

    /// The output of a batch of images, on the calling thread; the moments of its channels are gathered in `moments`.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn forward(
        &self,
        x: &[f32],
        y: &mut [f32],
        fusion: Fusion<'_>,
        mut moments: Option<&mut Moments>,
        scratch: &mut Scratch,
    ) {
        let images = self.block_images(x, TILES_ALONE);
        let blocks = x.chunks(images * self.shape.in_len()).zip(y.chunks_mut(images * self.shape.out_len()));
        for (x, y) in blocks {
            self.forward_block(x, y, fusion, scratch);
            if let Some(moments) = &mut moments {
                moments.add(y);
            }
        }
    }

    /// As [`PackedConv::forward`], over all threads; the same bits for any number of them.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn forward_parallel(
        &self,
        x: &[f32],
        y: &mut [f32],
        fusion: Fusion<'_>,
        moments: Option<&mut Moments>,
    ) {
        let images = self.block_images(x, TILES_SHARED);
        let pool = ScratchPool::default();
        let channels = self.shape.out_channels;
        let blocks =
            x.par_chunks(images * self.shape.in_len()).zip(y.par_chunks_mut(images * self.shape.out_len()));
        let with_moments = moments.is_some();
        let parts = blocks.map(|(x, y)| {
            pool.with(|scratch| self.forward_block(x, y, fusion, scratch));
            let mut part = Moments::new(channels);
            if with_moments {
                part.add(y);
            }
            part
        });
        let parts: Vec<Moments> = parts.collect();
        if let Some(moments) = moments {
            *moments = Moments::merged(channels, &parts);
        }
    }

    fn block_images(&self, x: &[f32], tiles: usize) -> usize {
        self.filters.block_images(&self.shape, x.len() / self.shape.in_len(), tiles)
    }

    fn forward_block(&self, x: &[f32], y: &mut [f32], fusion: Fusion<'_>, scratch: &mut Scratch) {
        let mut held = std::mem::take(&mut scratch.normalized);
        let x = normalized(fusion.norm, x, &mut held);
        self.filters.forward_block(self.shape.input, x, y, &self.bias, fusion.write, scratch);
        scratch.normalized = held;
    }
}

/// A convolution's weights, ready for the gradient of its input.
#[derive(Clone, Debug)]
pub struct InputGradient {
    shape: ConvShape,
    filters: PackedFilters,
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
        let filters = match algorithm {
            // with a stride the gradient is no plain convolution
            Algorithm::Direct if shape.stride == [1, 1] && turnable(&shape) => {
                PackedFilters::Direct(direct::Filters::of_gradient(shape, weight))
            }
            Algorithm::Columns | Algorithm::Direct => {
                let mut columns = Columns::new(shape);
                columns.pack(weight);
                PackedFilters::Columns(columns)
            }
            Algorithm::Winograd2 => {
                let mut filters = Filters::new::<4>(to, from);
                filters.pack::<4, 2, F2>(weight, place, true);
                PackedFilters::Winograd2(filters)
            }
            Algorithm::Winograd4 => {
                let mut filters = Filters::new::<6>(to, from);
                filters.pack::<6, 4, F4>(weight, place, true);
                PackedFilters::Winograd4(filters)
            }
        };
        Self { shape, filters }
    }

    /// dx = (or +=) the gradient of a batch of inputs, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn write(&self, dy: &[f32], dx: &mut [f32], write: Write) {
        let (pool, images) = (ScratchPool::default(), self.block_images(dy));
        let shape = &self.shape;
        let blocks = dy.par_chunks(images * shape.out_len()).zip(dx.par_chunks_mut(images * shape.in_len()));
        blocks.for_each(|(dy, dx)| pool.with(|scratch| self.block(dy, dx, write, scratch)));
    }

    /// dz = the gradient of the output of `norm` for a batch of inputs `x`, carried back through its ReLU, with the sums
    /// that the rest of the norm's backward pass needs; over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn write_through(&self, norm: &NormBackward, dy: &[f32], x: &[f32], dz: &mut [f32]) -> BackwardSums {
        let (pool, images) = (ScratchPool::default(), self.block_images(dy));
        let shape = &self.shape;
        let blocks = dy.par_chunks(images * shape.out_len()).zip(dz.par_chunks_mut(images * shape.in_len()));
        let sums = blocks.zip(x.par_chunks(images * shape.in_len())).map(|((dy, dz), x)| {
            pool.with(|scratch| self.block(dy, dz, Write::Replace, scratch));
            norm.sums(x, dz)
        });
        BackwardSums::merged(shape.in_channels, &sums.collect::<Vec<_>>())
    }

    fn block_images(&self, dy: &[f32]) -> usize {
        self.filters.block_images(&self.shape, dy.len() / self.shape.out_len(), TILES_SHARED)
    }

    fn block(&self, dy: &[f32], dx: &mut [f32], write: Write, scratch: &mut Scratch) {
        if let PackedFilters::Columns(columns) = &self.filters {
            if write == Write::Replace {
                dx.fill(0.0);
            }
            columns.backward_block(dy, dx, scratch);
        } else {
            // the gradient is a convolution with turned filters
            self.filters.forward_block(self.shape.input, dy, dx, &[], write, scratch);
        }
    }
}

/// Whether the padding is no wider than a filter's reach, so that the turned convolution's padding is not negative.
fn turnable(shape: &ConvShape) -> bool {
    (0..2).all(|axis| (shape.kernel[axis] - 1) * shape.dilation[axis] >= shape.padding[axis])
}

/// Adds the gradients of the parameters to `dweight` and `dbias`, over all threads; `dbias` is empty if there is no bias.
///
/// # Panics
/// If a length does not fit.
pub fn backward_params(
    shape: &ConvShape,
    algorithm: Algorithm,
    backward: ParamsBackward<'_>,
    dweight: &mut [f32],
    dbias: &mut [f32],
) {
    match algorithm {
        Algorithm::Columns => im2col::backward_params(shape, backward, dweight),
        Algorithm::Direct => direct::backward_params(shape, backward, dweight),
        Algorithm::Winograd2 => winograd::backward_params::<4, 2, F2>(shape, backward, dweight),
        Algorithm::Winograd4 => winograd::backward_params::<6, 4, F4>(shape, backward, dweight),
    }
    if !dbias.is_empty() {
        add_column_sums(backward.dy, dbias);
    }
}
