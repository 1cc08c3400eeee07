//! The noise of the loss at one point in one epoch.

use walk_record::rows::{Interpolation, Noise};
use walk_record::{EvaluationData, Stamped};

use crate::statistics::Variance;

/// The standard deviation of the loss at one point, pooled over the measurements of an epoch: σ² = Σ ν_i σ_i² / ν with ν = Σ ν_i.
/// Measurement i has m_i evaluations: σ_i is their standard deviation with ν_i = m_i - 1, or, if it is known, the more precise
/// estimate from the losses of single samples with its degrees of freedom.
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
        let known = alike.filter_map(|noise| Some((estimate(noise)?, noise.evaluations)));
        let (estimates, evaluations): (Vec<Variance>, Vec<usize>) = known.unzip();
        let evaluations = evaluations.iter().sum();
        let freedom: f64 = estimates.iter().map(|estimate| estimate.freedom).sum();
        let mean_square = estimates.iter().map(|found| found.freedom / freedom * found.value).sum::<f64>();
        let sigma = mean_square.sqrt();
        (!estimates.is_empty() && sigma.is_finite()).then_some(Self { sigma, freedom, evaluations })
    }

    /// Its square.
    pub(crate) fn variance(&self) -> Variance {
        Variance::of_error(self.sigma, self.freedom)
    }
}

/// The variance of the loss according to one measurement.
fn estimate(noise: &Noise) -> Option<Variance> {
    let by_sample = noise.by_sample.as_ref();
    let by_sample = by_sample.and_then(|found| Some((found.sigma.get()?, found.degrees_of_freedom.get()?)));
    let (sigma, freedom) = match by_sample {
        Some(found) => found,
        None => (noise.sigma.get()?, (noise.evaluations - 1) as f64),
    };
    Some(Variance::of_error(sigma, freedom))
}
