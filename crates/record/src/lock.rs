//! Ensures that only one process at a time works in a run folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::RecordError;

/// Locks a folder until it is dropped or the process ends, for whatever reason.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks the folder.
    ///
    /// # Errors
    /// [`RecordError::Locked`] if another process has it, [`RecordError::Io`] if the lock file cannot be opened.
    pub(crate) fn take(folder: &Path) -> Result<Self, RecordError> {
        let path = folder.join("run.lock");
        let io = RecordError::io(&path, "locked");
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(&io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(RecordError::Locked { path: folder.into() }),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }
}
