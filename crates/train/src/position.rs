//! Where a run is.

use walk_core::Step;
use walk_record::Stamp;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Updates in the epoch.
    pub updates: u32,
    /// Updates made, this one included.
    pub step: Step,
}

impl Position {
    /// As rows carry it.
    pub fn stamp(self) -> Stamp {
        Stamp { epoch: self.epoch, iteration: self.iteration, step: self.step.0 }
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "epoch {}, iteration {} (step {})", self.epoch, self.iteration, self.step.0)
    }
}
