//! What can go wrong with a run folder.

use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Why a run folder cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum RecordError {
    #[error("{}: already exists and will not be overwritten; choose another folder with --out, resume it with `sgdwalk resume`, or remove it", .path.display())]
    Exists { path: PathBuf },
    #[error("{}: already exists and is not a run folder; choose another folder with --out", .path.display())]
    Occupied { path: PathBuf },
    #[error("{}: is not a folder, but files must be written into a folder of this name; move it away or choose another folder", .path.display())]
    NotAFolder { path: PathBuf },
    #[error("{}: cannot be {action}: {source}", .path.display())]
    Io { path: PathBuf, action: &'static str, source: std::io::Error },
    #[error("{}: another process is using this folder", .path.display())]
    Locked { path: PathBuf },
    #[error("{}: has {found} bytes, but the run had written {expected}: rows are missing", .path.display())]
    Short { path: PathBuf, found: u64, expected: u64 },
    #[error("{}: its first {lines} lines are not those that the run wrote (SHA-256): a line was changed, lost or added. Restore the file from a backup, or repeat the run", .path.display())]
    Changed { path: PathBuf, lines: u64 },
    #[error("{}:{line}: the run had ended before this line, so it was added later", .path.display())]
    Long { path: PathBuf, line: u64 },
    #[error("{}:{line}: this row differs from the one measured now: it comes from another program, plugin or data set, or it was edited. The file was not changed", .path.display())]
    Differs { path: PathBuf, line: u64 },
    #[error("{}:{line}: not a record: {message}", .path.display())]
    Line { path: PathBuf, line: usize, message: String },
    #[error("{}: written in format {found} by sgdwalk {version}; use that version to read it, since this program reads format {expected}", .path.display())]
    Format { path: PathBuf, found: u32, version: String, expected: u32 },
    #[error("{}: not valid TOML: {message}", .path.display())]
    Config { path: PathBuf, message: String },
    #[error("{}: not a valid run description: {message}", .path.display())]
    Info { path: PathBuf, message: String },
    #[error("{}: not a run folder: it has no {missing}", .path.display())]
    NotARun { path: PathBuf, missing: &'static str },
    #[error("{}: {message}", .path.display())]
    Checkpoint { path: PathBuf, message: String },
    #[error("cannot write a record: {message}")]
    Unwritable { message: String },
}

impl RecordError {
    /// A system error for `path`, which could not be `action`.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path: path.clone(), action, source }
    }

    pub(crate) fn unwritable(error: impl Display) -> Self {
        Self::Unwritable { message: error.to_string() }
    }
}
