//! "Alignment rises with the batch size" (paper, Figures 5 and 6).

use walk_record::Stamped;
use walk_record::rows::Alignment;

use super::claim::{Claim, Exhibit};
use super::trend::{Trend, rising};
use crate::alignment::measurements;
use crate::statistics::Mean;
use crate::table::short;

/// At each measurement of each run, the mean of gᵀHg / gᵀg rises from each batch size to the next.
pub(super) fn alignment_rises(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    Claim::for_each_run("alignment rises with the batch size", exhibit, |claim, run| {
        let tested = measurements(run).into_iter().map(|rows| {
            let mean = |row: &Stamped<'_, Alignment>| match row.is_exact() {
                true => Mean::exact(row.mean.or_nan()),
                false => Mean {
                    value: row.mean.or_nan(),
                    error: row.standard_error.or_nan(),
                    freedom: row.batches as f64 - 1.0,
                },
            };
            let Trend { verdict, largest_p } = rising(&rows.iter().map(mean).collect::<Vec<Mean>>());
            let means = rows.iter().map(|row| format!("{} (B = {})", short(row.mean), row.batch_size));
            Claim {
                claim: format!("{claim}, epoch {}", rows[0].at.epoch),
                exhibit: exhibit.name.into(),
                measured: means.collect::<Vec<String>>().join(", "),
                statistic: format!(
                    "{} comparisons by Welch's t-test, largest p {largest_p:.1e}",
                    rows.len() - 1
                ),
                verdict,
            }
        });
        tested.collect()
    })
}
