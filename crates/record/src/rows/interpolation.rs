//! The loss along one update.

use super::prelude::*;

/// The loss on the line from θ before one update to θ after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interpolation {
    /// Positions, from 0 (before the update) to 1 (after it).
    pub alphas: Vec<f64>,
    /// Mean loss at each position.
    pub losses: Vec<Measured>,
    /// Whether an interior loss lies above both endpoints; missing if losses that are not finite leave it open.
    pub barrier: Option<bool>,
    /// Highest interior loss minus the higher endpoint.
    pub height: Measured,
    /// Mean of the endpoints minus the lowest loss.
    pub depth: Measured,
    /// Position of the lowest loss.
    pub min_alpha: Measured,
    /// The lowest loss: the valley floor.
    pub min_loss: Measured,
    /// Where the step lands on the parabola fitted to its losses: -1 at the start, 0 at the floor, 1 on the opposite wall;
    /// missing if the curve is no valley.
    pub landing: Measured,
    /// Samples behind each loss; in adaptive mode, behind those at the endpoints.
    pub samples: usize,
    /// Samples evaluated at all positions together.
    pub evaluations: usize,
    /// Statistics of batch norm.
    pub batch_norm: BatchNorm,
    /// Samples that running statistics were estimated on anew at each position; missing with the statistics of each chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_samples: Option<usize>,
    /// What each loss was evaluated on.
    pub evaluation: EvaluationData,
    /// How many samples the segment was measured on.
    pub mode: Mode,
    /// In adaptive mode, how the verdict was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Standard error of `depth` over the samples left out; adaptive mode only.
    #[serde(default)]
    pub depth_error: Measured,
    /// Standard error of `min_loss` over the samples left out; adaptive mode only.
    #[serde(default)]
    pub min_loss_error: Measured,
    /// Standard error of `height` over the samples left out; adaptive mode only.
    #[serde(default)]
    pub height_error: Measured,
    /// Standard error of the difference between `min_loss` and that of the update before, which shares samples with it; adaptive
    /// mode only.
    #[serde(default)]
    pub floor_move_error: Measured,
    /// The fewest degrees of freedom behind these errors, which are widened so that two of them cover what two cover of a normal
    /// distribution (Student's t); adaptive mode only.
    #[serde(default)]
    pub degrees_of_freedom: Measured,
    /// The verdict checked on all samples, for the segments drawn for an audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// In adaptive mode, the smallest and the largest position that may be the lowest, at two standard errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_alpha_interval: Option<[f64; 2]>,
}

/// A verdict of adaptive mode checked on all samples: at both ends, the middle and the position where it was closest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// Whether one of these interior losses lies above both endpoints; missing if losses that are not finite leave it open.
    pub barrier: Option<bool>,
    /// Whether it was drawn by chance; the first segment of an epoch is audited in any case.
    #[serde(default = "drawn")]
    pub random: bool,
    /// Samples evaluated for the audit alone.
    pub evaluations: usize,
}

const fn drawn() -> bool {
    true
}

/// How many samples a segment is measured on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All of them, at every α.
    #[default]
    Exact,
    /// As many as the verdict takes.
    Adaptive,
}

/// How an adaptive verdict was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// No barrier, on part of the samples.
    NoBarrier,
    /// A barrier, on part of the samples.
    Barrier,
    /// All samples were needed at the positions still undecided.
    Exact,
}

scalars!(Interpolation: barrier, height, depth, min_alpha, min_loss, landing; optional: landing, depth_error, min_loss_error, height_error, floor_move_error,
    degrees_of_freedom);
