//! Gradients of the mean loss of many samples and products with its Hessian, chunk after chunk.

use rayon::prelude::*;
use walk_core::{Backend, Batch, BatchNormMode, CoreError, Model, Point};
use walk_data::Subset;

use crate::samples::fill_batch;

/// The loss surface of samples as they are, without augmentation.
pub(super) struct Surface<'a, B> {
    pub(super) model: &'a Model<B>,
    pub(super) train: &'a Subset,
    /// Samples that batch norm and one pass see at a time.
    pub(super) chunk: usize,
    pub(super) batch_norm: BatchNormMode,
}

impl<B: Backend> Surface<'_, B> {
    /// The gradient of the mean loss of `samples`, of length P.
    pub(super) fn gradient(&self, point: &Point, samples: &[usize]) -> Result<Vec<f32>, CoreError> {
        self.mean(point, samples, |batch| Ok(self.model.gradient(point, batch, self.batch_norm)?.grad))
    }

    /// H v for the Hessian H of the mean loss of `samples`, of length P.
    pub(super) fn hessian_vector(
        &self,
        point: &Point,
        samples: &[usize],
        v: &[f32],
    ) -> Result<Vec<f32>, CoreError> {
        self.mean(point, samples, |batch| self.model.hessian_vector(point, batch, v, self.batch_norm))
    }

    /// Calls `each` with every chunk of `samples`.
    pub(super) fn chunks<E>(
        &self,
        samples: &[usize],
        mut each: impl FnMut(&Batch) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut batch = Batch::default();
        samples.chunks(self.chunk).try_for_each(|part| {
            fill_batch(self.train, part.par_iter().copied(), None, &mut batch);
            each(&batch)
        })
    }

    /// The mean over samples of a vector that each chunk gives, summed in f64.
    fn mean(
        &self,
        point: &Point,
        samples: &[usize],
        of: impl Fn(&Batch) -> Result<Vec<f32>, CoreError>,
    ) -> Result<Vec<f32>, CoreError> {
        let mut sum = vec![0.0f64; point.params.len()];
        self.chunks(samples, |batch| {
            let share = batch.labels.len() as f64 / samples.len() as f64;
            let vector = of(batch)?;
            sum.par_iter_mut().zip(vector).for_each(|(sum, x)| *sum += share * f64::from(x));
            Ok::<(), CoreError>(())
        })?;
        Ok(sum.into_iter().map(|x| x as f32).collect())
    }
}

/// All samples of a part, or the first `most` of them.
pub(super) fn first_samples(train: &Subset, most: Option<usize>) -> Vec<usize> {
    (0..most.unwrap_or(train.len()).min(train.len())).collect()
}

/// The name of a mode in records.
pub(super) fn mode_name(mode: BatchNormMode) -> String {
    match mode {
        BatchNormMode::Batch => "batch".into(),
        BatchNormMode::Running => "running".into(),
    }
}
