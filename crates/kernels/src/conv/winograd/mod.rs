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

pub(super) use self::tile::{F2, F4};
use self::tile::{MAX_LANES, Tile};
use self::transforms::{FilterGradient, Tiling, TransformFilters, TransformInput, TransformOutput};
use super::input::{ParamsBackward, normalized};
use super::method::{self, Method, sum_in_parts};
use super::scratch::{ScratchPool, grown};
use super::{ConvShape, Scratch};
use crate::matmul::{Matrix, MatrixMut, Write, matmul};
use crate::memory::Reused;

/// Tiles per block of the weights' gradient.
const TILES_OF_GRADIENT: usize = 128;

/// Elements of a plane of `[tiles, channels]`. The padding moves each plane's lines to another set of the caches; without
/// it, the lines of one tile, a power of two apart, would evict each other.
fn plane_len(tiles: usize, channels: usize) -> usize {
    tiles * channels + MAX_LANES
}

/// The algorithm with tiles of OUT x OUT outputs.
pub(super) struct Winograd<const IN: usize, const OUT: usize, F>(PhantomData<F>);

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> Winograd<IN, OUT, F> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> Method for Winograd<IN, OUT, F> {
    fn fits(&self, shape: &ConvShape) -> bool {
        let ConvShape { groups, kernel, stride, padding, dilation, .. } = *shape;
        groups == 1 && kernel == [3, 3] && [stride, padding, dilation] == [[1, 1]; 3]
    }

    fn filters(&self, shape: ConvShape) -> Box<dyn method::Filters> {
        Box::new(Filters::<IN, OUT, F>::new(shape, false))
    }

    fn gradient_filters(&self, shape: ConvShape) -> Box<dyn method::Filters> {
        Box::new(Filters::<IN, OUT, F>::new(shape, true))
    }

    /// dW += Gᵀ [Σ over tiles (Bᵀ d B)ᵀ (A dy Aᵀ)] G
    fn add_weight_gradient(&self, shape: &ConvShape, backward: ParamsBackward<'_>, dweight: &mut [f32]) {
        let (from, to) = (shape.in_channels, shape.out_channels);
        let (of_parts, of_planes);
        let sums: &[f32] = if products::few(from) && products::few(to) {
            of_parts = sums_of_parts::<IN, OUT, F>(shape, backward);
            &of_parts
        } else {
            of_planes = sums_of_planes::<IN, OUT, F>(shape, backward);
            &of_planes
        };
        dweight.par_chunks_exact_mut(from * 9).enumerate().for_each(|(to_channel, filters)| {
            let (planes, plane_len, start, tile) = (sums, from * to, to_channel * from, PhantomData::<F>);
            let work =
                FilterGradient::<IN, OUT, F> { planes, plane_len, start, from_channels: from, filters, tile };
            Arch::new().dispatch(work);
        });
    }
}

