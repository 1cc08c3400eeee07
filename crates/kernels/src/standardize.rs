//! The normalization inside layer and group norm: zero mean and unit variance along rows.

use multiversion::multiversion;
use rayon::prelude::*;

use crate::rows::TASK;

/// x̂ = (x - μ) r with r = 1/√(σ² + ε) of every row, in place on the calling thread; returns each row's r.
///
/// # Panics
/// If `values` is not a whole number of rows.
pub fn standardize(values: &mut [f32], len: usize, eps: f32) -> Vec<f32> {
    assert!(values.len().is_multiple_of(len));
    values.chunks_exact_mut(len).map(|row| standardize_row(row, eps)).collect()
}

/// [`standardize`] over all threads.
///
/// # Panics
/// If `values` is not a whole number of rows.
pub fn standardize_parallel(values: &mut [f32], len: usize, eps: f32) -> Vec<f32> {
    assert!(values.len().is_multiple_of(len));
    values
        .par_chunks_exact_mut(len)
        .with_min_len(TASK / len + 1)
        .map(|row| standardize_row(row, eps))
        .collect()
}

fn standardize_row(row: &mut [f32], eps: f32) -> f32 {
    let n = row.len() as f64;
    let mean = (sum(row) / n) as f32;
    row.iter_mut().for_each(|x| *x -= mean);
    let var = sum_of_products(row, row) / n;
    let r = (1.0 / (var + f64::from(eps)).sqrt()) as f32;
    row.iter_mut().for_each(|x| *x *= r);
    r
}

/// dx += r (dy - mean dy - x̂ mean(x̂ dy)) of every row: the gradient of [`standardize`], and, with ẋ for dy, its
/// tangent; over all threads.
///
/// # Panics
/// If a length does not fit.
pub fn standardize_backward(hat: &[f32], r: &[f32], dy: &[f32], len: usize, dx: &mut [f32]) {
    assert!(hat.len() == dy.len() && hat.len() == dx.len() && hat.len() == r.len() * len);
    let rows = dx.par_chunks_exact_mut(len).zip(hat.par_chunks_exact(len)).zip(dy.par_chunks_exact(len));
    rows.with_min_len(TASK / len + 1).zip(r).for_each(|(((dx, hat), dy), &r)| {
        let n = len as f64;
        let (mean, mean_hat) = ((sum(dy) / n) as f32, (sum_of_products(hat, dy) / n) as f32);
        for ((dx, &hat), &dy) in dx.iter_mut().zip(hat).zip(dy) {
            *dx += r * (dy - mean - hat * mean_hat);
        }
    });
}

/// Gradients of Σ p ẋ̂ for ẋ̂ = r (ẋ - mean ẋ - x̂ mean(x̂ ẋ)): adds that by x to `grad_x`, over all threads. (That by ẋ is
/// [`standardize_backward`] of p.)
///
/// # Panics
/// If a length does not fit.
pub fn standardize_tangent_backward(
    hat: &[f32],
    r: &[f32],
    dot: &[f32],
    p: &[f32],
    len: usize,
    grad_x: &mut [f32],
) {
    assert!(hat.len() == dot.len() && hat.len() == p.len() && hat.len() == r.len() * len);
    let rows = grad_x.par_chunks_exact_mut(len).zip(hat.par_chunks_exact(len));
    let rows = rows.zip(dot.par_chunks_exact(len)).zip(p.par_chunks_exact(len));
    rows.with_min_len(TASK / len + 1).zip(r).for_each(|((((grad, hat), dot), p), &r)| {
        let n = len as f64;
        let mean = |a: &[f32], b: &[f32]| sum_of_products(a, b) / n;
        let (mean_p, mean_dot) = (sum(p) / n, sum(dot) / n);
        let (p_hat, dot_hat, p_dot) = (mean(p, hat), mean(dot, hat), mean(p, dot));
        // Σ p ẋ̂ over the row, by n: r's own dependence on x
        let r = f64::from(r);
        let whole = r * (p_dot - mean_p * mean_dot - dot_hat * p_hat);
        // u = -r (p mean(x̂ ẋ) + ẋ mean(p x̂)) is the gradient of x̂
        let mean_u = -r * (mean_p * dot_hat + mean_dot * p_hat);
        let mean_u_hat = -2.0 * r * p_hat * dot_hat;
        let (by_p, by_dot) = ((-r * r * dot_hat) as f32, (-r * r * p_hat) as f32);
        let (by_hat, by_one) = ((-r * (mean_u_hat + whole)) as f32, (-r * mean_u) as f32);
        for ((grad, &hat), (&dot, &p)) in grad.iter_mut().zip(hat).zip(dot.iter().zip(p)) {
            *grad += by_p * p + by_dot * dot + by_hat * hat + by_one;
        }
    });
}

