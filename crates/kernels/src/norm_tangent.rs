//! Batch norm's directional derivative and the gradient of that, for exact Hessian-vector products.
//!
//! With x̂ = (x - μ) r, r = 1/√(σ² + ε), a direction ẋ of x and γ̇, β̇ of the parameters:
//! ẏ = γ ẋ̂ + γ̇ x̂ + β̇ with ẋ̂ = r (ẋ - mean(ẋ) - x̂ mean(x̂ ẋ)), means over a column. With given statistics μ and r are
//! constants and ẋ̂ = r ẋ.

use crate::batch_norm::Normalization;
use crate::rows::{Threads, column_sums};

/// A layer at a point and a direction: `x` and `dot_x` are `[rows, columns]`, the rest one value per column.
#[derive(Clone, Copy, Debug)]
pub struct NormDirection<'a> {
    /// The layer's input.
    pub x: &'a [f32],
    /// ẋ; empty for zero.
    pub dot_x: &'a [f32],
    /// γ, β and the statistics at the point.
    pub norm: Normalization<'a>,
    /// γ̇
    pub dot_scale: &'a [f32],
    /// β̇
    pub dot_shift: &'a [f32],
    /// Whether the statistics are the batch's, functions of x.
    pub batch_statistics: bool,
}

/// Per column: r, and the means of ẋ and x̂ ẋ (zero with given statistics).
struct Columns {
    r: Vec<f32>,
    mean_dot: Vec<f32>,
    mean_hat_dot: Vec<f32>,
}

