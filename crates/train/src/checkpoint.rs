//! Points and states as the named tensors of a checkpoint, and back.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use walk_arch::Network;
use walk_core::{Point, Step};
use walk_record::{NamedTensor, RecordError, Values, parse_checkpoint, read_checkpoint};

use crate::{Memory, TrainError, TrainState};

/// `[checkpoint]`: what is kept so that a run can be continued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Epochs between checkpoints; 0 for none.
    #[serde(default = "one")]
    pub every: u32,
    /// How many of them are kept, the latest ones.
    #[serde(default = "two")]
    pub last: usize,
    /// Epochs whose checkpoint is kept permanently.
    #[serde(default)]
    pub epochs: Vec<u32>,
    /// Seconds between checkpoints by the clock, each of which replaces the one before it; 0 for none.
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
    /// Checks every value.
    ///
    /// # Errors
    /// [`TrainError::Value`] for the first that cannot be used.
    pub fn check(&self, epochs: u32) -> Result<(), TrainError> {
        if self.epochs.iter().any(|epoch| !(1..=epochs).contains(epoch)) {
            let expected = format!("epochs from 1 to {epochs}, as `epochs` says");
            return Err(TrainError::value("checkpoint.epochs", format!("{:?}", self.epochs), expected));
        }
        if self.last == 0 { Err(TrainError::value("checkpoint.last", 0, "at least 1")) } else { Ok(()) }
    }
}

/// Prefix of the names of everything that is not a parameter or buffer.
const OURS: &str = "sgdwalk.";
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

/// Everything that a run continues from; its metrics had `metrics_len` bytes.
pub fn state_tensors(network: &Network, state: &TrainState, metrics_len: u64) -> Vec<NamedTensor> {
    let mut tensors = point_tensors(network, &state.point);
    let mut add = |name: String, values| tensors.push(NamedTensor::list(name, values));
    let place =
        [state.epoch.into(), state.iteration.into(), state.step.0, state.epoch_done.into(), metrics_len];
    add(format!("{OURS}place"), Values::U64(place.to_vec()));
    add(format!("{OURS}loss_sum"), Values::F64(vec![state.loss_sum]));
    if state.velocity.iter().any(|&v| v != 0.0) {
        add(format!("{OURS}velocity"), Values::F32(state.velocity.clone()));
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
    /// Bytes of the metrics up to it.
    pub metrics_len: u64,
}

/// Reads what [`state_tensors`] gave.
///
/// # Errors
/// [`TrainError::Record`] if the file cannot be read or is damaged, [`TrainError::State`] if it is no state of `network`.
pub fn read_state(path: &Path, network: &Network) -> Result<SavedState, TrainError> {
    to_state(&read_checkpoint(path)?, network)
}

/// The same from the bytes of a file.
///
/// # Errors
/// [`TrainError::State`] if they are no state of `network`.
pub fn state_from_bytes(bytes: &[u8], network: &Network) -> Result<SavedState, TrainError> {
    let stored = parse_checkpoint(bytes).map_err(|what| TrainError::State { what })?;
    to_state(&stored, network)
}

fn to_state(stored: &[NamedTensor], network: &Network) -> Result<SavedState, TrainError> {
    let wrong = |what: &str| TrainError::State { what: what.to_owned() };
    let point = to_point(stored, network).map_err(|mismatch| wrong(&mismatch.name))?;
    let find = |name: &str| {
        stored.iter().find(|tensor| tensor.name.strip_prefix(OURS) == Some(name)).map(|tensor| &tensor.values)
    };
    let Some(Values::U64(place)) = find("place") else { return Err(wrong("sgdwalk.place")) };
    let [epoch, iteration, step, epoch_done, metrics_len] = place[..] else {
        return Err(wrong("sgdwalk.place"));
    };
    let Some(Values::F64(loss_sum)) = find("loss_sum") else { return Err(wrong("sgdwalk.loss_sum")) };
    let velocity = match find("velocity") {
        None => vec![0.0; network.n_params()],
        Some(Values::F32(velocity)) if velocity.len() == network.n_params() => velocity.clone(),
        Some(_) => return Err(wrong("sgdwalk.velocity")),
    };
    let mut probes: BTreeMap<String, Memory> = BTreeMap::new();
    for tensor in stored {
        if let Some((probe, name)) = tensor.name.strip_prefix(PROBE).and_then(|name| name.split_once('.')) {
            probes.entry(probe.to_owned()).or_default().0.insert(name.to_owned(), tensor.values.clone());
        }
    }
    let counter = |value: u64| u32::try_from(value).map_err(|_| wrong("sgdwalk.place"));
    let state = TrainState {
        point,
        velocity,
        epoch: counter(epoch)?,
        iteration: counter(iteration)?,
        epoch_done: epoch_done != 0,
        step: Step(step),
        loss_sum: *loss_sum.first().ok_or_else(|| wrong("sgdwalk.loss_sum"))?,
        probes,
    };
    Ok(SavedState { state, metrics_len })
}

/// The point that a file made here or elsewhere holds for `network`, by PyTorch's names; unknown tensors are ignored.
/// `key` is the key of the experiment that names the file.
///
/// # Errors
/// [`TrainError::Value`] if the file cannot be read or a tensor is missing, has another shape or is not of f32.
pub fn read_point(path: &Path, network: &Network, key: &str) -> Result<Point, TrainError> {
    let refuse = |expected: String| TrainError::value(key, format!("\"{}\"", path.display()), expected);
    let stored = read_checkpoint(path)
        .map_err(|error: RecordError| refuse(format!("a checkpoint that can be read ({error})")))?;
    to_point(&stored, network).map_err(|Mismatch { name, shape, found }| {
        let found = found.map_or("there is none".into(), |found| format!("there it is {found}"));
        refuse(format!(
            "a checkpoint of this network, whose tensor {name} is f32 of shape {shape:?}; {found}"
        ))
    })
}

/// A tensor that is not what the network needs.
struct Mismatch {
    name: String,
    shape: Vec<usize>,
    found: Option<String>,
}

fn to_point(stored: &[NamedTensor], network: &Network) -> Result<Point, Mismatch> {
    let mut point = Point { params: vec![0.0; network.n_params()], buffers: network.initial_buffers() };
    let by_name: BTreeMap<&str, &NamedTensor> =
        stored.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let fill = |name: &str, shape: &[usize], to: &mut [f32]| {
        let mismatch = |found| Mismatch { name: name.to_owned(), shape: shape.to_vec(), found };
        let tensor = by_name.get(name).ok_or_else(|| mismatch(None))?;
        match &tensor.values {
            Values::F32(values) if tensor.shape == shape => to.copy_from_slice(values),
            Values::F32(_) => return Err(mismatch(Some(format!("of shape {:?}", tensor.shape)))),
            _ => return Err(mismatch(Some("of another kind".into()))),
        }
        Ok(())
    };
    for spec in network.params() {
        fill(&spec.name, &spec.shape, &mut point.params[spec.range.clone()])?;
    }
    for spec in network.buffers() {
        fill(&spec.name, &[spec.range.len()], &mut point.buffers[spec.range.clone()])?;
    }
    Ok(point)
}
