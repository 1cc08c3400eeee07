//! Errors while a network runs.

/// Why a computation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum CoreError {
    #[error("the device failed: {message}")]
    Device { message: String },
    #[error("{what} has {found} elements, expected {expected}")]
    Length { what: &'static str, found: usize, expected: usize },
    #[error("sample {sample} has the label {label}, expected one below {classes}")]
    Label { sample: usize, label: usize, classes: usize },
    #[error(
        "with batch statistics, samples have no individual gradients; use running statistics, or whole chunks"
    )]
    BatchStatistics,
    #[error("the batch is empty")]
    EmptyBatch,
}

impl CoreError {
    /// Turns a dfdx error, which need not be a `std::error::Error`, into ours.
    pub(crate) fn device(error: impl std::fmt::Debug) -> Self {
        Self::Device { message: format!("{error:?}") }
    }

    /// An error unless `found` is `expected`.
    pub(crate) fn check_length(what: &'static str, found: usize, expected: usize) -> Result<(), Self> {
        if found == expected { Ok(()) } else { Err(Self::Length { what, found, expected }) }
    }
}
