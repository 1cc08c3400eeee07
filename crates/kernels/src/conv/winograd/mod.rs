//! 3x3 convolution with stride 1 and padding 1 by Winograd's minimal filtering, F(m x m, 3x3) (Lavin & Gray, 2016).
//!
//! An output tile of m x m is Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, where d is the (m+2) x (m+2) tile of the input behind it
//! and g the filter. Over many tiles and channels the products ⊙ become (m+2)² matrix products. Gradients are the
//! adjoints: the input's is a convolution with turned filters, the filter's is Gᵀ [(Bᵀ d B)ᵀ (A dy Aᵀ)] G.

mod products;
mod tile;
mod transforms;

use std::marker::PhantomData;

use pulp::Arch;
use rayon::prelude::*;

use self::tile::Tile;
pub(super) use self::tile::{F2, F4};
use self::transforms::{FilterGradient, Tiling, TransformFilters, TransformInput, TransformOutput};
use super::{ConvShape, Scratch};
use crate::matmul::{Matrix, MatrixMut, Write, matmul};

/// Most elements of a vector on any machine.
const MAX_LANES: usize = 16;

/// Elements of a plane of `[tiles, channels]`. The padding moves each plane's lines to another set of the caches; without
/// it, the lines of one tile, a power of two apart, would push each other out.
fn plane_len(tiles: usize, channels: usize) -> usize {
    tiles * channels + MAX_LANES
}

/// Filters, transformed: one plane of `[from_channels, to_channels]` per element of a tile.
#[derive(Clone, Debug)]
pub(super) struct Filters {
    from_channels: usize,
    to_channels: usize,
    planes: Vec<f32>,
}

impl Filters {
    pub(super) fn new<const IN: usize>(from_channels: usize, to_channels: usize) -> Self {
        Self { from_channels, to_channels, planes: vec![0.0; IN * IN * from_channels * to_channels] }
    }

    /// Takes over filters whose element for (from, to, tap) is `weight[place(from, to) + tap]`, or, `turned` by half
    /// a turn, `weight[place(from, to) + 8 - tap]`.
    pub(super) fn pack<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
        &mut self,
        weight: &[f32],
        place: impl Fn(usize, usize) -> usize + Sync,
        turned: bool,
    ) {
        let (from_channels, to_channels) = (self.from_channels, self.to_channels);
        let plane = from_channels * to_channels;
        let mut rows: Vec<Vec<&mut [f32]>> =
            (0..from_channels).map(|_| Vec::with_capacity(IN * IN)).collect();
        for plane in self.planes.chunks_exact_mut(plane) {
            for (row, part) in rows.iter_mut().zip(plane.chunks_exact_mut(to_channels)) {
                row.push(part);
            }
        }
        rows.par_iter_mut().enumerate().for_each(|(from, rows)| {
            let (place, tile) = (|to| place(from, to), PhantomData::<F>);
            Arch::new().dispatch(TransformFilters { weight, place, turned, to_channels, rows, tile });
        });
    }

    /// y = (or +=) the convolution of a block of images, on the calling thread.
    pub(super) fn forward_block<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
        &self,
        input: [usize; 2],
        (x, y): (&[f32], &mut [f32]),
        bias: &[f32],
        write: Write,
        scratch: &mut Scratch,
    ) {
        let tiling = Tiling::new(input, OUT);
        let (from, to, pixels) = (self.from_channels, self.to_channels, input[0] * input[1]);
        let tiles = x.len() / (pixels * from) * tiling.per_image();
        let Scratch { columns: inputs, products } = scratch;
        let (input_plane, product_plane) = (plane_len(tiles, from), plane_len(tiles, to));
        inputs.resize(IN * IN * input_plane, 0.0);
        products.resize(IN * IN * product_plane, 0.0);
        let mut planes: Vec<&mut [f32]> = inputs.chunks_exact_mut(input_plane).collect();
        for (index, image) in x.chunks_exact(pixels * from).enumerate() {
            let (first_tile, planes, tile) = (index * tiling.per_image(), &mut planes[..], PhantomData::<F>);
            let of_gradient = false;
            let work =
                TransformInput { tiling, channels: from, image, first_tile, planes, of_gradient, tile };
            Arch::new().dispatch(work);
        }
        let filters = self.planes.chunks_exact(from * to);
        let planes =
            inputs.chunks_exact(input_plane).zip(filters).zip(products.chunks_exact_mut(product_plane));
        for ((inputs, filters), out) in planes {
            products::product([tiles, from, to], inputs, filters, out);
        }
        for (index, image) in y.chunks_exact_mut(pixels * to).enumerate() {
            let (first_tile, plane_len, tile) = (index * tiling.per_image(), product_plane, PhantomData::<F>);
            let (channels, products) = (to, products.as_slice());
            let work = TransformOutput {
                tiling,
                channels,
                products,
                plane_len,
                first_tile,
                bias,
                write,
                image,
                tile,
            };
            Arch::new().dispatch(work);
        }
    }
}

