//! What can go wrong with a run folder.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Why a run folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum RecordError {
    #[error("{}: exists already, and nothing is overwritten; name another folder with --out, resume it with `sgdwalk resume`, or remove it", .path.display())]
    Exists { path: PathBuf },
    #[error("{}: cannot be {action}: {source}", .path.display())]
    Io { path: PathBuf, action: &'static str, source: std::io::Error },
    #[error("{}: another process is running in this folder", .path.display())]
    Locked { path: PathBuf },
    #[error("{}: has {found} bytes, but the run had written {expected}: rows are missing", .path.display())]
    Short { path: PathBuf, found: u64, expected: u64 },
    #[error("{}: its first {lines} lines are not those that the run wrote (SHA-256): a line was changed, lost or added since. Restore the file from a copy, or make the run anew", .path.display())]
    Changed { path: PathBuf, lines: u64 },
    #[error("{}:{line}: the run had ended before this line, which was added since", .path.display())]
    Long { path: PathBuf, line: u64 },
    #[error("{}:{line}: this row is not the one measured now: another program, plugin or data set made it, or it was changed. Nothing was changed now", .path.display())]
    Differs { path: PathBuf, line: u64 },
    #[error("{}:{line}: not a record: {message}", .path.display())]
    Line { path: PathBuf, line: usize, message: String },
    #[error("{}: written in format {found} by sgdwalk {version}, which reads it; this program reads format {expected}", .path.display())]
    Format { path: PathBuf, found: u32, version: String, expected: u32 },
    #[error("{}: not valid TOML: {message}", .path.display())]
    Config { path: PathBuf, message: String },
    #[error("{}: not a run's description: {message}", .path.display())]
    Info { path: PathBuf, message: String },
    #[error("{}: not a run folder: it has no {missing}", .path.display())]
    NotARun { path: PathBuf, missing: &'static str },
    #[error("{}: {message}", .path.display())]
    Checkpoint { path: PathBuf, message: String },
    #[error("a record cannot be written: {message}")]
    Unwritable { message: String },
}

impl RecordError {
    /// What the system says about `path`, which could not be `action`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path: path.clone(), action, source }
    }

    pub(crate) fn unwritable(error: impl Display) -> Self {
        Self::Unwritable { message: error.to_string() }
    }
}
