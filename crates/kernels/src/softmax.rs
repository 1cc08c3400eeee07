//! Softmax along rows: e^x / Σ e^x.

use rayon::prelude::*;

use crate::rows::TASK;

/// Elements per task: whole rows.
fn task_len(len: usize) -> usize {
    (TASK / len).max(1) * len
}

/// x ← e^x / Σ e^x of every row of `len` elements, on the calling thread.
///
/// # Panics
/// If `values` is not a whole number of rows.
pub fn softmax(values: &mut [f32], len: usize) {
    assert!(values.len().is_multiple_of(len));
    for row in values.chunks_exact_mut(len) {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|x| *x = (*x - largest).exp());
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= sum);
    }
}

/// [`softmax`] over all threads.
///
/// # Panics
/// If `values` is not a whole number of rows.
pub fn softmax_parallel(values: &mut [f32], len: usize) {
    assert!(values.len().is_multiple_of(len));
    values.par_chunks_mut(task_len(len)).for_each(|values| softmax(values, len));
}

/// dx += y (dy - Σ y dy) of every row, for y = softmax x, over all threads.
///
/// # Panics
/// If a length does not fit.
pub fn softmax_backward(y: &[f32], dy: &[f32], len: usize, dx: &mut [f32]) {
    assert!(y.len() == dy.len() && y.len() == dx.len() && y.len().is_multiple_of(len));
    let tasks =
        dx.par_chunks_mut(task_len(len)).zip(y.par_chunks(task_len(len)).zip(dy.par_chunks(task_len(len))));
    tasks.for_each(|(dx, (y, dy))| {
        for ((y, dy), dx) in y.chunks_exact(len).zip(dy.chunks_exact(len)).zip(dx.chunks_exact_mut(len)) {
            let sum: f32 = y.iter().zip(dy).map(|(y, dy)| y * dy).sum();
            dx.iter_mut().zip(y.iter().zip(dy)).for_each(|(dx, (y, dy))| *dx += y * (dy - sum));
        }
    });
}

/// `grad_y` += the gradient by y of Σ p ẏ for ẏ = y (ẋ - Σ y ẋ), over all threads. (That by ẋ is [`softmax_backward`] of
/// p, and ẏ itself that of ẋ.)
///
/// # Panics
/// If a length does not fit.
pub fn softmax_tangent_backward(y: &[f32], dot: &[f32], p: &[f32], len: usize, grad_y: &mut [f32]) {
    assert!(y.len() == dot.len() && y.len() == p.len() && y.len() == grad_y.len());
    let rows = grad_y.par_chunks_exact_mut(len).zip(y.par_chunks_exact(len));
    let rows = rows.zip(dot.par_chunks_exact(len).zip(p.par_chunks_exact(len)));
    rows.with_min_len(TASK / len + 1).for_each(|((grad, y), (dot, p))| {
        let product = |a: &[f32]| -> f32 { a.iter().zip(y).map(|(a, y)| a * y).sum() };
        let (y_dot, y_p) = (product(dot), product(p));
        for (grad, (&dot, &p)) in grad.iter_mut().zip(dot.iter().zip(p)) {
            *grad += p * (dot - y_dot) - dot * y_p;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{differences, noise, norm_error, wide};

    const LEN: usize = 21;

    fn exact_softmax(x: &[f64]) -> Vec<f64> {
        x.chunks(LEN)
            .flat_map(|x| {
                let sum: f64 = x.iter().map(|x| x.exp()).sum();
                x.iter().map(move |x| x.exp() / sum)
            })
            .collect()
    }

    fn product(a: &[f64], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, &b)| a * f64::from(b)).sum()
    }

    #[test]
    fn softmax_and_its_gradient_agree_with_f64() {
        let (x, dy) = (noise(1, 5 * LEN), noise(2, 5 * LEN));
        let mut y = x.clone();
        softmax_parallel(&mut y, LEN);
        assert!(norm_error(&y, &exact_softmax(&wide(&x))) < 3e-7);
        let mut dx = vec![0.0; x.len()];
        softmax_backward(&y, &dy, LEN, &mut dx);
        assert!(norm_error(&dx, &differences(&wide(&x), |x| product(&exact_softmax(x), &dy))) < 2e-6);
        let dot = noise(3, 5 * LEN);
        let mut grad = vec![0.0; y.len()];
        softmax_tangent_backward(&y, &dot, &dy, LEN, &mut grad);
        let tangent = |y: &[f64]| -> f64 {
            let rows = y.chunks(LEN).zip(dot.chunks(LEN).zip(dy.chunks(LEN)));
            rows.map(|(y, (dot, p))| {
                let sum = product(y, dot);
                let terms = y.iter().zip(dot.iter().zip(p));
                terms.map(|(y, (&dot, &p))| f64::from(p) * y * (f64::from(dot) - sum)).sum::<f64>()
            })
            .sum()
        };
        assert!(norm_error(&grad, &differences(&wide(&y), tangent)) < 2e-6);
        let mut large = [1000.0, 0.0];
        softmax(&mut large, 2);
        assert_eq!(large, [1.0, 0.0]);
    }
}
