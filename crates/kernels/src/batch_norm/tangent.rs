//! Batch norm's directional derivative and the gradient of that, for exact Hessian-vector products.
//!
//! With x̂ = (x - μ) r, r = 1/√(σ² + ε), a direction ẋ of x and γ̇, β̇ of the parameters:
//! ẏ = γ ẋ̂ + γ̇ x̂ + β̇ with ẋ̂ = r (ẋ - mean(ẋ) - x̂ mean(x̂ ẋ)), means over a column. With given statistics μ and r are
//! constants and ẋ̂ = r ẋ.
//!
//! Everything but sums over rows is linear in p, ẋ and x̂ per column, so each direction takes two passes: one that sums,
//! one that writes.

use multiversion::multiversion;
use rayon::prelude::*;

use super::Normalization;
use crate::rows::{BLOCK_ROWS, Threads, block};

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

/// Per column, the means of ẋ and x̂ ẋ that the tangent was computed with (zero with given statistics).
#[derive(Clone, Debug)]
pub struct NormTangent {
    mean_dot: Vec<f64>,
    mean_hat_dot: Vec<f64>,
}

/// Gradients of Σ p ẏ.
#[derive(Debug)]
pub struct TangentGradients<'a> {
    /// By x; overwritten.
    pub x: &'a mut [f32],
    /// By ẋ; overwritten, empty if ẋ is.
    pub dot_x: &'a mut [f32],
    /// By γ; added to.
    pub scale: &'a mut [f32],
}

/// Per column, factors of p, ẋ, x̂ and 1.
#[derive(Default)]
struct Mix {
    p: Vec<f32>,
    dot: Vec<f32>,
    hat: Vec<f32>,
    one: Vec<f32>,
}

impl Mix {
    fn push(&mut self, [p, dot, hat, one]: [f64; 4]) {
        self.p.push(p as f32);
        self.dot.push(dot as f32);
        self.hat.push(hat as f32);
        self.one.push(one as f32);
    }
}

