//! The spread of the loss at one point.

use super::prelude::*;

/// The spread of the loss at one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Noise {
    /// Mean of the evaluations.
    pub mean_loss: Measured,
    /// Their standard deviation, for two or more evaluations.
    pub sigma: Measured,
    /// Number of evaluations.
    pub evaluations: usize,
    /// Batch norm statistics.
    pub batch_norm: BatchNorm,
    /// The samples that each loss was evaluated on; with `fixed` data, only rounding differs; with `paper` data, samples do as
    /// well.
    pub evaluation: EvaluationData,
    /// Comparison of the evaluations with f64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Rounding>,
}

/// The difference between losses computed in f32 and the same losses computed in f64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rounding {
    /// Number of samples in each loss.
    pub samples: usize,
    /// Mean of the differences, f32 minus f64.
    pub mean: Measured,
    /// Their standard deviation.
    pub sigma: Measured,
}

scalars!(Noise: mean_loss, sigma);
