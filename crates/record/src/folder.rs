//! The run folder itself.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Table;

use crate::file::{create_folder, write_through};
use crate::metrics::{read, read_marked};
use crate::{
    EventWriter, FORMAT, FolderLock, MetricsMark, MetricsWriter, NamedTensor, RecordError, Row, RunInfo,
    Sealed, Status, checkpoint_bytes, read_metrics,
};

const CONFIG: &str = "config.toml";
const INFO: &str = "run.json";
const METRICS: &str = "metrics.jsonl";
const CHECKPOINTS: &str = "checkpoints";

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Creates a new folder and its parents. It is prepared under a temporary name and then renamed, so it is either complete
    /// or absent.
    ///
    /// # Errors
    /// See [`RunFolder::check_free`]; [`RecordError::NotAFolder`] or [`RecordError::Io`] if it cannot be created.
    pub fn create(path: &Path, config: &str, info: &RunInfo) -> Result<(Self, FolderLock), RecordError> {
        let io = RecordError::io(path, "created");
        Self::check_free(path)?;
        if let Some(parent) = path.parent() {
            create_folder(parent)?;
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
        // a killed process that had the same number may have left it behind, as in containers
        match fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
            _ => fs::create_dir(&temporary).map_err(&io)?,
        }
        let made = Self { path: temporary.clone() };
        let lock = made.fill(config, info).and_then(|lock| match fs::rename(&temporary, path) {
            Ok(()) => Ok(lock),
            // another process may have created it first
            Err(error) => Self::check_free(path).and(Err(io(error))),
        });
        if lock.is_err() {
            // do not leave an incomplete folder behind; nothing was measured yet
            let _ = fs::remove_dir_all(&temporary);
        }
        Ok((Self { path: path.into() }, lock?))
    }

    /// Checks that a run folder can be created here: that nothing of this name exists.
    ///
    /// # Errors
    /// [`RecordError::Exists`] if `path` is a run folder, [`RecordError::Occupied`] if it is something else.
    pub fn check_free(path: &Path) -> Result<(), RecordError> {
        match (path.symlink_metadata(), Self::open(path)) {
            (Err(_), _) => Ok(()),
            (Ok(_), Err(RecordError::NotARun { .. })) => Err(RecordError::Occupied { path: path.into() }),
            (Ok(_), _) => Err(RecordError::Exists { path: path.into() }),
        }
    }

    fn fill(&self, config: &str, info: &RunInfo) -> Result<FolderLock, RecordError> {
        let lock = FolderLock::take(&self.path)?;
        self.replace(CONFIG, config.as_bytes())?;
        self.write_info(info)?;
        self.replace(METRICS, &[])?;
        Ok(lock)
    }

    /// Whether a folder has the description of a run, even if other files of it are missing.
    pub fn is_at(path: &Path) -> bool {
        path.join(INFO).is_file()
    }

    /// An existing run folder.
    ///
    /// # Errors
    /// [`RecordError::NotARun`] if it lacks one of its files, [`RecordError::Io`] if it cannot be searched.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        for missing in [INFO, METRICS] {
            match path.join(missing).metadata() {
                Ok(file) if file.is_file() => {}
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Err(RecordError::io(path, "read")(error));
                }
                _ => return Err(RecordError::NotARun { path: path.into(), missing }),
            }
        }
        Ok(Self { path: path.into() })
    }

    /// Locks the folder for this process.
    ///
    /// # Errors
    /// [`RecordError::Locked`] if another process works in it, [`RecordError::Io`] if it cannot be locked.
    pub fn lock(&self) -> Result<FolderLock, RecordError> {
        FolderLock::take(&self.path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved experiment's file.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// The resolved experiment's text.
    ///
    /// # Errors
    /// [`RecordError::Io`] if it cannot be read.
    pub fn read_config(&self) -> Result<String, RecordError> {
        let path = self.config_path();
        fs::read_to_string(&path).map_err(RecordError::io(&path, "read"))
    }

    /// The resolved experiment.
    ///
    /// # Errors
    /// [`RecordError::Io`] if it cannot be read, [`RecordError::Config`] if it is not TOML.
    pub fn read_config_table(&self) -> Result<Table, RecordError> {
        toml::from_str(&self.read_config()?).map_err(|error| RecordError::Config {
            path: self.config_path(),
            message: error.message().to_owned(),
        })
    }

    /// Writes the resolved experiment, replacing an earlier one.
    ///
    /// # Errors
    /// [`RecordError::Io`] if it cannot be written.
    pub fn write_config(&self, text: &str) -> Result<(), RecordError> {
        self.replace(CONFIG, text.as_bytes())
    }

    /// Writes the description, replacing an earlier one.
    ///
    /// # Errors
    /// [`RecordError::Io`] if it cannot be written.
    pub fn write_info(&self, info: &RunInfo) -> Result<(), RecordError> {
        let mut text = serde_json::to_string_pretty(info).map_err(RecordError::unwritable)?;
        text.push('\n');
        self.replace(INFO, text.as_bytes())
    }

    /// The metrics, opened for appending. Rows after those that `kept` marks are expected to be written again.
    ///
    /// # Errors
    /// [`RecordError::Io`] if the file cannot be opened, otherwise see [`RunFolder::check_metrics`].
    pub fn metrics(&self, kept: &MetricsMark) -> Result<MetricsWriter, RecordError> {
        MetricsWriter::open(&self.path.join(METRICS), kept)
    }

    /// Checks that the metrics start with the rows that `mark` marks.
    ///
    /// # Errors
    /// [`RecordError::Short`] if rows are missing at the end, [`RecordError::Changed`] if the rows differ.
    pub fn check_metrics(&self, mark: &MetricsMark) -> Result<(), RecordError> {
        let path = self.path.join(METRICS);
        mark.split(&path, &read(&path)?).map(|_| ())
    }

    /// Event files for TensorBoard in `tensorboard/`, rewritten from the rows that `kept` marks.
    ///
    /// # Errors
    /// See [`RunFolder::read_rows`]; [`RecordError::Io`] if they cannot be written.
    pub fn events(&self, kept: &MetricsMark) -> Result<EventWriter, RecordError> {
        let rows = read_marked(&self.path.join(METRICS), kept)?;
        EventWriter::create(&self.path.join("tensorboard"), &rows)
    }

    /// The description.
    ///
    /// # Errors
    /// [`RecordError::Io`] or [`RecordError::Info`] if it cannot be read, [`RecordError::Format`] if it is of another format.
    pub fn read_info(&self) -> Result<RunInfo, RecordError> {
        let path = self.path.join(INFO);
        let text = fs::read(&path).map_err(RecordError::io(&path, "read"))?;
        let wrong =
            |error: serde_json::Error| RecordError::Info { path: path.clone(), message: error.to_string() };
        // another format may have other fields
        let FormatInfo { format, version } = serde_json::from_slice(&text).map_err(wrong)?;
        if format != FORMAT {
            return Err(RecordError::Format { path, found: format, version, expected: FORMAT });
        }
        serde_json::from_slice(&text).map_err(wrong)
    }

    /// The rows measured so far by the run that `info` describes.
    ///
    /// # Errors
    /// See [`read_metrics`].
    pub fn read_rows(&self, info: &RunInfo) -> Result<Vec<Row>, RecordError> {
        let mark = &info.metrics;
        let sealed = if info.status == Status::Finished { Sealed::Whole(mark) } else { Sealed::Start(mark) };
        read_metrics(&self.path.join(METRICS), sealed)
    }

    /// The file of a checkpoint.
    pub fn checkpoint_path(&self, name: &str) -> PathBuf {
        self.path.join(CHECKPOINTS).join(format!("{name}.safetensors"))
    }

    /// The names of the existing checkpoints, sorted.
    ///
    /// # Errors
    /// [`RecordError::NotAFolder`] or [`RecordError::Io`] if their folder cannot be listed.
    pub fn checkpoints(&self) -> Result<Vec<String>, RecordError> {
        let path = self.path.join(CHECKPOINTS);
        let list = || {
            let names =
                fs::read_dir(&path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            names.collect::<io::Result<Vec<String>>>()
        };
        let files = match list() {
            Err(error) if error.kind() == ErrorKind::NotFound => vec![],
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                return Err(RecordError::NotAFolder { path });
            }
            files => files.map_err(RecordError::io(&path, "read"))?,
        };
        let names = files.iter().filter_map(|name| name.strip_suffix(".safetensors").map(str::to_owned));
        let mut names: Vec<String> = names.collect();
        names.sort();
        Ok(names)
    }

    /// Writes `checkpoints/NAME.safetensors` like [`write_file`](crate::write_file).
    ///
    /// # Errors
    /// [`RecordError::Io`] if it cannot be written, [`RecordError::Unwritable`] if a shape does not fit its values.
    pub fn write_checkpoint(&self, name: &str, tensors: &[NamedTensor]) -> Result<(), RecordError> {
        let bytes = checkpoint_bytes(tensors)?;
        self.replace(&format!("{CHECKPOINTS}/{name}.safetensors"), &bytes)
    }

    /// Removes a checkpoint, if there is one.
    ///
    /// # Errors
    /// [`RecordError::Io`] if it cannot be written.
    pub fn remove_checkpoint(&self, name: &str) -> Result<(), RecordError> {
        let path = self.checkpoint_path(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(RecordError::Io { path, action: "removed", source })
            }
            _ => Ok(()),
        }
    }

    /// Only the process that holds the lock writes here, so leftovers of a kill under the temporary name can be replaced.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
        let path = self.path.join(name);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        write_through(&path.with_file_name(format!("{name}.new")), &path, bytes)
    }
}

