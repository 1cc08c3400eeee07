//! Why a report cannot be made.

use walk_record::RecordError;

/// Why a report cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ReportError {
    #[error("cannot draw figure {name}: {message}")]
    Figure { name: String, message: String },
    #[error("cannot write a table: {0}")]
    Csv(#[from] csv::Error),
    #[error("cannot write a record as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("--by {key}: the runs do not differ in `{key}`; they differ in {known}")]
    By { key: String, known: String },
    #[error(transparent)]
    Record(#[from] RecordError),
}
