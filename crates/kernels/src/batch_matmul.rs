//! Many small matrix products, one per sample and head.

use rayon::prelude::*;

use crate::matmul::{Matrix, MatrixMut, Write, matmul};

/// C = scale · A B for `batch` pairs of matrices, A `[rows, inner]`, B `[inner, columns]`; transposed operands are
/// stored as `[inner, rows]` and `[columns, inner]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchMatmul {
    /// Rows of A and C.
    pub rows: usize,
    /// Columns of A, rows of B.
    pub inner: usize,
    /// Columns of B and C.
    pub columns: usize,
    /// Whether A is stored transposed.
    pub a_transposed: bool,
    /// Whether B is stored transposed.
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
        let operands = a.chunks_exact(rows * inner).zip(b.chunks_exact(inner * columns));
        assert!(
            a.len() / (rows * inner) == c.len() / (rows * columns)
                && b.len() / (inner * columns) == c.len() / (rows * columns)
        );
        let mut scaled = vec![0.0; rows * inner];
        for ((a, b), c) in operands.zip(c.chunks_exact_mut(rows * columns)) {
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

    /// dA += the gradient of A, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn backward_a(&self, b: &[f32], dc: &[f32], da: &mut [f32]) {
        let Self { rows, inner, columns, a_transposed, b_transposed, .. } = *self;
        if a_transposed {
            // Aᵀ's gradient [inner, rows] = B [inner, columns] dCᵀ
            let product = Self { rows: inner, inner: columns, columns: rows, ..*self };
            let product = Self { a_transposed: b_transposed, b_transposed: true, ..product };
            product.apply_parallel(b, dc, da, Write::Add);
        } else {
            let product = Self { inner: columns, columns: inner, b_transposed: !b_transposed, ..*self };
            product.apply_parallel(dc, b, da, Write::Add);
        }
    }

    /// dB += the gradient of B, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn backward_b(&self, a: &[f32], dc: &[f32], db: &mut [f32]) {
        let Self { rows, inner, columns, a_transposed, b_transposed, .. } = *self;
        if b_transposed {
            // Bᵀ's gradient [columns, inner] = dCᵀ A
            let product = Self { rows: columns, inner: rows, columns: inner, ..*self };
            let product = Self { a_transposed: true, b_transposed: a_transposed, ..product };
            product.apply_parallel(dc, a, db, Write::Add);
        } else {
            let product = Self { rows: inner, inner: rows, a_transposed: !a_transposed, ..*self };
            product.apply_parallel(a, dc, db, Write::Add);
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
            let mut da = vec![0.0; a.len()];
            shape.backward_a(&b, &dc, &mut da);
            assert!(norm_error(&da, &differences(&a_64, |a| value(a, &b_64))) < 2e-6);
            let mut db = vec![0.0; b.len()];
            shape.backward_b(&a, &dc, &mut db);
            assert!(norm_error(&db, &differences(&b_64, |b| value(&a_64, b))) < 2e-6);
        }
    }
}
