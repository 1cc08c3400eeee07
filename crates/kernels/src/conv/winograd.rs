//! 3x3 convolution with stride 1 and padding 1 by Winograd's minimal filtering, F(m x m, 3x3) (Lavin & Gray, 2016).
//!
//! An output tile of m x m is Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A, where d is the (m+2) x (m+2) tile of the input behind it
//! and g the filter. Over many tiles and channels the products ⊙ become (m+2)² matrix products. Gradients are the
//! adjoints: the input's is a convolution with turned filters, the filter's is Gᵀ [(Bᵀ d B)ᵀ (A dy Aᵀ)] G.

use multiversion::multiversion;
use rayon::prelude::*;

use super::{ConvShape, Scratch};
use crate::matmul::{Matrix, MatrixMut, Write, matmul};

/// Channels that are transformed at once.
const LANES: usize = 16;
/// One value of each of them.
#[derive(Clone, Copy)]
pub(super) struct Lanes([f32; LANES]);

impl Lanes {
    const ZERO: Self = Self([0.0; LANES]);
}

macro_rules! lane_operation {
    ($trait:ident, $method:ident, $op:tt) => {
        impl std::ops::$trait for Lanes {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let mut out = self;
                for lane in 0..LANES {
                    out.0[lane] = self.0[lane] $op other.0[lane];
                }
                out
            }
        }
    };
}
lane_operation!(Add, add, +);
lane_operation!(Sub, sub, -);

impl std::ops::Mul<Lanes> for f32 {
    type Output = Lanes;
    #[inline(always)]
    fn mul(self, lanes: Lanes) -> Lanes {
        let mut out = lanes;
        for lane in 0..LANES {
            out.0[lane] = self * lanes.0[lane];
        }
        out
    }
}

/// The transforms of F(m x m, 3x3) along one dimension, with IN = m + 2 and OUT = m.
pub(super) trait Tile<const IN: usize, const OUT: usize>: Sync {
    /// G
    const FILTER: [[f32; 3]; IN];
    /// Bᵀ d
    fn input(d: [Lanes; IN]) -> [Lanes; IN];
    /// Aᵀ m
    fn output(m: [Lanes; IN]) -> [Lanes; OUT];
    /// A y
    fn output_adjoint(y: [Lanes; OUT]) -> [Lanes; IN];
}

/// F(4x4, 3x3): 36 products for 16 outputs, a quarter of the definition's.
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
    fn input([d0, d1, d2, d3, d4, d5]: [Lanes; 6]) -> [Lanes; 6] {
        let (even, odd) = (d4 - 4.0 * d2, d3 - 4.0 * d1);
        let (near, far) = (d4 - d2, 2.0 * (d3 - d1));
        [4.0 * d0 - 5.0 * d2 + d4, even + odd, even - odd, near + far, near - far, 4.0 * d1 - 5.0 * d3 + d5]
    }

    // rows of Aᵀ: 1 1 1 1 1 0 | 0 1 -1 2 -2 0 | 0 1 1 4 4 0 | 0 1 -1 8 -8 1
    #[inline(always)]
    fn output([m0, m1, m2, m3, m4, m5]: [Lanes; 6]) -> [Lanes; 4] {
        let (sum, difference) = (m1 + m2, m1 - m2);
        let (far_sum, far_difference) = (m3 + m4, m3 - m4);
        [
            m0 + sum + far_sum,
            difference + 2.0 * far_difference,
            sum + 4.0 * far_sum,
            difference + 8.0 * far_difference + m5,
        ]
    }

    #[inline(always)]
    fn output_adjoint([y0, y1, y2, y3]: [Lanes; 4]) -> [Lanes; 6] {
        let (even, odd) = (y0 + y2, y1 + y3);
        let (far_even, far_odd) = (y0 + 4.0 * y2, 2.0 * y1 + 8.0 * y3);
        [y0, even + odd, even - odd, far_even + far_odd, far_even - far_odd, y3]
    }
}

