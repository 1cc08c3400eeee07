//! What a run goes on from: its own last checkpoint, or one of another run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use walk_arch::Network;
use walk_core::Point;
use walk_record::{FolderLock, ForkInfo, RunFolder, RunInfo, Status};
use walk_train::{SavedState, TrainState, read_state};

use crate::experiment::Experiment;
use crate::source::{Selection, Setting, Source};

/// What a run goes on from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Nothing.
    New,
    /// The folder of a run that has not ended.
    Resume(PathBuf),
    /// Another run, after so many updates, with some changes.
    Fork { run: PathBuf, step: u64, changes: Vec<Setting> },
}

impl Origin {
    /// Takes `RUN@STEP` apart.
    pub(crate) fn fork(text: &str, changes: &[Setting]) -> Result<Self> {
        let parts = text.rsplit_once('@').and_then(|(run, step)| Some((run, step.parse().ok()?)));
        let (run, step) =
            parts.ok_or_else(|| anyhow!("--fork {text}: expected RUN@STEP, as in runs/quick@700"))?;
        Ok(Self::Fork { run: run.into(), step, changes: changes.to_vec() })
    }
}

/// A run's folder, taken to go on in.
pub(crate) struct Resumed {
    pub(crate) folder: RunFolder,
    pub(crate) lock: FolderLock,
    pub(crate) info: RunInfo,
    pub(crate) state: TrainState,
    pub(crate) metrics_len: u64,
}

impl Resumed {
    /// Takes a run's folder and its last whole checkpoint; without one it goes on from `initial`. `now` is what the run would
    /// be described as today.
    pub(crate) fn open(
        path: &Path,
        network: &Network,
        now: &RunInfo,
        initial: impl FnOnce() -> Point,
    ) -> Result<Self> {
        let folder = RunFolder::open(path)?;
        let lock = folder.lock()?;
        let mut info = folder.read_info()?;
        check_same(&info, now, path)?;
        let len = std::fs::metadata(folder.path().join("metrics.jsonl")).map_or(0, |file| file.len());
        let mut best: Option<SavedState> = None;
        for name in folder.checkpoints().iter().filter(|name| *name != "final") {
            let saved = match read_state(&folder.checkpoint_path(name), network) {
                Ok(saved) => saved,
                Err(error) => {
                    eprintln!("warning: not going on from checkpoint {name}: {error}");
                    continue;
                }
            };
            if saved.metrics_len > len {
                eprintln!(
                    "warning: not going on from checkpoint {name}: metrics.jsonl is shorter than it was then"
                );
            } else if best.as_ref().is_none_or(|best| saved.state.step > best.state.step) {
                best = Some(saved);
            }
        }
        if best.is_none() && info.fork.is_some() {
            let at = path.display();
            return Err(anyhow!("{at}: a fork without a checkpoint of its own; fork it anew"));
        }
        let saved = best.unwrap_or_else(|| SavedState { state: TrainState::new(initial()), metrics_len: 0 });
        info.status = Status::Running;
        folder.write_info(&info)?;
        Ok(Self { folder, lock, info, state: saved.state, metrics_len: saved.metrics_len })
    }
}

/// Refuses to go on with another program, network or data: the numbers would be others.
fn check_same(then: &RunInfo, now: &RunInfo, path: &Path) -> Result<()> {
    let same = [
        ("version of sgdwalk", &then.version, &now.version),
        ("network that the plugin describes", &then.network.sha256, &now.network.sha256),
        ("data", &then.data.sha256, &now.data.sha256),
        ("device", &then.device, &now.device),
    ];
    match same.into_iter().find(|(_, then, now)| then != now) {
        Some((what, then, now)) => Err(anyhow!(
            "{}: the {what} is not the one the run began with ({} then, {} now); going on would change its numbers",
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

/// A state of another run.
pub(crate) struct Forked {
    pub(crate) state: TrainState,
    pub(crate) fork: ForkInfo,
}

impl Forked {
    /// Takes the checkpoint of `run` after `step` updates.
    pub(crate) fn open(
        run: &Path,
        step: u64,
        changes: &[Setting],
        network: &Network,
        (now, experiment): (&RunInfo, &Experiment),
    ) -> Result<Self> {
        let folder = RunFolder::open(run)?;
        let info = folder.read_info()?;
        if info.network.sha256 != now.network.sha256 {
            return Err(anyhow!("{}: its network is another, which a fork must share", run.display()));
        }
        let mut steps = vec![];
        for name in folder.checkpoints().iter().filter(|name| *name != "final") {
            let saved = read_state(&folder.checkpoint_path(name), network);
            let mut state = saved.with_context(|| format!("checkpoint {name} of {}", run.display()))?.state;
            if state.step.0 != step {
                steps.push(state.step.0.to_string());
                continue;
            }
            let parent = Experiment::parse(&Source::read(&folder.config_path(), Selection::default(), &[])?)?;
            if !state.epoch_done && !experiment.has_batches_of(&parent) {
                return Err(anyhow!(
                    "{}@{step} lies within an epoch: a fork there must keep `seed`, `data` and the batches of `optim`",
                    run.display()
                ));
            }
            // the loss it remembers was measured as the parent says
            state.probes.remove("interpolation");
            let changes = changes.iter().map(|set| set.text().to_owned()).collect();
            return Ok(Self { state, fork: ForkInfo { run: run.display().to_string(), step, changes } });
        }
        let there = if steps.is_empty() { "none".into() } else { steps.join(", ") };
        Err(anyhow!("{}: no checkpoint after {step} updates; there are those after {there}", run.display()))
    }
}
