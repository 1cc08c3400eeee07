//! How a loss was evaluated: choices that an experiment makes and records repeat.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Statistics that batch norm uses where a network is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchNorm {
    /// Mean and variance of each batch or evaluation chunk: the paper's.
    #[default]
    Batch,
    /// The running averages gathered in training.
    Running,
}

/// What losses are evaluated on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationData {
    /// The training samples as they are, in a fixed order: the only noise is rounding.
    #[default]
    Fixed,
    /// The training samples in that order, cropped and flipped once an epoch: what the authors' evaluations vary around, without
    /// their noise.
    Augmented,
    /// What the authors' loader gave: samples shuffled, cropped and flipped anew for every α, so that losses carry noise.
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
