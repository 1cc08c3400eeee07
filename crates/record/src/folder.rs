//! The folder itself.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{MetricsWriter, RecordError, Row, RunInfo, read_metrics};

const CONFIG: &str = "config.toml";
const INFO: &str = "run.json";
const METRICS: &str = "metrics.jsonl";

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a new folder, and those above it.
    ///
    /// # Errors
    /// [`RecordError::Exists`] if there is anything at `path`, [`RecordError::Io`] if it cannot be made.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let io = |source| RecordError::Io { path: path.into(), action: "created", source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(io)?;
        }
        match fs::create_dir(path) {
            Ok(()) => Ok(Self { path: path.into() }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(RecordError::Exists { path: path.into() })
            }
            Err(error) => Err(io(error)),
        }
    }

    /// An existing run folder.
    ///
    /// # Errors
    /// [`RecordError::NotARun`] if it lacks one of its files.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        match [INFO, METRICS].into_iter().find(|name| !path.join(name).is_file()) {
            Some(missing) => Err(RecordError::NotARun { path: path.into(), missing }),
            None => Ok(Self { path: path.into() }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the resolved experiment.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the disk refuses it.
    pub fn write_config(&self, text: &str) -> Result<(), RecordError> {
        self.replace(CONFIG, text.as_bytes())
    }

    /// Writes the description, in place of an earlier one.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the disk refuses it.
    pub fn write_info(&self, info: &RunInfo) -> Result<(), RecordError> {
        let unwritable = |error: serde_json::Error| RecordError::Unwritable { message: error.to_string() };
        let mut text = serde_json::to_string_pretty(info).map_err(unwritable)?;
        text.push('\n');
        self.replace(INFO, text.as_bytes())
    }

    /// Starts the metrics.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the file cannot be created.
    pub fn metrics(&self) -> Result<MetricsWriter, RecordError> {
        MetricsWriter::create(&self.path.join(METRICS))
    }

    /// The description.
    ///
    /// # Errors
    /// [`RecordError::Io`] or [`RecordError::Info`] if it cannot be read.
    pub fn read_info(&self) -> Result<RunInfo, RecordError> {
        let path = self.path.join(INFO);
        let text = fs::read(&path).map_err(|source| RecordError::Io {
            path: path.clone(),
            action: "read",
            source,
        })?;
        serde_json::from_slice(&text).map_err(|error| RecordError::Info { path, message: error.to_string() })
    }

    /// The rows measured so far.
    ///
    /// # Errors
    /// See [`read_metrics`].
    pub fn read_rows(&self) -> Result<Vec<Row>, RecordError> {
        read_metrics(&self.path.join(METRICS))
    }

    /// Writes aside, then renames: a reader sees the old file or the new one.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
        let (path, aside) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let io = |source| RecordError::Io { path: path.clone(), action: "written", source };
        fs::write(&aside, bytes).map_err(io)?;
        fs::rename(&aside, &path).map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_folder_is_refused_and_a_strange_one_is_no_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let folder = RunFolder::create(&path).unwrap();
        assert!(matches!(RunFolder::create(&path), Err(RecordError::Exists { .. })));
        assert!(matches!(RunFolder::open(&path), Err(RecordError::NotARun { missing: "run.json", .. })));
        folder.write_config("seed = 1\n").unwrap();
        folder.write_config("seed = 2\n").unwrap();
        assert_eq!(fs::read_to_string(path.join("config.toml")).unwrap(), "seed = 2\n");
    }
}
