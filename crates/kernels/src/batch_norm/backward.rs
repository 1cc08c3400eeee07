//! Batch norm's backward pass, in two halves: sums over the rows, which a convolution can compute while writing its
//! input's gradient, and the gradient itself.

use multiversion::multiversion;

use super::{Normalization, Normalizer, floor, normalized};
use crate::rows::{BLOCK_ROWS, Threads, block};

/// A batch norm (and the ReLU after it, if any) in the form needed by its backward pass.
#[derive(Clone, Debug)]
pub struct NormBackward {
    normalizer: Normalizer,
    inverse_std: Vec<f32>,
    scale: Vec<f32>,
    of_batch: bool,
}

/// Σ dy and Σ dy x̂ per column over some rows, with dy the gradient before the ReLU: the gradients of β and γ.
#[derive(Clone, Debug)]
pub struct BackwardSums {
    /// Σ dy
    pub shift: Vec<f64>,
    /// Σ dy x̂
    pub scale: Vec<f64>,
}

impl BackwardSums {
    fn new(columns: usize) -> Self {
        Self { shift: vec![0.0; columns], scale: vec![0.0; columns] }
    }

    /// The total of the sums of several parts, added in order.
    pub fn merged(columns: usize, parts: &[Self]) -> Self {
        let mut all = Self::new(columns);
        for part in parts {
            all.shift.iter_mut().zip(&part.shift).for_each(|(all, part)| *all += part);
            all.scale.iter_mut().zip(&part.scale).for_each(|(all, part)| *all += part);
        }
        all
    }

    /// Adds them to the parameters' gradients.
    ///
    /// # Panics
    /// If a length differs.
    pub fn add_to(&self, scale: &mut [f32], shift: &mut [f32]) {
        assert!(scale.len() == self.scale.len() && shift.len() == self.shift.len());
        scale.iter_mut().zip(&self.scale).for_each(|(to, &sum)| *to += sum as f32);
        shift.iter_mut().zip(&self.shift).for_each(|(to, &sum)| *to += sum as f32);
    }
}

impl NormBackward {
    /// Copies a layer's statistics and parameters. With `of_batch` the statistics are functions of x.
    pub fn new(norm: Normalization<'_>, relu: bool, of_batch: bool) -> Self {
        let normalizer = Normalizer::new(norm, relu);
        Self { normalizer, inverse_std: norm.inverse_std(), scale: norm.scale.to_vec(), of_batch }
    }

    /// The normalization applied by the forward pass.
    pub fn normalizer(&self) -> &Normalizer {
        &self.normalizer
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.scale.len()
    }

    /// First half, for a block of rows on the calling thread: carries `dy` back through the ReLU, in place, and sums.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn sums(&self, x: &[f32], dy: &mut [f32]) -> BackwardSums {
        let columns = self.columns();
        assert!(x.len() == dy.len() && x.len().is_multiple_of(columns));
        let mut sums = BackwardSums::new(columns);
        let (mut shift, mut scale) = (vec![0.0; columns], vec![0.0; columns]);
        let rows = BLOCK_ROWS * columns;
        for (x, dy) in x.chunks(rows).zip(dy.chunks_mut(rows)) {
            shift.fill(0.0);
            scale.fill(0.0);
            mask_and_sum(x, dy, self, &mut shift, &mut scale);
            sums.shift.iter_mut().zip(&shift).for_each(|(all, &part)| *all += f64::from(part));
            sums.scale.iter_mut().zip(&scale).for_each(|(all, &part)| *all += f64::from(part));
        }
        sums
    }

    /// Second half, over all threads: turns `dy` in place into dx (+ `before`, unless that is empty) =
    /// γ/√(σ²+ε) (dy - mean(dy) - x̂ mean(dy x̂)), means over rows; with given statistics γ/√(σ²+ε) dy.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn input(&self, x: &[f32], sums: &BackwardSums, dy: &mut [f32], before: &[f32]) {
        let columns = self.columns();
        assert!(x.len() == dy.len() && (before.is_empty() || before.len() == dy.len()));
        let share = if self.of_batch { columns as f64 / x.len() as f64 } else { 0.0 };
        let mut factors = InputFactors::default();
        for column in 0..columns {
            let inverse_std = f64::from(self.inverse_std[column]);
            let factor = f64::from(self.scale[column]) * inverse_std;
            factors.factor.push(factor as f32);
            factors.slope.push((-factor * share * sums.scale[column] * inverse_std) as f32);
            factors.offset.push((-factor * share * sums.shift[column]) as f32);
        }
        let mean = &self.normalizer.mean;
        Threads::All.blocks(dy, columns, |first, dy| {
            let range = first..first + dy.len();
            if before.is_empty() {
                input_block(&x[range], mean, &factors, dy);
            } else {
                input_block_onto(&x[range.clone()], mean, &factors, dy, &before[range]);
            }
        });
    }
}

