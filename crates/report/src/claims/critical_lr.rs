//! "The critical sharpness, from losses alone, follows the largest eigenvalue" (Kalra et al., 2026, arXiv
//! 2601.16979).

use walk_record::Run;
use walk_record::rows::CriticalLr;

use super::claim::{Claim, Exhibit};
use super::run_number::RunNumber;
use crate::curve::{StepValue, step_values};
use crate::spectrum::sharpness;
use crate::statistics::mean;

/// What the two differ by on average if one is twice the other.
const FACTOR_OF_TWO: f64 = std::f64::consts::LN_2;

/// Over the updates where both were measured, 2/η_c and λ₁ differ by less than a factor of two on average.
pub(super) fn critical_sharpness_follows(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the critical sharpness 2/η_c follows the largest eigenvalue of the Hessian";
    let what = "mean of |ln (2/η_c) − ln λ₁| over the run";
    RunNumber { claim, what, claimed: [f64::NEG_INFINITY, FACTOR_OF_TWO] }.test(exhibit, |run| {
        let apart: Vec<f64> =
            pairs(run).iter().map(|(largest, critical)| (critical - largest).abs()).collect();
        mean(&apart).get()
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
