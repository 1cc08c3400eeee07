//! Converts states to the named tensors of a checkpoint, and back.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_arch::Network;
use walk_core::{Point, Step};
use walk_record::{MetricsMark, NamedTensor, Values, parse_checkpoint, read_checkpoint};

use crate::import::{OURS, to_point};
use crate::{Memory, OptimizerState, TrainError, TrainState};

/// Which checkpoints are kept, from which a run can be resumed or forked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Number of epochs between checkpoints; 0 for none.
    #[serde(default = "one")]
    pub every: u32,
    /// How many of the latest of them to keep.
    #[serde(default = "two")]
    pub last: usize,
    /// Epochs whose checkpoints are kept permanently.
    #[serde(default)]
    pub epochs: Vec<u32>,
    /// Seconds between timed checkpoints, each of which replaces the previous one; 0 for none.
    #[serde(default = "minute")]
    pub seconds: u64,
}

const fn one() -> u32 {
    1
}

const fn two() -> usize {
    2
}

const fn minute() -> u64 {
    60
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: one(), last: two(), epochs: vec![], seconds: minute() }
    }
}

impl CheckpointConfig {
    /// The checkpoints of `self`, and those that `other` keeps permanently.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let mut epochs = self.epochs.clone();
        epochs.extend(&other.epochs);
        epochs.sort_unstable();
        epochs.dedup();
        Self { epochs, ..self.clone() }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`TrainError::Value`] for the first invalid value.
    pub fn check(&self, epochs: u32) -> Result<(), TrainError> {
        if self.epochs.iter().any(|epoch| !(1..=epochs).contains(epoch)) {
            let expected = format!("epochs from 1 to {epochs} (`epochs`)");
            return Err(TrainError::value("checkpoint.epochs", format!("{:?}", self.epochs), expected));
        }
        if self.last == 0 { Err(TrainError::value("checkpoint.last", 0, "at least 1")) } else { Ok(()) }
    }
}

const PROBE: &str = "sgdwalk.probe.";

/// Parameters and buffers under their names.
pub fn point_tensors(network: &Network, point: &Point) -> Vec<NamedTensor> {
    let params = network.params().iter().map(|spec| {
        let values = Values::F32(point.params[spec.range.clone()].to_vec());
        NamedTensor { name: spec.name.clone(), shape: spec.shape.clone(), values }
    });
    let buffers = network
        .buffers()
        .iter()
        .map(|spec| NamedTensor::list(&spec.name, Values::F32(point.buffers[spec.range.clone()].to_vec())));
    params.chain(buffers).collect()
}

/// Everything needed to continue a run; `metrics` marks the rows up to this state.
pub fn state_tensors(network: &Network, state: &TrainState, metrics: &MetricsMark) -> Vec<NamedTensor> {
    let mut tensors = point_tensors(network, &state.point);
    let mut add = |name: String, values| tensors.push(NamedTensor::list(name, values));
    let place = [state.epoch.into(), state.iteration.into(), state.step.0, state.epoch_done.into()];
    add(format!("{OURS}place"), Values::U64(place.to_vec()));
    add(format!("{OURS}metrics"), Values::U64(metrics.to_words()));
    add(format!("{OURS}initial"), Values::F32(state.initial.params.clone()));
    add(format!("{OURS}initial_buffers"), Values::F32(state.initial.buffers.clone()));
    add(format!("{OURS}loss_sum"), Values::F64(vec![state.loss_sum]));
    add(format!("{OURS}correct"), Values::F64(vec![state.correct]));
    for (name, values) in state.optimizer.lists() {
        add(format!("{OURS}{name}"), values);
    }
    for (probe, memory) in &state.probes {
        for (name, values) in &memory.0 {
            add(format!("{PROBE}{probe}.{name}"), values.clone());
        }
    }
    tensors
}

/// A saved state.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedState {
    /// The state.
    pub state: TrainState,
    /// Marks the rows up to this state.
    pub metrics: MetricsMark,
}

