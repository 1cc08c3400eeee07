//! Squared norms of the gradients of single samples: ‖Aᵀ B‖²_F of a sample's inputs A and output gradients B is that of
//! its own weight gradient.
//!
//! For a layer y_p = W x_p at places p (pixels or tokens; one for a vector) ∂L_i/∂W = Σ_p δ_p x_pᵀ, whose squared norm is
//! Σ_{p,q} (x_p·x_q)(δ_p·δ_q): for one place ‖x‖² ‖δ‖² (Goodfellow, 2015, arXiv 1510.01799), for few places two small Gram
//! matrices (Bu, Mao, Xu, 2022, arXiv 2205.10683), for many the product itself. The cheapest is used.

use rayon::prelude::*;

use crate::matmul::{Matrix, MatrixMut, Write, matmul};

/// Buffer for the products of one thread.
#[derive(Debug, Default)]
pub(crate) struct OuterScratch {
    first: Vec<f32>,
    second: Vec<f32>,
}

fn squares(values: &[f32]) -> f64 {
    values.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}

/// ‖Aᵀ B‖²_F for A `[places, m]` and B `[places, n]`.
pub(crate) fn outer_norm_sq(a: Matrix<'_>, b: Matrix<'_>, scratch: &mut OuterScratch) -> f64 {
    let ([places, m], [_, n]) = (a.size(), b.size());
    let OuterScratch { first, second } = scratch;
    let product = |a: Matrix<'_>, b: Matrix<'_>, out: &mut Vec<f32>| {
        let [rows, columns] = [a.size()[0], b.size()[1]];
        out.resize(rows * columns, 0.0);
        matmul(a, b, &mut MatrixMut::new(out, rows, columns, columns), Write::Replace);
    };
    if places * (m + n) < m * n {
        product(a, a.transposed(), first);
        product(b, b.transposed(), second);
        first.iter().zip(second.iter()).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    } else {
        product(a.transposed(), b, first);
        squares(first)
    }
}

/// Adds ‖Σ_p δ_p‖² of every sample to `norms`, its own gradient of a bias of length `n`, for δ = `dy`
/// `[samples, places, n]`.
///
/// # Panics
/// If a length does not fit.
pub fn add_bias_norms_sq(dy: &[f32], n: usize, norms: &mut [f64]) {
    assert!(dy.len().is_multiple_of(n * norms.len()));
    dy.par_chunks(dy.len() / norms.len()).zip(norms).for_each(|(dy, norm)| {
        let mut sum = vec![0.0f64; n];
        for place in dy.chunks_exact(n) {
            sum.iter_mut().zip(place).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        *norm += sum.iter().map(|x| x * x).sum::<f64>();
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::noise;

    #[test]
    fn both_forms_agree_with_the_definition() {
        for (places, m, n) in [(1, 9, 7), (2, 30, 20), (40, 5, 6)] {
            let (a, b) = (noise(1, places * m), noise(2, places * n));
            let entry = |i: usize, j: usize| -> f64 {
                (0..places).map(|p| f64::from(a[p * m + i]) * f64::from(b[p * n + j])).sum()
            };
            let expected: f64 = (0..m * n).map(|k| entry(k / n, k % n).powi(2)).sum();
            let (a, b) = (Matrix::new(&a, places, m, m), Matrix::new(&b, places, n, n));
            let found = outer_norm_sq(a, b, &mut OuterScratch::default());
            // f32 sums of up to 40 products
            assert!((found / expected - 1.0).abs() < 1e-6, "{places}: {found} {expected}");
        }
        let mut norms = [1.0, 0.0];
        add_bias_norms_sq(&[1.0, 2.0, 3.0, 4.0, 0.0, 1.0, 0.0, 1.0], 2, &mut norms);
        assert_eq!(norms, [53.0, 4.0]);
    }
}