/// Sums in f32 by blocks of sixteen running sums, which are added in f64.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn sum(values: &[f32]) -> f64 {
    let mut total = 0.0;
    for block in values.chunks(4096) {
        let (lines, rest) = block.as_chunks::<16>();
        let mut sums = [0.0f32; 16];
        for line in lines {
            for lane in 0..16 {
                sums[lane] += line[lane];
            }
        }
        total += sums.iter().chain(rest).map(|&x| f64::from(x)).sum::<f64>();
    }
    total
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn sum_of_products(a: &[f32], b: &[f32]) -> f64 {
    let mut total = 0.0;
    for (a, b) in a.chunks(4096).zip(b.chunks(4096)) {
        let (a_lines, a_rest) = a.as_chunks::<16>();
        let (b_lines, b_rest) = b.as_chunks::<16>();
        let mut sums = [0.0f32; 16];
        for (a, b) in a_lines.iter().zip(b_lines) {
            for lane in 0..16 {
                sums[lane] += a[lane] * b[lane];
            }
        }
        total += sums.iter().map(|&x| f64::from(x)).sum::<f64>();
        total += a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{differences, noise, norm_error, wide};

    const LEN: usize = 21;

    fn exact_standard(x: &[f64]) -> Vec<f64> {
        let standard = |x: &[f64]| -> Vec<f64> {
            let mean = x.iter().sum::<f64>() / LEN as f64;
            let var = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / LEN as f64;
            x.iter().map(|x| (x - mean) / (var + 1e-5).sqrt()).collect()
        };
        x.chunks(LEN).flat_map(standard).collect()
    }

    fn product(a: &[f64], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum()
    }

    #[test]
    fn standardizing_its_gradient_and_its_tangents_gradient_agree_with_f64() {
        let (x, dy, dot) = (noise(1, 3 * LEN), noise(2, 3 * LEN), noise(3, 3 * LEN));
        let mut hat = x.clone();
        let r = standardize_parallel(&mut hat, LEN, 1e-5);
        let mut alone = x.clone();
        assert_eq!((standardize(&mut alone, LEN, 1e-5), &alone), (r.clone(), &hat));
        assert!(norm_error(&hat, &exact_standard(&wide(&x))) < 1e-6);
        let mut dx = vec![0.0; x.len()];
        standardize_backward(&hat, &r, &dy, LEN, &mut dx);
        assert!(norm_error(&dx, &differences(&wide(&x), |x| product(&exact_standard(x), &dy))) < 2e-6);
        // the tangent along ẋ, by a fourth-order difference of exact values
        let tangent = |x: &[f64]| -> Vec<f64> {
            let h = 1e-4;
            let at = |h: f64| {
                exact_standard(&x.iter().zip(&dot).map(|(x, &d)| x + h * f64::from(d)).collect::<Vec<_>>())
            };
            let (a, b, c, d) = (at(-2.0 * h), at(-h), at(h), at(2.0 * h));
            (0..x.len()).map(|i| (a[i] - 8.0 * b[i] + 8.0 * c[i] - d[i]) / (12.0 * h)).collect()
        };
        let mut grad = vec![0.0; x.len()];
        standardize_tangent_backward(&hat, &r, &dot, &dy, LEN, &mut grad);
        let expected = differences(&wide(&x), |x| product(&tangent(x), &dy));
        assert!(norm_error(&grad, &expected) < 1e-5, "{:e}", norm_error(&grad, &expected));
    }
}
