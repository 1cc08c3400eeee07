//! Why a training run ends early or cannot start.

use walk_core::CoreError;
use walk_record::RecordError;

use crate::Position;

/// Why a training run ends early or cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum TrainError {
    #[error("`{key}` = {found}, expected {expected}")]
    Value { key: String, found: String, expected: String },
    #[error("the checkpoint's `{what}` does not fit this experiment")]
    State { what: String },
    #[error("the state received cannot be read: {message}")]
    Bytes { message: String },
    #[error("{what} is {value} at {at}; earlier measurements are kept. A smaller `optim.lr` may help")]
    NotFinite { what: &'static str, value: f64, at: Position },
    #[error(transparent)]
    Core(#[from] CoreError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl TrainError {
    /// An invalid value.
    pub(crate) fn value(key: &str, found: impl ToString, expected: impl Into<String>) -> Self {
        Self::Value { key: key.into(), found: found.to_string(), expected: expected.into() }
    }

    /// An error unless `value` is a finite number.
    pub(crate) fn check_finite(what: &'static str, value: f64, at: Position) -> Result<(), Self> {
        if value.is_finite() { Ok(()) } else { Err(Self::NotFinite { what, value, at }) }
    }
}
