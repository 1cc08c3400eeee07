//! Claims about the loss of the updates.

use walk_record::Run;
use walk_record::rows::Train;

use super::claim::{Claim, Exhibit};
use super::run_number::{RunNumber, late};
use crate::curve::step_values;
use crate::statistics::mean;

/// In full-batch training, the loss rises at some updates, more than one in a hundred, and yet falls over many (Cohen et al., 2021).
pub(super) fn loss_rises_at_times(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the loss rises at some updates, yet falls over the long run";
    let what =
        "share of the last third of updates that raise it, 0 if their mean loss is not below that before";
    RunNumber { claim, what, claimed: [0.01, f64::INFINITY] }.test(exhibit, share_of_rises)
}

fn share_of_rises(run: &Run) -> Option<f64> {
    let losses: Vec<f64> = step_values(run, |row: &Train| row.loss).iter().map(|found| found.value).collect();
    let window = late(&losses);
    // as many updates before them
    let before = losses.rchunks(window.len().max(1)).nth(1)?;
    let pairs = window.windows(2);
    let (rises, n_pairs) = (pairs.clone().filter(|pair| pair[0] < pair[1]).count(), pairs.len());
    let (before, then) = (mean(before).get()?, mean(window).get()?);
    (n_pairs > 0).then(|| if then < before { rises as f64 / n_pairs as f64 } else { 0.0 })
}
