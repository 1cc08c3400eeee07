//! "Alignment rises with the batch size" (paper, Figures 5 and 6), and the edge of stochastic stability.

use walk_record::rows::{Alignment, HessianOf};
use walk_record::{Measured, Stamped};

use super::claim::{Claim, Exhibit, by_step, stated};
use super::run_number::{RunNumber, late};
use super::trend::{Trend, over_seeds, paired_test};
use crate::alignment::measurements;
use crate::statistics::{Mean, mean, p_of_rise};
use crate::table::short;
use crate::training::batch_size;

/// At each measurement of each setting, the mean of gᵀHg / gᵀg rises from each batch size to the next.
pub(super) fn alignment_rises(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "alignment rises with the batch size";
    Claim::for_each_setting(claim, exhibit, |subject, runs| {
        let tested = by_step(runs, measurements, |rows| rows[0].at.step).into_iter().map(|seeds| {
            let (trend, measured) = match seeds.as_slice() {
                [rows] => at_one_run(rows),
                several => over_runs(several),
            };
            let test = match seeds.len() {
                1 => "batches of this run: Welch's t-test".into(),
                n => paired_test(n),
            };
            let epoch = seeds[0][0].at.epoch;
            Claim {
                claim: format!("{}: {subject}, epoch {epoch}", stated(claim, seeds.len())),
                exhibit: exhibit.name.into(),
                measured,
                statistic: trend.text(&test),
                verdict: trend.verdict,
            }
        });
        tested.collect()
    })
}

/// Late in training, E[gᵀH_B g] / E[gᵀg] of batches of the size of training, with the Hessian H_B of the batch's own loss, is within a
/// tenth of the small-batch plateau 2 (1 - m)/η - w (Andreyev and Beneventano, 2024, arXiv 2412.20553).
pub(super) fn batch_sharpness_at_threshold(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the batch sharpness settles at 2/η";
    let what = "batch sharpness / threshold, last third of the measurements";
    RunNumber { claim, what, claimed: [0.9, 1.1] }.test(exhibit, |run| {
        let own = |row: &Stamped<'_, Alignment>| {
            row.hessian == HessianOf::Batch && row.batch_size == batch_size(run)
        };
        let rows: Vec<Stamped<'_, Alignment>> = run.rows().filter(own).collect();
        let ratio =
            |row: &Stamped<'_, Alignment>| Some(row.ratio_of_means.get()? / row.small_batch_plateau.get()?);
        mean(&late(&rows).iter().filter_map(ratio).collect::<Vec<f64>>()).get()
    })
}

type Rows<'a> = Vec<Stamped<'a, Alignment>>;

/// At one θ, where the units are independently drawn batches.
fn at_one_run(rows: &Rows<'_>) -> (Trend, String) {
    let mean = |row: &Stamped<'_, Alignment>| match row.is_exact() {
        true => Mean::exact(row.mean.or_nan()),
        false => Mean {
            value: row.mean.or_nan(),
            error: row.standard_error.or_nan(),
            freedom: row.batches as f64 - 1.0,
        },
    };
    let means: Vec<Mean> = rows.iter().map(mean).collect();
    let p_values: Vec<f64> = means.windows(2).map(|pair| p_of_rise(pair[0], pair[1])).collect();
    let texts = rows.iter().map(|row| format!("{} (B = {})", short(row.mean), row.batch_size));
    (Trend::new(&p_values), texts.collect::<Vec<String>>().join(", "))
}

/// With seeds as the units; batch sizes that some seeds lack are left out.
fn over_runs(seeds: &[Rows<'_>]) -> (Trend, String) {
    let of_size = |rows: &Rows<'_>, size: usize| -> Option<Measured> {
        rows.iter().find(|row| row.batch_size == size).map(|row| row.mean)
    };
    let by_size = seeds[0].iter().filter_map(|row| {
        let means: Option<Vec<Measured>> = seeds.iter().map(|rows| of_size(rows, row.batch_size)).collect();
        Some((row.batch_size, means?.into_iter().map(Measured::or_nan).collect()))
    });
    let (sizes, means): (Vec<usize>, Vec<Vec<f64>>) = by_size.unzip();
    let texts = sizes.iter().zip(&means).map(|(size, means)| format!("{} (B = {size})", over_seeds(means)));
    (Trend::paired(&means), texts.collect::<Vec<String>>().join(", "))
}
