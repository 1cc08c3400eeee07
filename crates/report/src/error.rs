//! Why a table or figure cannot be made.

/// Why a table or figure cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum ReportError {
    #[error("the figure {name} cannot be drawn: {message}")]
    Figure { name: String, message: String },
    #[error("a table cannot be written: {0}")]
    Csv(#[from] csv::Error),
}
