//! What a probe is given when it is created.

use std::sync::Arc;

use walk_core::{Backend, Evaluator, Model, Seed};
use walk_data::Subset;

use crate::ranks::ShardedEvaluator;
use crate::{OptimConfig, Ranks};

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

impl<B: Backend> ProbeContext<'_, B> {
    /// What evaluates losses, all ranks together.
    pub(super) fn evaluator(&self) -> Box<dyn Evaluator> {
        ShardedEvaluator::over(self.model.evaluator(), self.ranks)
    }

    /// Length of θ.
    pub(super) fn n_params(&self) -> usize {
        self.model.network().n_params()
    }
}
