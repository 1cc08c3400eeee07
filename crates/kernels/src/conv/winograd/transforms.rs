//! Images, gradients and filters to and from their transformed planes, a vector of channels at a time.

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use super::MAX_LANES;
use super::tile::{Tile, both_sides, filter, filter_adjoint, load, store};
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
    pub(super) fn tiles(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.down).flat_map(move |down| (0..self.across).map(move |across| (down, across)))
    }

    pub(super) fn per_image(self) -> usize {
        self.down * self.across
    }
}

/// Reads a tile out of an image, zeros outside it.
#[inline(always)]
fn read_tile<const N: usize, S: Simd>(
    s: S,
    tiling: Tiling,
    image: &[f32],
    channels: usize,
    (row, column): (usize, usize),
    (channel, lanes): (usize, usize),
) -> [[S::f32s; N]; N] {
    let mut tile = [[s.splat_f32s(0.0); N]; N];
    for i in 0..N {
        let row = row.wrapping_add(i);
        for j in 0..N {
            let column = column.wrapping_add(j);
            if row < tiling.height && column < tiling.width {
                tile[i][j] = load(s, image, (row * tiling.width + column) * channels + channel, lanes);
            }
        }
    }
    tile
}

/// Writes Bᵀ d B (of an image), or A dy Aᵀ (of an image's gradient: the adjoint of [`TransformOutput`]), of every tile:
/// one plane of `[tiles, channels]` per element of a tile.
pub(super) struct TransformInput<'a, 'p, const IN: usize, const OUT: usize, F> {
    pub(super) tiling: Tiling,
    pub(super) channels: usize,
    pub(super) image: &'a [f32],
    pub(super) first_tile: usize,
    pub(super) planes: &'a mut [&'p mut [f32]],
    pub(super) of_gradient: bool,
    pub(super) tile: PhantomData<F>,
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> WithSimd for TransformInput<'_, '_, IN, OUT, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Self { tiling, channels, image, first_tile, planes, of_gradient, .. } = self;
        for (tile, (down, across)) in tiling.tiles().enumerate() {
            for channel in (0..channels).step_by(S::F32_LANES) {
                let some = (channel, S::F32_LANES.min(channels - channel));
                let v = if of_gradient {
                    let d = read_tile::<OUT, S>(s, tiling, image, channels, (down * OUT, across * OUT), some);
                    both_sides!(s, d, OUT, IN, F::output_adjoint)
                } else {
                    let corner = ((down * OUT).wrapping_sub(1), (across * OUT).wrapping_sub(1));
                    let d = read_tile::<IN, S>(s, tiling, image, channels, corner, some);
                    both_sides!(s, d, IN, IN, F::input)
                };
                let at = (first_tile + tile) * channels + channel;
                for row in 0..IN {
                    for column in 0..IN {
                        store(s, v[row][column], planes[row * IN + column], at, some.1);
                    }
                }
            }
        }
    }
}

/// Image = (or +=) Aᵀ m A + bias for every tile, with m from planes of `plane_len` elements.
pub(super) struct TransformOutput<'a, const IN: usize, const OUT: usize, F> {
    pub(super) tiling: Tiling,
    pub(super) channels: usize,
    pub(super) products: &'a [f32],
    pub(super) plane_len: usize,
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
        let Self { tiling, channels, products, plane_len, first_tile, bias, write, image, .. } = self;
        for (tile, (down, across)) in tiling.tiles().enumerate() {
            for channel in (0..channels).step_by(S::F32_LANES) {
                let lanes = S::F32_LANES.min(channels - channel);
                let at = (first_tile + tile) * channels + channel;
                let mut m = [[s.splat_f32s(0.0); IN]; IN];
                for row in 0..IN {
                    for column in 0..IN {
                        m[row][column] = load(s, products, (row * IN + column) * plane_len + at, lanes);
                    }
                }
                let out = both_sides!(s, m, IN, OUT, F::output);
                let bias = if bias.is_empty() { s.splat_f32s(0.0) } else { load(s, bias, channel, lanes) };
                for i in 0..OUT {
                    for j in 0..OUT {
                        let (row, column) = (down * OUT + i, across * OUT + j);
                        if row < tiling.height && column < tiling.width {
                            let at = (row * tiling.width + column) * channels + channel;
                            let before = if write == Write::Add { load(s, image, at, lanes) } else { bias };
                            store(s, s.add_f32s(before, out[i][j]), image, at, lanes);
                        }
                    }
                }
            }
        }
    }
}

