//! The loss along a line to the current point.

use super::prelude::*;

/// The loss along the line from another point to the point after an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Where the line starts: `start` for θ_0, or a checkpoint file.
    pub from: String,
    /// ‖θ - θ_from‖₂
    pub length: Measured,
    /// Positions, from 0 (the starting point) to 1 (the current point).
    pub alphas: Vec<f64>,
    /// Mean loss at each position.
    pub losses: Vec<Measured>,
    /// Fraction of the samples misclassified at each position.
    pub errors: Vec<Measured>,
    /// Largest loss minus the mean of the endpoints (linear mode connectivity).
    pub loss_barrier: Measured,
    /// Largest error minus the mean of the errors at the endpoints.
    pub error_barrier: Measured,
    /// Whether the loss never rises from one position to the next; missing if non-finite losses leave it undecided.
    pub monotone: Option<bool>,
    /// Number of samples in each loss.
    pub samples: usize,
    /// Batch norm statistics.
    pub batch_norm: BatchNorm,
    /// Number of samples used to re-estimate running statistics at each position; missing if each chunk's statistics are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_samples: Option<usize>,
}

scalars!(Line: loss_barrier, error_barrier);
