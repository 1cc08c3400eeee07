//! "When the learning rate decays, the loss falls to the valley floor" (Wen et al., 2024, arXiv 2410.05192: the river valley).

use walk_record::Run;
use walk_record::rows::{Interpolation, Train};

use super::claim::{Claim, Exhibit};
use super::run_number::{RunNumber, late};
use crate::curve::step_values;
use crate::statistics::mean;

/// More than half of the fall of the training loss in the decay is the height of the loss above the floor of the updates before it.
pub(super) fn decay_falls_to_floor(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "when the learning rate decays, the loss falls to the valley floor below it";
    let what = "height above the floor before the decay (last third of the updates at the full rate), as a share of the drop in loss";
    RunNumber { claim, what, claimed: [0.5, f64::INFINITY] }.test(exhibit, height_of_fall)
}

/// (L - F) / (L - L_end) for the mean loss L and the mean floor F of the last third of the updates at the largest learning rate, and
/// the loss L_end at the end of the run; 0 if the loss does not fall, `None` without a decay.
fn height_of_fall(run: &Run) -> Option<f64> {
    let rates = step_values(run, |row: &Train| row.lr.into());
    let largest = rates.iter().map(|found| found.value).reduce(f64::max)?;
    let at_largest = rates.iter().filter(|found| found.value >= largest);
    let full: Vec<u64> = at_largest.map(|found| found.step).collect();
    let (from, to, end_step) = (*late(&full).first()?, *full.last()?, rates.last()?.step);
    if to == end_step {
        return None;
    }
    let before = || run.rows::<Interpolation>().filter(|row| (from..=to).contains(&row.at.step));
    let losses: Vec<f64> = before().filter_map(|row| row.losses.first()?.get()).collect();
    let floors: Vec<f64> = before().filter_map(|row| row.min_loss.get()).collect();
    let (loss, floor) = (mean(&losses).get()?, mean(&floors).get()?);
    let last = run.rows::<Interpolation>().next_back()?;
    // the end of the decay must have been measured
    let end = last.losses.last()?.get().filter(|_| last.at.step == end_step)?;
    Some(if loss > end { (loss - floor) / (loss - end) } else { 0.0 })
}
