//! The records of `metrics.jsonl`, one JSON object per line with a `kind`.
//!
//! Every row says where it was measured: `epoch` from 1, `iteration` from 1 within the epoch, `step` updates made.

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Row {
    /// One update.
    Train(TrainRow),
    /// The loss along one update.
    Interpolation(InterpolationRow),
    /// The order of an epoch's samples.
    Order(OrderRow),
    /// The end of an epoch.
    Epoch(EpochRow),
}

/// One update of the parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// Mean loss of the batch before the update.
    pub loss: f64,
    /// ‖g‖₂ of the batch's gradient, without weight decay.
    pub grad_norm: f64,
    /// η
    pub lr: f64,
}

/// The loss on the line from θ before to θ after one update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InterpolationRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates made, this one included.
    pub step: u64,
    /// Positions, from 0 (before) to 1 (after).
    pub alphas: Vec<f64>,
    /// Mean loss at each.
    pub losses: Vec<f64>,
    /// Whether an interior loss lies above both ends.
    pub barrier: bool,
    /// Highest interior loss, less the higher end.
    pub height: f64,
    /// Mean of the ends, less the lowest loss.
    pub depth: f64,
    /// Position of the lowest loss.
    pub min_alpha: f64,
    /// The lowest loss.
    pub min_loss: f64,
    /// Samples behind each loss.
    pub samples: usize,
    /// Statistics of batch norm: `batch` or `running`.
    pub batch_norm: String,
    /// What each loss was evaluated on: `fixed`, or `paper` for samples drawn, cropped and flipped anew.
    pub evaluation: String,
}

/// The order in which an epoch visits the training samples, by their place in the training part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// 0: before the epoch's first update.
    pub iteration: u32,
    /// Updates made.
    pub step: u64,
    /// The samples, one batch after the other.
    pub samples: Vec<usize>,
}

/// The end of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Updates in the epoch.
    pub iteration: u32,
    /// Updates made.
    pub step: u64,
    /// Mean of the batches' losses during the epoch.
    pub train_loss: f64,
    /// Mean loss of the validation samples at its end, batch norm on running statistics.
    pub valid_loss: f64,
    /// Share of the validation samples classified right.
    pub valid_accuracy: f64,
}
