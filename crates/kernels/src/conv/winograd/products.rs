//! Products of tiles and filters, with the sums in registers. Filters are laid out for them once, and tiles are read where they
//! are, so that nothing is packed; gemm packs both for every product.

use pulp::{Arch, Simd, WithSimd};

use super::tile::MAX_LANES;
use crate::matmul::{Matrix, MatrixMut, Write, matmul};

/// Most channels of [`add_transposed`]; beyond them gemm is faster.
const MAX_CHANNELS: usize = 64;
/// Columns of a panel: two vectors of the widest kind.
const PANEL: usize = 2 * MAX_LANES;

/// Whether channels are few, and whole vectors.
pub(super) fn few(channels: usize) -> bool {
    channels <= MAX_CHANNELS && channels.is_multiple_of(MAX_LANES)
}

/// Columns of each panel of a matrix for [`product`] except the last, which may have fewer: the matrix is stored panel after
/// panel, each row by row.
pub(super) fn panel(columns: usize) -> usize {
    if columns.is_multiple_of(MAX_LANES) { PANEL.min(columns) } else { columns }
}

/// C = A B with A `[rows, inner]`, B `[inner, columns]` in panels, C `[rows, columns]`, on the calling thread.
pub(super) fn product([rows, inner, columns]: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    if !columns.is_multiple_of(MAX_LANES) {
        let (a, b) = (Matrix::new(a, rows, inner, inner), Matrix::new(b, inner, columns, columns));
        matmul(a, b, &mut MatrixMut::new(c, rows, columns, columns), Write::Replace);
        return;
    }
    for (index, b) in b.chunks(inner * panel(columns)).enumerate() {
        let (width, first) = (b.len() / inner, index * panel(columns));
        Arch::new().dispatch(Product { rows, inner, columns, width, first, a, b, c });
    }
}

/// The product of A and a panel.
struct Product<'a> {
    rows: usize,
    inner: usize,
    /// Of C.
    columns: usize,
    /// Columns of the panel.
    width: usize,
    /// The panel's first column in C.
    first: usize,
    a: &'a [f32],
    b: &'a [f32],
    c: &'a mut [f32],
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        // as many sums as leave registers for their operands, of which there are 32 or 16
        let wide = S::F32_LANES >= 16;
        let mut column = 0;
        while column + 2 * S::F32_LANES <= self.width {
            in_runs!([12; 4], wide, row..self.rows, self.pair(s, row, column));
            column += 2 * S::F32_LANES;
        }
        while column < self.width {
            in_runs!([16; 8], wide, row..self.rows, self.single(s, row, column));
            column += S::F32_LANES;
        }
    }
}

impl Product<'_> {
    /// R rows, two vectors of columns. (One array of pairs would not stay in registers.)
    #[inline(always)]
    fn pair<const R: usize, S: Simd>(&mut self, s: S, row: usize, column: usize) {
        let (inner, width) = (self.inner, self.width);
        let mut left = [s.splat_f32s(0.0); R];
        let mut right = [s.splat_f32s(0.0); R];
        let rows = self.rows_of_a::<R>(row);
        for k in 0..inner {
            let b = S::as_simd_f32s(&self.b[k * width + column..][..2 * S::F32_LANES]).0;
            let (b_left, b_right) = (b[0], b[1]);
            for r in 0..R {
                let factor = s.splat_f32s(rows[r][k]);
                left[r] = s.mul_add_f32s(factor, b_left, left[r]);
                right[r] = s.mul_add_f32s(factor, b_right, right[r]);
            }
        }
        for r in 0..R {
            let to = &mut self.c[(row + r) * self.columns + self.first + column..][..2 * S::F32_LANES];
            let to = S::as_mut_simd_f32s(to).0;
            to[0] = left[r];
            to[1] = right[r];
        }
    }

    /// R rows, one vector of columns.
    #[inline(always)]
    fn single<const R: usize, S: Simd>(&mut self, s: S, row: usize, column: usize) {
        let (inner, width) = (self.inner, self.width);
        let mut sums = [s.splat_f32s(0.0); R];
        let rows = self.rows_of_a::<R>(row);
        for k in 0..inner {
            let b = S::as_simd_f32s(&self.b[k * width + column..][..S::F32_LANES]).0[0];
            for r in 0..R {
                sums[r] = s.mul_add_f32s(s.splat_f32s(rows[r][k]), b, sums[r]);
            }
        }
        for r in 0..R {
            let to = &mut self.c[(row + r) * self.columns + self.first + column..][..S::F32_LANES];
            S::as_mut_simd_f32s(to).0[0] = sums[r];
        }
    }

    #[inline(always)]
    fn rows_of_a<const R: usize>(&self, row: usize) -> [&[f32]; R] {
        let mut rows = [&self.a[..0]; R];
        for r in 0..R {
            rows[r] = &self.a[(row + r) * self.inner..][..self.inner];
        }
        rows
    }
}

