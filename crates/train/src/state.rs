//! Where a run stands between two updates.

use std::collections::BTreeMap;

use walk_core::{Point, Step};

use crate::Memory;

/// Where a run stands between two updates.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainState {
    /// θ and the buffers.
    pub point: Point,
    /// θ_0 and the buffers there: where the run started, or for a fork, the first of the runs it comes from.
    pub initial: Point,
    /// Momentum's velocity, of length P.
    pub velocity: Vec<f32>,
    /// The epoch of the last update, 0 before the first.
    pub epoch: u32,
    /// Updates made in that epoch.
    pub iteration: u32,
    /// Whether these were all of the epoch's.
    pub epoch_done: bool,
    /// Updates made.
    pub step: Step,
    /// Sum of the losses of the samples in the epoch's batches so far.
    pub loss_sum: f64,
    /// How many of these samples were classified correctly; NaN if that is unknown.
    pub correct: f64,
    /// What the probes remember, by their names.
    pub probes: BTreeMap<String, Memory>,
}

impl TrainState {
    /// Before the first update.
    pub fn new(point: Point) -> Self {
        Self {
            velocity: vec![0.0; point.params.len()],
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
