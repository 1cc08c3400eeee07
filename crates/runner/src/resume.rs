//! A stopped run: its folder, its last checkpoint, and whether resuming it would still give the same numbers.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use walk_arch::Network;
use walk_record::{FileInfo, FolderLock, MetricsMark, RecordError, RunFolder, RunInfo, Status};
use walk_train::{SavedState, TrainState, read_state};

use crate::experiment::Experiment;
use crate::experiment_source::{ExperimentSource, Selection, Setting};
use crate::output::errln;

/// The folder that a run writes to and the state it starts from.
pub(crate) struct Start {
    pub(crate) folder: RunFolder,
    /// Lock, held until the run ends.
    pub(crate) lock: FolderLock,
    pub(crate) info: RunInfo,
    pub(crate) state: TrainState,
    /// Marks which rows belong to the state.
    pub(crate) metrics: MetricsMark,
}

/// Opens a run's folder and reads its last valid checkpoint; without one, the run starts from `initial`. `now` describes the
/// run of `experiment` as it would be started today.
pub(crate) fn resume(
    path: &Path,
    experiment: &Experiment,
    network: &Network,
    now: &RunInfo,
    initial: impl FnOnce(&RunInfo) -> Result<TrainState>,
) -> Result<Start> {
    let folder = open_run(path)?;
    let lock = folder.lock()?;
    let info = folder.read_info()?;
    check_same(&info, now, path)?;
    let mut best: Option<SavedState> = None;
    for name in folder.checkpoints()?.iter().filter(|name| *name != "final") {
        let saved = match read_state(&folder.checkpoint_path(name), network) {
            Ok(saved) => saved,
            Err(error) => {
                errln!("warning: skipping checkpoint {name}: {error}");
                continue;
            }
        };
        match folder.check_metrics(&saved.metrics) {
            Ok(()) if best.as_ref().is_none_or(|best| saved.state.step > best.state.step) => {
                best = Some(saved)
            }
            Ok(()) => {}
            // rows lost at the end are measured again
            Err(error @ RecordError::Short { .. }) => {
                errln!("warning: skipping checkpoint {name}: {error}; they will be measured again");
            }
            Err(error) => return Err(error.into()),
        }
    }
    let SavedState { state, metrics } = match best {
        Some(saved) => saved,
        None => {
            if info.metrics != MetricsMark::default() {
                errln!(
                    "warning: {}: no checkpoint to resume from; starting again from the beginning",
                    path.display()
                );
            }
            SavedState { state: initial(&info)?, metrics: MetricsMark::default() }
        }
    };
    let (begun, epochs) = (state.epoch, experiment.epochs);
    if begun > epochs {
        bail!(
            "{}: `epochs` = {epochs}, but epoch {begun} has begun; a resumed run can only be extended",
            path.display()
        );
    }
    Ok(Start { folder, lock, info, state, metrics })
}

impl Start {
    /// Records in the folder that the run continues, with the experiment's epochs.
    pub(crate) fn write(&mut self, experiment: &Experiment) -> Result<()> {
        let config = experiment.to_toml()?;
        if self.folder.read_config()? != config {
            self.folder.write_config(&config)?;
        }
        self.info.status = Status::Running;
        self.info.message = None;
        self.info.metrics = self.metrics.clone();
        Ok(self.folder.write_info(&self.info)?)
    }
}

/// The experiment of a run, with some changes.
pub(crate) fn experiment_source(run: &Path, changes: &[Setting]) -> Result<ExperimentSource> {
    ExperimentSource::read(&open_run(run)?.config_path(), Selection::default(), changes)
}

/// Opens a run's folder; for the folder of several runs or another path, says what to do instead.
pub(crate) fn open_run(path: &Path) -> Result<RunFolder> {
    let error = match RunFolder::open(path) {
        Ok(folder) => return Ok(folder),
        Err(error) => error,
    };
    let has_runs = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| RunFolder::open(&path).is_ok())
    };
    let path_text = path.display();
    if path.is_file() {
        Err(anyhow!("{path_text}: this is a file, expected a run folder"))
    } else if has_runs(path) {
        Err(anyhow!(
            "{path_text}: contains several runs; choose one of them, or repeat the sweep command that created them"
        ))
    } else if has_runs(&path.join("runs")) {
        Err(anyhow!(
            "{path_text}: contains the runs of a reproduction; repeat its `sgdwalk reproduce` command to resume it"
        ))
    } else {
        Err(error.into())
    }
}

/// Refuses to continue with a different program, network, data or experiment, which would change the numbers.
fn check_same(then: &RunInfo, now: &RunInfo, path: &Path) -> Result<()> {
    let path = path.display();
    let same = [
        ("version of sgdwalk", &then.version, &now.version),
        ("network that the plugin describes", &then.network.sha256, &now.network.sha256),
        ("data", &then.data.sha256, &now.data.sha256),
        ("device", &then.device, &now.device),
    ];
    if let Some((what, then, now)) = same.into_iter().find(|(_, then, now)| then != now) {
        bail!(
            "{path}: the {what} is not the one that the run started with ({} then, {} now); resuming would change its numbers",
            short(then),
            short(now)
        );
    }
    for file in &then.files {
        // a missing file is reported where it is needed
        let changed = |now: &&FileInfo| now.key == file.key && now.sha256 != file.sha256;
        if let Some(now) = now.files.iter().find(changed) {
            bail!(
                "{path}: `{}`: {} does not have the contents that {} had when the run started (SHA-256); resuming would change \
                 its numbers",
                file.key,
                now.path,
                file.path
            );
        }
    }
    if then.config_sha256 != now.config_sha256 {
        bail!(
            "{path}: config.toml is not the experiment that the run started with (SHA-256); only `epochs`, `checkpoint`, \
             `record.tensorboard`, `name`, `claims`, `init`, `model.plugin`, `data.dir` and `data.root` may change. Restore it, or start a new run with \
             `sgdwalk fork`"
        );
    }
    Ok(())
}

fn short(text: &str) -> &str {
    text.get(..12).unwrap_or(text)
}
