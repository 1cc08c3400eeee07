//! The noise of the loss at one point in one epoch.

use walk_record::rows::{Interpolation, Noise};
use walk_record::{EvaluationData, Stamped};

use crate::statistics::Variance;

/// The standard deviation of the loss at one point, pooled over the measurements of an epoch: σ² = Σ (m_i - 1) σ_i² / ν with
/// ν = Σ (m_i - 1), where measurement i has m_i evaluations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PooledNoise {
    /// σ
    pub(crate) sigma: f64,
    /// ν
    pub(crate) freedom: f64,
    /// Σ m_i
    pub(crate) evaluations: usize,
}

impl PooledNoise {
    /// The noise of the measurements on the samples of `evaluation`, with the batch norm statistics of the segments; `None` if
    /// there are none.
    pub(super) fn of(
        evaluation: EvaluationData,
        segments: &[Stamped<'_, Interpolation>],
        noises: &[Stamped<'_, Noise>],
    ) -> Option<Self> {
        let alike = noises.iter().filter(|noise| {
            let normed_alike = |segment: &Stamped<'_, Interpolation>| segment.batch_norm == noise.batch_norm;
            let is_alike = noise.evaluation == evaluation && segments.iter().all(normed_alike);
            is_alike && noise.evaluations > 1
        });
        let known: Vec<(f64, usize)> =
            alike.filter_map(|noise| Some((noise.sigma.get()?, noise.evaluations))).collect();
        let evaluations: usize = known.iter().map(|&(_, evaluations)| evaluations).sum();
        let freedom = (evaluations - known.len()) as f64;
        let mean_square =
            known.iter().map(|&(sigma, m)| (m - 1) as f64 / freedom * sigma * sigma).sum::<f64>();
        let sigma = mean_square.sqrt();
        (!known.is_empty() && sigma.is_finite()).then_some(Self { sigma, freedom, evaluations })
    }

    pub(crate) fn variance(&self) -> Variance {
        Variance::of_error(self.sigma, self.freedom)
    }
}
