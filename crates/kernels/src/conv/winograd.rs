//! 3x3 convolution with stride 1 and padding 1 by Winograd's minimal filtering, F(m x m, 3x3) (Lavin & Gray, 2016).
//!
//! An output tile of m x m is Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, where d is the (m+2) x (m+2) tile of the input behind it
//! and g the filter. Over many tiles and channels the products ⊙ become (m+2)² matrix products. Gradients are the
//! adjoints: the input's is a convolution with turned filters, the filter's is Gᵀ [(Bᵀ d B)ᵀ (A dy Aᵀ)] G.

use std::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::{ConvShape, Scratch};
use crate::matmul::{Matrix, MatrixMut, Write, matmul};

/// Most elements of a vector on any machine.
const MAX_LANES: usize = 16;

/// The transforms of F(m x m, 3x3) along one dimension, with IN = m + 2 and OUT = m, on one vector of channels.
pub(super) trait Tile<const IN: usize, const OUT: usize>: Sync + Copy {
    /// G
    const FILTER: [[f32; 3]; IN];
    /// Bᵀ d
    fn input<S: Simd>(s: S, d: [S::f32s; IN]) -> [S::f32s; IN];
    /// Aᵀ m
    fn output<S: Simd>(s: S, m: [S::f32s; IN]) -> [S::f32s; OUT];
    /// A y
    fn output_adjoint<S: Simd>(s: S, y: [S::f32s; OUT]) -> [S::f32s; IN];
}

/// a + k b
#[inline(always)]
fn plus<S: Simd>(s: S, a: S::f32s, k: f32, b: S::f32s) -> S::f32s {
    s.mul_add_f32s(s.splat_f32s(k), b, a)
}

/// F(4x4, 3x3): 36 products for 16 outputs, a quarter of the definition's.
#[derive(Clone, Copy)]
pub(super) struct F4;

