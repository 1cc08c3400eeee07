//! The loss along one update.

use super::prelude::*;

/// The loss on the line from θ before one update to θ after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interpolation {
    /// Positions, from 0 (before the update) to 1 (after it).
    pub alphas: Vec<f64>,
    /// Mean loss at each position.
    pub losses: Vec<Measured>,
    /// Whether an interior loss lies above both endpoints; missing if non-finite losses leave it undecided.
    pub barrier: Option<bool>,
    /// Highest interior loss minus the higher endpoint.
    pub height: Measured,
    /// Mean of the endpoint losses minus the lowest loss.
    pub depth: Measured,
    /// Position of the lowest loss.
    pub min_alpha: Measured,
    /// The lowest loss: the valley floor.
    pub min_loss: Measured,
    /// Where the step lands on the parabola fitted to its losses: -1 at the start, 0 at the floor, 1 on the opposite wall;
    /// missing if the curve is not a valley.
    pub landing: Measured,
    /// Number of samples in each loss; in adaptive mode, in the losses at the endpoints.
    pub samples: usize,
    /// Total number of samples evaluated over all positions. In exact mode, the start counts as known from the previous segment.
    pub evaluations: usize,
    /// Batch norm statistics.
    pub batch_norm: BatchNorm,
    /// Number of samples used to re-estimate running statistics at each position; missing if each chunk's statistics are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_samples: Option<usize>,
    /// The samples that each loss was evaluated on.
    pub evaluation: EvaluationData,
    /// Whether the segment was measured on all samples.
    pub mode: Mode,
    /// In adaptive mode, how the verdict was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Standard error of `depth` due to the samples left out; adaptive mode only.
    #[serde(default)]
    pub depth_error: Measured,
    /// Standard error of `min_loss` due to the samples left out; adaptive mode only.
    #[serde(default)]
    pub min_loss_error: Measured,
    /// Standard error of `height` due to the samples left out; adaptive mode only.
    #[serde(default)]
    pub height_error: Measured,
    /// Standard error of the difference between `min_loss` and that of the previous update, which shares samples with it;
    /// adaptive mode only.
    #[serde(default)]
    pub floor_move_error: Measured,
    /// The smallest number of degrees of freedom of these errors, which are widened such that two errors have the same coverage
    /// as for a normal distribution (Student's t); adaptive mode only.
    #[serde(default)]
    pub degrees_of_freedom: Measured,
    /// The audit of the verdict on all samples, for the segments selected for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// In adaptive mode, the smallest and the largest position that may be the lowest, at two standard errors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_alpha_interval: Option<[f64; 2]>,
}

/// An adaptive verdict checked on all samples: at both ends, the middle and the position where it was closest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Audit {
    /// Whether one of these interior losses lies above both endpoints; missing if non-finite losses leave it undecided.
    pub barrier: Option<bool>,
    /// Whether it was randomly selected; the first segment of an epoch is always audited.
    #[serde(default = "drawn")]
    pub random: bool,
    /// Number of samples evaluated only for the audit.
    pub evaluations: usize,
}

const fn drawn() -> bool {
    true
}

/// Whether a segment is measured on all samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All samples at every α.
    #[default]
    Exact,
    /// Only as many samples as the verdict requires.
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
