//! A stopped run: its folder, its last checkpoint, and whether it would still give the same numbers.

use std::path::Path;

use anyhow::{Result, anyhow};
use walk_arch::Network;
use walk_record::{FolderLock, RunFolder, RunInfo, Status};
use walk_train::{SavedState, TrainState, read_state};

use crate::experiment_source::{ExperimentSource, Selection, Setting};

/// The folder that a run writes to and the state it starts from.
pub(crate) struct Start {
    pub(crate) folder: RunFolder,
    /// Held until the run ends.
    pub(crate) lock: FolderLock,
    pub(crate) info: RunInfo,
    pub(crate) state: TrainState,
    /// Bytes of the metrics that belong to the state.
    pub(crate) metrics_len: u64,
}

/// Takes a run's folder and its last whole checkpoint; without one the run starts from `initial`. `now` describes the run as
/// it would be started today.
pub(crate) fn resume(
    path: &Path,
    network: &Network,
    now: &RunInfo,
    initial: impl FnOnce(&RunInfo) -> Result<TrainState>,
) -> Result<Start> {
    let folder = open_run(path)?;
    let lock = folder.lock()?;
    let mut info = folder.read_info()?;
    check_same(&info, now, path)?;
    let len = std::fs::metadata(folder.path().join("metrics.jsonl")).map_or(0, |file| file.len());
    let mut best: Option<SavedState> = None;
    for name in folder.checkpoints().iter().filter(|name| *name != "final") {
        match read_state(&folder.checkpoint_path(name), network) {
            Err(error) => eprintln!("warning: skipping checkpoint {name}: {error}"),
            Ok(saved) if saved.metrics_len > len => {
                eprintln!("warning: skipping checkpoint {name}: metrics.jsonl is shorter than it was then");
            }
            Ok(saved) if best.as_ref().is_none_or(|best| saved.state.step > best.state.step) => {
                best = Some(saved)
            }
            Ok(_) => {}
        }
    }
    let SavedState { state, metrics_len } = match best {
        Some(saved) => saved,
        None => SavedState { state: initial(&info)?, metrics_len: 0 },
    };
    info.status = Status::Running;
    folder.write_info(&info)?;
    Ok(Start { folder, lock, info, state, metrics_len })
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
        Err(anyhow!("{path_text}: a file, expected the folder of a run"))
    } else if has_runs(path) {
        Err(anyhow!(
            "{path_text}: holds several runs; name one of them, or repeat the command of the sweep that made them"
        ))
    } else if has_runs(&path.join("runs")) {
        Err(anyhow!(
            "{path_text}: holds the runs of a reproduction; repeat its `sgdwalk reproduce` command to resume it"
        ))
    } else {
        Err(error.into())
    }
}

/// Refuses to continue with another program, network or data, which would change the numbers.
fn check_same(then: &RunInfo, now: &RunInfo, path: &Path) -> Result<()> {
    let same = [
        ("version of sgdwalk", &then.version, &now.version),
        ("network that the plugin describes", &then.network.sha256, &now.network.sha256),
        ("data", &then.data.sha256, &now.data.sha256),
        ("device", &then.device, &now.device),
    ];
    match same.into_iter().find(|(_, then, now)| then != now) {
        Some((what, then, now)) => Err(anyhow!(
            "{}: the {what} is not the one the run started with ({} then, {} now); resuming would change its numbers",
            path.display(),
            short(then),
            short(now)
        )),
        None => Ok(()),
    }
}

fn short(text: &str) -> &str {
    text.get(..12).unwrap_or(text)
}
