//! "The critical sharpness, from losses alone, follows the largest eigenvalue" (Kalra et al., 2026, arXiv
//! 2601.16979).

use walk_record::Run;
use walk_record::rows::CriticalLr;

use super::claim::{Claim, Exhibit};
use super::run_number::RunNumber;
use crate::curve::{StepValue, step_values};
use crate::spectrum::sharpness;
use crate::statistics::correlation;

/// Over the updates where both were measured, the logarithms of 2/η_c and λ₁ have a correlation above 0.7.
pub(super) fn critical_sharpness_follows(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the critical sharpness 2/η_c follows the largest eigenvalue of the Hessian";
    let what = "correlation of their logarithms over the run";
    RunNumber { claim, what, claimed: [0.7, f64::INFINITY] }.test(exhibit, |run| {
        let pairs: Vec<(f64, f64)> = pairs(run);
        (pairs.len() > 2).then(|| correlation(&pairs))
    })
}

/// ln λ₁ and ln 2/η_c at each update where both are known.
fn pairs(run: &Run) -> Vec<(f64, f64)> {
    let critical = step_values(run, |row: &CriticalLr| row.critical_sharpness);
    let pair = |largest: StepValue| {
        let critical = critical.iter().find(|found| found.step == largest.step)?.value;
        (largest.value > 0.0 && critical > 0.0).then(|| (largest.value.ln(), critical.ln()))
    };
    sharpness(run).into_iter().filter_map(pair).collect()
}
