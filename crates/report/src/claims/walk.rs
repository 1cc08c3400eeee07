//! "Gradients point more against each other at larger batches" (paper, Figure 7), and larger batches go less far (Hoffer et
//! al., 2017).

use std::ops::Range;

use walk_record::Row;

use super::statistics::{BLOCKS, Mean, blocks, mean_of_blocks, rising};
use super::{Claim, Exhibit, ExhibitRun};
use crate::walk::log_fit;

/// Over the updates that all runs have: the mean cosine falls, and the distance grows slower, from each batch size to the
/// next.
pub(super) fn larger_batches(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let mut runs: Vec<&ExhibitRun<'_>> = exhibit.runs.iter().collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.batch_size));
    let cosine = |row: &Row| match row {
        Row::Cosine(row) => Some((row.step, row.cosine?)),
        _ => None,
    };
    let distance = |row: &Row| match row {
        Row::Distance(row) => Some((row.step, row.distance)),
        _ => None,
    };
    vec![
        compare(
            exhibit,
            &runs,
            cosine,
            "consecutive gradients point more against each other at larger batches",
            |of| mean_of_blocks(&of.iter().map(|(_, value)| *value).collect::<Vec<f64>>()),
        ),
        compare(
            exhibit,
            &runs,
            distance,
            "the distance from the start grows slower for larger batches",
            growth,
        ),
    ]
}

/// Whether what `estimate` makes of the values of the common updates rises from the largest batch to the smallest.
fn compare(
    exhibit: &Exhibit<'_>,
    runs: &[&ExhibitRun<'_>],
    value: impl Fn(&Row) -> Option<(u64, f64)>,
    claim: &str,
    estimate: impl Fn(&[(u64, f64)]) -> Option<Mean>,
) -> Claim {
    let series = runs.iter().map(|run| run.rows.iter().filter_map(&value).collect::<Vec<(u64, f64)>>());
    let mut series: Vec<Vec<(u64, f64)>> = series.collect();
    let last = series.iter().map(|of| of.last().map_or(0, |(step, _)| *step)).min().unwrap_or(0);
    series.iter_mut().for_each(|of| of.retain(|(step, _)| *step <= last));
    let means: Option<Vec<Mean>> = series.iter().map(|of| estimate(of)).collect();
    let Some(means) = means.filter(|means| means.len() > 1) else {
        return Claim::not_measured(claim, exhibit);
    };
    let (verdict, p) = rising(&means);
    let each = runs.iter().zip(&means).rev();
    let each =
        each.map(|(run, mean)| format!("{:.3} +- {:.3} (B = {})", mean.value, mean.error, run.batch_size));
    let what = "blocks of one run each, other seeds may differ";
    Claim {
        claim: claim.into(),
        exhibit: exhibit.name.into(),
        measured: format!("{} over {last} updates", each.collect::<Vec<String>>().join(", ")),
        statistic: format!("{} steps by Welch's t, largest p {p:.1e}; {what}", means.len() - 1),
        verdict,
    }
}

/// b of the fit distance = a + b ln t, its error by leaving out a tenth of the updates in turn (jackknife).
fn growth(points: &[(u64, f64)]) -> Option<Mean> {
    let (_, value) = log_fit(points)?;
    let without = |block: Range<usize>| {
        log_fit(&[&points[..block.start], &points[block.end..]].concat()).map(|(_, slope)| slope)
    };
    let slopes: Vec<f64> = blocks(points.len(), BLOCKS).map(without).collect::<Option<_>>()?;
    let n = BLOCKS as f64;
    let mean = slopes.iter().sum::<f64>() / n;
    let variance = slopes.iter().map(|slope| (slope - mean).powi(2)).sum::<f64>() * (n - 1.0) / n;
    Some(Mean { value, error: variance.sqrt(), freedom: n - 1.0 })
}

#[cfg(test)]
mod tests {
    use walk_record::{CosineRow, DistanceRow};

    use super::*;
    use crate::claims::Verdict;

    fn rows(cosine: f64, slope: f64) -> Vec<Row> {
        let of = |step: u64| {
            // something that is no trend
            let wobble = if step.is_multiple_of(3) { 0.02 } else { -0.01 };
            let (epoch, iteration) = (1, step as u32);
            let cosine = Some(cosine + wobble);
            let distance = slope * (step as f64).ln() + wobble;
            [
                Row::Cosine(CosineRow { epoch, iteration, step, cosine, cosine_with_decay: None }),
                Row::Distance(DistanceRow { epoch, iteration, step, distance }),
            ]
        };
        (1..=100).flat_map(of).collect()
    }

    #[test]
    fn falling_cosines_and_slower_walks_bear_the_paper_out() {
        let (small, large) = (rows(0.1, 2.0), rows(-0.5, 1.0));
        let verdicts = |small: &[Row], large: &[Row]| {
            let runs = [
                ExhibitRun { label: "a", setting: "a", batch_size: 500, rows: small },
                ExhibitRun { label: "b", setting: "b", batch_size: 5000, rows: large },
            ];
            let claims = larger_batches(&Exhibit { name: "fig07a", runs: &runs });
            [claims[0].verdict, claims[1].verdict]
        };
        assert_eq!(verdicts(&small, &large), [Verdict::Holds; 2]);
        assert_eq!(verdicts(&large, &small), [Verdict::DoesNotHold; 2]);
        assert_eq!(verdicts(&small, &small), [Verdict::Undecided; 2]);
        assert_eq!(verdicts(&small, &[]), [Verdict::NotMeasured; 2]);
    }
}
