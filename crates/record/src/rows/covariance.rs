//! The covariance of per-sample gradients.

use super::prelude::*;

/// The covariance C of per-sample gradients after an update: for batches drawn without replacement,
/// cov(g_B) = (1/B - 1/N) C (paper, Eq. 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Covariance {
    /// tr C, with N - 1 in the denominator. The gradients do not include weight decay.
    pub trace: Measured,
    /// Its standard error as an estimate for all training samples from `count` units (jackknife). Missing for fewer than three
    /// units, and if the units are all of the samples, which makes `trace` exact.
    pub trace_error: Measured,
    /// ‖ḡ‖² of the mean loss of all N samples.
    pub full_grad_norm_sq: Measured,
    /// N: number of samples used.
    pub samples: usize,
    /// Number of training samples.
    pub train_samples: usize,
    /// The unit whose gradients were computed.
    pub unit: GradientUnit,
    /// Number of samples per unit.
    pub unit_size: usize,
    /// Number of units.
    pub count: usize,
    /// Batch norm statistics.
    pub batch_norm: BatchNorm,
    /// E‖g_B - ḡ‖² by batch size, compared with Eq. 3.
    pub checks: Vec<VarianceCheck>,
}

/// The unit whose gradients a covariance is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GradientUnit {
    /// One sample.
    Sample,
    /// A chunk of samples, if samples have no individual gradients because of batch norm.
    Chunk,
}

impl GradientUnit {
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Chunk => "chunk",
        }
    }
}

/// The distance of batch gradients from ḡ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VarianceCheck {
    /// B
    pub batch_size: usize,
    /// Number of batches drawn.
    pub batches: usize,
    /// Mean of ‖g_B - ḡ‖².
    pub measured: Measured,
    /// Standard error of `measured`; missing for B = N, which has only one batch.
    pub standard_error: Measured,
    /// (1/B - 1/N) tr C
    pub predicted: Measured,
}

impl Covariance {
    /// Whether every training sample was used individually, in which case the trace has no error.
    pub fn is_exact(&self) -> bool {
        self.unit == GradientUnit::Sample && self.samples == self.train_samples
    }
}

impl VarianceCheck {
    /// Measured over predicted value, 1 if Eq. 3 holds; missing if the prediction is 0.
    pub fn ratio(&self) -> Measured {
        (self.measured.or_nan() / self.predicted.or_nan()).into()
    }
}

scalars!(Covariance: trace, full_grad_norm_sq; optional: trace_error, standard_error);