/// F(2x2, 3x3): 16 products for 4 outputs; rounds less than [`F4`].
pub(super) struct F2;

impl Tile<4, 2> for F2 {
    const FILTER: [[f32; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

    // rows of Bᵀ: 1 0 -1 0 | 0 1 1 0 | 0 -1 1 0 | 0 1 0 -1
    #[inline(always)]
    fn input([d0, d1, d2, d3]: [Lanes; 4]) -> [Lanes; 4] {
        [d0 - d2, d1 + d2, d2 - d1, d1 - d3]
    }

    // rows of Aᵀ: 1 1 1 0 | 0 1 -1 -1
    #[inline(always)]
    fn output([m0, m1, m2, m3]: [Lanes; 4]) -> [Lanes; 2] {
        [m0 + m1 + m2, m1 - m2 - m3]
    }

    #[inline(always)]
    fn output_adjoint([y0, y1]: [Lanes; 2]) -> [Lanes; 4] {
        [y0, y0 + y1, y0 - y1, Lanes::ZERO - y1]
    }
}

/// A one-dimensional transform along both dimensions of a tile.
macro_rules! both_sides {
    ($tile:expr, $from:ident, $to:ident, $transform:path) => {{
        let mut half = [[Lanes::ZERO; $to]; $from];
        for row in 0..$from {
            half[row] = $transform($tile[row]);
        }
        let mut out = [[Lanes::ZERO; $to]; $to];
        for column in 0..$to {
            let mut line = [Lanes::ZERO; $from];
            for row in 0..$from {
                line[row] = half[row][column];
            }
            let line = $transform(line);
            for row in 0..$to {
                out[row][column] = line[row];
            }
        }
        out
    }};
}

/// G g along one dimension.
#[inline(always)]
fn filter<const IN: usize>(matrix: &[[f32; 3]; IN], g: [Lanes; 3]) -> [Lanes; IN] {
    let mut out = [Lanes::ZERO; IN];
    for row in 0..IN {
        out[row] = matrix[row][0] * g[0] + matrix[row][1] * g[1] + matrix[row][2] * g[2];
    }
    out
}

/// Gᵀ u along one dimension.
#[inline(always)]
fn filter_adjoint<const IN: usize>(matrix: &[[f32; 3]; IN], u: [Lanes; IN]) -> [Lanes; 3] {
    let mut out = [Lanes::ZERO; 3];
    for row in 0..IN {
        for tap in 0..3 {
            out[tap] = out[tap] + matrix[row][tap] * u[row];
        }
    }
    out
}

/// The elements of `from` at `start`, at most [`LANES`] of them, the rest zero.
#[inline(always)]
fn load(from: &[f32], start: usize, lanes: usize) -> Lanes {
    let mut out = Lanes::ZERO;
    if lanes == LANES {
        out.0.copy_from_slice(&from[start..start + LANES]);
    } else {
        out.0[..lanes].copy_from_slice(&from[start..start + lanes]);
    }
    out
}

/// Writes the first `lanes` of them.
#[inline(always)]
fn store(values: &Lanes, to: &mut [f32], start: usize, lanes: usize) {
    if lanes == LANES {
        to[start..start + LANES].copy_from_slice(&values.0);
    } else {
        to[start..start + lanes].copy_from_slice(&values.0[..lanes]);
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

/// Reads a tile's lanes out of an image, zeros outside it.
#[inline(always)]
fn read_tile<const N: usize>(
    tiling: Tiling,
    image: &[f32],
    channels: usize,
    (row, column): (usize, usize),
    (channel, lanes): (usize, usize),
) -> [[Lanes; N]; N] {
    let mut tile = [[Lanes::ZERO; N]; N];
    for (i, tile) in tile.iter_mut().enumerate() {
        let row = row.wrapping_add(i);
        for (j, tile) in tile.iter_mut().enumerate() {
            let column = column.wrapping_add(j);
            if row < tiling.height && column < tiling.width {
                *tile = load(image, (row * tiling.width + column) * channels + channel, lanes);
            }
        }
    }
    tile
}

/// Writes Bᵀ d B of every tile of an image: one plane of `[tiles, channels]` per element of a tile.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn transform_input<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
    tiling: Tiling,
    channels: usize,
    image: &[f32],
    first_tile: usize,
    planes: &mut [&mut [f32]],
) {
    for (tile, (down, across)) in tiling.tiles().enumerate() {
        for channel in (0..channels).step_by(LANES) {
            let lanes = LANES.min(channels - channel);
            let corner = ((down * OUT).wrapping_sub(1), (across * OUT).wrapping_sub(1));
            let d = read_tile::<IN>(tiling, image, channels, corner, (channel, lanes));
            let v = both_sides!(d, IN, IN, F::input);
            let at = (first_tile + tile) * channels + channel;
            for (xi, plane) in planes.iter_mut().enumerate() {
                store(&v[xi / IN][xi % IN], plane, at, lanes);
            }
        }
    }
}

/// Writes A dy Aᵀ of every tile of an image's gradient: the adjoint of [`transform_output`].
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn transform_gradient<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
    tiling: Tiling,
    channels: usize,
    image: &[f32],
    first_tile: usize,
    planes: &mut [&mut [f32]],
) {
    for (tile, (down, across)) in tiling.tiles().enumerate() {
        for channel in (0..channels).step_by(LANES) {
            let lanes = LANES.min(channels - channel);
            let d = read_tile::<OUT>(tiling, image, channels, (down * OUT, across * OUT), (channel, lanes));
            let v = both_sides!(d, OUT, IN, F::output_adjoint);
            let at = (first_tile + tile) * channels + channel;
            for (xi, plane) in planes.iter_mut().enumerate() {
                store(&v[xi / IN][xi % IN], plane, at, lanes);
            }
        }
    }
}

/// Image = (or +=) Aᵀ m A + bias for every tile, with m from planes of `plane_len` elements.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn transform_output<const IN: usize, const OUT: usize, F: Tile<IN, OUT>>(
    tiling: Tiling,
    (products, plane_len): (&[f32], usize),
    first_tile: usize,
    bias: &[f32],
    write: Write,
    (channels, image): (usize, &mut [f32]),
) {
    for (tile, (down, across)) in tiling.tiles().enumerate() {
        for channel in (0..channels).step_by(LANES) {
            let lanes = LANES.min(channels - channel);
            let mut m = [[Lanes::ZERO; IN]; IN];
            for (xi, plane) in products.chunks_exact(plane_len).enumerate() {
                m[xi / IN][xi % IN] = load(plane, (first_tile + tile) * channels + channel, lanes);
            }
            let out = both_sides!(m, IN, OUT, F::output);
            let bias = if bias.is_empty() { Lanes::ZERO } else { load(bias, channel, lanes) };
            for (i, out) in out.iter().enumerate() {
                for (j, out) in out.iter().enumerate() {
                    let (row, column) = (down * OUT + i, across * OUT + j);
                    if row < tiling.height && column < tiling.width {
                        let at = (row * tiling.width + column) * channels + channel;
                        let before = if write == Write::Add { load(image, at, lanes) } else { bias };
                        store(&(before + *out), image, at, lanes);
                    }
                }
            }
        }
    }
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
        rows.par_iter_mut().enumerate().for_each(|(from, row)| {
            for to in (0..to_channels).step_by(LANES) {
                let lanes = LANES.min(to_channels - to);
                let mut g = [[Lanes::ZERO; 3]; 3];
                for lane in 0..lanes {
                    let taps = &weight[place(from, to + lane)..][..9];
                    for tap in 0..9 {
                        g[tap / 3][tap % 3].0[lane] = taps[if turned { 8 - tap } else { tap }];
                    }
                }
                let along = |g| filter(&F::FILTER, g);
                const TAPS: usize = 3;
                let u = both_sides!(g, TAPS, IN, along);
                for (xi, out) in row.iter_mut().enumerate() {
                    store(&u[xi / IN][xi % IN], out, to, lanes);
                }
            }
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
        inputs.resize(IN * IN * tiles * from, 0.0);
        products.resize(IN * IN * tiles * to, 0.0);
        let mut planes: Vec<&mut [f32]> = inputs.chunks_exact_mut(tiles * from).collect();
        for (index, image) in x.chunks_exact(pixels * from).enumerate() {
            transform_input::<IN, OUT, F>(tiling, from, image, index * tiling.per_image(), &mut planes);
        }
        let filters = self.planes.chunks_exact(from * to);
        let planes =
            inputs.chunks_exact(tiles * from).zip(filters).zip(products.chunks_exact_mut(tiles * to));
        for ((inputs, filters), products) in planes {
            let (inputs, filters) =
                (Matrix::new(inputs, tiles, from, from), Matrix::new(filters, from, to, to));
            matmul(inputs, filters, &mut MatrixMut::new(products, tiles, to, to), Write::Replace);
        }
        for (index, image) in y.chunks_exact_mut(pixels * to).enumerate() {
            let first = index * tiling.per_image();
            transform_output::<IN, OUT, F>(tiling, (products, tiles * to), first, bias, write, (to, image));
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
    let mut inputs = vec![0.0; IN * IN * tiles * from];
    let mut gradients = vec![0.0; IN * IN * tiles * to];
    let mut parts = by_image(&mut inputs, IN * IN, tiling.per_image() * from, images);
    let each = x.par_chunks_exact(shape.in_len()).zip(parts.par_iter_mut());
    each.for_each(|(image, planes)| transform_input::<IN, OUT, F>(tiling, from, image, 0, planes));
    let mut parts = by_image(&mut gradients, IN * IN, tiling.per_image() * to, images);
    let each = dy.par_chunks_exact(shape.out_len()).zip(parts.par_iter_mut());
    each.for_each(|(image, planes)| transform_gradient::<IN, OUT, F>(tiling, to, image, 0, planes));
    // [IN²][to][from], so that a filter's elements over input channels lie side by side
    let mut sums = vec![0.0; IN * IN * from * to];
    let planes = inputs.par_chunks_exact(tiles * from).zip(gradients.par_chunks_exact(tiles * to));
    planes.zip(sums.par_chunks_exact_mut(from * to)).for_each(|((inputs, gradients), sums)| {
        let (inputs, gradients) =
            (Matrix::new(inputs, tiles, from, from), Matrix::new(gradients, tiles, to, to));
        matmul(gradients.transposed(), inputs, &mut MatrixMut::new(sums, to, from, from), Write::Replace);
    });
    dweight.par_chunks_exact_mut(from * 9).enumerate().for_each(|(to_channel, filters)| {
        for channel in (0..from).step_by(LANES) {
            let lanes = LANES.min(from - channel);
            let mut u = [[Lanes::ZERO; IN]; IN];
            for (xi, plane) in sums.chunks_exact(from * to).enumerate() {
                u[xi / IN][xi % IN] = load(plane, to_channel * from + channel, lanes);
            }
            let along = |u| filter_adjoint(&F::FILTER, u);
            const TAPS: usize = 3;
            let g = both_sides!(u, IN, TAPS, along);
            for lane in 0..lanes {
                for tap in 0..9 {
                    filters[(channel + lane) * 9 + tap] += g[tap / 3][tap % 3].0[lane];
                }
            }
        }
    });
}

/// Every image's part of every plane.
fn by_image(buffer: &mut [f32], planes: usize, image_len: usize, images: usize) -> Vec<Vec<&mut [f32]>> {
    let mut parts: Vec<Vec<&mut [f32]>> = (0..images).map(|_| Vec::with_capacity(planes)).collect();
    for plane in buffer.chunks_exact_mut(image_len * images) {
        for (part, image) in parts.iter_mut().zip(plane.chunks_exact_mut(image_len)) {
            part.push(image);
        }
    }
    parts
}
