//! The receiver of rows.

use walk_record::{RecordError, Row};

use crate::{Position, TrainState};

/// What the loop does after an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Continue.
    Continue,
    /// Save the state, then continue.
    Save,
    /// Save the state and end the run.
    SaveAndStop,
}

/// Receives rows and decides when the state is saved.
pub trait Sink {
    /// Takes a row.
    ///
    /// # Errors
    /// [`RecordError`] if it cannot be kept.
    fn row(&mut self, row: &Row) -> Result<(), RecordError>;

    /// Called when work of weight `weight` (see [`Work::weight`](crate::Work::weight)) has been done, in training or by a
    /// probe, up to `at`.
    fn progress(&mut self, at: Position, weight: usize);

    /// Decides what to do after the update at `at` and all its rows.
    fn after(&mut self, _at: Position) -> After {
        After::Continue
    }

    /// Saves the state after an update.
    ///
    /// # Errors
    /// [`RecordError`] if it cannot be kept.
    fn save(&mut self, _at: Position, _state: &TrainState) -> Result<(), RecordError> {
        Ok(())
    }
}
