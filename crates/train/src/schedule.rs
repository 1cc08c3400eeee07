//! When a probe is due.

use serde::{Deserialize, Serialize};

use crate::{Position, TrainError};

/// The updates at which a probe measures; with nothing given, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Only in these epochs, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<Vec<u32>>,
    /// Only from the first to the second of these updates of an epoch, counted from 1, both included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<[u32; 2]>,
    /// Only every so many-th update of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Only updates 1, 2, ..., 9, 10, 20, ..., 90, 100, 200, ... of the run.
    #[serde(default)]
    pub log: bool,
    /// Only the last update of an epoch.
    #[serde(default)]
    pub at_end_of_epochs: bool,
}

impl Schedule {
    /// Whether `at` is one of its updates.
    pub fn includes(&self, at: Position) -> bool {
        let epoch = self.epochs.as_ref().is_none_or(|epochs| epochs.contains(&at.epoch));
        let iteration = self.iterations.is_none_or(|[first, last]| (first..=last).contains(&at.iteration));
        let every = self.every.is_none_or(|every| at.step.0.is_multiple_of(every));
        let log = !self.log || at.step.0.is_multiple_of(10u64.pow(at.step.0.checked_ilog10().unwrap_or(0)));
        epoch && iteration && every && log && (!self.at_end_of_epochs || at.iteration == at.updates)
    }

    /// Checks that every epoch and iteration named will come. `key` is the schedule's place in the experiment.
    ///
    /// # Errors
    /// [`TrainError::Value`] if not.
    pub fn check(&self, key: &str, epochs: u32, updates_per_epoch: usize) -> Result<(), TrainError> {
        let never = |named: &&Vec<u32>| named.is_empty() || named.iter().any(|e| !(1..=epochs).contains(e));
        if let Some(named) = self.epochs.as_ref().filter(never) {
            let expected = format!("epochs from 1 to {epochs}, as `epochs` says");
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

#[cfg(test)]
mod tests {
    use walk_core::Step;

    use super::*;

    fn at(epoch: u32, iteration: u32) -> Position {
        Position { epoch, iteration, updates: 10, step: Step(u64::from(10 * (epoch - 1) + iteration)) }
    }

    #[test]
    fn epochs_and_iterations_both_count() {
        assert!(Schedule::default().includes(at(3, 7)));
        let schedule =
            Schedule { epochs: Some(vec![1, 10]), iterations: Some([2, 4]), ..Schedule::default() };
        assert!(schedule.includes(at(1, 2)) && schedule.includes(at(10, 4)));
        assert!(!schedule.includes(at(1, 1)) && !schedule.includes(at(1, 5)) && !schedule.includes(at(2, 2)));
    }

    #[test]
    fn updates_of_the_run_and_ends_of_epochs_can_be_named() {
        let due = |schedule: Schedule| -> Vec<u64> {
            let all = (1..=12).flat_map(|epoch| (1..=10).map(move |iteration| at(epoch, iteration)));
            all.filter(|&at| schedule.includes(at)).map(|at| at.step.0).collect()
        };
        assert_eq!(due(Schedule { every: Some(50), ..Schedule::default() }), [50, 100]);
        let log = due(Schedule { log: true, ..Schedule::default() });
        assert_eq!(log, [(1..10).collect::<Vec<u64>>(), (1..=10).map(|n| 10 * n).collect()].concat());
        let ends = Schedule { at_end_of_epochs: true, epochs: Some(vec![2, 5]), ..Schedule::default() };
        assert_eq!(due(ends), [20, 50]);
        assert!(Schedule { every: Some(0), ..Schedule::default() }.check("x", 1, 1).is_err());
    }

    #[test]
    fn what_never_comes_is_refused() {
        let check = |epochs, iterations| {
            Schedule { epochs, iterations, ..Schedule::default() }.check("probe.x.when", 10, 450)
        };
        check(Some(vec![1, 10]), Some([1, 450])).unwrap();
        let text = check(Some(vec![1, 25]), None).unwrap_err().to_string();
        assert_eq!(text, "`probe.x.when.epochs` = [1, 25], expected epochs from 1 to 10, as `epochs` says");
        assert!(check(Some(vec![]), None).is_err());
        assert!(check(None, Some([1, 451])).is_err());
        assert!(check(None, Some([5, 4])).is_err());
        assert!(check(None, Some([0, 4])).is_err());
    }
}
