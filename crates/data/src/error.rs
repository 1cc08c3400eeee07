//! Errors in data on disk.

use std::path::{Path, PathBuf};

use crate::FolderError;
use crate::formats::SUPPORTED;

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum DataError {
    #[error("{}: not found (looked for {tried}); download it with `sgdwalk data fetch {set} --dir {}`, or set `data.dir` to its folder", .dir.display(), .dir.display())]
    Missing { set: &'static str, dir: PathBuf, tried: String },
    #[error("{}: this folder has no {missing}; download it again with `sgdwalk data fetch {set} --dir {}`, or set `data.dir` to the folder with all files of {set}", .dir.display(), .dir.display())]
    Incomplete { set: &'static str, dir: PathBuf, missing: String },
    #[error("{}: this archive has no {missing}, expected the archive of {set} as published; download it again, or set `data.dir` to a folder with the unpacked files", .archive.display())]
    NotInArchive { set: &'static str, archive: PathBuf, missing: String },
    #[error("{}: cannot be read: {source}", .file.display())]
    Io { file: PathBuf, source: std::io::Error },
    #[error("{}: byte {offset}: found {found}, expected {expected}", .file.display())]
    Format { file: PathBuf, offset: usize, found: String, expected: String },
    #[error("{}: the file ends after {found} of {expected} bytes; it is truncated, download it again", .file.display())]
    Truncated { file: PathBuf, found: usize, expected: usize },
    #[error("{}: longer than the expected {expected} bytes", .file.display())]
    TooLong { file: PathBuf, expected: usize },
    #[error("{}: broken gzip data after {read} bytes: {message}; the file is damaged or truncated, download it again", .file.display())]
    Gzip { file: PathBuf, read: usize, message: String },
    #[error("{}: record {record} has the label {label}, expected one below {classes}", .file.display())]
    Label { file: PathBuf, record: usize, label: usize, classes: usize },
    #[error("{} has {labels} labels, but {} has {images} images", .label_file.display(), .image_file.display())]
    Count { image_file: PathBuf, images: usize, label_file: PathBuf, labels: usize },
    #[error("{}: broken archive after {at} bytes or files: {message}; it is damaged or truncated, download it again", .file.display())]
    Archive { file: PathBuf, at: u64, message: String },
    #[error("{}: cannot be decoded: {message}; replace, convert or remove it", .file.display())]
    Image { file: PathBuf, message: String },
    #[error("{}: is {found}, expected {SUPPORTED}; convert or remove it", .file.display())]
    PictureFormat { file: PathBuf, found: String },
    #[error("{}: is {}x{}, but {} is {}x{}; all images of a set must have the same size", .file.display(), .found[1], .found[0], .first.display(), .expected[1], .expected[0])]
    Size { file: PathBuf, found: [usize; 2], first: PathBuf, expected: [usize; 2] },
    #[error("{}: line {line}: found {found}, expected {expected}", .file.display())]
    Line { file: PathBuf, line: usize, found: String, expected: String },
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("`data.{key}` = {found}, expected {expected}")]
    Value { key: &'static str, found: String, expected: String },
}

impl DataError {
    pub(crate) fn io(file: &Path, source: std::io::Error) -> Self {
        Self::Io { file: file.into(), source }
    }

    pub(crate) fn archive(file: &Path, at: u64, message: &dyn std::fmt::Display) -> Self {
        Self::Archive { file: file.into(), at, message: message.to_string() }
    }

    /// An invalid value of the experiment.
    pub(crate) fn value(key: &'static str, found: impl ToString, expected: impl Into<String>) -> Self {
        Self::Value { key, found: found.to_string(), expected: expected.into() }
    }

    /// A set in the folder or archive `place` that lacks one of its files, known by these names.
    pub(crate) fn missing(set: &'static str, place: &Path, names: &[String]) -> Self {
        let names = names.join(" or ");
        if place.is_dir() {
            Self::Incomplete { set, dir: place.into(), missing: names }
        } else if place.is_file() {
            Self::NotInArchive { set, archive: place.into(), missing: names }
        } else {
            Self::Missing { set, dir: place.into(), tried: names }
        }
    }
}
