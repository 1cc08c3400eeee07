//! The transforms of F(m x m, 3x3), and how a vector of channels is read and written.

use std::fmt::Debug;

use pulp::Simd;

/// The transforms of F(m x m, 3x3) along one dimension, with IN = m + 2 and OUT = m, on one vector of channels.
pub(crate) trait Tile<const IN: usize, const OUT: usize>:
    Debug + Send + Sync + Copy + 'static
{
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct F4;

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
#[derive(Clone, Copy, Debug)]
pub(crate) struct F2;

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

/// A one-dimensional transform along both dimensions of a tile, whose row `$row` is `$line`; `$sink` takes each column
/// of the result. (Arrays that start as zeros would be cleared by calls to memset, a fifth of the whole time.)
macro_rules! both_sides {
    ($s:expr, $row:ident => $line:expr, $from:ident, $to:ident, $transform:expr, ($column:ident, $out:ident) => $sink:block) => {{
        let mut half = [const { [const { std::mem::MaybeUninit::uninit() }; $to] }; $from];
        for $row in 0..$from {
            let line = $transform($s, $line);
            for column in 0..$to {
                half[$row][column].write(line[column]);
            }
        }
        for $column in 0..$to {
            let mut line = [$s.splat_f32s(0.0); $from];
            for row in 0..$from {
                // SAFETY: the loop above has written every element
                line[row] = unsafe { half[row][$column].assume_init() };
            }
            let $out = $transform($s, line);
            $sink
        }
    }};
}

/// G g along one dimension.
#[inline(always)]
pub(super) fn filter<const IN: usize, S: Simd>(
    s: S,
    matrix: &[[f32; 3]; IN],
    g: [S::f32s; 3],
) -> [S::f32s; IN] {
    let mut out = [s.splat_f32s(0.0); IN];
    for row in 0..IN {
        for tap in 0..3 {
            if matrix[row][tap] != 0.0 {
                out[row] = plus(s, out[row], matrix[row][tap], g[tap]);
            }
        }
    }
    out
}

/// Gᵀ u along one dimension.
#[inline(always)]
pub(super) fn filter_adjoint<const IN: usize, S: Simd>(
    s: S,
    matrix: &[[f32; 3]; IN],
    u: [S::f32s; IN],
) -> [S::f32s; 3] {
    let mut out = [s.splat_f32s(0.0); 3];
    for row in 0..IN {
        for tap in 0..3 {
            if matrix[row][tap] != 0.0 {
                out[tap] = plus(s, out[tap], matrix[row][tap], u[row]);
            }
        }
    }
    out
}

/// The elements of `from` at `start`, at most a vector of them, the rest zero.
#[inline(always)]
pub(super) fn load<S: Simd>(s: S, from: &[f32], start: usize, lanes: usize) -> S::f32s {
    let from = &from[start..start + lanes];
    if lanes == S::F32_LANES { S::as_simd_f32s(from).0[0] } else { s.partial_load_f32s(from) }
}

/// Writes the first `lanes` of a vector.
#[inline(always)]
pub(super) fn store<S: Simd>(s: S, values: S::f32s, to: &mut [f32], start: usize, lanes: usize) {
    let to = &mut to[start..start + lanes];
    if lanes == S::F32_LANES {
        S::as_mut_simd_f32s(to).0[0] = values;
    } else {
        s.partial_store_f32s(to, values);
    }
}

pub(super) use both_sides;