impl NormDirection<'_> {
    fn len(&self) -> usize {
        self.norm.mean.len()
    }

    fn dot_x(&self, index: usize) -> f32 {
        if self.dot_x.is_empty() { 0.0 } else { self.dot_x[index] }
    }

    fn hat(&self, r: &[f32], index: usize, column: usize) -> f32 {
        (self.x[index] - self.norm.mean[column]) * r[column]
    }

    /// The mean over rows of `value(index, column)`.
    fn mean(&self, value: impl Fn(usize, usize) -> f32 + Sync + Send) -> Vec<f32> {
        let rows = self.x.len() / self.len();
        let sums = column_sums((rows, self.len()), value);
        sums.into_iter().map(|sum| (sum / rows as f64) as f32).collect()
    }

    fn columns(&self) -> Columns {
        let r: Vec<f32> = self.norm.var.iter().map(|var| 1.0 / (var + self.norm.eps).sqrt()).collect();
        if !self.batch_statistics || self.dot_x.is_empty() {
            let zeros = vec![0.0; self.len()];
            return Columns { r, mean_dot: zeros.clone(), mean_hat_dot: zeros };
        }
        let mean_dot = self.mean(|index, _| self.dot_x[index]);
        let mean_hat_dot = self.mean(|index, column| self.hat(&r, index, column) * self.dot_x[index]);
        Columns { r, mean_dot, mean_hat_dot }
    }

    fn dot_hat(&self, columns: &Columns, index: usize, column: usize) -> f32 {
        let Columns { r, mean_dot, mean_hat_dot } = columns;
        let hat = self.hat(r, index, column);
        r[column] * (self.dot_x(index) - mean_dot[column] - hat * mean_hat_dot[column])
    }

    /// ẏ, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn forward(&self, dot_y: &mut [f32]) {
        let columns = self.columns();
        let n = self.len();
        Threads::All.blocks(dot_y, n, |first, dot_y| {
            for (offset, dot_y) in dot_y.iter_mut().enumerate() {
                let (index, column) = (first + offset, offset % n);
                *dot_y = self.norm.scale[column] * self.dot_hat(&columns, index, column)
                    + self.dot_scale[column] * self.hat(&columns.r, index, column)
                    + self.dot_shift[column];
            }
        });
    }

    /// Adds the gradients of Σ p ẏ: to `grad_x` (of x), `grad_dot_x` (of ẋ; empty if ẋ is) and `grad_scale` (of γ), over
    /// all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn backward(&self, p: &[f32], grad_x: &mut [f32], grad_dot_x: &mut [f32], grad_scale: &mut [f32]) {
        let columns = self.columns();
        let (n, r, scale) = (self.len(), &columns.r, self.norm.scale);
        let rows = self.x.len() / n;
        let sums = column_sums((rows, n), |index, column| p[index] * self.dot_hat(&columns, index, column));
        grad_scale.iter_mut().zip(&sums).for_each(|(grad, &sum)| *grad += sum as f32);
        if !self.batch_statistics {
            let each = |grad: &mut [f32], factor: &[f32]| {
                Threads::All.blocks(grad, n, |first, grad| {
                    for (offset, grad) in grad.iter_mut().enumerate() {
                        let column = offset % n;
                        *grad += factor[column] * r[column] * p[first + offset];
                    }
                });
            };
            each(grad_x, self.dot_scale);
            each(grad_dot_x, scale);
            return;
        }
        // a = p γ is the gradient of ẋ̂, b = p γ̇ that of x̂ for itself; each mean is over rows
        let a = |index: usize, column: usize| p[index] * scale[column];
        let mean_a = self.mean(a);
        let mean_a_hat = self.mean(|index, column| a(index, column) * self.hat(r, index, column));
        let mean_a_dot_hat: Vec<f32> =
            sums.iter().zip(scale).map(|(sum, scale)| (sum / rows as f64) as f32 * scale).collect();
        // u is the gradient of x̂: for itself, and through ẋ̂'s explicit x̂ and mean(x̂ ẋ)
        let u = |index: usize, column: usize| {
            let through =
                a(index, column) * columns.mean_hat_dot[column] + self.dot_x(index) * mean_a_hat[column];
            p[index] * self.dot_scale[column] - r[column] * through
        };
        let mean_u = self.mean(u);
        let mean_u_hat = self.mean(|index, column| u(index, column) * self.hat(r, index, column));
        Threads::All.blocks(grad_x, n, |first, grad| {
            for (offset, grad) in grad.iter_mut().enumerate() {
                let (index, column) = (first + offset, offset % n);
                let hat = self.hat(r, index, column);
                // the last term is r's own dependence on x
                *grad += r[column]
                    * (u(index, column)
                        - mean_u[column]
                        - hat * (mean_u_hat[column] + mean_a_dot_hat[column]));
            }
        });
        Threads::All.blocks(grad_dot_x, n, |first, grad| {
            for (offset, grad) in grad.iter_mut().enumerate() {
                let (index, column) = (first + offset, offset % n);
                let hat = self.hat(r, index, column);
                *grad += r[column] * (a(index, column) - mean_a[column] - hat * mean_a_hat[column]);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{differences, noise, norm_error, wide};

    const ROWS: usize = 7;
    const N: usize = 3;
    const EPS: f64 = 1e-5;

    /// ẏ as the directional difference of batch norm itself, in f64.
    fn tangent(
        x: &[f64],
        dot_x: &[f64],
        scale: &[f64],
        dots: (&[f64], &[f64]),
        given: Option<(f64, f64)>,
    ) -> Vec<f64> {
        let at = |h: f64| -> Vec<f64> {
            let x: Vec<f64> = x.iter().zip(dot_x).map(|(x, d)| x + h * d).collect();
            (0..x.len())
                .map(|i| {
                    let c = i % N;
                    let column = || x.iter().skip(c).step_by(N);
                    let mean = column().sum::<f64>() / ROWS as f64;
                    let var = column().map(|x| (x - mean).powi(2)).sum::<f64>() / ROWS as f64;
                    let (mean, var) = given.unwrap_or((mean, var));
                    (scale[c] + h * dots.0[c]) * (x[i] - mean) / (var + EPS).sqrt() + h * dots.1[c]
                })
                .collect()
        };
        let h = 1e-4;
        // fourth-order difference: its error is about 1e-13, so that differences of it still have 8 digits
        let (a, b, c, d) = (at(-2.0 * h), at(-h), at(h), at(2.0 * h));
        (0..x.len()).map(|i| (a[i] - 8.0 * b[i] + 8.0 * c[i] - d[i]) / (12.0 * h)).collect()
    }

    #[test]
    fn the_tangent_and_its_gradient_agree_with_differences() {
        let (x, dot_x, p) = (noise(1, ROWS * N), noise(2, ROWS * N), noise(3, ROWS * N));
        let (scale, dot_scale, dot_shift) = (noise(4, N), noise(5, N), noise(6, N));
        for batch_statistics in [true, false] {
            let (mut mean, mut var) = (vec![0.1; N], vec![0.6; N]);
            if batch_statistics {
                crate::batch_norm::moments(&x, &mut mean, &mut var, Threads::One);
            }
            let norm =
                Normalization { mean: &mean, var: &var, scale: &scale, shift: &[0.0; N], eps: EPS as f32 };
            let direction = NormDirection {
                x: &x,
                dot_x: &dot_x,
                norm,
                dot_scale: &dot_scale,
                dot_shift: &dot_shift,
                batch_statistics,
            };
            let given = (!batch_statistics).then_some((f64::from(mean[0]), f64::from(var[0])));
            let (x, dot_x, scale) = (wide(&x), wide(&dot_x), wide(&scale));
            let dots = (wide(&dot_scale), wide(&dot_shift));
            let tangent =
                |x: &[f64], dot_x: &[f64], scale: &[f64]| tangent(x, dot_x, scale, (&dots.0, &dots.1), given);
            let mut dot_y = vec![0.0; x.len()];
            direction.forward(&mut dot_y);
            assert!(norm_error(&dot_y, &tangent(&x, &dot_x, &scale)) < 2e-6);
            let value =
                |dot_y: Vec<f64>| -> f64 { dot_y.iter().zip(&p).map(|(y, &p)| y * f64::from(p)).sum() };
            let (mut grad_x, mut grad_dot_x, mut grad_scale) =
                (vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; N]);
            direction.backward(&p, &mut grad_x, &mut grad_dot_x, &mut grad_scale);
            // f32 sums of seven terms, differences of differences in f64
            let expected = differences(&x, |x| value(tangent(x, &dot_x, &scale)));
            assert!(norm_error(&grad_x, &expected) < 1e-5, "{:e}", norm_error(&grad_x, &expected));
            let expected = differences(&dot_x, |dot_x| value(tangent(&x, dot_x, &scale)));
            assert!(norm_error(&grad_dot_x, &expected) < 1e-5);
            let expected = differences(&scale, |scale| value(tangent(&x, &dot_x, scale)));
            assert!(norm_error(&grad_scale, &expected) < 1e-5);
        }
    }
}