/// The fields that descriptions of all formats share.
#[derive(Deserialize)]
struct FormatInfo {
    format: u32,
    #[serde(default)]
    version: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Values, write_file};

    fn info() -> RunInfo {
        RunInfo { format: FORMAT, ..RunInfo::default() }
    }

    #[test]
    fn an_existing_folder_is_refused_and_a_strange_one_is_no_run() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let (folder, lock) = RunFolder::create(&path, "seed = 1\n", &info()).unwrap();
        assert!(matches!(RunFolder::create(&path, "", &info()), Err(RecordError::Exists { .. })));
        assert!(matches!(RunFolder::open(dir.path()), Err(RecordError::NotARun { missing: "run.json", .. })));
        assert!(matches!(RunFolder::create(dir.path(), "", &info()), Err(RecordError::Occupied { .. })));
        assert_eq!(fs::read_to_string(folder.config_path()).unwrap(), "seed = 1\n");
        assert_eq!(folder.read_info().unwrap(), info());
        // no temporary folder is left
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
        assert!(matches!(folder.lock(), Err(RecordError::Locked { .. })));
        drop(lock);
        folder.lock().unwrap();
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let (folder, _lock) = RunFolder::create(&path, "", &info()).unwrap();
        let message = |outcome: Result<(), RecordError>| outcome.unwrap_err().to_string();
        let blocked = |place: &str, text: String| {
            assert!(text.starts_with(&format!("{place}: is not a folder")), "{text}")
        };
        let config = folder.config_path().display().to_string();
        for below in ["x", "x/y"] {
            let below = folder.config_path().join(below);
            blocked(&config, message(RunFolder::create(&below, "", &info()).map(|_| ())));
            blocked(&config, message(write_file(&below, b"")));
        }
        let checkpoints = path.join("checkpoints");
        fs::write(&checkpoints, "").unwrap();
        let checkpoints = checkpoints.display().to_string();
        blocked(&checkpoints, message(folder.checkpoints().map(|_| ())));
        blocked(&checkpoints, message(folder.write_checkpoint("a", &[])));
        fs::write(path.join("tensorboard"), "").unwrap();
        let tensorboard = path.join("tensorboard").display().to_string();
        blocked(&tensorboard, message(folder.events(&MetricsMark::default()).map(|_| ())));
    }

    #[test]
    fn checkpoints_are_listed_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, _lock) = RunFolder::create(&dir.path().join("run"), "", &info()).unwrap();
        assert!(folder.checkpoints().unwrap().is_empty());
        let tensors = [NamedTensor::list("a", Values::F64(vec![1.0]))];
        for name in ["b", "a"] {
            folder.write_checkpoint(name, &tensors).unwrap();
        }
        assert_eq!(folder.checkpoints().unwrap(), ["a", "b"]);
        folder.remove_checkpoint("b").unwrap();
        folder.remove_checkpoint("b").unwrap();
        assert_eq!(folder.checkpoints().unwrap(), ["a"]);
        assert_eq!(crate::read_checkpoint(&folder.checkpoint_path("a")).unwrap().tensors, tensors);
    }
}
