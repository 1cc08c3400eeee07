//! Images, gradients and filters to and from their transformed planes, a vector of channels at a time.
#![expect(unsafe_code, reason = "`both_sides!` fills an array after it is made")]

use std::marker::PhantomData;

use pulp::{Simd, WithSimd};

use super::tile::{MAX_LANES, Tile, both_sides, filter, filter_adjoint, load, store};
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
    pub(super) fn tiles(self) -> impl Iterator<Item = [usize; 2]> {
        (0..self.down).flat_map(move |down| (0..self.across).map(move |across| [down, across]))
    }

    pub(super) fn per_image(self) -> usize {
        self.down * self.across
    }
}

/// Reads N neighboring pixels of row `row` of an image, zeros outside it.
#[inline(always)]
fn read_row<const N: usize, S: Simd>(
    s: S,
    tiling: Tiling,
    image: &[f32],
    channels: usize,
    [row, column]: [usize; 2],
    channel: usize,
    lanes: usize,
) -> [S::f32s; N] {
    let mut line = [s.splat_f32s(0.0); N];
    if row >= tiling.height {
        return line;
    }
    let inside = column < tiling.width && column + N <= tiling.width;
    if inside && lanes == S::F32_LANES {
        let start = (row * tiling.width + column) * channels + channel;
        let pixels = &image[start..][..(N - 1) * channels + S::F32_LANES];
        for j in 0..N {
            line[j] = S::as_simd_f32s(&pixels[j * channels..][..S::F32_LANES]).0[0];
        }
        return line;
    }
    for j in 0..N {
        let column = column.wrapping_add(j);
        if column < tiling.width {
            line[j] = load(s, image, (row * tiling.width + column) * channels + channel, lanes);
        }
    }
    line
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
        for (tile, [down, across]) in tiling.tiles().enumerate() {
            for channel in (0..channels).step_by(S::F32_LANES) {
                let lanes = S::F32_LANES.min(channels - channel);
                let at = (first_tile + tile) * channels + channel;
                let mut write = |column: usize, line: [S::f32s; IN]| {
                    for row in 0..IN {
                        store(s, line[row], planes[row * IN + column], at, lanes);
                    }
                };
                if of_gradient {
                    let read = |i: usize| {
                        let place = [down * OUT + i, across * OUT];
                        read_row::<OUT, S>(s, tiling, image, channels, place, channel, lanes)
                    };
                    both_sides!(s, i => read(i), OUT, IN, F::output_adjoint, (column, line) => {
                        write(column, line);
                    });
                } else {
                    let read = |i: usize| {
                        let place = [(down * OUT + i).wrapping_sub(1), (across * OUT).wrapping_sub(1)];
                        read_row::<IN, S>(s, tiling, image, channels, place, channel, lanes)
                    };
                    both_sides!(s, i => read(i), IN, IN, F::input, (column, line) => {
                        write(column, line);
                    });
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
        for (tile, [down, across]) in tiling.tiles().enumerate() {
            for channel in (0..channels).step_by(S::F32_LANES) {
                let lanes = S::F32_LANES.min(channels - channel);
                let at = (first_tile + tile) * channels + channel;
                let read = |i: usize| {
                    let mut line = [s.splat_f32s(0.0); IN];
                    for j in 0..IN {
                        line[j] = load(s, products, (i * IN + j) * plane_len + at, lanes);
                    }
                    line
                };
                let bias = if bias.is_empty() { s.splat_f32s(0.0) } else { load(s, bias, channel, lanes) };
                both_sides!(s, i => read(i), IN, OUT, F::output, (j, line) => {
                    for i in 0..OUT {
                        let (row, column) = (down * OUT + i, across * OUT + j);
                        if row < tiling.height && column < tiling.width {
                            let at = (row * tiling.width + column) * channels + channel;
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

/// G g Gᵀ of the filters from one channel to all others, into one row of each panel of each plane.
pub(super) struct TransformFilters<'a, 'p, const IN: usize, const OUT: usize, F, P> {
    pub(super) weight: &'a [f32],
    /// Where the filter to a channel begins.
    pub(super) place: P,
    pub(super) turned: bool,
    pub(super) to_channels: usize,
    /// Channels of a panel.
    pub(super) panel: usize,
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
        let Self { weight, place, turned, to_channels, panel, rows, .. } = self;
        let panels = to_channels.div_ceil(panel);
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
            both_sides!(s, i => g[i], TAPS, IN, |s, g| filter(s, &F::FILTER, g), (column, line) => {
                for row in 0..IN {
                    store(s, line[row], rows[(row * IN + column) * panels + to / panel], to % panel, lanes);
                }
            });
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
            let mut taps = [[0.0f32; MAX_LANES]; 9];
            both_sides!(s, i => u[i], IN, TAPS, |s, u| filter_adjoint(s, &F::FILTER, u), (column, line) => {
                for row in 0..TAPS {
                    store(s, line[row], &mut taps[row * TAPS + column], 0, S::F32_LANES);
                }
            });
            for lane in 0..lanes {
                for tap in 0..9 {
                    filters[(channel + lane) * 9 + tap] += taps[tap][lane];
                }
            }
        }
    }
}