/// dx = factor dy + slope (x - μ) + offset, per column.
#[derive(Default)]
struct InputFactors {
    factor: Vec<f32>,
    slope: Vec<f32>,
    offset: Vec<f32>,
}

/// Both halves, over all threads: turns `dy` in place into the gradient of `x` (+ `before`, unless that is empty), and
/// returns those of γ and β.
///
/// # Panics
/// If a length does not fit.
pub fn backward(norm: &NormBackward, x: &[f32], dy: &mut [f32], before: &[f32]) -> BackwardSums {
    let columns = norm.columns();
    let parts = Threads::All.map_mut(dy, columns, |index, dy| norm.sums(block(x, columns, index), dy));
    let sums = BackwardSums::merged(columns, &parts);
    norm.input(x, &sums, dy, before);
    sums
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn mask_and_sum(x: &[f32], dy: &mut [f32], norm: &NormBackward, shift: &mut [f32], scale: &mut [f32]) {
    let columns = norm.scale.len();
    let Normalizer { mean, factor, shift: beta, relu } = &norm.normalizer;
    let (mean, factor, beta) = (&mean[..columns], &factor[..columns], &beta[..columns]);
    let (inverse_std, shift, scale) =
        (&norm.inverse_std[..columns], &mut shift[..columns], &mut scale[..columns]);
    let (floor, relu) = (floor(&norm.normalizer), *relu);
    for (x, dy) in x.chunks_exact(columns).zip(dy.chunks_exact_mut(columns)) {
        for column in 0..columns {
            let y = normalized(x[column], mean[column], factor[column], beta[column], floor);
            let g = if relu && y <= 0.0 { 0.0 } else { dy[column] };
            dy[column] = g;
            shift[column] += g;
            scale[column] += g * ((x[column] - mean[column]) * inverse_std[column]);
        }
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn input_block(x: &[f32], mean: &[f32], factors: &InputFactors, dy: &mut [f32]) {
    let columns = mean.len();
    let (factor, slope, offset) =
        (&factors.factor[..columns], &factors.slope[..columns], &factors.offset[..columns]);
    for (x, dy) in x.chunks_exact(columns).zip(dy.chunks_exact_mut(columns)) {
        for column in 0..columns {
            dy[column] =
                factor[column] * dy[column] + (slope[column] * (x[column] - mean[column]) + offset[column]);
        }
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn input_block_onto(x: &[f32], mean: &[f32], factors: &InputFactors, dy: &mut [f32], before: &[f32]) {
    let columns = mean.len();
    let (factor, slope, offset) =
        (&factors.factor[..columns], &factors.slope[..columns], &factors.offset[..columns]);
    let rows = x.chunks_exact(columns).zip(dy.chunks_exact_mut(columns)).zip(before.chunks_exact(columns));
    for ((x, dy), before) in rows {
        for column in 0..columns {
            dy[column] = before[column]
                + (factor[column] * dy[column]
                    + (slope[column] * (x[column] - mean[column]) + offset[column]));
        }
    }
}
