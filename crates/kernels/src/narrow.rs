//! Work on rows of few columns, with per-column values kept in registers: compilers keep them in memory, which dominates the
//! cost of rows with 16 columns.

use pulp::{Arch, Simd, WithSimd};

/// Maximum number of columns; beyond it, a row is long enough.
const MAX_COLUMNS: usize = 64;

/// Whether columns are few, and whole vectors on any machine.
pub(crate) fn is_narrow(columns: usize) -> bool {
    columns <= MAX_COLUMNS && columns.is_multiple_of(16)
}

/// Calls `$this.$run::<N, S>($s, first column)` for every N vectors of `$columns` columns.
macro_rules! by_vectors {
    ($s:ident, $columns:expr, $this:ident.$run:ident) => {
        let mut first = 0;
        while first + 4 * S::F32_LANES <= $columns {
            $this.$run::<4, S>($s, first);
            first += 4 * S::F32_LANES;
        }
        while first < $columns {
            $this.$run::<1, S>($s, first);
            first += S::F32_LANES;
        }
    };
}

#[inline(always)]
fn load<const N: usize, S: Simd>(s: S, values: &[f32]) -> [S::f32s; N] {
    let values = S::as_simd_f32s(&values[..N * S::F32_LANES]).0;
    let mut vectors = [s.splat_f32s(0.0); N];
    #[expect(clippy::manual_memcpy, reason = "a copy of slices would go through memory")]
    for n in 0..N {
        vectors[n] = values[n];
    }
    vectors
}

/// sum += every row of x, or += (x - mean)² of every row if there is a mean; first row first.
pub(crate) fn add_rows(x: &[f32], mean: Option<&[f32]>, sum: &mut [f32]) {
    Arch::new().dispatch(AddRows { x, mean, sum });
}

struct AddRows<'a> {
    x: &'a [f32],
    mean: Option<&'a [f32]>,
    sum: &'a mut [f32],
}

impl WithSimd for AddRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        by_vectors!(s, self.sum.len(), self.vectors);
    }
}

impl AddRows<'_> {
    #[inline(always)]
    fn vectors<const N: usize, S: Simd>(&mut self, s: S, first: usize) {
        let mut sums = load::<N, S>(s, &self.sum[first..]);
        let rows = self.x.chunks_exact(self.sum.len());
        if let Some(mean) = self.mean {
            let mean = load::<N, S>(s, &mean[first..]);
            for row in rows {
                let x = load::<N, S>(s, &row[first..]);
                for n in 0..N {
                    let apart = s.sub_f32s(x[n], mean[n]);
                    sums[n] = s.add_f32s(sums[n], s.mul_f32s(apart, apart));
                }
            }
        } else {
            for row in rows {
                let x = load::<N, S>(s, &row[first..]);
                for n in 0..N {
                    sums[n] = s.add_f32s(sums[n], x[n]);
                }
            }
        }
        let to = S::as_mut_simd_f32s(&mut self.sum[first..][..N * S::F32_LANES]).0;
        to[..N].copy_from_slice(&sums);
    }
}

/// y = (x - mean) factor + shift of every row, at least `floor`; a NaN stays one.
pub(crate) struct Normalize<'a> {
    pub(crate) x: &'a [f32],
    pub(crate) y: &'a mut [f32],
    pub(crate) mean: &'a [f32],
    pub(crate) factor: &'a [f32],
    pub(crate) shift: &'a [f32],
    pub(crate) floor: f32,
}

impl Normalize<'_> {
    pub(crate) fn run(self) {
        Arch::new().dispatch(self);
    }

    #[inline(always)]
    fn vectors<const N: usize, S: Simd>(&mut self, s: S, first: usize) {
        let [mean, factor, shift] =
            [self.mean, self.factor, self.shift].map(|values| load::<N, S>(s, &values[first..]));
        let (floor, columns) = (s.splat_f32s(self.floor), self.mean.len());
        for (x, y) in self.x.chunks_exact(columns).zip(self.y.chunks_exact_mut(columns)) {
            let x = load::<N, S>(s, &x[first..]);
            let to = S::as_mut_simd_f32s(&mut y[first..][..N * S::F32_LANES]).0;
            for n in 0..N {
                let y = s.add_f32s(s.mul_f32s(s.sub_f32s(x[n], mean[n]), factor[n]), shift[n]);
                to[n] = s.select_f32s(s.less_than_f32s(y, floor), floor, y);
            }
        }
    }
}

impl WithSimd for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, s: S) {
        by_vectors!(s, self.mean.len(), self.vectors);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::noise;

    #[test]
    fn every_number_of_vectors_gives_the_bits_of_plain_loops() {
        for columns in [16, 32, 48, 64] {
            let (x, mean, factor) = (noise(1, 7 * columns), noise(2, columns), noise(3, columns));
            let [mut sum, mut squares] = [noise(4, columns), noise(5, columns)];
            let [mut sum_expected, mut squares_expected] = [sum.clone(), squares.clone()];
            add_rows(&x, None, &mut sum);
            add_rows(&x, Some(&mean), &mut squares);
            let mut y = vec![0.0; x.len()];
            Normalize { x: &x, y: &mut y, mean: &mean, factor: &factor, shift: &sum, floor: 0.0 }.run();
            for (i, &x) in x.iter().enumerate() {
                sum_expected[i % columns] += x;
                let apart = x - mean[i % columns];
                squares_expected[i % columns] += apart * apart;
            }
            assert_eq!([&sum, &squares], [&sum_expected, &squares_expected]);
            let expected = x.iter().enumerate().map(|(i, &x)| {
                let column = i % columns;
                ((x - mean[column]) * factor[column] + sum[column]).max(0.0)
            });
            assert_eq!(y, expected.collect::<Vec<f32>>());
        }
        let mut y = [0.0; 16];
        let (nan, ones) = ([f32::NAN; 16], [1.0; 16]);
        Normalize { x: &nan, y: &mut y, mean: &ones, factor: &ones, shift: &ones, floor: 0.0 }.run();
        assert!(y.iter().all(|y| y.is_nan()));
    }
}
