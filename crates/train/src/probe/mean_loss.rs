//! The mean loss of many samples: its gradient, and products with its Hessian, Gauss-Newton and empirical Fisher matrices, computed
//! chunk by chunk.

use std::sync::Arc;

use rayon::prelude::*;
use walk_core::{AtPoint, Batch, BatchNormMode, CoreError, Model, Point};
use walk_data::Subset;
use walk_record::BatchNorm;

use super::context::ProbeContext;
use super::values::{GradientChunk, statistics};
use crate::Ranks;
use crate::ranks::share;
use crate::samples::fill_batch;

/// The mean loss of samples without augmentation.
pub(super) struct MeanLoss<'a> {
    pub(super) model: &'a Model,
    pub(super) train: &'a Subset,
    /// Number of samples that batch norm and one pass process at a time.
    pub(super) chunk: usize,
    pub(super) batch_norm: BatchNormMode,
    pub(super) ranks: &'a Arc<dyn Ranks>,
}

/// The mean loss at a point, which is kept on the device.
pub(super) struct MeanLossAt<'p> {
    loss: &'p MeanLoss<'p>,
    pub(super) network: Box<dyn AtPoint + 'p>,
}

/// Number of blocks of samples, whose sums are added in order. It is fixed to give the same bits for any number of ranks.
const BLOCKS: usize = 16;

impl<'a> MeanLoss<'a> {
    /// The mean loss of the training samples, in chunks of `chunk`.
    pub(super) fn new(context: ProbeContext<'a>, chunk: GradientChunk, batch_norm: BatchNorm) -> Self {
        let ProbeContext { model, train, ranks, .. } = context;
        Self { model, train, chunk: chunk.get(), batch_norm: statistics(batch_norm), ranks }
    }

    /// The mean loss at a point.
    pub(super) fn at<'p>(&'p self, point: &'p Point) -> Result<MeanLossAt<'p>, CoreError> {
        Ok(MeanLossAt { loss: self, network: self.model.at(point)? })
    }

    /// Calls `visit` with every chunk of `samples`.
    pub(super) fn chunks<E>(
        &self,
        samples: &[usize],
        mut visit: impl FnMut(&Batch) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut batch = Batch::default();
        samples.chunks(self.chunk).try_for_each(|part| {
            fill_batch(self.train, part.par_iter().copied(), None, &mut batch);
            visit(&batch)
        })
    }

    /// The mean over samples of a vector of length P that each chunk gives, summed in f64: over the chunks of each block, then
    /// over the blocks.
    fn mean(
        &self,
        samples: &[usize],
        vector_of: impl Fn(&Batch) -> Result<Vec<f32>, CoreError>,
    ) -> Result<Vec<f32>, CoreError> {
        let n_params = self.model.network().n_params();
        let chunks = samples.len().div_ceil(self.chunk);
        let blocks = BLOCKS.min(chunks);
        let (rank, size) = (self.ranks.rank(), self.ranks.size());
        let owner = |block: usize| (0..size).find(|&rank| share(blocks, rank, size).contains(&block));
        let block_sum = |block: usize| {
            let mut sum = vec![0.0f64; n_params];
            let range = share(chunks, block, blocks);
            let samples = &samples[range.start * self.chunk..samples.len().min(range.end * self.chunk)];
            self.chunks(samples, |batch| {
                let weight = batch.labels.len() as f64;
                let vector = vector_of(batch)?;
                sum.par_iter_mut().zip(vector).for_each(|(sum, x)| *sum += weight * f64::from(x));
                Ok::<(), CoreError>(())
            })?;
            Ok::<_, CoreError>(sum)
        };
        let mut total = vec![0.0f64; n_params];
        let mut add = |sum: &[f64]| total.par_iter_mut().zip(sum).for_each(|(total, &x)| *total += x);
        if size == 1 {
            (0..blocks).try_for_each(|block| block_sum(block).map(|sum| add(&sum)))?;
        } else {
            // all ranks compute at the same time, then exchange the blocks one after another
            let mine = share(blocks, rank, size);
            let own: Vec<Vec<f64>> = mine.clone().map(block_sum).collect::<Result<_, _>>()?;
            let mut sum = vec![0.0f64; n_params];
            for block in 0..blocks {
                if mine.contains(&block) {
                    sum.copy_from_slice(&own[block - mine.start]);
                }
                self.ranks.broadcast(owner(block).expect("the ranks share all blocks"), &mut sum);
                add(&sum);
            }
        }
        let n = samples.len() as f64;
        Ok(total.into_iter().map(|x| (x / n) as f32).collect())
    }
}

impl MeanLossAt<'_> {
    /// The gradient of the mean loss of `samples`, of length P.
    pub(super) fn gradient(&self, samples: &[usize]) -> Result<Vec<f32>, CoreError> {
        self.loss.mean(samples, |batch| Ok(self.network.gradient(batch, self.loss.batch_norm)?.grad))
    }

    /// G v for the Gauss-Newton matrix G of the mean loss of `samples`, of length P.
    pub(super) fn gauss_newton_vector(&self, samples: &[usize], v: &[f32]) -> Result<Vec<f32>, CoreError> {
        self.loss.mean(samples, |batch| self.network.gauss_newton_vector(batch, v, self.loss.batch_norm))
    }

    /// F v for the empirical Fisher matrix F of `samples`, of length P.
    pub(super) fn empirical_fisher_vector(
        &self,
        samples: &[usize],
        v: &[f32],
    ) -> Result<Vec<f32>, CoreError> {
        self.loss.mean(samples, |batch| self.network.empirical_fisher_vector(batch, v, self.loss.batch_norm))
    }

    /// H v for the Hessian H of the mean loss of `samples`, of length P.
    pub(super) fn hessian_vector(&self, samples: &[usize], v: &[f32]) -> Result<Vec<f32>, CoreError> {
        self.loss.mean(samples, |batch| self.network.hessian_vector(batch, v, self.loss.batch_norm))
    }
}
