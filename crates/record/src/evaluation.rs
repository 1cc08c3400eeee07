//! How a loss was evaluated: choices of an experiment that its records repeat.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Statistics that batch norm uses when a network is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchNorm {
    /// Mean and variance of each batch or evaluation chunk, as in the paper.
    #[default]
    Batch,
    /// The running averages from training.
    Running,
}

/// The samples that losses are evaluated on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationData {
    /// The training samples as they are, in a fixed order: the only noise is rounding.
    #[default]
    Fixed,
    /// The training samples in that order, cropped and flipped once per epoch: what the authors' evaluations vary around, without
    /// their noise.
    Augmented,
    /// As with the authors' loader: samples shuffled, cropped and flipped anew for every α, which makes losses noisy.
    Paper,
}

impl EvaluationData {
    /// Its name in experiment files and records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Augmented => "augmented",
            Self::Paper => "paper",
        }
    }
}
