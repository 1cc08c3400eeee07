//! Vector arithmetic on flat parameters and gradients.

use multiversion::multiversion;
use rayon::prelude::*;

/// Elements per task: small enough for load balancing, large enough for negligible overhead.
pub(crate) const TASK: usize = 1 << 16;

/// out = (1 - α) a + α b, each element rounded once from f64; exactly a at α = 0 and b at α = 1.
///
/// # Panics
/// If the lengths differ.
pub fn interpolate(a: &[f32], b: &[f32], alpha: f64, out: &mut [f32]) {
    assert!(a.len() == b.len() && a.len() == out.len());
    let tasks = out.par_chunks_mut(TASK).zip(a.par_chunks(TASK)).zip(b.par_chunks(TASK));
    tasks.for_each(|((out, a), b)| interpolate_task(a, b, alpha, out));
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn interpolate_task(a: &[f32], b: &[f32], alpha: f64, out: &mut [f32]) {
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *out = ((1.0 - alpha) * f64::from(a) + alpha * f64::from(b)) as f32;
    }
}

/// a·b in f64.
///
/// # Panics
/// If the lengths differ.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let parts: Vec<f64> = a.par_chunks(TASK).zip(b.par_chunks(TASK)).map(|(a, b)| dot_task(a, b)).collect();
    parts.iter().sum()
}

/// Eight running sums, so that the loop is vectorized in a fixed order.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn dot_task(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (a_blocks, a_rest) = a.as_chunks::<8>();
    let (b_blocks, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..8 {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
    sums.iter().sum::<f64>() + rest
}

/// out += row for every row of a `[rows, row.len()]` matrix.
///
/// # Panics
/// If `values` is not a whole number of rows.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
pub fn add_row(values: &mut [f32], row: &[f32]) {
    assert!(values.len().is_multiple_of(row.len()));
    for out in values.chunks_exact_mut(row.len()) {
        for (out, &x) in out.iter_mut().zip(row) {
            *out += x;
        }
    }
}

/// out += values, over all threads.
///
/// # Panics
/// If the lengths differ.
pub fn add_parallel(values: &[f32], out: &mut [f32]) {
    assert_eq!(values.len(), out.len());
    out.par_chunks_mut(TASK).zip(values.par_chunks(TASK)).for_each(|(out, values)| add(values, out));
}

/// out += values.
///
/// # Panics
/// If the lengths differ.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
pub fn add(values: &[f32], out: &mut [f32]) {
    assert_eq!(values.len(), out.len());
    for (out, &x) in out.iter_mut().zip(values) {
        *out += x;
    }
}

/// out += factor · values, over all threads.
///
/// # Panics
/// If the lengths differ.
pub fn add_scaled_parallel(values: &[f32], factor: f32, out: &mut [f32]) {
    assert_eq!(values.len(), out.len());
    let tasks = out.par_chunks_mut(TASK).zip(values.par_chunks(TASK));
    tasks.for_each(|(out, values)| out.iter_mut().zip(values).for_each(|(out, &x)| *out += factor * x));
}

/// values = scale · values + shift.
pub fn affine(values: &mut [f32], scale: f32, shift: f32) {
    values.iter_mut().for_each(|x| *x = scale * *x + shift);
}

/// [`affine`] over all threads.
pub fn affine_parallel(values: &mut [f32], scale: f32, shift: f32) {
    values.par_chunks_mut(TASK).for_each(|values| affine(values, scale, shift));
}

/// out += a b, element by element, over all threads.
///
/// # Panics
/// If the lengths differ.
pub fn add_product_parallel(a: &[f32], b: &[f32], out: &mut [f32]) {
    assert!(a.len() == out.len() && b.len() == out.len());
    let tasks = out.par_chunks_mut(TASK).zip(a.par_chunks(TASK).zip(b.par_chunks(TASK)));
    tasks.for_each(|(out, (a, b))| add_product(a, b, out));
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn add_product(a: &[f32], b: &[f32], out: &mut [f32]) {
    for (out, (&a, &b)) in out.iter_mut().zip(a.iter().zip(b)) {
        *out += a * b;
    }
}

/// out *= values, element by element, on the calling thread.
///
/// # Panics
/// If the lengths differ.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
pub fn multiply(values: &[f32], out: &mut [f32]) {
    assert_eq!(values.len(), out.len());
    for (out, &x) in out.iter_mut().zip(values) {
        *out *= x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::noise;

    #[test]
    fn interpolation_is_exact_at_its_ends_and_rounded_once_between() {
        let (a, b) = (noise(1, 100_003), noise(2, 100_003));
        let mut out = vec![0.0; a.len()];
        interpolate(&a, &b, 0.0, &mut out);
        assert_eq!(out, a);
        interpolate(&a, &b, 1.0, &mut out);
        assert_eq!(out, b);
        interpolate(&a, &b, 0.3, &mut out);
        let expected = (0.7 * f64::from(a[70_000]) + 0.3 * f64::from(b[70_000])) as f32;
        assert!((out[70_000] - expected).abs() <= f32::EPSILON * expected.abs());
    }

    #[test]
    fn dot_agrees_with_a_plain_sum() {
        let (a, b) = (noise(3, 200_001), noise(4, 200_001));
        let plain: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        assert!((dot(&a, &b) - plain).abs() < 1e-9);
    }

    #[test]
    fn rows_are_added() {
        let mut values = [1.0, 2.0, 3.0, 4.0];
        add_row(&mut values, &[10.0, 20.0]);
        assert_eq!(values, [11.0, 22.0, 13.0, 24.0]);
    }

    #[test]
    fn products_of_elements_are_added_or_taken() {
        let (a, b) = ([1.0, 2.0], [3.0, 4.0]);
        let mut out = [1.0, 1.0];
        add_product_parallel(&a, &b, &mut out);
        assert_eq!(out, [4.0, 9.0]);
        multiply(&b, &mut out);
        assert_eq!(out, [12.0, 36.0]);
    }
}
