//! Batch normalization: one mean and variance per column of a `[rows, columns]` matrix. An image with channels last has
//! one row per pixel.

mod backward;
mod moments;
mod tangent;

use multiversion::multiversion;

pub use self::backward::{BackwardSums, NormBackward, backward};
pub use self::moments::Moments;
pub use self::tangent::{NormDirection, NormTangent, TangentGradients};
use crate::narrow::{Normalize, is_narrow};
use crate::rows::Threads;

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

impl Normalization<'_> {
    /// 1 / √(σ² + ε) per column.
    fn inverse_std(&self) -> Vec<f32> {
        self.var.iter().map(|&var| 1.0 / (var + self.eps).sqrt()).collect()
    }
}

/// y = γ (x - μ) / √(σ² + ε) + β, followed by max(0, y) if a ReLU follows.
#[derive(Clone, Debug)]
pub struct Normalizer {
    mean: Vec<f32>,
    /// γ / √(σ² + ε)
    factor: Vec<f32>,
    shift: Vec<f32>,
    relu: bool,
}

impl Normalizer {
    /// Precomputes the factors of a layer's statistics and parameters.
    pub fn new(norm: Normalization<'_>, relu: bool) -> Self {
        let factor =
            norm.scale.iter().zip(norm.var).map(|(&scale, &var)| scale / (var + norm.eps).sqrt()).collect();
        Self { mean: norm.mean.to_vec(), factor, shift: norm.shift.to_vec(), relu }
    }

    /// y for every row of x, on the calling thread.
    ///
    /// # Panics
    /// If a length is not a whole number of rows, or the lengths differ.
    pub fn apply(&self, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len());
        let Self { mean, factor, shift, .. } = self;
        if is_narrow(mean.len()) {
            assert!(x.len().is_multiple_of(mean.len()));
            Normalize { x, y, mean, factor, shift, floor: floor(self) }.run();
        } else {
            normalize(x, self, y);
        }
    }

    /// [`Normalizer::apply`] in place, on one thread or on all.
    ///
    /// # Panics
    /// If the length is not a whole number of rows.
    pub fn apply_in_place(&self, values: &mut [f32], threads: Threads) {
        threads.blocks(values, self.mean.len(), |_, rows| normalize_in_place(rows, self));
    }

    /// [`Normalizer::apply`] over all threads.
    ///
    /// # Panics
    /// If a length is not a whole number of rows, or the lengths differ.
    pub fn apply_parallel(&self, x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len());
        let columns = self.mean.len();
        Threads::All.blocks(y, columns, |first, y| self.apply(&x[first..first + y.len()], y));
    }
}

#[inline(always)]
fn normalized(x: f32, mean: f32, factor: f32, shift: f32, floor: f32) -> f32 {
    let y = (x - mean) * factor + shift;
    // not f32::max, which would turn a NaN into the floor
    if y < floor { floor } else { y }
}

/// The smallest value that passes the ReLU, if there is one.
fn floor(normalizer: &Normalizer) -> f32 {
    if normalizer.relu { 0.0 } else { f32::NEG_INFINITY }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn normalize(x: &[f32], normalizer: &Normalizer, y: &mut [f32]) {
    let columns = normalizer.mean.len();
    let (mean, factor, shift) =
        (&normalizer.mean[..columns], &normalizer.factor[..columns], &normalizer.shift[..columns]);
    let floor = floor(normalizer);
    assert!(x.len().is_multiple_of(columns));
    for (x, y) in x.chunks_exact(columns).zip(y.chunks_exact_mut(columns)) {
        for column in 0..columns {
            y[column] = normalized(x[column], mean[column], factor[column], shift[column], floor);
        }
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn normalize_in_place(values: &mut [f32], normalizer: &Normalizer) {
    let columns = normalizer.mean.len();
    let (mean, factor, shift) =
        (&normalizer.mean[..columns], &normalizer.factor[..columns], &normalizer.shift[..columns]);
    let floor = floor(normalizer);
    assert!(values.len().is_multiple_of(columns));
    for row in values.chunks_exact_mut(columns) {
        for column in 0..columns {
            row[column] = normalized(row[column], mean[column], factor[column], shift[column], floor);
        }
    }
}

#[cfg(test)]
mod tests;
