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
    /// Whether the loss never rises from one position to the next.
    pub monotone: bool,
    /// Samples behind each loss.
    pub samples: usize,
    /// Statistics of batch norm.
    pub batch_norm: BatchNorm,
}

scalars!(Line: loss_barrier, error_barrier);
