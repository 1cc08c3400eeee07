//! What can be wrong with data on disk.

use std::path::PathBuf;

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum DataError {
    #[error("{}: not found (tried {tried}); put the {set} files there or set `data.dir` to the folder that has them", .dir.display())]
    Missing { set: &'static str, dir: PathBuf, tried: String },
    #[error("`data.dir` is not set; {set} is read from a folder, so name it: dir = \"path/to/{set}\"")]
    NoDir { set: &'static str },
    #[error("{}: cannot be read: {source}", .file.display())]
    Io { file: PathBuf, source: std::io::Error },
    #[error("{}: byte {offset}: found {found}, expected {expected}", .file.display())]
    Format { file: PathBuf, offset: usize, found: String, expected: String },
    #[error("{}: the file ends after {found} of {expected} bytes; it is cut off, fetch it again", .file.display())]
    Truncated { file: PathBuf, found: usize, expected: usize },
    #[error("{}: goes on after the {expected} bytes that its header announces", .file.display())]
    TooLong { file: PathBuf, expected: usize },
    #[error("{}: broken gzip data after {read} bytes: {message}; the file is damaged or cut off, fetch it again", .file.display())]
    Gzip { file: PathBuf, read: usize, message: String },
    #[error("{}: record {record} has the label {label}, expected one below {classes}", .file.display())]
    Label { file: PathBuf, record: usize, label: usize, classes: usize },
    #[error("{} has {labels} labels, but {} has {images} images", .label_file.display(), .image_file.display())]
    Count { image_file: PathBuf, images: usize, label_file: PathBuf, labels: usize },
    #[error("`data.{key}` = {found}, expected {expected}")]
    Value { key: &'static str, found: String, expected: String },
}
