//! The gradient of the filters: Gᵀ [Σ over tiles (Bᵀ d B)ᵀ (A dy Aᵀ)] G.

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::filters::{FilterGradient, TAPS};
use super::tile::Tile;
use super::transforms::{Tiling, transform};
use crate::conv::ConvShape;
use crate::conv::blocked::{BLOCK, GROUP, Layout};
use crate::conv::input::{ParamsBackward, normalized};
use crate::conv::method::{images_of_block, sum_in_parts};
use crate::conv::scratch::{Scratch, ScratchPool, grown};
use crate::matmul::Write;
use crate::memory::Reused;

/// Tiles per block of a part of the batch.
const TILES: usize = 128;
/// Maximum number of channels for which sums over parts of a batch stay in the caches.
const MAX_CHANNELS_OF_PARTS: usize = 64;

/// Adds the gradient of the filters to `dweight`.
pub(super) fn add<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
    shape: &ConvShape,
    backward: ParamsBackward<'_>,
    dweight: &mut [f32],
) {
    let (of_parts, of_batch);
    let sums: &[f32] = if shape.in_channels.max(shape.out_channels) <= MAX_CHANNELS_OF_PARTS {
        of_parts = sums_of_parts::<IN, OUT, F>(shape, backward);
        &of_parts
    } else {
        of_batch = sums_of_batch::<IN, OUT, F>(shape, backward);
        &of_batch
    };
    let from = shape.in_channels;
    let (plane_len, row) = (plane_len::<IN>(shape), Layout::new(from, IN * IN).channels());
    dweight.par_chunks_exact_mut(from * TAPS).enumerate().for_each(|(to, filters)| {
        let (planes, start, tile) = (sums, to * row, PhantomData::<F>);
        let work =
            FilterGradient::<IN, OUT, F> { planes, plane_len, start, from_channels: from, filters, tile };
        Arch::new().dispatch(work);
    });
}

/// Elements of a plane of sums, `[to][from]`, one for each element of a tile, with channels filled up to whole groups. The padding
/// moves each plane's lines to another set of the caches.
fn plane_len<const IN: usize>(shape: &ConvShape) -> usize {
    let channels = |channels| Layout::new(channels, IN * IN).channels();
    channels(shape.in_channels) * channels(shape.out_channels) + GROUP
}

/// The sums for few channels: in parts of the batch, block after block of tiles that stay in the caches.
fn sums_of_parts<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
    shape: &ConvShape,
    backward: ParamsBackward<'_>,
) -> Vec<f32> {
    let tiling = Tiling::new(shape.input, OUT);
    let plane_len = plane_len::<IN>(shape);
    let (from, to) = (Layout::new(shape.in_channels, IN * IN), Layout::new(shape.out_channels, IN * IN));
    let block = |images| images_of_block(images, tiling.per_image(), TILES);
    sum_in_parts(shape, backward, IN * IN * plane_len, block, |scratch, x, dy, sums| {
        let Scratch { columns: inputs, products: gradients, .. } = scratch;
        let tiles = x.len() / shape.in_len() * tiling.per_image();
        let inputs = grown(inputs, from.len(tiles));
        let gradients = grown(gradients, to.len(tiles));
        transform::<IN, OUT, F>(tiling, shape.in_channels, x, inputs, false);
        transform::<IN, OUT, F>(tiling, shape.out_channels, dy, gradients, true);
        for (element, sums) in sums.chunks_exact_mut(plane_len).enumerate() {
            let write = Write::Add;
            Arch::new().dispatch(SumOverTiles { element, tiles, from, inputs, to, gradients, sums, write });
        }
    })
}

