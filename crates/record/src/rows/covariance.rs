//! How per-sample gradients spread.

use super::prelude::*;

/// How per-sample gradients spread after an update: C is their covariance, so that for batches drawn without replacement
/// cov(g_B) = (1/B - 1/N) C (paper, Eq. 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Covariance {
    /// tr C, with N - 1 in the denominator. Weight decay is not in the gradients.
    pub trace: Measured,
    /// Its standard error as an estimate for the training part from `count` units (jackknife). Missing for fewer than three
    /// units, and where the units are all its samples, which makes `trace` exact.
    pub trace_error: Measured,
    /// ‖ḡ‖² of the mean loss of all N samples.
    pub full_grad_norm_sq: Measured,
    /// N: samples used.
    pub samples: usize,
    /// Samples of the training part.
    pub train_samples: usize,
    /// What gradients were taken of.
    pub unit: GradientUnit,
    /// Samples in a unit.
    pub unit_size: usize,
    /// Number of units.
    pub count: usize,
    /// Statistics of batch norm.
    pub batch_norm: BatchNorm,
    /// E‖g_B - ḡ‖² by batch size, against Eq. 3.
    pub checks: Vec<VarianceCheck>,
}

/// What each gradient behind a covariance was taken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GradientUnit {
    /// One sample.
    Sample,
    /// A chunk of samples, where batch norm leaves no sample a gradient of its own.
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

/// How far batch gradients lay from ḡ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VarianceCheck {
    /// B
    pub batch_size: usize,
    /// Batches drawn.
    pub batches: usize,
    /// Mean of ‖g_B - ḡ‖².
    pub measured: Measured,
    /// Its standard error; missing for B = N, of which there is one batch.
    pub standard_error: Measured,
    /// (1/B - 1/N) tr C
    pub predicted: Measured,
}

impl Covariance {
    /// Whether every sample of the training part was used by itself, so that the trace has no error.
    pub fn is_exact(&self) -> bool {
        self.unit == GradientUnit::Sample && self.samples == self.train_samples
    }
}

impl VarianceCheck {
    /// Measured over predicted, 1 if Eq. 3 holds; missing where the prediction is 0.
    pub fn ratio(&self) -> Measured {
        (self.measured.or_nan() / self.predicted.or_nan()).into()
    }
}

scalars!(Covariance: trace, full_grad_norm_sq; optional: trace_error, standard_error);