impl Tile<6, 4> for F4 {
    const FILTER: [[f32; 3]; 6] = [
        [0.25, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];

    // rows of Bᵀ: 4 0 -5 0 1 0 | 0 -4 -4 1 1 0 | 0 4 -4 -1 1 0 | 0 -2 -1 2 1 0 | 0 2 -1 -2 1 0 | 0 4 0 -5 0 1
    #[inline(always)]
    fn input<S: Simd>(s: S, [d0, d1, d2, d3, d4, d5]: [S::f32s; 6]) -> [S::f32s; 6] {
        let (even, odd) = (plus(s, d4, -4.0, d2), plus(s, d3, -4.0, d1));
        let (near, far) = (s.sub_f32s(d4, d2), s.mul_f32s(s.splat_f32s(2.0), s.sub_f32s(d3, d1)));
        [
            plus(s, plus(s, d4, -5.0, d2), 4.0, d0),
            s.add_f32s(even, odd),
            s.sub_f32s(even, odd),
            s.add_f32s(near, far),
            s.sub_f32s(near, far),
            plus(s, plus(s, d5, -5.0, d3), 4.0, d1),
        ]
    }

    // rows of Aᵀ: 1 1 1 1 1 0 | 0 1 -1 2 -2 0 | 0 1 1 4 4 0 | 0 1 -1 8 -8 1
    #[inline(always)]
    fn output<S: Simd>(s: S, [m0, m1, m2, m3, m4, m5]: [S::f32s; 6]) -> [S::f32s; 4] {
        let (sum, difference) = (s.add_f32s(m1, m2), s.sub_f32s(m1, m2));
        let (far_sum, far_difference) = (s.add_f32s(m3, m4), s.sub_f32s(m3, m4));
        [
            s.add_f32s(s.add_f32s(m0, sum), far_sum),
            plus(s, difference, 2.0, far_difference),
            plus(s, sum, 4.0, far_sum),
            plus(s, s.add_f32s(difference, m5), 8.0, far_difference),
        ]
    }

    #[inline(always)]
    fn output_adjoint<S: Simd>(s: S, [y0, y1, y2, y3]: [S::f32s; 4]) -> [S::f32s; 6] {
        let (even, odd) = (s.add_f32s(y0, y2), s.add_f32s(y1, y3));
        let far_even = plus(s, y0, 4.0, y2);
        let far_odd = s.mul_f32s(s.splat_f32s(2.0), plus(s, y1, 4.0, y3));
        [
            y0,
            s.add_f32s(even, odd),
            s.sub_f32s(even, odd),
            s.add_f32s(far_even, far_odd),
            s.sub_f32s(far_even, far_odd),
            y3,
        ]
    }
}

/// F(2x2, 3x3): 16 products for 4 outputs; rounds less than [`F4`].
#[derive(Clone, Copy)]
pub(super) struct F2;

impl Tile<4, 2> for F2 {
    const FILTER: [[f32; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

    // rows of Bᵀ: 1 0 -1 0 | 0 1 1 0 | 0 -1 1 0 | 0 1 0 -1
    #[inline(always)]
    fn input<S: Simd>(s: S, [d0, d1, d2, d3]: [S::f32s; 4]) -> [S::f32s; 4] {
        [s.sub_f32s(d0, d2), s.add_f32s(d1, d2), s.sub_f32s(d2, d1), s.sub_f32s(d1, d3)]
    }

    // rows of Aᵀ: 1 1 1 0 | 0 1 -1 -1
    #[inline(always)]
    fn output<S: Simd>(s: S, [m0, m1, m2, m3]: [S::f32s; 4]) -> [S::f32s; 2] {
        [s.add_f32s(s.add_f32s(m0, m1), m2), s.sub_f32s(s.sub_f32s(m1, m2), m3)]
    }

    #[inline(always)]
    fn output_adjoint<S: Simd>(s: S, [y0, y1]: [S::f32s; 2]) -> [S::f32s; 4] {
        [y0, s.add_f32s(y0, y1), s.sub_f32s(y0, y1), s.neg_f32s(y1)]
    }
}

/// A one-dimensional transform along both dimensions of a tile.
macro_rules! both_sides {
    ($s:expr, $tile:expr, $from:ident, $to:ident, $transform:expr) => {{
        let zero = $s.splat_f32s(0.0);
        let mut half = [[zero; $to]; $from];
        for row in 0..$from {
            half[row] = $transform($s, $tile[row]);
        }
        let mut out = [[zero; $to]; $to];
        for column in 0..$to {
            let mut line = [zero; $from];
            for row in 0..$from {
                line[row] = half[row][column];
            }
            let line = $transform($s, line);
            for row in 0..$to {
                out[row][column] = line[row];
            }
        }
        out
    }};
}

/// G g along one dimension.
#[inline(always)]
fn filter<const IN: usize, S: Simd>(s: S, matrix: &[[f32; 3]; IN], g: [S::f32s; 3]) -> [S::f32s; IN] {
    let mut out = [s.splat_f32s(0.0); IN];
    for row in 0..IN {
        for tap in 0..3 {
            out[row] = plus(s, out[row], matrix[row][tap], g[tap]);
        }
    }
    out
}

/// Gᵀ u along one dimension.
#[inline(always)]
fn filter_adjoint<const IN: usize, S: Simd>(s: S, matrix: &[[f32; 3]; IN], u: [S::f32s; IN]) -> [S::f32s; 3] {
    let mut out = [s.splat_f32s(0.0); 3];
    for row in 0..IN {
        for tap in 0..3 {
            out[tap] = plus(s, out[tap], matrix[row][tap], u[row]);
        }
    }
    out
}

/// The elements of `from` at `start`, at most a vector of them, the rest zero.
#[inline(always)]
fn load<S: Simd>(s: S, from: &[f32], start: usize, lanes: usize) -> S::f32s {
    let from = &from[start..start + lanes];
    if lanes == S::F32_LANES { S::as_simd_f32s(from).0[0] } else { s.partial_load_f32s(from) }
}

/// Writes the first `lanes` of a vector.
#[inline(always)]
fn store<S: Simd>(s: S, values: S::f32s, to: &mut [f32], start: usize, lanes: usize) {
    let to = &mut to[start..start + lanes];
    if lanes == S::F32_LANES {
        S::as_mut_simd_f32s(to).0[0] = values;
    } else {
        s.partial_store_f32s(to, values);
    }
}

/// Tiles of a batch of images.
#[derive(Clone, Copy)]
struct Tiling {
    height: usize,
    width: usize,
    down: usize,
    across: usize,
}

impl Tiling {
    fn new([height, width]: [usize; 2], out: usize) -> Self {
        Self { height, width, down: height.div_ceil(out), across: width.div_ceil(out) }
    }

    /// Every tile, by its place downwards and across.
    fn tiles(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.down).flat_map(move |down| (0..self.across).map(move |across| (down, across)))
    }

    fn per_image(self) -> usize {
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
struct TransformInput<'a, 'p, const IN: usize, const OUT: usize, F> {
    tiling: Tiling,
    channels: usize,
    image: &'a [f32],
    first_tile: usize,
    planes: &'a mut [&'p mut [f32]],
    of_gradient: bool,
    tile: PhantomData<F>,
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
struct TransformOutput<'a, const IN: usize, const OUT: usize, F> {
    tiling: Tiling,
    channels: usize,
    products: &'a [f32],
    plane_len: usize,
    first_tile: usize,
    bias: &'a [f32],
    write: Write,
    image: &'a mut [f32],
    tile: PhantomData<F>,
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
struct TransformFilters<'a, 'p, const IN: usize, const OUT: usize, F, P> {
    weight: &'a [f32],
    /// Where the filter to a channel begins.
    place: P,
    turned: bool,
    to_channels: usize,
    rows: &'a mut [&'p mut [f32]],
    tile: PhantomData<F>,
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
struct FilterGradient<'a, const IN: usize, const OUT: usize, F> {
    planes: &'a [f32],
    plane_len: usize,
    /// Where the channel's row begins in each plane.
    start: usize,
    from_channels: usize,
    filters: &'a mut [f32],
    tile: PhantomData<F>,
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
        for ((inputs, filters), products) in planes {
            let (inputs, filters) =
                (Matrix::new(inputs, tiles, from, from), Matrix::new(filters, from, to, to));
            matmul(inputs, filters, &mut MatrixMut::new(products, tiles, to, to), Write::Replace);
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