/// Where in a run a state was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The epoch of the last update.
    pub epoch: u32,
    /// Number of updates made in that epoch.
    pub iteration: u32,
    /// Whether these were all updates of the epoch.
    pub epoch_done: bool,
    /// Number of updates made.
    pub step: Step,
}

impl Place {
    /// Where the state of a checkpoint was saved.
    ///
    /// # Errors
    /// [`TrainError::State`] if it is not a run's state.
    pub fn of(stored: &[NamedTensor]) -> Result<Self, TrainError> {
        let place = stored.iter().find(|tensor| tensor.name.strip_prefix(OURS) == Some("place"));
        let read = || {
            let Values::U64(place) = &place?.values else { return None };
            let &[epoch, iteration, step, epoch_done] = place.as_slice() else { return None };
            let (epoch, iteration) = (u32::try_from(epoch).ok()?, u32::try_from(iteration).ok()?);
            Some(Self { epoch, iteration, epoch_done: epoch_done != 0, step: Step(step) })
        };
        read().ok_or_else(|| TrainError::State { what: format!("{OURS}place") })
    }
}

/// The inverse of [`state_tensors`].
///
/// # Errors
/// [`TrainError::Record`] if the file cannot be read or is damaged, [`TrainError::State`] if it is not a state of `network`.
pub fn read_state(path: &Path, network: &Network) -> Result<SavedState, TrainError> {
    to_state(&read_checkpoint(path)?.tensors, network)
}

/// The same from the bytes of a file.
///
/// # Errors
/// [`TrainError::Bytes`] if they are damaged, [`TrainError::State`] if they are not a state of `network`.
pub fn state_from_bytes(bytes: &[u8], network: &Network) -> Result<SavedState, TrainError> {
    let stored = parse_checkpoint(bytes).map_err(|message| TrainError::Bytes { message })?;
    to_state(&stored.tensors, network)
}

fn to_state(stored: &[NamedTensor], network: &Network) -> Result<SavedState, TrainError> {
    let wrong = |what: &str| TrainError::State { what: what.to_owned() };
    let point = to_point(stored, network).map_err(|mismatch| wrong(&mismatch.name))?;
    let place = Place::of(stored)?;
    let find = |name: &str| {
        stored.iter().find(|tensor| tensor.name.strip_prefix(OURS) == Some(name)).map(|tensor| &tensor.values)
    };
    let f32s = |name: &str, len: usize| match find(name) {
        Some(Values::F32(values)) if values.len() == len => Ok(values.clone()),
        _ => Err(wrong(&format!("{OURS}{name}"))),
    };
    let (n_params, n_buffers) = (network.n_params(), network.n_buffers());
    let initial = Point { params: f32s("initial", n_params)?, buffers: f32s("initial_buffers", n_buffers)? };
    let metrics = match find("metrics") {
        Some(Values::U64(words)) => MetricsMark::from_words(words),
        _ => None,
    };
    let Some(Values::F64(loss_sum)) = find("loss_sum") else { return Err(wrong("sgdwalk.loss_sum")) };
    // missing in checkpoints of versions that did not count them
    let correct = match find("correct") {
        Some(Values::F64(count)) => count.first().copied(),
        _ => None,
    };
    let optimizer = OptimizerState::from_lists(find, n_params)?;
    let mut probes: BTreeMap<String, Memory> = BTreeMap::new();
    for tensor in stored {
        if let Some((probe, name)) = tensor.name.strip_prefix(PROBE).and_then(|name| name.split_once('.')) {
            probes.entry(probe.to_owned()).or_default().0.insert(name.to_owned(), tensor.values.clone());
        }
    }
    let state = TrainState {
        point,
        initial,
        optimizer,
        epoch: place.epoch,
        iteration: place.iteration,
        epoch_done: place.epoch_done,
        step: place.step,
        loss_sum: *loss_sum.first().ok_or_else(|| wrong("sgdwalk.loss_sum"))?,
        correct: correct.unwrap_or(f64::NAN),
        probes,
    };
    Ok(SavedState { state, metrics: metrics.ok_or_else(|| wrong("sgdwalk.metrics"))? })
}
