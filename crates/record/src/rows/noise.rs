//! The spread of the loss at one point.

use super::prelude::*;

/// The spread of the loss at one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Noise {
    /// Mean of the evaluations.
    pub mean_loss: Measured,
    /// Their standard deviation, from two or more.
    pub sigma: Measured,
    /// Number of evaluations.
    pub evaluations: usize,
    /// Statistics of batch norm.
    pub batch_norm: BatchNorm,
    /// What each loss was evaluated on; with `fixed` data only rounding differs, with `paper` data the samples as well.
    pub evaluation: EvaluationData,
    /// The evaluations compared with ones in f64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Rounding>,
}

/// How far losses computed in f32 lie from the same losses computed in f64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rounding {
    /// Samples behind each loss.
    pub samples: usize,
    /// Mean of the differences, f32 minus f64.
    pub mean: Measured,
    /// Their standard deviation.
    pub sigma: Measured,
}

scalars!(Noise: mean_loss, sigma);
