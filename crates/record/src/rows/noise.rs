//! The spread of the loss at one point.

use super::prelude::*;

/// The spread of the loss at one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Noise {
    /// Mean of the evaluations.
    pub mean_loss: Measured,
    /// Standard deviation of the evaluations, for two or more of them.
    pub sigma: Measured,
    /// Number of evaluations.
    pub evaluations: usize,
    /// Batch norm statistics.
    pub batch_norm: BatchNorm,
    /// The samples that each loss was evaluated on; with `fixed` data, only rounding differs; with `paper` data, samples do as
    /// well.
    pub evaluation: EvaluationData,
    /// The same standard deviation, estimated from the losses of single samples, if samples are cropped or flipped anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_sample: Option<BySample>,
    /// Comparison of the evaluations with f64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounding: Option<Rounding>,
}

/// The standard deviation of the mean loss of all samples, estimated from the differences between each sample's losses and, if
/// batch norm makes the samples of a chunk depend on each other, from those between chunks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BySample {
    /// The standard deviation.
    pub sigma: Measured,
    /// Its degrees of freedom.
    pub degrees_of_freedom: Measured,
}

/// The difference between losses computed in f32 and the same losses computed in f64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rounding {
    /// Number of samples in each loss.
    pub samples: usize,
    /// Mean of the differences, f32 minus f64.
    pub mean: Measured,
    /// Standard deviation of the differences.
    pub sigma: Measured,
}

scalars!(Noise: mean_loss, sigma);
