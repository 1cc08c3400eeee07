//! Batch normalisation of feature vectors: one mean and variance per column of a `[rows, columns]` matrix.

use multiversion::multiversion;

use crate::rows::{BLOCK_ROWS, Threads, add_rows, block, sum_blocks};

/// Statistics or parameters of one layer, each one value per column.
#[derive(Clone, Copy, Debug)]
pub struct Normalization<'a> {
    /// μ
    pub mean: &'a [f32],
    /// σ², biased
    pub var: &'a [f32],
    /// γ
    pub scale: &'a [f32],
    /// β
    pub shift: &'a [f32],
    /// ε
    pub eps: f32,
}

/// Mean and biased variance of each column, in two passes over the rows.
///
/// # Panics
/// If `x` is not a whole number of rows of `mean.len()` elements, or empty, or the lengths differ.
pub fn moments(x: &[f32], mean: &mut [f32], var: &mut [f32], threads: Threads) {
    let columns = mean.len();
    assert!(!x.is_empty() && x.len().is_multiple_of(columns) && var.len() == columns);
    let rows = x.len() / columns;
    let sums = sum_blocks((rows, columns), threads, |index, sum| add_rows(block(x, columns, index), sum));
    mean.iter_mut().zip(sums).for_each(|(mean, sum)| *mean = (sum / rows as f64) as f32);
    let mean = &*mean;
    let sums =
        sum_blocks((rows, columns), threads, |index, sum| add_squares(block(x, columns, index), mean, sum));
    var.iter_mut().zip(sums).for_each(|(var, sum)| *var = (sum / rows as f64) as f32);
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn add_squares(x: &[f32], mean: &[f32], sum: &mut [f32]) {
    for row in x.chunks_exact(sum.len()) {
        for ((sum, &mean), &x) in sum.iter_mut().zip(mean).zip(row) {
            *sum += (x - mean) * (x - mean);
        }
    }
}

/// γ / √(σ² + ε) per column.
fn factors(norm: Normalization<'_>) -> Vec<f32> {
    norm.scale.iter().zip(norm.var).map(|(&scale, &var)| scale / (var + norm.eps).sqrt()).collect()
}

/// y = γ (x - μ) / √(σ² + ε) + β in place, followed by max(0, y) if `relu`.
///
/// # Panics
/// If `x` is not a whole number of rows or a length differs.
pub fn normalize(x: &mut [f32], norm: Normalization<'_>, relu: bool, threads: Threads) {
    let factor = factors(norm);
    let floor = if relu { 0.0 } else { f32::NEG_INFINITY };
    threads.blocks(x, norm.mean.len(), |_, rows| normalize_then(rows, norm.mean, &factor, norm.shift, floor));
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn normalize_then(x: &mut [f32], mean: &[f32], factor: &[f32], shift: &[f32], floor: f32) {
    let columns = mean.len();
    assert!(x.len().is_multiple_of(columns) && factor.len() == columns && shift.len() == columns);
    for row in x.chunks_exact_mut(columns) {
        for (((x, &mean), &factor), &shift) in row.iter_mut().zip(mean).zip(factor).zip(shift) {
            let y = (*x - mean) * factor + shift;
            // not f32::max, which would turn a NaN into the floor
            *x = if y < floor { floor } else { y };
        }
    }
}

/// Where a backward pass adds its gradients.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Gradient of the layer's input, `[rows, columns]`.
    pub input: &'a mut [f32],
    /// Gradient of γ.
    pub scale: &'a mut [f32],
    /// Gradient of β.
    pub shift: &'a mut [f32],
}

/// Adds the gradients for `x`, the layer's input, and `dy`, the gradient of its output.
///
/// With `batch_statistics` μ and σ² are functions of x:
/// dx = γ/√(σ²+ε) (dy - mean(dy) - x̂ mean(dy x̂)), means over rows; without, dx = γ/√(σ²+ε) dy.
///
/// # Panics
/// If a length does not fit.
pub fn backward(
    x: &[f32],
    dy: &[f32],
    norm: Normalization<'_>,
    batch_statistics: bool,
    gradients: Gradients<'_>,
) {
    let columns = norm.mean.len();
    assert!(x.len() == dy.len() && x.len() == gradients.input.len() && x.len().is_multiple_of(columns));
    let inverse_std: Vec<f32> = norm.var.iter().map(|&var| 1.0 / (var + norm.eps).sqrt()).collect();
    let size = (x.len() / columns, columns);
    let sums = sum_blocks(size, Threads::All, |index, sum| add_rows(block(dy, columns, index), sum));
    let hats = sum_blocks(size, Threads::All, |index, sum| {
        add_hats(block(x, columns, index), block(dy, columns, index), norm.mean, &inverse_std, sum);
    });
    let narrow = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect::<Vec<f32>>();
    let (sum, sum_hat) = (narrow(sums), narrow(hats));
    let per_row = if batch_statistics { 1.0 / (x.len() / columns) as f32 } else { 0.0 };
    let columns_of = InputColumns { norm, inverse_std: &inverse_std, sum: &sum, sum_hat: &sum_hat, per_row };
    Threads::All.blocks(gradients.input, columns, |first, dx| {
        let index = first / (BLOCK_ROWS * columns);
        backward_input(block(x, columns, index), block(dy, columns, index), &columns_of, dx);
    });
    crate::elementwise::add(&sum_hat, gradients.scale);
    crate::elementwise::add(&sum, gradients.shift);
}

/// Σ dy x̂ per column.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn add_hats(x: &[f32], dy: &[f32], mean: &[f32], inverse_std: &[f32], sum: &mut [f32]) {
    let columns = sum.len();
    let (mean, inverse_std) = (&mean[..columns], &inverse_std[..columns]);
    for (x, dy) in x.chunks_exact(columns).zip(dy.chunks_exact(columns)) {
        for column in 0..columns {
            sum[column] += dy[column] * ((x[column] - mean[column]) * inverse_std[column]);
        }
    }
}