/// Images of a block with about `tiles` tiles; at least one.
pub(super) fn block_images<const OUT: usize>(input: [usize; 2], images: usize, tiles: usize) -> usize {
    let per_image = Tiling::new(input, OUT).per_image();
    let blocks = (images * per_image).div_ceil(tiles).min(images).max(1);
    images.div_ceil(blocks).max(1)
}

/// dW += Gᵀ [Σ over tiles (Bᵀ d B)ᵀ (A dy Aᵀ)] G, over all threads.
pub(super) fn backward_params<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
    shape: &ConvShape,
    x: &[f32],
    dy: &[f32],
    dweight: &mut [f32],
) {
    let tiling = Tiling::new(shape.input, OUT);
    let (from, to) = (shape.in_channels, shape.out_channels);
    let images = x.len() / shape.in_len();
    let tiles = images * tiling.per_image();
    let (input_plane, gradient_plane) = (plane_len(tiles, from), plane_len(tiles, to));
    let mut inputs = vec![0.0; IN * IN * input_plane];
    let mut gradients = vec![0.0; IN * IN * gradient_plane];
    let mut parts = by_image(&mut inputs, input_plane, tiling.per_image() * from, images);
    let each = x.par_chunks_exact(shape.in_len()).zip(parts.par_iter_mut());
    each.for_each(|(image, planes)| {
        let (planes, of_gradient, tile) = (&mut planes[..], false, PhantomData::<F>);
        let work = TransformInput { tiling, channels: from, image, first_tile: 0, planes, of_gradient, tile };
        Arch::new().dispatch(work);
    });
    let mut parts = by_image(&mut gradients, gradient_plane, tiling.per_image() * to, images);
    let each = dy.par_chunks_exact(shape.out_len()).zip(parts.par_iter_mut());
    each.for_each(|(image, planes)| {
        let (planes, of_gradient, tile) = (&mut planes[..], true, PhantomData::<F>);
        let work = TransformInput { tiling, channels: to, image, first_tile: 0, planes, of_gradient, tile };
        Arch::new().dispatch(work);
    });
    // [IN²][to][from], so that a filter's elements over input channels lie side by side
    let mut sums = vec![0.0; IN * IN * from * to];
    let planes = inputs.par_chunks_exact(input_plane).zip(gradients.par_chunks_exact(gradient_plane));
    planes.zip(sums.par_chunks_exact_mut(from * to)).for_each(|((inputs, gradients), sums)| {
        let (inputs, gradients) =
            (Matrix::new(inputs, tiles, from, from), Matrix::new(gradients, tiles, to, to));
        matmul(gradients.transposed(), inputs, &mut MatrixMut::new(sums, to, from, from), Write::Replace);
    });
    dweight.par_chunks_exact_mut(from * 9).enumerate().for_each(|(to_channel, filters)| {
        let (planes, plane_len, start, tile) = (&sums[..], from * to, to_channel * from, PhantomData::<F>);
        let work =
            FilterGradient::<IN, OUT, F> { planes, plane_len, start, from_channels: from, filters, tile };
        Arch::new().dispatch(work);
    });
}

/// Every image's part of every plane.
fn by_image(buffer: &mut [f32], plane: usize, image_len: usize, images: usize) -> Vec<Vec<&mut [f32]>> {
    let mut parts: Vec<Vec<&mut [f32]>> = (0..images).map(|_| vec![]).collect();
    for plane in buffer.chunks_exact_mut(plane) {
        for (part, image) in parts.iter_mut().zip(plane.chunks_exact_mut(image_len)) {
            part.push(image);
        }
    }
    parts
}