/// Filters, transformed: one plane of `[from_channels, to_channels]` per element of a tile, in panels for [`products::product`].
#[derive(Debug)]
struct Filters<const IN: usize, const OUT: usize, F> {
    /// Height and width of images on both sides.
    image: [usize; 2],
    from_channels: usize,
    to_channels: usize,
    /// Whether they are those of the gradient of the input: turned by half a turn, from outputs to inputs.
    turned: bool,
    planes: Reused,
    tile: PhantomData<F>,
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> Filters<IN, OUT, F> {
    fn new(shape: ConvShape, turned: bool) -> Self {
        let ConvShape { in_channels, out_channels, input: image, .. } = shape;
        let (from_channels, to_channels) =
            if turned { (out_channels, in_channels) } else { (in_channels, out_channels) };
        let planes = Reused::new(IN * IN * from_channels * to_channels);
        Self { image, from_channels, to_channels, turned, planes, tile: PhantomData }
    }
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> method::Filters for Filters<IN, OUT, F> {
    fn pack(&mut self, weight: &[f32]) {
        let Self { from_channels, to_channels, turned, .. } = *self;
        let (plane, panel) = (from_channels * to_channels, products::panel(to_channels));
        let mut rows: Vec<Vec<&mut [f32]>> = (0..from_channels).map(|_| vec![]).collect();
        for panel in
            self.planes.chunks_exact_mut(plane).flat_map(|plane| plane.chunks_mut(from_channels * panel))
        {
            let width = panel.len() / from_channels;
            for (row, part) in rows.iter_mut().zip(panel.chunks_exact_mut(width)) {
                row.push(part);
            }
        }
        rows.par_iter_mut().enumerate().for_each(|(from, rows)| {
            let place = |to| 9 * if turned { from * to_channels + to } else { to * from_channels + from };
            let tile = PhantomData::<F>;
            Arch::new().dispatch(TransformFilters { weight, place, turned, to_channels, panel, rows, tile });
        });
    }

    /// Images with about `tiles` tiles.
    fn block_images(&self, images: usize, tiles: usize) -> usize {
        block_images(Tiling::new(self.image, OUT), images, tiles)
    }

    fn apply(&self, x: &[f32], y: &mut [f32], bias: &[f32], write: Write, scratch: &mut Scratch) {
        let (tiling, image) = (Tiling::new(self.image, OUT), self.image);
        let (from, to, pixels) = (self.from_channels, self.to_channels, image[0] * image[1]);
        let block = Block { tiling, images: x, channels: from, of_gradient: false };
        let tiles = block.tiles();
        let Scratch { columns: inputs, products, .. } = scratch;
        let (input_plane, product_plane) = (plane_len(tiles, from), plane_len(tiles, to));
        block.transform::<IN, OUT, F>(inputs);
        let products = grown(products, IN * IN * product_plane);
        let filters = self.planes.chunks_exact(from * to);
        let planes =
            inputs.chunks_exact(input_plane).zip(filters).zip(products.chunks_exact_mut(product_plane));
        for ((inputs, filters), out) in planes {
            products::product([tiles, from, to], inputs, filters, out);
        }
        for (index, image) in y.chunks_exact_mut(pixels * to).enumerate() {
            let (first_tile, plane_len, tile) = (index * tiling.per_image(), product_plane, PhantomData::<F>);
            let (channels, products) = (to, &*products);
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
fn block_images(tiling: Tiling, images: usize, tiles: usize) -> usize {
    let blocks = (images * tiling.per_image()).div_ceil(tiles).min(images).max(1);
    images.div_ceil(blocks).max(1)
}

/// Σ over tiles (Bᵀ d B)ᵀ (A dy Aᵀ) as `[IN²][to][from]`, so that a filter's elements over input channels are
/// contiguous: for few channels, in parts of the batch, block after block of tiles that stay in the caches.
fn sums_of_parts<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
    shape: &ConvShape,
    backward: ParamsBackward<'_>,
) -> Vec<f32> {
    let tiling = Tiling::new(shape.input, OUT);
    let (from, to) = (shape.in_channels, shape.out_channels);
    let block = |images| block_images(tiling, images, TILES_OF_GRADIENT);
    sum_in_parts(shape, backward, IN * IN * from * to, block, |scratch, x, dy, sums| {
        let Scratch { columns: inputs, products: gradients, .. } = scratch;
        let x = Block { tiling, images: x, channels: from, of_gradient: false };
        let dy = Block { tiling, images: dy, channels: to, of_gradient: true };
        let tiles = x.tiles();
        x.transform::<IN, OUT, F>(inputs);
        dy.transform::<IN, OUT, F>(gradients);
        let planes =
            inputs.chunks_exact(plane_len(tiles, from)).zip(gradients.chunks_exact(plane_len(tiles, to)));
        for ((inputs, gradients), sums) in planes.zip(sums.chunks_exact_mut(from * to)) {
            products::add_transposed([tiles, to, from], gradients, inputs, sums);
        }
    })
}

/// Some images, or gradients of images.
struct Block<'a> {
    tiling: Tiling,
    images: &'a [f32],
    channels: usize,
    of_gradient: bool,
}

impl Block<'_> {
    fn image_len(&self) -> usize {
        self.tiling.height * self.tiling.width * self.channels
    }

    fn tiles(&self) -> usize {
        self.images.len() / self.image_len() * self.tiling.per_image()
    }

    /// Their planes, on the calling thread.
    fn transform<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(&self, planes: &mut Vec<f32>) {
        let Self { tiling, channels, of_gradient, .. } = *self;
        let plane = plane_len(self.tiles(), channels);
        let mut planes: Vec<&mut [f32]> = grown(planes, IN * IN * plane).chunks_exact_mut(plane).collect();
        for (index, image) in self.images.chunks_exact(self.image_len()).enumerate() {
            let (first_tile, planes, tile) = (index * tiling.per_image(), &mut planes[..], PhantomData::<F>);
            let work = TransformInput { tiling, channels, image, first_tile, planes, of_gradient, tile };
            Arch::new().dispatch(work);
        }
    }
}

/// As [`sums_of_parts`], for many channels: every plane of the whole batch is one product.
fn sums_of_planes<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
    shape: &ConvShape,
    ParamsBackward { x, norm, dy }: ParamsBackward<'_>,
) -> Reused {
    let tiling = Tiling::new(shape.input, OUT);
    let (from, to) = (shape.in_channels, shape.out_channels);
    let images = x.len() / shape.in_len();
    let tiles = images * tiling.per_image();
    let (input_plane, gradient_plane) = (plane_len(tiles, from), plane_len(tiles, to));
    let mut inputs = Reused::new(IN * IN * input_plane);
    let mut gradients = Reused::new(IN * IN * gradient_plane);
    let pool = ScratchPool::default();
    let mut parts = by_image(&mut inputs, input_plane, tiling.per_image() * from, images);
    let pairs = x.par_chunks_exact(shape.in_len()).zip(parts.par_iter_mut());
    pairs.for_each(|(image, planes)| {
        pool.with(|scratch| {
            let image = normalized(norm, image, &mut scratch.normalized);
            let (planes, of_gradient, tile) = (&mut planes[..], false, PhantomData::<F>);
            let work =
                TransformInput { tiling, channels: from, image, first_tile: 0, planes, of_gradient, tile };
            Arch::new().dispatch(work);
        });
    });
    let mut parts = by_image(&mut gradients, gradient_plane, tiling.per_image() * to, images);
    let pairs = dy.par_chunks_exact(shape.out_len()).zip(parts.par_iter_mut());
    pairs.for_each(|(image, planes)| {
        let (planes, of_gradient, tile) = (&mut planes[..], true, PhantomData::<F>);
        let work = TransformInput { tiling, channels: to, image, first_tile: 0, planes, of_gradient, tile };
        Arch::new().dispatch(work);
    });
    let mut sums = Reused::new(IN * IN * from * to);
    let planes = inputs.par_chunks_exact(input_plane).zip(gradients.par_chunks_exact(gradient_plane));
    planes.zip(sums.par_chunks_exact_mut(from * to)).for_each(|((inputs, gradients), sums)| {
        let (inputs, gradients) =
            (Matrix::new(inputs, tiles, from, from), Matrix::new(gradients, tiles, to, to));
        matmul(gradients.transposed(), inputs, &mut MatrixMut::new(sums, to, from, from), Write::Replace);
    });
    sums
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
