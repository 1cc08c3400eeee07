//! One update, as probes see it.

use walk_core::probes::interpolation::UpdateLine;
use walk_core::{Point, Step};

use crate::Position;

/// One update, as probes see it.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// Which one.
    pub at: Position,
    /// Updates made before it.
    pub start: Step,
    /// θ_0 and the buffers there: where the run started, or for a fork, the first of the runs it comes from.
    pub initial: &'a Point,
    /// θ_t and the buffers before.
    pub before: &'a Point,
    /// θ_{t+1} and the buffers after.
    pub after: &'a Point,
    /// g_t, the gradient of the update's loss at θ_t, without weight decay.
    pub grad: &'a [f32],
}

impl<'a> Update<'a> {
    /// The line from θ_t to θ_{t+1}.
    pub fn line(&self) -> UpdateLine<'a> {
        UpdateLine { step: self.start, from: self.before, to: self.after }
    }
}
