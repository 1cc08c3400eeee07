//! "The distance from the initial point grows more slowly at larger batch sizes" (Hoffer et al., 2017).

use walk_record::Run;

use super::claim::{Claim, Exhibit, Verdict, stated};
use super::trend::{PairedRuns, Trend, over_seeds, paired_test};
use crate::distance::{distances, log_slope};

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
    let (verdict, statistic) = match seeds {
        1 => (Verdict::Undecided, "no test within one run".into()),
        _ => {
            let trend = Trend::paired(&slopes);
            (trend.verdict, trend.text(&paired_test(seeds)))
        }
    };
    let numbers: Vec<String> = slopes.iter().map(|slopes| over_seeds(slopes)).collect();
    Claim {
        claim: stated(claim, seeds),
        exhibit: exhibit.name.into(),
        measured: format!("b in a + b ln t: {} over {last} updates", paired.text(&numbers)),
        statistic,
        verdict,
    }
}
