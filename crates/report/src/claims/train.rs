//! Claims about the loss of the updates.

use walk_record::Run;
use walk_record::rows::Train;

use super::claim::{Claim, Exhibit};
use super::run_number::{RunNumber, late};
use crate::curve::step_values;

/// In full-batch training, the loss rises at some updates, more than one in a hundred, and yet falls over many (Cohen et al., 2021).
pub(super) fn loss_rises_at_times(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the loss rises at some updates, yet falls over the long run";
    let what = "share of updates in the last third that raise it, 0 if it does not fall over all of them";
    RunNumber { claim, what, claimed: [0.01, f64::INFINITY] }.test(exhibit, share_of_rises)
}

fn share_of_rises(run: &Run) -> Option<f64> {
    let losses = step_values(run, |row: &Train| row.loss);
    let [first, .., last] = late(&losses) else { return None };
    let pairs = late(&losses).windows(2);
    let (rises, n_pairs) = (pairs.clone().filter(|pair| pair[0].value < pair[1].value).count(), pairs.len());
    Some(if last.value < first.value { rises as f64 / n_pairs as f64 } else { 0.0 })
}
