//! y = x γ + β with one γ and β per column of a sample: the trained part of layer and group norm, and trained biases.

use rayon::prelude::*;

/// The layout of γ and β along a sample: a sample is `[outer, columns, inner]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Number of γ's and β's.
    pub columns: usize,
    /// Neighboring elements that share one.
    pub inner: usize,
}

/// Which parameters a layer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trained {
    /// Whether there is a γ.
    pub scale: bool,
    /// Whether there is a β.
    pub shift: bool,
}

/// The gradients of γ and β.
struct Sums {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Columns {
    /// x ← x γ + β, on the calling thread; γ or β may be empty.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn apply(&self, values: &mut [f32], scale: &[f32], shift: &[f32]) {
        let Self { columns, inner } = *self;
        assert!(values.len().is_multiple_of(columns * inner));
        assert!(scale.is_empty() || scale.len() == columns);
        assert!(shift.is_empty() || shift.len() == columns);
        for block in values.chunks_exact_mut(columns * inner) {
            for (column, values) in block.chunks_exact_mut(inner).enumerate() {
                let factor = if scale.is_empty() { 1.0 } else { scale[column] };
                let offset = if shift.is_empty() { 0.0 } else { shift[column] };
                values.iter_mut().for_each(|x| *x = *x * factor + offset);
            }
        }
    }

    /// [`Columns::apply`] over all threads.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn apply_parallel(&self, values: &mut [f32], scale: &[f32], shift: &[f32]) {
        let block = self.columns * self.inner;
        let task = ((1 << 14) / block).max(1) * block;
        values.par_chunks_mut(task).for_each(|values| self.apply(values, scale, shift));
    }

    /// dγ += Σ dy x and dβ += Σ dy, sums in f64; either may be empty.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn backward_params(&self, x: &[f32], dy: &[f32], dscale: &mut [f32], dshift: &mut [f32]) {
        let sums = self.sums(x, dy);
        dscale.iter_mut().zip(&sums.scale).for_each(|(to, &sum)| *to += sum as f32);
        dshift.iter_mut().zip(&sums.shift).for_each(|(to, &sum)| *to += sum as f32);
    }

    /// Adds ‖∂L_i/∂γ‖² and ‖∂L_i/∂β‖² of every sample to `norms`, as far as they are `trained`; `dy` is the gradient of
    /// the sum of the losses.
    ///
    /// # Panics
    /// If a length does not fit.
    pub fn add_sample_norms_sq(&self, x: &[f32], dy: &[f32], trained: Trained, norms: &mut [f64]) {
        let len = x.len() / norms.len();
        let samples = x.par_chunks(len).zip(dy.par_chunks(len)).zip(norms);
        samples.for_each(|((x, dy), norm)| {
            let sums = self.sums(x, dy);
            for (sums, trained) in [(sums.scale, trained.scale), (sums.shift, trained.shift)] {
                if trained {
                    *norm += sums.iter().map(|x| x * x).sum::<f64>();
                }
            }
        });
    }

    /// Σ dy x and Σ dy by column.
    fn sums(&self, x: &[f32], dy: &[f32]) -> Sums {
        let Self { columns, inner } = *self;
        assert!(x.len() == dy.len() && x.len().is_multiple_of(columns * inner));
        let (mut scale, mut shift) = (vec![0.0f64; columns], vec![0.0f64; columns]);
        for (x, dy) in x.chunks_exact(columns * inner).zip(dy.chunks_exact(columns * inner)) {
            for column in 0..columns {
                for i in column * inner..(column + 1) * inner {
                    scale[column] += f64::from(dy[i]) * f64::from(x[i]);
                    shift[column] += f64::from(dy[i]);
                }
            }
        }
        Sums { scale, shift }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_scaled_and_shifted_and_their_gradients_summed() {
        let columns = Columns { columns: 2, inner: 2 };
        let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let mut y = x;
        columns.apply_parallel(&mut y, &[2.0, 3.0], &[0.5, 0.0]);
        assert_eq!(y, [2.5, 4.5, 9.0, 12.0, 10.5, 12.5, 21.0, 24.0]);
        let mut y = x;
        columns.apply(&mut y, &[], &[1.0, 0.0]);
        assert_eq!(y[..4], [2.0, 3.0, 3.0, 4.0]);
        let (mut dscale, mut dshift) = ([1.0, 0.0], [0.0, 0.0]);
        columns.backward_params(&x, &[1.0; 8], &mut dscale, &mut dshift);
        assert_eq!((dscale, dshift), ([15.0, 22.0], [4.0, 4.0]));
        columns.backward_params(&x, &[1.0; 8], &mut [], &mut dshift);
        assert_eq!(dshift, [8.0, 8.0]);
    }
}
