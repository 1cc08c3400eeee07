//! Images and their gradients to transformed tiles and back, a vector of channels at a time.
#![expect(unsafe_code, reason = "`both_sides!` fills an array after it is made")]

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};

use super::tile::{Tile, both_sides, load, store};
use crate::conv::blocked::{BLOCK, GROUP, Layout};
use crate::matmul::Write;

/// Tiles of a batch of images.
#[derive(Clone, Copy)]
pub(super) struct Tiling {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) down: usize,
    pub(super) across: usize,
}

impl Tiling {
    pub(super) fn new([height, width]: [usize; 2], out: usize) -> Self {
        Self { height, width, down: height.div_ceil(out), across: width.div_ceil(out) }
    }

    /// Every tile, by its place downwards and across.
    fn tiles(self) -> impl Iterator<Item = [usize; 2]> {
        (0..self.down).flat_map(move |down| (0..self.across).map(move |across| [down, across]))
    }

    pub(super) fn per_image(self) -> usize {
        self.down * self.across
    }
}

/// A square of N x N pixels of an image, of which some may be outside.
struct Window<const N: usize> {
    /// Where the first pixel would begin, modulo 2⁶⁴.
    start: usize,
    /// From row to row, and from pixel to pixel.
    strides: [usize; 2],
    inside: [[bool; N]; N],
}

impl<const N: usize> Window<N> {
    /// That whose first pixel is at a row and a column, which may be -1, modulo 2⁶⁴.
    fn new(tiling: Tiling, channels: usize, [row, column]: [usize; 2]) -> Self {
        let start = row.wrapping_mul(tiling.width).wrapping_add(column).wrapping_mul(channels);
        let mut inside = [[false; N]; N];
        for i in 0..N {
            for j in 0..N {
                inside[i][j] = row.wrapping_add(i) < tiling.height && column.wrapping_add(j) < tiling.width;
            }
        }
        Self { start, strides: [tiling.width * channels, channels], inside }
    }

    /// Where a pixel's channel is.
    #[inline(always)]
    fn at(&self, i: usize, j: usize, channel: usize) -> usize {
        self.start.wrapping_add(i * self.strides[0] + j * self.strides[1] + channel)
    }

    /// A row of pixels, zeros where they are outside.
    #[inline(always)]
    fn row<S: Simd>(&self, s: S, image: &[f32], i: usize, channel: usize, lanes: usize) -> [S::f32s; N] {
        let mut line = [s.splat_f32s(0.0); N];
        for j in 0..N {
            if self.inside[i][j] {
                line[j] = load(s, image, self.at(i, j, channel), lanes);
            }
        }
        line
    }
}

/// The vectors of channels: the group of each, its place in the group, its first channel, and how many there are; those of the
/// last group may have none.
#[inline(always)]
fn vectors<S: Simd>(channels: usize) -> impl Iterator<Item = [usize; 4]> {
    (0..channels.next_multiple_of(GROUP)).step_by(S::F32_LANES).map(move |channel| {
        let lanes = channels.saturating_sub(channel).min(S::F32_LANES);
        [channel / GROUP, channel % GROUP, channel.min(channels), lanes]
    })
}

/// The tiles of some images, or of gradients of images, on the calling thread.
pub(super) fn transform<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
    tiling: Tiling,
    channels: usize,
    images: &[f32],
    tiles: &mut [f32],
    of_gradient: bool,
) {
    for (index, image) in images.chunks_exact(tiling.height * tiling.width * channels).enumerate() {
        let (first_tile, layout, tile) =
            (index * tiling.per_image(), Layout::new(channels, IN * IN), PhantomData::<F>);
        let work = TransformInput { tiling, channels, image, first_tile, tiles, layout, of_gradient, tile };
        Arch::new().dispatch(work);
    }
}

/// Writes Bᵀ d B (of an image), or A dy Aᵀ (of an image's gradient: the adjoint of [`TransformOutput`]), of every tile.
struct TransformInput<'a, const IN: usize, const OUT: usize, F> {
    tiling: Tiling,
    channels: usize,
    image: &'a [f32],
    /// The number of the image's first tile.
    first_tile: usize,
    tiles: &'a mut [f32],
    layout: Layout,
    of_gradient: bool,
    tile: PhantomData<F>,
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> WithSimd for TransformInput<'_, IN, OUT, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { tiling, channels, image, first_tile, tiles, layout, of_gradient, .. } = self;
        // windows of N x N pixels that begin `$reach` pixels before a tile; no function takes the transform, since one that is
        // passed on would not be compiled for the vectors
        macro_rules! transform_windows {
            ($n:ident, $reach:literal, $transform:expr) => {
                for (index, place) in tiling.tiles().enumerate() {
                    let place = place.map(|at| (at * OUT).wrapping_sub($reach));
                    let window = Window::<$n>::new(tiling, channels, place);
                    for [group, place, channel, lanes] in vectors::<S>(channels) {
                        let tile = &mut tiles[layout.at(first_tile + index, group, 0) + place..];
                        let tile = &mut tile[..(IN * IN - 1) * BLOCK * GROUP + S::F32_LANES];
                        both_sides!(s, i => window.row(s, image, i, channel, lanes), $n, IN, $transform, (column, line) => {
                            for row in 0..IN {
                                store(s, line[row], tile, (row * IN + column) * BLOCK * GROUP, S::F32_LANES);
                            }
                        });
                    }
                }
            };
        }
        if of_gradient {
            transform_windows!(OUT, 0, F::output_adjoint);
        } else {
            transform_windows!(IN, 1, F::input);
        }
    }
}

/// Image = (or +=) Aᵀ m A + bias, with m the tiles' products.
pub(super) struct TransformOutput<'a, const IN: usize, const OUT: usize, F> {
    pub(super) tiling: Tiling,
    pub(super) channels: usize,
    pub(super) products: &'a [f32],
    pub(super) layout: Layout,
    /// The number of the image's first tile.
    pub(super) first_tile: usize,
    pub(super) bias: &'a [f32],
    pub(super) write: Write,
    pub(super) image: &'a mut [f32],
    pub(super) tile: PhantomData<F>,
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> WithSimd for TransformOutput<'_, IN, OUT, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { tiling, channels, products, layout, first_tile, bias, write, image, .. } = self;
        for (index, [down, across]) in tiling.tiles().enumerate() {
            let window = Window::<OUT>::new(tiling, channels, [down * OUT, across * OUT]);
            for [group, place, channel, lanes] in vectors::<S>(channels) {
                let tile = &products[layout.at(first_tile + index, group, 0) + place..];
                let tile = &tile[..(IN * IN - 1) * BLOCK * GROUP + S::F32_LANES];
                let read = |i: usize| {
                    let mut line = [s.splat_f32s(0.0); IN];
                    for j in 0..IN {
                        line[j] = load(s, tile, (i * IN + j) * BLOCK * GROUP, S::F32_LANES);
                    }
                    line
                };
                let bias = if bias.is_empty() { s.splat_f32s(0.0) } else { load(s, bias, channel, lanes) };
                both_sides!(s, i => read(i), IN, OUT, F::output, (j, line) => {
                    for i in 0..OUT {
                        if window.inside[i][j] {
                            let at = window.at(i, j, channel);
                            let y = s.add_f32s(bias, line[i]);
                            let y = if write == Write::Add { s.add_f32s(load(s, image, at, lanes), y) } else { y };
                            store(s, y, image, at, lanes);
                        }
                    }
                });
            }
        }
    }
}