impl NormDirection<'_> {
    fn columns(&self) -> usize {
        self.norm.mean.len()
    }

    fn rows(&self) -> usize {
        self.x.len() / self.columns()
    }

    /// The rows of a block of ẋ, none if it is zero.
    fn dot_block(&self, index: usize) -> &[f32] {
        if self.dot_x.is_empty() { &[] } else { block(self.dot_x, self.columns(), index) }
    }

    /// ẏ, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn forward(&self, dot_y: &mut [f32]) -> NormTangent {
        let (n, r) = (self.columns(), self.norm.inverse_std());
        assert!(self.x.len() == dot_y.len() && (self.dot_x.is_empty() || self.dot_x.len() == dot_y.len()));
        let zeros = vec![0.0; n];
        let (mut mean_dot, mut mean_hat_dot) = (zeros.clone(), zeros);
        if self.batch_statistics && !self.dot_x.is_empty() {
            // Σ ẋ and Σ ẋ x̂: the sums of `add_sums` with ẋ for p
            let [sum, sum_hat, _] = self.sums(self.dot_x, &r);
            let rows = self.rows() as f64;
            mean_dot = sum.into_iter().map(|sum| sum / rows).collect();
            mean_hat_dot = sum_hat.into_iter().map(|sum| sum / rows).collect();
        }
        let mut mix = Mix::default();
        for column in 0..n {
            let factor = f64::from(self.norm.scale[column]) * f64::from(r[column]);
            let hat = f64::from(self.dot_scale[column]) - factor * mean_hat_dot[column];
            mix.push([0.0, factor, hat, f64::from(self.dot_shift[column]) - factor * mean_dot[column]]);
        }
        Threads::All.blocks(dot_y, n, |first, dot_y| {
            let index = first / (BLOCK_ROWS * n);
            let x = block(self.x, n, index);
            blend(x, &[], self.dot_block(index), self.norm.mean, &r, &mix, dot_y);
        });
        NormTangent { mean_dot, mean_hat_dot }
    }

    /// The gradients of Σ p ẏ, over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn backward(&self, tangent: &NormTangent, p: &[f32], gradients: TangentGradients<'_>) {
        let (n, r) = (self.columns(), self.norm.inverse_std());
        assert!(p.len() == self.x.len() && gradients.x.len() == p.len());
        assert!(gradients.dot_x.len() == self.dot_x.len() && gradients.scale.len() == n);
        let [sum_p, sum_p_hat, sum_p_dot] = self.sums(p, &r);
        let share = if self.batch_statistics { 1.0 / self.rows() as f64 } else { 0.0 };
        let (mut by_x, mut by_dot) = (Mix::default(), Mix::default());
        for column in 0..n {
            let (r, scale) = (f64::from(r[column]), f64::from(self.norm.scale[column]));
            let (mean_dot, mean_hat_dot) = (tangent.mean_dot[column], tangent.mean_hat_dot[column]);
            // Σ p ẋ̂, the gradient of γ
            let sum_dot_hat =
                r * (sum_p_dot[column] - mean_dot * sum_p[column] - mean_hat_dot * sum_p_hat[column]);
            gradients.scale[column] += sum_dot_hat as f32;
            // a = p γ is the gradient of ẋ̂
            let (mean_a, mean_a_hat) = (share * scale * sum_p[column], share * scale * sum_p_hat[column]);
            // u = own p - r mean(a x̂) ẋ is the gradient of x̂: for itself, and through ẋ̂'s explicit x̂ and mean(x̂ ẋ)
            let own = f64::from(self.dot_scale[column]) - r * scale * mean_hat_dot;
            let mean_u = share * own * sum_p[column] - r * mean_a_hat * mean_dot;
            let mean_u_hat = share * own * sum_p_hat[column] - r * mean_a_hat * mean_hat_dot;
            // the last term is r's own dependence on x
            let hat = mean_u_hat + share * scale * sum_dot_hat;
            by_x.push([r * own, -r * r * mean_a_hat, -r * hat, -r * mean_u]);
            by_dot.push([r * scale, 0.0, -r * mean_a_hat, -r * mean_a]);
        }
        let write = |mix: &Mix, with_dot: bool, to: &mut [f32]| {
            Threads::All.blocks(to, n, |first, to| {
                let index = first / (BLOCK_ROWS * n);
                let dot = if with_dot { self.dot_block(index) } else { &[] };
                blend(block(self.x, n, index), block(p, n, index), dot, self.norm.mean, &r, mix, to);
            });
        };
        write(&by_x, true, gradients.x);
        if !gradients.dot_x.is_empty() {
            write(&by_dot, false, gradients.dot_x);
        }
    }

    /// Per column Σ p, Σ p x̂ and Σ p ẋ.
    fn sums(&self, p: &[f32], r: &[f32]) -> [Vec<f64>; 3] {
        let n = self.columns();
        let blocks = (0..self.rows().div_ceil(BLOCK_ROWS)).into_par_iter().map(|index| {
            let mut sums = [vec![0.0; n], vec![0.0; n], vec![0.0; n]];
            let (x, p) = (block(self.x, n, index), block(p, n, index));
            add_sums(x, p, self.dot_block(index), self.norm.mean, r, &mut sums);
            sums
        });
        let mut total = [vec![0.0; n], vec![0.0; n], vec![0.0; n]];
        for sums in blocks.collect::<Vec<_>>() {
            for (total, sums) in total.iter_mut().zip(sums) {
                total.iter_mut().zip(sums).for_each(|(total, sum)| *total += f64::from(sum));
            }
        }
        total
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn add_sums(x: &[f32], p: &[f32], dot: &[f32], mean: &[f32], r: &[f32], sums: &mut [Vec<f32>; 3]) {
    let n = mean.len();
    let r = &r[..n];
    let [sum, sum_hat, sum_dot] = sums;
    let (sum, sum_hat, sum_dot) = (&mut sum[..n], &mut sum_hat[..n], &mut sum_dot[..n]);
    for (x, p) in x.chunks_exact(n).zip(p.chunks_exact(n)) {
        for column in 0..n {
            sum[column] += p[column];
            sum_hat[column] += p[column] * ((x[column] - mean[column]) * r[column]);
        }
    }
    for (dot, p) in dot.chunks_exact(n).zip(p.chunks_exact(n)) {
        for column in 0..n {
            sum_dot[column] += p[column] * dot[column];
        }
    }
}

/// to = mix of p, ẋ, x̂ and 1; p and ẋ may be empty.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn blend(x: &[f32], p: &[f32], dot: &[f32], mean: &[f32], r: &[f32], mix: &Mix, to: &mut [f32]) {
    let n = mean.len();
    let (r, hat, one) = (&r[..n], &mix.hat[..n], &mix.one[..n]);
    for (x, to) in x.chunks_exact(n).zip(to.chunks_exact_mut(n)) {
        for column in 0..n {
            to[column] = hat[column] * ((x[column] - mean[column]) * r[column]) + one[column];
        }
    }
    for (from, factor) in [(p, &mix.p[..n]), (dot, &mix.dot[..n])] {
        for (from, to) in from.chunks_exact(n).zip(to.chunks_exact_mut(n)) {
            for column in 0..n {
                to[column] += factor[column] * from[column];
            }
        }
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
                let moments = crate::batch_norm::Moments::of(&x, N, Threads::One);
                (mean, var) = (moments.mean(), moments.var());
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
            let columns = direction.forward(&mut dot_y);
            assert!(norm_error(&dot_y, &tangent(&x, &dot_x, &scale)) < 2e-6);
            let value =
                |dot_y: Vec<f64>| -> f64 { dot_y.iter().zip(&p).map(|(y, &p)| y * f64::from(p)).sum() };
            let (mut grad_x, mut grad_dot_x, mut grad_scale) =
                (vec![0.0; x.len()], vec![0.0; x.len()], vec![0.0; N]);
            let gradients =
                TangentGradients { x: &mut grad_x, dot_x: &mut grad_dot_x, scale: &mut grad_scale };
            direction.backward(&columns, &p, gradients);
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
