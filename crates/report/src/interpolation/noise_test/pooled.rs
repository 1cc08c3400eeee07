//! The noise of the loss at one point in one epoch.

use walk_record::Stamped;
use walk_record::rows::{Interpolation, Noise};

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
    /// That of the measurements that were evaluated as the segments were; `None` if there are none.
    pub(super) fn evaluated_as(
        segments: &[Stamped<'_, Interpolation>],
        noises: &[Stamped<'_, Noise>],
    ) -> Option<Self> {
        let alike = noises.iter().filter(|noise| {
            let evaluated_alike = |segment: &Stamped<'_, Interpolation>| {
                segment.evaluation == noise.evaluation && segment.batch_norm == noise.batch_norm
            };
            noise.evaluations > 1 && segments.iter().all(evaluated_alike)
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
