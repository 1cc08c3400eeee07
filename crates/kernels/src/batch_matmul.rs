//! Many small matrix products, one per sample and head.

use rayon::prelude::*;

use crate::matmul::{Matrix, MatrixMut, Write, matmul};

/// C = scale · A B for `batch` pairs of matrices, A `[rows, inner]`, B `[inner, columns]`; transposed operands lie as
/// `[inner, rows]` and `[columns, inner]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchMatmul {
    /// Rows of A and C.
    pub rows: usize,
    /// Columns of A, rows of B.
    pub inner: usize,
    /// Columns of B and C.
    pub columns: usize,
    /// Whether A lies transposed.
    pub a_transposed: bool,
    /// Whether B lies transposed.
    pub b_transposed: bool,
    /// Factor of the product.
    pub scale: f32,
}

impl BatchMatmul {
    /// C = scale · A B or C += it, on the calling thread.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn apply(&self, a: &[f32], b: &[f32], c: &mut [f32], write: Write) {
        let Self { rows, inner, columns, .. } = *self;
        let each = a.chunks_exact(rows * inner).zip(b.chunks_exact(inner * columns));
        assert!(
            a.len() / (rows * inner) == c.len() / (rows * columns)
                && b.len() / (inner * columns) == c.len() / (rows * columns)
        );
        let mut scaled = vec![0.0; rows * inner];
        for ((a, b), c) in each.zip(c.chunks_exact_mut(rows * columns)) {
            scaled.iter_mut().zip(a).for_each(|(to, &a)| *to = self.scale * a);
            let a = if self.a_transposed {
                Matrix::new(&scaled, inner, rows, rows).transposed()
            } else {
                Matrix::new(&scaled, rows, inner, inner)
            };
            let b = if self.b_transposed {
                Matrix::new(b, columns, inner, inner).transposed()
            } else {
                Matrix::new(b, inner, columns, columns)
            };
            matmul(a, b, &mut MatrixMut::new(c, rows, columns, columns), write);
        }
    }

    /// [`BatchMatmul::apply`] over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn apply_parallel(&self, a: &[f32], b: &[f32], c: &mut [f32], write: Write) {
        let Self { rows, inner, columns, .. } = *self;
        // as many pairs per task as make about 2^20 multiply-adds
        let pairs = ((1 << 20) / (rows * inner * columns)).max(1);
        let operands = a.par_chunks(pairs * rows * inner).zip(b.par_chunks(pairs * inner * columns));
        operands
            .zip(c.par_chunks_mut(pairs * rows * columns))
            .for_each(|((a, b), c)| self.apply(a, b, c, write));
    }

    /// The product that gives A's gradient from (C's gradient, B), or, if A lies transposed, from (B, C's gradient); the
    /// flag says which.
    #[must_use]
    pub fn of_a(&self) -> (Self, bool) {
        let Self { rows, inner, columns, a_transposed, b_transposed, scale } = *self;
        if a_transposed {
            // Aᵀ's gradient [inner, rows] = B [inner, columns] dCᵀ
            let back = Self {
                rows: inner,
                inner: columns,
                columns: rows,
                a_transposed: b_transposed,
                b_transposed: true,
                scale,
            };
            (back, true)
        } else {
            let back = Self {
                rows,
                inner: columns,
                columns: inner,
                a_transposed: false,
                b_transposed: !b_transposed,
                scale,
            };
            (back, false)
        }
    }

    /// The product that gives B's gradient from (A, C's gradient), or, if B lies transposed, from (C's gradient, A); the
    /// flag says which.
    #[must_use]
    pub fn of_b(&self) -> (Self, bool) {
        let Self { rows, inner, columns, a_transposed, b_transposed, scale } = *self;
        if b_transposed {
            // Bᵀ's gradient [columns, inner] = dCᵀ A
            let back = Self {
                rows: columns,
                inner: rows,
                columns: inner,
                a_transposed: true,
                b_transposed: a_transposed,
                scale,
            };
            (back, true)
        } else {
            let back = Self {
                rows: inner,
                inner: rows,
                columns,
                a_transposed: !a_transposed,
                b_transposed: false,
                scale,
            };
            (back, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{differences, noise, norm_error, wide};

    const BATCH: usize = 3;

    fn reference(shape: &BatchMatmul, a: &[f64], b: &[f64]) -> Vec<f64> {
        let BatchMatmul { rows, inner, columns, a_transposed, b_transposed, scale } = *shape;
        let mut c = vec![];
        for pair in 0..BATCH {
            let (a, b) = (&a[pair * rows * inner..], &b[pair * inner * columns..]);
            for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
                let term = |k: usize| {
                    let a = if a_transposed { a[k * rows + row] } else { a[row * inner + k] };
                    a * if b_transposed { b[column * inner + k] } else { b[k * columns + column] }
                };
                c.push(f64::from(scale) * (0..inner).map(term).sum::<f64>());
            }
        }
        c
    }

    #[test]
    fn products_and_gradients_agree_with_f64() {
        for (a_transposed, b_transposed) in [(false, false), (false, true), (true, false), (true, true)] {
            let shape = BatchMatmul { rows: 4, inner: 5, columns: 3, a_transposed, b_transposed, scale: 0.5 };
            let (a, b, dc) = (noise(1, BATCH * 20), noise(2, BATCH * 15), noise(3, BATCH * 12));
            let mut c = vec![f32::NAN; BATCH * 12];
            shape.apply_parallel(&a, &b, &mut c, Write::Replace);
            let (a_64, b_64) = (wide(&a), wide(&b));
            assert!(norm_error(&c, &reference(&shape, &a_64, &b_64)) < 1e-6);
            let value = |a: &[f64], b: &[f64]| -> f64 {
                reference(&shape, a, b).iter().zip(&dc).map(|(c, &dc)| c * f64::from(dc)).sum()
            };
            let (back, turned) = shape.of_a();
            let (first, second) = if turned { (&b, &dc) } else { (&dc, &b) };
            let mut da = vec![0.0; a.len()];
            back.apply_parallel(first, second, &mut da, Write::Add);
            assert!(norm_error(&da, &differences(&a_64, |a| value(a, &b_64))) < 2e-6);
            let (back, turned) = shape.of_b();
            let (first, second) = if turned { (&dc, &a) } else { (&a, &dc) };
            let mut db = vec![0.0; b.len()];
            back.apply_parallel(first, second, &mut db, Write::Add);
            assert!(norm_error(&db, &differences(&b_64, |b| value(&a_64, b))) < 2e-6);
        }
    }
}