/// The sums for many channels: every plane over the whole batch.
fn sums_of_batch<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
    shape: &ConvShape,
    ParamsBackward { x, norm, dy }: ParamsBackward<'_>,
) -> Reused {
    let tiling = Tiling::new(shape.input, OUT);
    let tiles = x.len() / shape.in_len() * tiling.per_image();
    let (from, to) = (Layout::new(shape.in_channels, IN * IN), Layout::new(shape.out_channels, IN * IN));
    let (mut inputs, mut gradients) = (Reused::new(from.len(tiles)), Reused::new(to.len(tiles)));
    // the fewest images whose tiles are whole blocks
    let are_whole = |images: &usize| (images * tiling.per_image()).is_multiple_of(BLOCK);
    let images = (1..=BLOCK).find(are_whole).expect("as many images as a block has tiles");
    let tiles_of_task = images * tiling.per_image();
    let pool = ScratchPool::default();
    let tasks = x.par_chunks(images * shape.in_len()).zip(inputs.par_chunks_mut(from.len(tiles_of_task)));
    tasks.for_each(|(x, inputs)| {
        pool.with(|scratch| {
            let x = normalized(norm, x, &mut scratch.normalized);
            transform::<IN, OUT, F>(tiling, shape.in_channels, x, inputs, false);
        });
    });
    let tasks = dy.par_chunks(images * shape.out_len()).zip(gradients.par_chunks_mut(to.len(tiles_of_task)));
    tasks
        .for_each(|(dy, gradients)| transform::<IN, OUT, F>(tiling, shape.out_channels, dy, gradients, true));
    let plane_len = plane_len::<IN>(shape);
    let mut sums = Reused::new(IN * IN * plane_len);
    let (inputs, gradients) = (&*inputs, &*gradients);
    sums.par_chunks_exact_mut(plane_len).enumerate().for_each(|(element, sums)| {
        let write = Write::Replace;
        Arch::new().dispatch(SumOverTiles { element, tiles, from, inputs, to, gradients, sums, write });
    });
    sums
}

/// Sums `[to][from]` = (or +=) Σ over tiles of the products of one element, on the calling thread.
struct SumOverTiles<'a> {
    element: usize,
    tiles: usize,
    from: Layout,
    inputs: &'a [f32],
    to: Layout,
    gradients: &'a [f32],
    sums: &'a mut [f32],
    write: Write,
}

impl WithSimd for SumOverTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        let mut column = 0;
        // sixteen sums if there are enough registers
        while S::F32_LANES >= 16 && column + 2 * S::F32_LANES <= self.from.channels() {
            for row in (0..self.to.channels()).step_by(ROWS) {
                self.pair(s, row, column);
            }
            column += 2 * S::F32_LANES;
        }
        while column < self.from.channels() {
            for row in (0..self.to.channels()).step_by(ROWS) {
                self.single(s, row, column);
            }
            column += S::F32_LANES;
        }
    }
}

/// Rows of sums at a time.
const ROWS: usize = 8;

