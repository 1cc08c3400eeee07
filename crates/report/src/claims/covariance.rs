//! Eq. 3: the variance of batch gradients is proportional to 1/B - 1/N.

use walk_record::Measured;
use walk_record::rows::{Covariance, VarianceCheck};

use super::claim::{Claim, Exhibit, Verdict};
use crate::statistics::{FitPoint, LineFit, bonferroni};
use crate::table::decimals;

/// Eq. 3 holds if the slope is surely within this distance of 1.
const MARGIN: f64 = 0.1;

/// At each measurement of each run, the slope of ln E‖g_B - ḡ‖² against ln(1/B - 1/N) is 1.
pub(super) fn gradient_variance(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "Eq. 3: the variance of gradients is proportional to 1/B - 1/N";
    Claim::for_each_run(claim, exhibit, |claim, run| {
        run.rows::<Covariance>()
            .map(|row| test(format!("{claim}, epoch {}", row.at.epoch), exhibit, &row))
            .collect()
    })
}

fn test(claim: String, exhibit: &Exhibit<'_>, row: &Covariance) -> Claim {
    let points: Vec<FitPoint> = row.checks.iter().filter_map(point).collect();
    let Some(LineFit { slope, error }) = LineFit::new(&points) else {
        return Claim::not_measured(claim, exhibit);
    };
    let reach = bonferroni(1) * error;
    let number = |value: Measured| decimals(value, 3);
    let ratio = |check: &VarianceCheck| format!("{} (B = {})", number(check.ratio()), check.batch_size);
    let ratios: Vec<String> = row.checks.iter().map(ratio).collect();
    Claim {
        claim,
        exhibit: exhibit.name.into(),
        measured: format!("measured / predicted {}", ratios.join(", ")),
        statistic: format!(
            "slope {} +- {}, 95% interval to lie within {MARGIN} of 1",
            number(slope.into()),
            number(error.into())
        ),
        verdict: Verdict::of_interval([slope - reach, slope + reach], [1.0 - MARGIN, 1.0 + MARGIN]),
    }
}

/// The logarithms of a check; that of what is predicted is ln(1/B - 1/N) plus a constant.
fn point(check: &VarianceCheck) -> Option<FitPoint> {
    let (predicted, measured) = (check.predicted.get()?, check.measured.get()?);
    let error = check.standard_error.get()? / measured;
    (predicted > 0.0 && measured > 0.0).then(|| FitPoint { x: predicted.ln(), y: measured.ln(), error })
}
