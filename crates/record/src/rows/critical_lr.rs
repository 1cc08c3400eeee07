//! The critical learning rate along one update.

use super::prelude::*;

/// The learning rate at which the training loss along an update's direction is back at L(θ_t).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CriticalLr {
    /// What the search found.
    pub outcome: CriticalLrOutcome,
    /// η_c = α_c η, where α_c is the first α > 0 with L(θ_t + α (θ_{t+1} - θ_t)) = L(θ_t).
    pub critical_lr: Measured,
    /// Width of the bracket that holds η_c.
    pub bracket_width: Measured,
    /// 2 / η_c. It exceeds 2 / η where the update itself overshoots, α_c < 1. With momentum or weight decay that is not the
    /// threshold of stability, which `spectrum` rows have.
    pub critical_sharpness: Measured,
    /// η
    pub lr: f64,
    /// The largest α evaluated.
    pub largest_alpha: Measured,
    /// L(θ_t) of the same samples.
    pub start_loss: Measured,
    /// Evaluations of the loss.
    pub evaluations: usize,
    /// Samples behind each loss.
    pub samples: usize,
    /// Samples of the training part.
    pub train_samples: usize,
    /// Statistics of batch norm.
    pub batch_norm: BatchNorm,
    /// Samples that running statistics were estimated on anew at each α; missing with the statistics of each chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_samples: Option<usize>,
}

/// What a search for the critical learning rate found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CriticalLrOutcome {
    /// The loss falls along the update and is back at its start at η_c.
    Crossing,
    /// The loss does not fall along the update.
    NoDescent,
    /// The loss stays below its start up to the largest α.
    NoCrossing,
    /// The loss at θ_t is not finite.
    Undefined,
}

scalars!(CriticalLr: critical_lr, critical_sharpness; optional: critical_lr, bracket_width, critical_sharpness);
