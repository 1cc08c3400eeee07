//! Claims that a mean rises from each batch size to the next.

use walk_record::Run;

use super::claim::{Claim, Exhibit, Verdict};
use crate::curves::StepValue;
use crate::statistics::{LEVEL, Mean, p_of_rise};
use crate::table::decimals;
use crate::training::batch_size;

/// How sure a rise is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trend {
    pub(super) verdict: Verdict,
    /// The largest p-value of a rise.
    pub(super) largest_p: f64,
}

/// Whether means rise from each to the next, by Welch's t-test with Bonferroni's correction.
pub(super) fn rising(means: &[Mean]) -> Trend {
    let comparisons = means.len().saturating_sub(1);
    let mut verdict = if comparisons == 0 { Verdict::NotMeasured } else { Verdict::Holds };
    let mut largest_p = 0.0f64;
    for pair in means.windows(2) {
        let p = p_of_rise(pair[0], pair[1]);
        largest_p = largest_p.max(p);
        let level = LEVEL / comparisons as f64;
        if 1.0 - p < level {
            return Trend { verdict: Verdict::DoesNotHold, largest_p };
        }
        if p.is_nan() || p >= level {
            verdict = Verdict::Undecided;
        }
    }
    Trend { verdict, largest_p }
}

/// Whether what `estimate` makes of a run's values over the updates that all runs have falls from each batch size to the next
/// larger one.
pub(super) fn falls_with_batch_size(
    claim: &str,
    exhibit: &Exhibit<'_>,
    values: impl Fn(&Run) -> Vec<StepValue>,
    estimate: impl Fn(&[StepValue]) -> Option<Mean>,
) -> Claim {
    let mut runs: Vec<&Run> = exhibit.runs.iter().collect();
    runs.sort_by_key(|run| std::cmp::Reverse(batch_size(run)));
    let mut series: Vec<Vec<StepValue>> = runs.iter().map(|run| values(run)).collect();
    let last = series.iter().map(|values| values.last().map_or(0, |value| value.step)).min().unwrap_or(0);
    series.iter_mut().for_each(|values| values.retain(|value| value.step <= last));
    let means: Option<Vec<Mean>> = series.iter().map(|values| estimate(values)).collect();
    let Some(means) = means.filter(|means| means.len() > 1) else {
        return Claim::not_measured(claim, exhibit);
    };
    let Trend { verdict, largest_p } = rising(&means);
    let smallest_first = runs.iter().zip(&means).rev();
    let number = |value: f64| decimals(value.into(), 3);
    let measured = smallest_first.map(|(run, mean)| {
        format!("{} +- {} (B = {})", number(mean.value), number(mean.error), batch_size(run))
    });
    Claim {
        claim: claim.into(),
        exhibit: exhibit.name.into(),
        measured: format!("{} over {last} updates", measured.collect::<Vec<String>>().join(", ")),
        statistic: format!(
            "{} comparisons by Welch's t-test, largest p {largest_p:.1e}; errors from blocks of one run each, other seeds may differ",
            means.len() - 1
        ),
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_that_rise_are_told_from_those_that_fall() {
        let mean = |value| Mean { value, error: 0.1, freedom: 49.0 };
        let verdict = |means: &[Mean]| rising(means).verdict;
        assert_eq!(verdict(&[mean(1.0), mean(2.0), mean(3.0)]), Verdict::Holds);
        assert_eq!(verdict(&[mean(1.0), mean(1.1), mean(3.0)]), Verdict::Undecided);
        assert_eq!(verdict(&[mean(1.0), mean(f64::NAN)]), Verdict::Undecided);
        assert_eq!(verdict(&[mean(1.0), mean(0.0), mean(3.0)]), Verdict::DoesNotHold);
        assert_eq!(verdict(&[mean(1.0)]), Verdict::NotMeasured);
        assert_eq!(verdict(&[mean(1.0), Mean::exact(2.0)]), Verdict::Holds);
        assert_eq!(verdict(&[Mean::exact(2.0), Mean::exact(1.0)]), Verdict::DoesNotHold);
        // one batch says nothing about its error
        let alone = Mean { value: 2.0, error: f64::NAN, freedom: 0.0 };
        assert_eq!(verdict(&[mean(1.0), alone]), Verdict::Undecided);
        assert_eq!(verdict(&[alone, Mean::exact(3.0)]), Verdict::Undecided);
    }
}
