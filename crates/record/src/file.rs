//! Files and folders that are complete or absent.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::RecordError;

/// Creates a folder and its parents, as far as they do not exist.
///
/// # Errors
/// [`RecordError::NotAFolder`] if something else has the name of one of them, [`RecordError::Io`] if one cannot be created.
pub fn create_folder(path: &Path) -> Result<(), RecordError> {
    fs::create_dir_all(path).map_err(|error| {
        match path.ancestors().find(|path| path.symlink_metadata().is_ok()) {
            Some(other) if !other.is_dir() => RecordError::NotAFolder { path: other.into() },
            _ => RecordError::io(path, "created")(error),
        }
    })
}

/// Writes a file and its parent folders: to a temporary file, synced, then renamed, so that a reader sees either the old
/// file or the new one, even after a power failure.
///
/// # Errors
/// [`RecordError::NotAFolder`] or [`RecordError::Io`] if it cannot be written.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // several processes may write the same file at the same time, such as the reports of one run
    static WRITTEN: AtomicUsize = AtomicUsize::new(0);
    let count = WRITTEN.fetch_add(1, Ordering::Relaxed);
    write_through(&path.with_file_name(format!(".{name}.{}.{count}.new", std::process::id())), path, bytes)
}

/// Writes a file like [`write_file`], through the temporary file of this name.
///
/// # Errors
/// [`RecordError::NotAFolder`] or [`RecordError::Io`] if it cannot be written.
pub(crate) fn write_through(temporary: &Path, path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_folder(folder)?;
    let write = || {
        let mut file = File::create(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(temporary, path)?;
        // the rename itself must reach the disk
        File::open(folder)?.sync_all()
    };
    write().map_err(|error| {
        let _ = fs::remove_file(temporary);
        RecordError::io(path, "written")(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_be_written_by_several_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.html");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20).for_each(|_| write_file(&path, b"the same").unwrap()));
            }
        });
        assert_eq!(fs::read(&path).unwrap(), b"the same");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
