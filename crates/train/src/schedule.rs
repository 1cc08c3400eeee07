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
}

impl Schedule {
    /// Whether `at` is one of its updates.
    pub fn includes(&self, at: Position) -> bool {
        let epoch = self.epochs.as_ref().is_none_or(|epochs| epochs.contains(&at.epoch));
        epoch && self.iterations.is_none_or(|[first, last]| (first..=last).contains(&at.iteration))
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
        Position { epoch, iteration, step: Step(1) }
    }

    #[test]
    fn epochs_and_iterations_both_count() {
        assert!(Schedule::default().includes(at(3, 7)));
        let schedule = Schedule { epochs: Some(vec![1, 10]), iterations: Some([2, 4]) };
        assert!(schedule.includes(at(1, 2)) && schedule.includes(at(10, 4)));
        assert!(!schedule.includes(at(1, 1)) && !schedule.includes(at(1, 5)) && !schedule.includes(at(2, 2)));
    }

    #[test]
    fn what_never_comes_is_refused() {
        let check = |epochs, iterations| Schedule { epochs, iterations }.check("probe.x.when", 10, 450);
        check(Some(vec![1, 10]), Some([1, 450])).unwrap();
        let text = check(Some(vec![1, 25]), None).unwrap_err().to_string();
        assert_eq!(text, "`probe.x.when.epochs` = [1, 25], expected epochs from 1 to 10, as `epochs` says");
        assert!(check(Some(vec![]), None).is_err());
        assert!(check(None, Some([1, 451])).is_err());
        assert!(check(None, Some([5, 4])).is_err());
        assert!(check(None, Some([0, 4])).is_err());
    }
}