/// G g Gᵀ of the filters from one channel to all others, into one row of each plane.
pub(super) struct TransformFilters<'a, 'p, const IN: usize, const OUT: usize, F, P> {
    pub(super) weight: &'a [f32],
    /// Where the filter to a channel begins.
    pub(super) place: P,
    pub(super) turned: bool,
    pub(super) to_channels: usize,
    pub(super) rows: &'a mut [&'p mut [f32]],
    pub(super) tile: PhantomData<F>,
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>, P: Fn(usize) -> usize> WithSimd
    for TransformFilters<'_, '_, IN, OUT, F, P>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        const TAPS: usize = 3;
        let Self { weight, place, turned, to_channels, rows, .. } = self;
        for to in (0..to_channels).step_by(S::F32_LANES) {
            let lanes = S::F32_LANES.min(to_channels - to);
            let mut taps = [[0.0f32; MAX_LANES]; 9];
            for lane in 0..lanes {
                let filter = &weight[place(to + lane)..][..9];
                for tap in 0..9 {
                    taps[tap][lane] = filter[if turned { 8 - tap } else { tap }];
                }
            }
            let mut g = [[s.splat_f32s(0.0); TAPS]; TAPS];
            for tap in 0..9 {
                g[tap / 3][tap % 3] = load(s, &taps[tap], 0, S::F32_LANES);
            }
            let u = both_sides!(s, g, TAPS, IN, |s, g| filter(s, &F::FILTER, g));
            for row in 0..IN {
                for column in 0..IN {
                    store(s, u[row][column], rows[row * IN + column], to, lanes);
                }
            }
        }
    }
}

/// Filters of one output channel += Gᵀ u G, with u from planes of `[to, from]`.
pub(super) struct FilterGradient<'a, const IN: usize, const OUT: usize, F> {
    pub(super) planes: &'a [f32],
    pub(super) plane_len: usize,
    /// Where the channel's row begins in each plane.
    pub(super) start: usize,
    pub(super) from_channels: usize,
    pub(super) filters: &'a mut [f32],
    pub(super) tile: PhantomData<F>,
}

impl<const IN: usize, const OUT: usize, F: Tile<IN, OUT>> WithSimd for FilterGradient<'_, IN, OUT, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        const TAPS: usize = 3;
        let Self { planes, plane_len, start, from_channels, filters, .. } = self;
        for channel in (0..from_channels).step_by(S::F32_LANES) {
            let lanes = S::F32_LANES.min(from_channels - channel);
            let mut u = [[s.splat_f32s(0.0); IN]; IN];
            for row in 0..IN {
                for column in 0..IN {
                    u[row][column] =
                        load(s, planes, (row * IN + column) * plane_len + start + channel, lanes);
                }
            }
            let g = both_sides!(s, u, IN, TAPS, |s, u| filter_adjoint(s, &F::FILTER, u));
            let mut taps = [[0.0f32; MAX_LANES]; 9];
            for tap in 0..9 {
                store(s, g[tap / 3][tap % 3], &mut taps[tap], 0, S::F32_LANES);
            }
            for lane in 0..lanes {
                for tap in 0..9 {
                    filters[(channel + lane) * 9 + tap] += taps[tap][lane];
                }
            }
        }
    }
}
