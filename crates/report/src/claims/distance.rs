//! Claims about the distance from the initial point (Hoffer et al., 2017): it grows like a logarithm, more slowly at larger batch
//! sizes.

use walk_record::Run;

use super::claim::{Claim, Exhibit, stated};
use super::run_number::RunNumber;
use super::trend::{PairedRuns, over_seeds, paired_verdict};
use crate::curve::StepValue;
use crate::distance::{distances, log_slope};
use crate::statistics::residual_of_line;

/// The distance after t updates is closer to a line in ln t than to one in √t, as in ordinary diffusion.
pub(super) fn logarithmic_growth(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the distance from the initial point grows like the logarithm of the number of updates, not its square root";
    let what = "ln of the squared residuals of a + b √t over those of a + b ln t";
    RunNumber { claim, what, claimed: [0.0, f64::INFINITY] }.test(exhibit, |run| {
        let distances = distances(run);
        let residual = |x: fn(f64) -> f64| {
            let point = |found: &StepValue| (x(found.step as f64), found.value);
            residual_of_line(&distances.iter().map(point).collect::<Vec<(f64, f64)>>())
        };
        (distances.len() > 2).then(|| (residual(f64::sqrt) / residual(f64::ln)).ln())
    })
}

/// Over the updates that all runs have, b in distance = a + b ln t decreases from each batch size to the next larger one. The
/// seeds are the units. With one seed, the slopes are shown without a verdict: a run is a single path, and how far its
/// distances are from the fitted line says nothing about the path of another seed.
pub(super) fn slower_growth(exhibit: &Exhibit<'_>) -> Claim {
    let claim = "the distance from the initial point grows more slowly at larger batch sizes";
    let Some(paired) = PairedRuns::new(exhibit) else { return Claim::not_measured(claim, exhibit) };
    let last = paired.last_step(distances);
    let slope = |run: &Run| {
        let mut distances = distances(run);
        distances.retain(|distance| distance.step <= last);
        log_slope(&distances).unwrap_or(f64::NAN)
    };
    let slopes = paired.values(slope);
    if slopes.iter().flatten().any(|slope| slope.is_nan()) {
        return Claim::not_measured(claim, exhibit);
    }
    let seeds = paired.seeds();
    let (verdict, statistic) = paired_verdict(&slopes);
    let numbers: Vec<String> = slopes.iter().map(|slopes| over_seeds(slopes)).collect();
    Claim {
        claim: stated(claim, seeds),
        exhibit: exhibit.name.into(),
        measured: format!("b in a + b ln t: {} over {last} updates", paired.text(&numbers)),
        statistic,
        verdict,
    }
}
