//! "The loss falls monotonically from the initial to the final point" (Goodfellow et al., 2014).

use walk_record::Run;
use walk_record::rows::Line;

use super::claim::{Claim, Exhibit};
use super::run_number::RunNumber;

/// The largest change of the loss between neighboring positions of the last line is not a rise.
pub(super) fn monotone_line(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the loss falls monotonically along the line from the initial to the final point";
    let what = "largest rise from one position to the next, as a share of the range of the loss";
    RunNumber { claim, what, claimed: [f64::NEG_INFINITY, 0.0] }.test(exhibit, largest_rise)
}

fn largest_rise(run: &Run) -> Option<f64> {
    let line = run.rows::<Line>().next_back()?;
    let losses: Option<Vec<f64>> = line.losses.iter().map(|loss| loss.get()).collect();
    let losses = losses?;
    let rise = losses.windows(2).map(|pair| pair[1] - pair[0]).reduce(f64::max)?;
    let (low, high) = (losses.iter().copied().reduce(f64::min)?, losses.iter().copied().reduce(f64::max)?);
    // a constant loss has no rise
    Some(if high > low { rise / (high - low) } else { 0.0 })
}
