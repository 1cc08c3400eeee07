//! The trait of convolution algorithms, each of which has its own file.

use std::fmt::Debug;

use rayon::prelude::*;

use super::input::{ParamsBackward, normalized};
use super::{ConvShape, Scratch};
use crate::elementwise::add_parallel;
use crate::matmul::Write;

/// Number of parts of a batch whose weight gradients are summed separately, then added. It is fixed, so the bits do
/// not depend on the number of threads.
const PARTS: usize = 4;

/// A convolution algorithm.
pub(super) trait Method: Sync {
    /// Whether it computes convolutions of this shape.
    fn fits(&self, _shape: &ConvShape) -> bool {
        true
    }

    /// Room for the filters of a convolution.
    fn filters(&self, shape: ConvShape) -> Box<dyn Filters>;

    /// Room for the filters of the gradient of a convolution's input, which are made from the same weights and map
    /// gradients of outputs to gradients of inputs.
    fn gradient_filters(&self, shape: ConvShape) -> Box<dyn Filters>;

    /// dW += the gradient of the weights, over all threads.
    fn add_weight_gradient(&self, shape: &ConvShape, backward: ParamsBackward<'_>, dweight: &mut [f32]);
}

/// Filters, laid out for an algorithm.
pub(super) trait Filters: Debug + Send + Sync {
    /// Lays out weights, `[out_channels, in_channels / groups, taps]`, over all threads.
    fn pack(&mut self, weight: &[f32]);

    /// Images per block of a batch of `images`, at least one: about `tiles` tiles if the algorithm has tiles.
    fn block_images(&self, images: usize, tiles: usize) -> usize;

    /// y = (or +=) the filters applied to a block of images, + the bias unless it is empty, on the calling thread.
    fn apply(&self, x: &[f32], y: &mut [f32], bias: &[f32], write: Write, scratch: &mut Scratch);
}

/// Images of a block with about `tiles` tiles, of a batch of `images` with `tiles_per_image` each; at least one.
pub(super) fn images_of_block(images: usize, tiles_per_image: usize, tiles: usize) -> usize {
    let blocks = (images * tiles_per_image).div_ceil(tiles).min(images).max(1);
    images.div_ceil(blocks).max(1)
}

/// The place of the filter from one channel to another among the weights of a convolution, or, if it is `turned`, among those of
/// the convolution whose input's gradient is computed. `channels` are the numbers of both.
#[inline(always)]
pub(super) fn place_of_filter(
    [from_channels, to_channels]: [usize; 2],
    from: usize,
    to: usize,
    turned: bool,
) -> usize {
    if turned { from * to_channels + to } else { to * from_channels + from }
}

/// A sum over the images of a batch, of `len` elements: `add` adds that of some images, given their inputs and the gradients
/// of their outputs. `block` gives the images per call from the images of a part.
pub(super) fn sum_in_parts(
    shape: &ConvShape,
    ParamsBackward { x, norm, dy }: ParamsBackward<'_>,
    len: usize,
    block: impl Fn(usize) -> usize,
    add: impl Fn(&mut Scratch, &[f32], &[f32], &mut [f32]) + Sync,
) -> Vec<f32> {
    let part = (dy.len() / shape.out_len()).div_ceil(PARTS).max(1);
    let block = block(part);
    let parts = x.par_chunks(part * shape.in_len()).zip(dy.par_chunks(part * shape.out_len()));
    let parts = parts.map(|(x, dy)| {
        let (mut scratch, mut held) = (Scratch::default(), vec![]);
        let mut sum = vec![0.0; len];
        for (x, dy) in x.chunks(block * shape.in_len()).zip(dy.chunks(block * shape.out_len())) {
            add(&mut scratch, normalized(norm, x, &mut held), dy, &mut sum);
        }
        sum
    });
    let mut parts = parts.collect::<Vec<Vec<f32>>>().into_iter();
    let mut total = parts.next().unwrap_or_else(|| vec![0.0; len]);
    parts.for_each(|part| add_parallel(&part, &mut total));
    total
}
