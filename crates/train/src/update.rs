//! One update, as seen by probes.

use walk_core::probes::interpolation::UpdateLine;
use walk_core::{Point, Step};

use crate::{OptimizerState, Position};

/// One update, as seen by probes.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// Its position in the run.
    pub at: Position,
    /// Number of updates before it.
    pub start: Step,
    /// θ_0 and its buffers: where the run started, or for a fork, where the first of its ancestors started.
    pub initial: &'a Point,
    /// θ_t and the buffers before the update.
    pub before: &'a Point,
    /// θ_{t+1} and the buffers after the update.
    pub after: &'a Point,
    /// g_t, the gradient of the update's loss at θ_t, without weight decay.
    pub grad: &'a [f32],
    /// η_t
    pub lr: f64,
    /// What the optimizer remembers after the update.
    pub optimizer: &'a OptimizerState,
}

impl<'a> Update<'a> {
    /// The line from θ_t to θ_{t+1}.
    pub fn line(&self) -> UpdateLine<'a> {
        UpdateLine { step: self.start, from: self.before, to: self.after }
    }
}
