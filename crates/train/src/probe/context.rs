//! What a probe is given when it is created.

use std::sync::Arc;

use walk_core::probes::path::{PathLoss, PathStatistics};
use walk_core::{Backend, Evaluator, Model, Point, Seed};
use walk_data::Subset;
use walk_record::BatchNorm;

use super::values::{ChunkSize, SampleCount};
use crate::batch_norm::check_chunks;
use crate::ranks::ShardedEvaluator;
use crate::samples::{First, Fixed};
use crate::{OptimConfig, Ranks, TrainError};

/// What a probe is given when it is created.
pub struct ProbeContext<'a, B> {
    /// The network.
    pub model: &'a Model<B>,
    /// The training samples.
    pub train: &'a Subset,
    /// How θ moves.
    pub optim: &'a OptimConfig,
    /// The experiment's seed.
    pub seed: Seed,
    /// The processes that share the work.
    pub ranks: &'a Arc<dyn Ranks>,
}

// by hand: derived, they would require B to be Copy
impl<B> Clone for ProbeContext<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for ProbeContext<'_, B> {}

impl<'a, B: Backend> ProbeContext<'a, B> {
    /// What evaluates losses, all ranks together.
    pub(super) fn evaluator(&self) -> Box<dyn Evaluator> {
        ShardedEvaluator::over(self.model.evaluator(), self.ranks)
    }

    /// Length of θ.
    pub(super) fn n_params(&self) -> usize {
        self.model.network().n_params()
    }

    /// What evaluates the losses of `samples` samples at points that training did not visit, all ranks together.
    pub(super) fn path_loss(
        &self,
        path: PathSection<'_>,
        samples: usize,
    ) -> Result<PathLoss<'a>, TrainError> {
        let PathSection { key, chunk, batch_norm, .. } = path;
        let statistics = match self.estimated_on(path) {
            None => {
                self.check_chunks(&format!("{key}.chunk"), samples, chunk.get(), batch_norm)?;
                PathStatistics::Batch
            }
            Some(estimated_on) => {
                let key = format!("{key}.chunk");
                let remedy = "; `statistics_samples` sets their number";
                check_chunks(&key, estimated_on, chunk.get(), self.model.network(), remedy)?;
                let Self { model, train, .. } = *self;
                PathStatistics::Estimated(Box::new(move |point: &mut Point| {
                    model.restate(point, &First(Fixed(train), estimated_on), chunk.get())
                }))
            }
        };
        Ok(PathLoss::new(self.evaluator(), chunk.get(), statistics))
    }

    /// The number of samples that running statistics are estimated on at each point, if they are used.
    pub(super) fn estimated_on(&self, path: PathSection<'_>) -> Option<usize> {
        let PathSection { batch_norm, statistics_samples, .. } = path;
        let has_norms = self.model.network().n_buffers() > 0;
        (has_norms && batch_norm == BatchNorm::Running)
            .then_some(statistics_samples.get().min(self.train.len()))
    }

    /// An error if batch norm would see a chunk of a single sample among chunks of `chunk` of `samples` samples.
    pub(super) fn check_chunks(
        &self,
        key: &str,
        samples: usize,
        chunk: usize,
        batch_norm: BatchNorm,
    ) -> Result<(), TrainError> {
        match batch_norm {
            BatchNorm::Batch => {
                let remedy = "; `batch_norm` = \"running\" uses none";
                check_chunks(key, samples, chunk, self.model.network(), remedy)
            }
            BatchNorm::Running => Ok(()),
        }
    }
}

/// What the sections of probes that evaluate losses along a path have in common.
#[derive(Clone, Copy)]
pub(super) struct PathSection<'s> {
    /// The section's place in the experiment.
    pub(super) key: &'s str,
    pub(super) chunk: ChunkSize,
    pub(super) batch_norm: BatchNorm,
    pub(super) statistics_samples: SampleCount,
}
