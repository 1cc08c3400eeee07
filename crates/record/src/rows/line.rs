//! The loss along a line to the current point.

use super::prelude::*;

/// The loss along the line from some point to the point after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Where the line begins: `start` for θ_0, or a checkpoint's file.
    pub from: String,
    /// ‖θ - θ_from‖₂
    pub length: Measured,
    /// Positions, from 0 (the beginning) to 1 (the current point).
    pub alphas: Vec<f64>,
    /// Mean loss at each position.
    pub losses: Vec<Measured>,
    /// Fraction of the samples misclassified at each position.
    pub errors: Vec<Measured>,
    /// Largest loss minus the mean of the endpoints (linear mode connectivity).
    pub loss_barrier: Measured,
    /// The same for the errors.
    pub error_barrier: Measured,
    /// Whether the loss never rises from one position to the next; missing if losses that are not finite leave it open.
    pub monotone: Option<bool>,
    /// Samples behind each loss.
    pub samples: usize,
    /// Statistics of batch norm.
    pub batch_norm: BatchNorm,
    /// Samples that running statistics were estimated on anew at each position; missing with the statistics of each chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_samples: Option<usize>,
}

scalars!(Line: loss_barrier, error_barrier);