/// C += Aᵀ B with A `[inner, rows]`, B `[inner, columns]`, C `[rows, columns]`, rows and columns [`few`], on the calling
/// thread.
pub(super) fn add_transposed([inner, rows, columns]: [usize; 3], a: &[f32], b: &[f32], c: &mut [f32]) {
    assert!(few(rows) && few(columns));
    Arch::new().dispatch(AddTransposed { inner, rows, columns, a, b, c });
}

struct AddTransposed<'a> {
    inner: usize,
    rows: usize,
    columns: usize,
    a: &'a [f32],
    b: &'a [f32],
    c: &'a mut [f32],
}

impl WithSimd for AddTransposed<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        for row in (0..self.rows).step_by(8) {
            let mut column = 0;
            // sixteen sums if there are enough registers
            while S::F32_LANES >= 16 && column + 2 * S::F32_LANES <= self.columns {
                self.pair::<8, S>(s, row, column);
                column += 2 * S::F32_LANES;
            }
            while column < self.columns {
                self.single::<8, S>(s, row, column);
                column += S::F32_LANES;
            }
        }
    }
}

impl AddTransposed<'_> {
    #[inline(always)]
    fn pair<const R: usize, S: Simd>(&mut self, s: S, row: usize, column: usize) {
        let (rows, columns) = (self.rows, self.columns);
        let (mut left, mut right) = ([s.splat_f32s(0.0); R], [s.splat_f32s(0.0); R]);
        for k in 0..self.inner {
            let a = &self.a[k * rows + row..][..R];
            let b = S::as_simd_f32s(&self.b[k * columns + column..][..2 * S::F32_LANES]).0;
            let (b_left, b_right) = (b[0], b[1]);
            for r in 0..R {
                let factor = s.splat_f32s(a[r]);
                left[r] = s.mul_add_f32s(factor, b_left, left[r]);
                right[r] = s.mul_add_f32s(factor, b_right, right[r]);
            }
        }
        for r in 0..R {
            let to = &mut self.c[(row + r) * columns + column..][..2 * S::F32_LANES];
            let to = S::as_mut_simd_f32s(to).0;
            to[0] = s.add_f32s(to[0], left[r]);
            to[1] = s.add_f32s(to[1], right[r]);
        }
    }

    #[inline(always)]
    fn single<const R: usize, S: Simd>(&mut self, s: S, row: usize, column: usize) {
        let (rows, columns) = (self.rows, self.columns);
        let mut sums = [s.splat_f32s(0.0); R];
        for k in 0..self.inner {
            let a = &self.a[k * rows + row..][..R];
            let b = S::as_simd_f32s(&self.b[k * columns + column..][..S::F32_LANES]).0[0];
            for r in 0..R {
                sums[r] = s.mul_add_f32s(s.splat_f32s(a[r]), b, sums[r]);
            }
        }
        for r in 0..R {
            let to = &mut self.c[(row + r) * columns + column..][..S::F32_LANES];
            let to = &mut S::as_mut_simd_f32s(to).0[0];
            *to = s.add_f32s(*to, sums[r]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{noise, norm_error};

    #[test]
    fn products_agree_with_f64() {
        for [rows, inner, columns] in [[29, 16, 16], [41, 33, 48], [7, 64, 32], [5, 66, 112], [9, 7, 5]] {
            let (a, b) = (noise(1, rows * inner), noise(2, inner * columns));
            let panels = (0..columns).step_by(panel(columns)).flat_map(|first| {
                let end = columns.min(first + panel(columns));
                let row = |k: usize| &b[k * columns + first..k * columns + end];
                (0..inner).flat_map(row).copied().collect::<Vec<f32>>()
            });
            let panels: Vec<f32> = panels.collect();
            let mut c = vec![0.0; rows * columns];
            product([rows, inner, columns], &a, &panels, &mut c);
            let exact = |row: usize, column: usize| -> f64 {
                (0..inner).map(|k| f64::from(a[row * inner + k]) * f64::from(b[k * columns + column])).sum()
            };
            let expected: Vec<f64> = (0..rows * columns).map(|i| exact(i / columns, i % columns)).collect();
            assert!(norm_error(&c, &expected) < 1e-6);
        }
    }

    #[test]
    fn transposed_products_agree_with_f64_and_add() {
        for [inner, rows, columns] in [[29, 16, 16], [41, 32, 48], [7, 64, 32]] {
            let (a, b) = (noise(1, rows * inner), noise(2, inner * columns));
            let mut c = vec![1.0; rows * columns];
            add_transposed([inner, rows, columns], &a, &b, &mut c);
            let product = |row: usize, column: usize| -> f64 {
                (0..inner).map(|k| f64::from(a[k * rows + row]) * f64::from(b[k * columns + column])).sum()
            };
            let expected = (0..rows * columns).map(|i| 1.0 + product(i / columns, i % columns));
            assert!(norm_error(&c, &expected.collect::<Vec<f64>>()) < 1e-6);
        }
    }
}
