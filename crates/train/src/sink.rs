//! The receiver of rows.

use walk_record::{RecordError, Row};

use crate::probe::ActiveProbe;
use crate::{Position, TrainState};

/// The work of an update: computing its gradient and taking the step.
pub const UPDATE: &str = "update";
/// The work of evaluating the validation loss at the end of an epoch.
pub const VALIDATION: &str = "validation";

/// What the loop should do after an update.
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
    /// Receives a row.
    ///
    /// # Errors
    /// [`RecordError`] if it cannot be stored.
    fn row(&mut self, row: &Row) -> Result<(), RecordError>;

    /// Called when a piece of work at `at` begins: an [`UPDATE`], a [`VALIDATION`], or the measurement of the probe of that name.
    fn begins(&mut self, at: Position, work: &'static str);

    /// Decides what to do after the update at `at` and all its rows.
    fn after(&mut self, _at: Position) -> After {
        After::Continue
    }

    /// Saves the state after an update, to which the counts and times of `probes` belong.
    ///
    /// # Errors
    /// [`RecordError`] if it cannot be stored.
    fn save(
        &mut self,
        _at: Position,
        _state: &TrainState,
        _probes: &[ActiveProbe<'_>],
    ) -> Result<(), RecordError> {
        Ok(())
    }
}
