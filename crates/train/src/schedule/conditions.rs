//! Conditions that an update must meet for a probe to be due.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Position, TrainError};

/// Conditions, all of which an update must meet; without any, every update qualifies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// Only in these epochs, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<Vec<u32>>,
    /// Only updates in this range of an epoch, [first, last], counted from 1 and inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<[u32; 2]>,
    /// Only updates whose number is a multiple of this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Only updates 1, 2, ..., 9, 10, 20, ..., 90, 100, 200, ... of the run.
    #[serde(default)]
    pub log: bool,
    /// Only the last update of an epoch.
    #[serde(default)]
    pub at_end_of_epochs: bool,
}

impl Conditions {
    /// Whether `at` meets them.
    pub(super) fn includes(&self, at: Position) -> bool {
        let epoch = self.epochs.as_ref().is_none_or(|epochs| epochs.contains(&at.epoch));
        let iteration = self.iterations.is_none_or(|[first, last]| (first..=last).contains(&at.iteration));
        let every = self.every.is_none_or(|every| at.step.0.is_multiple_of(every));
        let log = !self.log || at.step.0.is_multiple_of(10u64.pow(at.step.0.checked_ilog10().unwrap_or(0)));
        epoch && iteration && every && log && (!self.at_end_of_epochs || at.iteration == at.updates)
    }

    /// Whether every update that meets `other` certainly meets these.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let epochs = match (&self.epochs, &other.epochs) {
            (Some(ours), Some(theirs)) => theirs.iter().all(|epoch| ours.contains(epoch)),
            (ours, _) => ours.is_none(),
        };
        let iterations = match (self.iterations, other.iterations) {
            (Some([first, last]), Some(theirs)) => first <= theirs[0] && theirs[1] <= last,
            (ours, _) => ours.is_none(),
        };
        let every =
            self.every.is_none_or(|ours| other.every.is_some_and(|theirs| theirs.is_multiple_of(ours)));
        (epochs && iterations && every)
            && (!self.log || other.log)
            && (!self.at_end_of_epochs || other.at_end_of_epochs)
    }

    /// Checks that every epoch and iteration named will occur; `key` is their place in the experiment.
    pub(super) fn check(&self, key: &str, epochs: u32, updates_per_epoch: usize) -> Result<(), TrainError> {
        let never = |named: &&Vec<u32>| named.is_empty() || named.iter().any(|e| !(1..=epochs).contains(e));
        if let Some(named) = self.epochs.as_ref().filter(never) {
            let expected = format!("epochs from 1 to {epochs} (`epochs`)");
            return Err(TrainError::value(&format!("{key}.epochs"), format!("{named:?}"), expected));
        }
        if self.every == Some(0) {
            return Err(TrainError::value(&format!("{key}.every"), "0", "at least 1"));
        }
        let outside =
            |[first, last]: &[u32; 2]| *first < 1 || last < first || *last as usize > updates_per_epoch;
        if let Some([first, last]) = self.iterations.filter(outside) {
            let expected = format!("[first, last] within 1 to {updates_per_epoch}, the updates of an epoch");
            let found = format!("[{first}, {last}]");
            return Err(TrainError::value(&format!("{key}.iterations"), found, expected));
        }
        Ok(())
    }
}

/// As written in an experiment file.
impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.epochs.as_ref().map(|epochs| format!("epochs = {epochs:?}")),
            self.iterations.map(|iterations| format!("iterations = {iterations:?}")),
            self.every.map(|every| format!("every = {every}")),
            self.log.then(|| "log = true".to_owned()),
            self.at_end_of_epochs.then(|| "at_end_of_epochs = true".to_owned()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        write!(f, "{{ {} }}", parts.join(", "))
    }
}