impl SumOverTiles<'_> {
    /// [`ROWS`] rows, two vectors of columns. (One array of pairs would not stay in registers.)
    #[inline(always)]
    fn pair<S: Simd>(&mut self, s: S, row: usize, column: usize) {
        let (mut left, mut right) = ([s.splat_f32s(0.0); ROWS], [s.splat_f32s(0.0); ROWS]);
        for first in (0..self.tiles).step_by(BLOCK) {
            let factors = lines(self.gradients, self.to, first, row, self.element);
            let b_left = lines(self.inputs, self.from, first, column, self.element);
            let b_right = lines(self.inputs, self.from, first, column + S::F32_LANES, self.element);
            for tile in 0..BLOCK.min(self.tiles - first) {
                let b_left = vector::<S>(&b_left[tile], column);
                let b_right = vector::<S>(&b_right[tile], column + S::F32_LANES);
                let factors = rows_of(&factors[tile], row);
                for r in 0..ROWS {
                    let factor = s.splat_f32s(factors[r]);
                    left[r] = s.mul_add_f32s(factor, b_left, left[r]);
                    right[r] = s.mul_add_f32s(factor, b_right, right[r]);
                }
            }
        }
        self.finish(s, row, column, left);
        self.finish(s, row, column + S::F32_LANES, right);
    }

    /// [`ROWS`] rows, one vector of columns.
    #[inline(always)]
    fn single<S: Simd>(&mut self, s: S, row: usize, column: usize) {
        let mut sums = [s.splat_f32s(0.0); ROWS];
        for first in (0..self.tiles).step_by(BLOCK) {
            let factors = lines(self.gradients, self.to, first, row, self.element);
            let b = lines(self.inputs, self.from, first, column, self.element);
            for tile in 0..BLOCK.min(self.tiles - first) {
                let b = vector::<S>(&b[tile], column);
                let factors = rows_of(&factors[tile], row);
                for r in 0..ROWS {
                    sums[r] = s.mul_add_f32s(s.splat_f32s(factors[r]), b, sums[r]);
                }
            }
        }
        self.finish(s, row, column, sums);
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, s: S, row: usize, column: usize, sums: [S::f32s; ROWS]) {
        let columns = self.from.channels();
        for r in 0..ROWS {
            let to = &mut self.sums[(row + r) * columns + column..][..S::F32_LANES];
            let to = &mut S::as_mut_simd_f32s(to).0[0];
            *to = if self.write == Write::Add { s.add_f32s(*to, sums[r]) } else { sums[r] };
        }
    }
}

/// The group with a channel, of every tile of a block.
#[inline(always)]
fn lines(
    tiles: &[f32],
    layout: Layout,
    first: usize,
    channel: usize,
    element: usize,
) -> &[[f32; GROUP]; BLOCK] {
    let lines = &tiles[layout.at(first, channel / GROUP, element)..][..BLOCK * GROUP];
    lines.as_chunks().0.try_into().expect("the lines of a block")
}

/// The vector that begins at a channel.
#[inline(always)]
fn vector<S: Simd>(line: &[f32; GROUP], channel: usize) -> S::f32s {
    S::as_simd_f32s(&line[channel % GROUP..][..S::F32_LANES]).0[0]
}

/// [`ROWS`] channels from one on.
#[inline(always)]
fn rows_of(line: &[f32; GROUP], channel: usize) -> &[f32; ROWS] {
    let rows = line.as_chunks().0;
    &rows[channel % GROUP / ROWS]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{for_every_width, noise, norm_error};

    #[test]
    fn sums_agree_with_f64_for_vectors_of_any_width_and_add() {
        for [tiles, rows, columns] in [[29, 16, 16], [41, 32, 48], [7, 64, 32]] {
            let (from, to, element) = (Layout::new(columns, 4), Layout::new(rows, 4), 3);
            let laid_out = |layout: Layout, values: &[f32], channels: usize| {
                let mut tiles = vec![f32::NAN; layout.len(values.len() / channels)];
                for (index, &value) in values.iter().enumerate() {
                    let (tile, channel) = (index / channels, index % channels);
                    tiles[layout.at(tile, channel / GROUP, element) + channel % GROUP] = value;
                }
                tiles
            };
            let (x, dy) = (noise(1, tiles * columns), noise(2, tiles * rows));
            let (inputs, gradients) = (&laid_out(from, &x, columns), &laid_out(to, &dy, rows));
            let exact = |row: usize, column: usize| -> f64 {
                (0..tiles).map(|k| f64::from(dy[k * rows + row]) * f64::from(x[k * columns + column])).sum()
            };
            for (write, before) in [(Write::Replace, 0.0), (Write::Add, 1.0)] {
                let expected = (0..rows * columns).map(|i| before + exact(i / columns, i % columns));
                let expected: Vec<f64> = expected.collect();
                for_every_width!(run => {
                    let sums = &mut vec![1.0; rows * columns];
                    run!(SumOverTiles { element, tiles, from, inputs, to, gradients, sums, write });
                    assert!(norm_error(sums, &expected) < 1e-6);
                });
            }
        }
    }
}
