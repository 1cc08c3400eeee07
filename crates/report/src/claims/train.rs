//! Claims about the loss of the updates.

use walk_record::Run;
use walk_record::rows::Train;

use super::claim::{Claim, Exhibit};
use super::run_number::{RunNumber, late};
use crate::curve::step_values;
use crate::statistics::mean;
use crate::training::is_gradient_descent;

/// In full-batch training, the loss rises at some updates, more than one in a hundred, and yet falls over many (Cohen et al., 2021).
pub(super) fn loss_rises_at_times(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the loss rises at some updates, yet falls in the long run";
    let what = "share of the last third of the updates that raise the loss (0 if the mean loss of that third is not below that of the third before)";
    RunNumber { claim, what, claimed: [0.01, f64::INFINITY] }.test(exhibit, share_of_rises)
}

fn share_of_rises(run: &Run) -> Option<f64> {
    // losses of different batches rise and fall anyway
    if !is_gradient_descent(run) {
        return None;
    }
    let losses: Vec<f64> = step_values(run, |row: &Train| row.loss).iter().map(|found| found.value).collect();
    let window = late(&losses);
    // as many updates before them
    let before = losses.rchunks(window.len().max(1)).nth(1)?;
    let pairs = window.windows(2);
    let (rises, n_pairs) = (pairs.clone().filter(|pair| pair[0] < pair[1]).count(), pairs.len());
    let (before, then) = (mean(before).get()?, mean(window).get()?);
    (n_pairs > 0).then(|| if then < before { rises as f64 / n_pairs as f64 } else { 0.0 })
}
