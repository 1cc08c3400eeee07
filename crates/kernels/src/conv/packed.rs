//! A convolution's parameters, laid out once per parameter point for the algorithm that suits its shape.

use rayon::prelude::*;

use super::input::{ParamsBackward, normalized};
use super::method::Filters;
use super::scratch::{ScratchPool, grown};
use super::{Algorithm, ConvShape, Scratch};
use crate::batch_norm::{BackwardSums, Moments, NormBackward, Normalizer};
use crate::matmul::Write;
use crate::pool::Extremes;
use crate::rows::add_column_sums;

/// Tiles per block if one thread evaluates a whole batch: filters are read once per block.
const TILES_ALONE: usize = 128;
/// Tiles per block if threads share a batch.
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
    /// Only the convolution.
    pub const NONE: Self = Self { norm: None, write: Write::Replace };
}

/// A convolution's parameters, ready for a forward pass.
#[derive(Debug)]
pub struct PackedConv {
    shape: ConvShape,
    filters: Box<dyn Filters>,
    bias: Vec<f32>,
}

impl PackedConv {
    /// Room for a convolution, of unspecified contents until [`PackedConv::pack`].
    ///
    /// # Panics
    /// If the algorithm does not fit the shape.
    pub fn new(shape: ConvShape, algorithm: Algorithm) -> Self {
        let method = algorithm.method();
        assert!(method.fits(&shape), "{algorithm:?} does not fit {shape:?}");
        let filters = method.filters(shape);
        Self { shape, filters, bias: vec![] }
    }

    /// Lays out the weights and the bias, which may be empty, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn pack(&mut self, weight: &[f32], bias: &[f32]) {
        assert!(weight.len() == self.shape.weight_len());
        assert!(bias.is_empty() || bias.len() == self.shape.out_channels);
        self.filters.pack(weight);
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

    /// The extremes of the output's windows for a batch of images whose `norm` is computed as they are read, on the calling
    /// thread; the moments are those of the whole output.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn forward_pooled(
        &self,
        x: &[f32],
        y: &mut [f32],
        norm: Option<&Normalizer>,
        pool: &Extremes,
        mut moments: Option<&mut Moments>,
        scratch: &mut Scratch,
    ) {
        let images = self.block_images(x, TILES_ALONE);
        let mut held = std::mem::take(&mut scratch.outputs);
        let blocks = x.chunks(images * self.shape.in_len());
        for (x, y) in blocks.zip(y.chunks_mut(images * pool.shape().out_len())) {
            let whole = grown(&mut held, x.len() / self.shape.in_len() * self.shape.out_len());
            self.forward_block(x, whole, Fusion { norm, ..Fusion::NONE }, scratch);
            if let Some(moments) = &mut moments {
                moments.add(whole);
            }
            pool.apply(whole, y);
        }
        scratch.outputs = held;
    }

    /// Like [`PackedConv::forward`], over all threads; the same bits for any number of them.
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
        self.filters.block_images(x.len() / self.shape.in_len(), tiles)
    }

    fn forward_block(&self, x: &[f32], y: &mut [f32], fusion: Fusion<'_>, scratch: &mut Scratch) {
        let mut held = std::mem::take(&mut scratch.normalized);
        let x = normalized(fusion.norm, x, &mut held);
        self.filters.apply(x, y, &self.bias, fusion.write, scratch);
        scratch.normalized = held;
    }
}

/// A convolution's weights, ready for the gradient of its input.
#[derive(Debug)]
pub struct InputGradient {
    shape: ConvShape,
    filters: Box<dyn Filters>,
}

impl InputGradient {
    /// Lays out weights, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn new(shape: ConvShape, algorithm: Algorithm, weight: &[f32]) -> Self {
        let mut filters = algorithm.method().gradient_filters(shape);
        filters.pack(weight);
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
        blocks.for_each(|(dy, dx)| pool.with(|scratch| self.filters.apply(dy, dx, &[], write, scratch)));
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
            pool.with(|scratch| self.filters.apply(dy, dz, &[], Write::Replace, scratch));
            norm.sums(x, dz)
        });
        BackwardSums::merged(shape.in_channels, &sums.collect::<Vec<_>>())
    }

    fn block_images(&self, dy: &[f32]) -> usize {
        self.filters.block_images(dy.len() / self.shape.out_len(), TILES_SHARED)
    }
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
    algorithm.method().add_weight_gradient(shape, backward, dweight);
    if !dbias.is_empty() {
        add_column_sums(backward.dy, dbias);
    }
}
