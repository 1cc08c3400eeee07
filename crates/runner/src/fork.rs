//! The checkpoint of another run as the start of a new one.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use walk_arch::Network;
use walk_record::{ForkInfo, RunInfo, read_checkpoint};
use walk_train::{Memory, Place, TrainError, TrainState, read_state};

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
            _ => Err(anyhow!("expected RUN@STEP, e.g. runs/quick@700")),
        }
    }
}

impl ForkPoint {
    /// As recorded in a run's description.
    pub(crate) fn info(&self, changes: &[Setting]) -> ForkInfo {
        let changes = changes.iter().map(|set| set.text().to_owned()).collect();
        ForkInfo { run: self.run.display().to_string(), step: self.step, changes }
    }
}

/// A checkpoint of a run.
pub(crate) struct Found {
    path: PathBuf,
    pub(crate) place: Place,
}

/// The checkpoint that a fork starts from. Unreadable checkpoints are skipped unless the requested one may be among them.
pub(crate) fn find(point: &ForkPoint) -> Result<Found> {
    let ForkPoint { run, step } = point;
    let folder = open_run(run)?;
    let (mut steps, mut damaged) = (vec![], vec![]);
    for name in folder.checkpoints()?.iter().filter(|name| *name != "final") {
        let path = folder.checkpoint_path(name);
        let place =
            read_checkpoint(&path).map_err(TrainError::from).and_then(|read| Place::of(&read.tensors));
        match place {
            Ok(place) if place.step.0 == *step => return Ok(Found { path, place }),
            Ok(place) => steps.push(place.step.0),
            Err(error) => damaged.push(format!("cannot read {name}: {error}")),
        }
    }
    steps.sort_unstable();
    let known: Vec<String> = steps.iter().map(u64::to_string).collect();
    let known = if known.is_empty() { "none".into() } else { known.join(", ") };
    let damaged: String = damaged.iter().map(|text| format!("; {text}")).collect();
    let run = run.display();
    bail!("{run}: no checkpoint after {step} updates; there are checkpoints after: {known}{damaged}")
}

/// Rejects a fork that has nothing left to train.
pub(crate) fn check_left(point: &ForkPoint, place: Place, experiment: &Experiment) -> Result<()> {
    let (done, last) = (place.epoch - u32::from(!place.epoch_done), experiment.epochs);
    if done < last {
        return Ok(());
    }
    bail!(
        "{point}: {} done there, so `epochs` = {last} leaves nothing to train; raise it, e.g. --set epochs={}",
        if done == 1 { "epoch 1 is".into() } else { format!("epochs 1 to {done} are") },
        done.saturating_add(1)
    )
}

/// Reads the checkpoint that a run of `experiment` starts from; `info` describes that run.
pub(crate) fn fork_state(
    fork: &ForkInfo,
    network: &Network,
    info: &RunInfo,
    experiment: &Experiment,
) -> Result<TrainState> {
    let point = ForkPoint { run: PathBuf::from(&fork.run), step: fork.step };
    let run = &point.run;
    if open_run(run)?.read_info()?.network.sha256 != info.network.sha256 {
        return Err(anyhow!("{}: has a different network; a fork must keep the network", run.display()));
    }
    let Found { path, place } = find(&point)?;
    check_left(&point, place, experiment)?;
    let mut state = read_state(&path, network).with_context(|| path.display().to_string())?.state;
    let parent = Experiment::parse(&experiment_source(run, &[])?)?;
    if !state.epoch_done && !experiment.has_batches_of(&parent) {
        return Err(anyhow!(
            "{point}: lies within an epoch; a fork there must keep `seed`, `data` and the batches of `optim`"
        ));
    }
    state.probes.values_mut().for_each(Memory::forget_measured);
    Ok(state)
}
