//! The state of a run between two updates.

use std::collections::BTreeMap;

use walk_core::{Point, Step};

use crate::{Memory, OptimizerState};

/// The state of a run between two updates.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainState {
    /// θ and the buffers.
    pub point: Point,
    /// θ_0 and its buffers: where the run started, or for a fork, where the first of its ancestors started.
    pub initial: Point,
    /// What the optimizer remembers.
    pub optimizer: OptimizerState,
    /// The epoch of the last update, 0 before the first.
    pub epoch: u32,
    /// Number of updates made in that epoch.
    pub iteration: u32,
    /// Whether these were all updates of the epoch.
    pub epoch_done: bool,
    /// Number of updates made.
    pub step: Step,
    /// Sum of the losses of the samples in the epoch's batches so far.
    pub loss_sum: f64,
    /// Number of these samples classified correctly; NaN if unknown.
    pub correct: f64,
    /// The memory of the probes, by name.
    pub probes: BTreeMap<String, Memory>,
}

impl TrainState {
    /// The state before the first update.
    pub fn new(point: Point) -> Self {
        Self {
            optimizer: OptimizerState::default(),
            initial: point.clone(),
            point,
            epoch: 0,
            iteration: 0,
            epoch_done: true,
            step: Step(0),
            loss_sum: 0.0,
            correct: 0.0,
            probes: BTreeMap::new(),
        }
    }
}
