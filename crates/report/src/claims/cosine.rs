//! "Consecutive gradients are more strongly opposed at larger batch sizes" (paper, Figure 7).

use walk_record::Run;

use super::claim::{Claim, Exhibit, stated};
use super::trend::{PairedRuns, Trend, over_seeds, paired_test};
use crate::cosine::cosines;
use crate::statistics::{mean, mean_of_blocks, p_of_rise};
use crate::table::decimals;

/// Number of updates over which cosines are averaged, the last that all runs have: early on, gradients of large batches
/// hardly turn until the walls of the valley are reached.
const LATE_UPDATES: u64 = 50;

/// Over the last [`LATE_UPDATES`] updates that all runs have, the mean cosine of consecutive gradients decreases from each
/// batch size to the next larger one.
pub(super) fn opposing_gradients(exhibit: &Exhibit<'_>) -> Claim {
    let claim = format!(
        "consecutive gradients are more strongly opposed at larger batch sizes late in training (last {LATE_UPDATES} updates)"
    );
    let Some(paired) = PairedRuns::new(exhibit) else { return Claim::not_measured(claim, exhibit) };
    let last = paired.last_step(cosines);
    let first = last.saturating_sub(LATE_UPDATES) + 1;
    let late = |run: &Run| -> Vec<f64> {
        let late = cosines(run).into_iter().filter(|cosine| (first..=last).contains(&cosine.step));
        late.map(|cosine| cosine.value).collect()
    };
    if paired.runs().any(|run| late(run).is_empty()) {
        return Claim::not_measured(claim, exhibit);
    }
    let seeds = paired.seeds();
    let (trend, test, numbers): (Trend, String, Vec<String>) = if seeds == 1 {
        let blocks = paired.settings.iter().map(|setting| mean_of_blocks(&late(setting.runs[0])));
        let Some(blocks) = blocks.collect::<Option<Vec<_>>>() else {
            return Claim::not_measured(claim, exhibit);
        };
        let p_values: Vec<f64> = blocks.windows(2).map(|pair| p_of_rise(pair[0], pair[1])).collect();
        let number = |value: f64| decimals(value, 3);
        let numbers = blocks.iter().map(|mean| format!("{} ± {}", number(mean.value), number(mean.error)));
        let test = "5 blocks of updates of each run: Welch's t-test";
        (Trend::new(&p_values), test.into(), numbers.collect())
    } else {
        let values = paired.values(|run| mean(&late(run)).or_nan());
        let numbers = values.iter().map(|values| over_seeds(values)).collect();
        (Trend::paired(&values), paired_test(seeds), numbers)
    };
    Claim {
        claim: stated(&claim, seeds),
        exhibit: exhibit.name.into(),
        measured: format!("{} in updates {first} to {last}", paired.text(&numbers)),
        statistic: trend.text(&test),
        verdict: trend.verdict,
    }
}
