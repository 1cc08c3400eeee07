//! Claims about linear mode connectivity (Frankle et al., 2020).

use super::claim::{Claim, Exhibit};
use super::run_number::RunNumber;
use crate::connectivity::last;

/// The largest error barrier at which Frankle et al. call two networks linearly connected.
const CONNECTED: f64 = 0.02;

/// The error barrier between twins is higher for those that part at the start than for those that part last.
pub(super) fn barrier_falls_with_parting(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the earlier two children of a run part, the higher is the barrier between them";
    let what = "error barrier of those that part first minus that of those that part last";
    RunNumber { claim, what, claimed: [0.0, f64::INFINITY] }.test(exhibit, |run| {
        let twins = last(run);
        let [first, .., end] = twins.as_slice() else { return None };
        Some(first.error_barrier.get()? - end.error_barrier.get()?)
    })
}

/// The twins that part last are linearly connected.
pub(super) fn late_twins_connect(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "children that part late are linearly connected";
    let what = "error barrier of those that part last";
    let number = RunNumber { claim, what, claimed: [f64::NEG_INFINITY, CONNECTED] };
    number.test(exhibit, |run| last(run).last()?.error_barrier.get())
}
