//! The position of a run.

use walk_core::Step;
use walk_record::Stamp;

/// The position of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Epoch, from 1.
    pub epoch: u32,
    /// Update within the epoch, from 1.
    pub iteration: u32,
    /// Number of updates in the epoch.
    pub updates: u32,
    /// Number of updates so far, including this one.
    pub step: Step,
}

impl Position {
    /// The stamp for rows.
    pub fn stamp(self) -> Stamp {
        Stamp { epoch: self.epoch, iteration: self.iteration, step: self.step.0 }
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "epoch {}, iteration {} (step {})", self.epoch, self.iteration, self.step.0)
    }
}
