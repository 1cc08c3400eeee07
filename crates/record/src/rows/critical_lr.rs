//! The critical learning rate along one update.

use super::prelude::*;

/// The learning rate at which the training loss along an update's direction returns to L(θ_t).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CriticalLr {
    /// The outcome of the search.
    pub outcome: CriticalLrOutcome,
    /// η_c = α_c η, where α_c is the first α > 0 with L(θ_t + α (θ_{t+1} - θ_t)) = L(θ_t).
    pub critical_lr: Measured,
    /// Width of the bracket around η_c.
    pub bracket_width: Measured,
    /// 2 / η_c. It exceeds 2 / η if the update itself overshoots, α_c < 1. With momentum or weight decay, 2 / η is not the
    /// stability threshold, which `spectrum` rows have.
    pub critical_sharpness: Measured,
    /// η
    pub lr: f64,
    /// The largest α evaluated.
    pub largest_alpha: Measured,
    /// L(θ_t) of the same samples.
    pub start_loss: Measured,
    /// Number of loss evaluations.
    pub evaluations: usize,
    /// Number of samples in each loss.
    pub samples: usize,
    /// Number of training samples.
    pub train_samples: usize,
    /// Batch norm statistics.
    pub batch_norm: BatchNorm,
    /// Number of samples used to re-estimate running statistics at each α; missing if each chunk's statistics are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_samples: Option<usize>,
}

/// The outcome of a search for the critical learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CriticalLrOutcome {
    /// The loss decreases along the update and returns to its starting value at η_c.
    Crossing,
    /// The loss does not decrease along the update.
    NoDescent,
    /// The loss stays below its starting value up to the largest α.
    NoCrossing,
    /// The loss at θ_t is not finite.
    Undefined,
}

scalars!(CriticalLr: critical_lr, critical_sharpness; optional: critical_lr, bracket_width, critical_sharpness);
