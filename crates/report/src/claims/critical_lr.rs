//! "The critical sharpness, from losses alone, follows the largest eigenvalue" (Kalra et al., 2026, arXiv
//! 2601.16979).

use std::f64::consts::LN_2;

use walk_record::rows::CriticalLr;

use super::claim::{Claim, Exhibit};
use super::run_number::RunNumber;
use crate::curve::step_values;
use crate::spectrum::sharpness;
use crate::statistics::mean;

/// Over the updates where both were measured, 2/η_c and λ₁ differ by less than a factor of two on average.
pub(super) fn critical_sharpness_follows(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the critical sharpness 2/η_c follows the largest eigenvalue of the Hessian";
    let what = "mean of |ln (2/η_c) − ln λ₁| over the run";
    RunNumber { claim, what, claimed: [f64::NEG_INFINITY, LN_2] }.test(exhibit, |run| {
        let critical = step_values(run, |row: &CriticalLr| row.critical_sharpness);
        let apart = sharpness(run).into_iter().filter_map(|largest| {
            let critical = critical.iter().find(|found| found.step == largest.step)?;
            let ratio = critical.value / largest.value;
            (ratio > 0.0).then(|| ratio.ln().abs())
        });
        mean(&apart.collect::<Vec<f64>>()).get()
    })
}