struct InputColumns<'a> {
    norm: Normalization<'a>,
    inverse_std: &'a [f32],
    sum: &'a [f32],
    sum_hat: &'a [f32],
    per_row: f32,
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn backward_input(x: &[f32], dy: &[f32], columns_of: &InputColumns<'_>, dx: &mut [f32]) {
    let InputColumns { norm, inverse_std, sum, sum_hat, per_row } = columns_of;
    let columns = inverse_std.len();
    let (mean, scale) = (&norm.mean[..columns], &norm.scale[..columns]);
    let (sum, sum_hat) = (&sum[..columns], &sum_hat[..columns]);
    let rows = x.chunks_exact(columns).zip(dy.chunks_exact(columns)).zip(dx.chunks_exact_mut(columns));
    for ((x, dy), dx) in rows {
        for column in 0..columns {
            let x_hat = (x[column] - mean[column]) * inverse_std[column];
            let centred = dy[column] - per_row * (sum[column] + x_hat * sum_hat[column]);
            dx[column] += scale[column] * inverse_std[column] * centred;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{differences, noise, norm_error, wide};

    const ROWS: usize = 9;
    const COLUMNS: usize = 13;
    const EPS: f32 = 1e-5;

    fn column_moments(x: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let column = |c: usize| (0..ROWS).map(move |r| r * COLUMNS + c);
        let mean: Vec<f64> =
            (0..COLUMNS).map(|c| column(c).map(|i| x[i]).sum::<f64>() / ROWS as f64).collect();
        let var = (0..COLUMNS)
            .map(|c| column(c).map(|i| (x[i] - mean[c]).powi(2)).sum::<f64>() / ROWS as f64)
            .collect();
        (mean, var)
    }

    /// Σ dy y as a function of x, γ and β, with given or batch statistics.
    fn value(
        x: &[f64],
        scale: &[f64],
        shift: &[f64],
        dy: &[f32],
        given: Option<&(Vec<f64>, Vec<f64>)>,
    ) -> f64 {
        let own = column_moments(x);
        let (mean, var) = given.unwrap_or(&own);
        let y = |i: usize| {
            let c = i % COLUMNS;
            scale[c] * (x[i] - mean[c]) / (var[c] + f64::from(EPS)).sqrt() + shift[c]
        };
        (0..x.len()).map(|i| y(i) * f64::from(dy[i])).sum()
    }

    #[test]
    fn forward_agrees_with_f64_and_relu_keeps_nan() {
        let x = noise(1, ROWS * COLUMNS);
        let (scale, shift) = (noise(2, COLUMNS), noise(3, COLUMNS));
        let (mut mean, mut var) = (vec![0.0; COLUMNS], vec![0.0; COLUMNS]);
        moments(&x, &mut mean, &mut var, Threads::One);
        let (mean_64, var_64) = column_moments(&wide(&x));
        assert!(norm_error(&mean, &mean_64) < 1e-6 && norm_error(&var, &var_64) < 1e-6);
        let norm = Normalization { mean: &mean, var: &var, scale: &scale, shift: &shift, eps: EPS };
        let mut y = x.clone();
        y[5] = f32::NAN;
        normalize(&mut y, norm, true, Threads::One);
        assert!(y[5].is_nan() && y.iter().all(|&y| y.is_nan() || y >= 0.0));
    }

    #[test]
    fn many_rows_are_summed_exactly_enough_and_threads_change_nothing() {
        let x: Vec<f32> = noise(5, 100_000 * 3).iter().map(|x| x + 3.0).collect();
        let run = |threads| {
            let (mut mean, mut var) = (vec![0.0; 3], vec![0.0; 3]);
            moments(&x, &mut mean, &mut var, threads);
            (mean, var)
        };
        let (mean, var) = run(Threads::One);
        assert_eq!((mean.clone(), var.clone()), run(Threads::All));
        for column in 0..3 {
            let values = || x.iter().skip(column).step_by(3).map(|&x| f64::from(x));
            let exact = values().sum::<f64>() / 1e5;
            let spread = values().map(|x| (x - exact).powi(2)).sum::<f64>() / 1e5;
            // one rounding to f32, and sums of 256 terms
            assert!((f64::from(mean[column]) / exact - 1.0).abs() < 3e-7);
            assert!((f64::from(var[column]) / spread - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn backward_agrees_with_central_differences_in_both_modes() {
        let x = noise(1, ROWS * COLUMNS);
        let dy = noise(2, ROWS * COLUMNS);
        let (scale, shift) = (noise(3, COLUMNS), noise(4, COLUMNS));
        let (mut mean, mut var) = (vec![0.0; COLUMNS], vec![0.0; COLUMNS]);
        moments(&x, &mut mean, &mut var, Threads::One);
        for batch in [true, false] {
            if !batch {
                mean.fill(0.2);
                var.fill(0.7);
            }
            let norm = Normalization { mean: &mean, var: &var, scale: &scale, shift: &shift, eps: EPS };
            let (mut dx, mut dscale, mut dshift) =
                (vec![0.0; x.len()], vec![0.0; COLUMNS], vec![0.0; COLUMNS]);
            let gradients = Gradients { input: &mut dx, scale: &mut dscale, shift: &mut dshift };
            backward(&x, &dy, norm, batch, gradients);
            let (x, scale, shift) = (wide(&x), wide(&scale), wide(&shift));
            let given = (wide(&mean), wide(&var));
            let given = (!batch).then_some(&given);
            // f32 sums of 9 terms; the reference's own error is about 1e-9
            assert!(norm_error(&dx, &differences(&x, |x| value(x, &scale, &shift, &dy, given))) < 2e-6);
            assert!(norm_error(&dscale, &differences(&scale, |s| value(&x, s, &shift, &dy, given))) < 2e-6);
            assert!(norm_error(&dshift, &differences(&shift, |s| value(&x, &scale, s, &dy, given))) < 2e-6);
        }
    }
}
