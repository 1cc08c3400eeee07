//! The checkpoint of another run as the start of a new one.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use walk_arch::Network;
use walk_record::{ForkInfo, RunInfo};
use walk_train::{Memory, TrainState, read_state};

use crate::experiment::Experiment;
use crate::experiment_source::Setting;
use crate::resume::{experiment_source, open_run};

/// Where a run branches off from another one.
#[derive(Clone, Debug)]
pub(crate) struct ForkPoint {
    /// The folder of the other run.
    pub(crate) run: PathBuf,
    /// Its updates up to the checkpoint.
    pub(crate) step: u64,
}

impl std::fmt::Display for ForkPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.run.display(), self.step)
    }
}

impl FromStr for ForkPoint {
    type Err = anyhow::Error;

    /// Parses `RUN@STEP`.
    fn from_str(text: &str) -> Result<Self> {
        let (run, step) = text.rsplit_once('@').unwrap_or_default();
        match step.parse() {
            Ok(step) if !run.is_empty() => Ok(Self { run: run.into(), step }),
            _ => Err(anyhow!("expected RUN@STEP, as in runs/quick@700")),
        }
    }
}

impl ForkPoint {
    /// How a run's description records it.
    pub(crate) fn info(&self, changes: &[Setting]) -> ForkInfo {
        let changes = changes.iter().map(|set| set.text().to_owned()).collect();
        ForkInfo { run: self.run.display().to_string(), step: self.step, changes }
    }
}

/// Reads the checkpoint that a run of `experiment` starts from; `info` describes that run.
pub(crate) fn fork_state(
    fork: &ForkInfo,
    network: &Network,
    info: &RunInfo,
    experiment: &Experiment,
) -> Result<TrainState> {
    let ForkInfo { run, step, .. } = fork;
    let folder = open_run(Path::new(run))?;
    if folder.read_info()?.network.sha256 != info.network.sha256 {
        return Err(anyhow!("{run}: has another network; a fork must keep it"));
    }
    let mut steps = vec![];
    for name in folder.checkpoints().iter().filter(|name| *name != "final") {
        let saved = read_state(&folder.checkpoint_path(name), network);
        let mut state = saved.with_context(|| format!("checkpoint {name} of {run}"))?.state;
        if state.step.0 != *step {
            steps.push(state.step.0.to_string());
            continue;
        }
        let parent = Experiment::parse(&experiment_source(Path::new(run), &[])?)?;
        if !state.epoch_done && !experiment.has_batches_of(&parent) {
            return Err(anyhow!(
                "{run}@{step}: lies within an epoch; a fork there must keep `seed`, `data` and the batches of `optim`"
            ));
        }
        state.probes.values_mut().for_each(Memory::forget_measured);
        return Ok(state);
    }
    let known = if steps.is_empty() { "none".into() } else { steps.join(", ") };
    Err(anyhow!("{run}: no checkpoint after {step} updates; there are checkpoints after: {known}"))
}
