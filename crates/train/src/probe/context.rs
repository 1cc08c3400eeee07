//! The context in which a probe is created.

use std::sync::Arc;

use walk_core::probes::path::{PathLoss, PathStatistics};
use walk_core::{Evaluator, Model, Point, Seed};
use walk_data::Subset;
use walk_record::BatchNorm;

use super::values::{ChunkSize, SampleCount};
use crate::batch_norm::check_chunks;
use crate::ranks::ShardedEvaluator;
use crate::samples::{First, Fixed};
use crate::{OptimConfig, Ranks, TrainError};

/// The context in which a probe is created.
#[derive(Clone, Copy)]
pub struct ProbeContext<'a> {
    /// The network.
    pub model: &'a Model,
    /// The training samples.
    pub train: &'a Subset,
    /// The optimizer.
    pub optim: &'a OptimConfig,
    /// The experiment's seed.
    pub seed: Seed,
    /// The processes that share the work.
    pub ranks: &'a Arc<dyn Ranks>,
}

impl<'a> ProbeContext<'a> {
    /// An evaluator of losses shared by all ranks.
    pub(super) fn evaluator(&self) -> Box<dyn Evaluator> {
        ShardedEvaluator::over(self.model.evaluator(), self.ranks)
    }

    /// Length of θ.
    pub(super) fn n_params(&self) -> usize {
        self.model.network().n_params()
    }

    /// An evaluator, shared by all ranks, of the losses of `samples` samples at points that training did not visit.
    pub(super) fn path_loss(
        &self,
        path: PathSection<'_>,
        samples: usize,
    ) -> Result<PathLoss<'a>, TrainError> {
        let PathSection { key, chunk, batch_norm, statistics_samples } = path;
        let Self { model, train, .. } = *self;
        let (key, chunk) = (format!("{key}.chunk"), chunk.get());
        let statistics = if batch_norm == BatchNorm::Running && model.network().has_batch_norm() {
            let samples = statistics_samples.get().min(train.len());
            check_chunks(&key, samples, chunk, model.network(), "; `statistics_samples` sets their number")?;
            let restate = move |point: &mut Point| model.restate(point, &First(Fixed(train), samples), chunk);
            PathStatistics::Estimated { samples, restate: Box::new(restate) }
        } else {
            self.check_chunks(&key, samples, chunk, batch_norm)?;
            PathStatistics::Batch
        };
        Ok(PathLoss::new(self.evaluator(), chunk, statistics))
    }

    /// An error if splitting `samples` samples into chunks of `chunk` would give batch norm a chunk of a single sample.
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

/// The common values of sections of probes that evaluate losses along a path.
#[derive(Clone, Copy)]
pub(super) struct PathSection<'s> {
    /// The section's place in the experiment.
    pub(super) key: &'s str,
    pub(super) chunk: ChunkSize,
    pub(super) batch_norm: BatchNorm,
    pub(super) statistics_samples: SampleCount,
}
