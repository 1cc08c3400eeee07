//! Claims about linear mode connectivity (Frankle et al., 2020).

use super::claim::{Claim, Exhibit};
use super::run_number::RunNumber;
use crate::connectivity::last;

/// The largest error barrier at which Frankle et al. call two networks linearly connected.
const CONNECTED: f64 = 0.02;

/// The error barrier between twins is higher for the earliest split than for the latest.
pub(super) fn barrier_falls_with_later_split(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the earlier two copies of a run split, the higher the barrier between them";
    let what = "error barrier of the earliest split minus that of the latest";
    RunNumber { claim, what, claimed: [0.0, f64::INFINITY] }.test(exhibit, |run| {
        let twins = last(run);
        let [first, .., end] = twins.as_slice() else { return None };
        Some(first.error_barrier.get()? - end.error_barrier.get()?)
    })
}

/// The twins that split last are linearly connected.
pub(super) fn late_twins_connect(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "copies of a run that split late are linearly connected";
    let what = "error barrier of the latest split";
    let number = RunNumber { claim, what, claimed: [f64::NEG_INFINITY, CONNECTED] };
    number.test(exhibit, |run| last(run).last()?.error_barrier.get())
}
