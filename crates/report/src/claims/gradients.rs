//! "Alignment rises with the batch size" (paper, Figures 5 and 6) and Eq. 3.

use std::collections::BTreeMap;

use walk_record::{AlignmentRow, CovarianceRow, Row};

use super::statistics::{Mean, bonferroni, rising};
use super::{Claim, Exhibit, Verdict};
use crate::table::short;

/// Eq. 3 holds if the slope is surely within so much of 1.
const MARGIN: f64 = 0.1;

/// At each measured epoch: alignment rises with B, and the variance of gradients falls as Eq. 3 has it.
pub(super) fn alignment_and_covariance(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let [run] = exhibit.runs else {
        let claims =
            ["alignment rises with the batch size", "Eq. 3: the variance of gradients goes like 1/B - 1/N"];
        return claims.into_iter().map(|claim| Claim::not_measured(claim, exhibit)).collect();
    };
    let mut epochs: BTreeMap<u32, Vec<&AlignmentRow>> = BTreeMap::new();
    for row in run.rows {
        if let Row::Alignment(row) = row {
            epochs.entry(row.epoch).or_default().push(row);
        }
    }
    let mut claims: Vec<Claim> =
        epochs.into_iter().map(|(epoch, rows)| alignment(exhibit, epoch, rows)).collect();
    let covariances =
        run.rows.iter().filter_map(|row| if let Row::Covariance(row) = row { Some(row) } else { None });
    claims.extend(covariances.map(|row| covariance(exhibit, row)));
    claims
}

fn alignment(exhibit: &Exhibit<'_>, epoch: u32, mut rows: Vec<&AlignmentRow>) -> Claim {
    rows.sort_by_key(|row| row.batch_size);
    let mean = |row: &&AlignmentRow| Mean {
        value: row.mean,
        error: row.standard_error,
        freedom: row.batches as f64 - 1.0,
    };
    let (verdict, p) = rising(&rows.iter().map(mean).collect::<Vec<Mean>>());
    let each = rows.iter().map(|row| format!("{} (B = {})", short(row.mean), row.batch_size));
    Claim {
        claim: format!("alignment rises with the batch size, epoch {epoch}"),
        exhibit: exhibit.name.into(),
        measured: each.collect::<Vec<String>>().join(", "),
        statistic: format!("{} steps by Welch's t, largest p {p:.1e}", rows.len().saturating_sub(1)),
        verdict,
    }
}

/// The slope of ln E‖g_B - ḡ‖² against ln(1/B - 1/N), which is 1 if Eq. 3 holds.
fn covariance(exhibit: &Exhibit<'_>, row: &CovarianceRow) -> Claim {
    let claim = format!("Eq. 3: the variance of gradients goes like 1/B - 1/N, epoch {}", row.epoch);
    let checks = row.checks.iter().filter(|check| check.predicted > 0.0 && check.measured > 0.0);
    // ln(predicted) is ln(1/B - 1/N) and a constant
    let points: Vec<[f64; 3]> = checks
        .map(|check| [check.predicted.ln(), check.measured.ln(), check.standard_error / check.measured])
        .collect();
    let Some((slope, error)) = slope(&points) else { return Claim::not_measured(claim, exhibit) };
    let reach = bonferroni(1) * error;
    let (low, high) = (slope - reach, slope + reach);
    let verdict = if low > 1.0 - MARGIN && high < 1.0 + MARGIN {
        Verdict::Holds
    } else if high < 1.0 - MARGIN || low > 1.0 + MARGIN {
        Verdict::DoesNotHold
    } else {
        Verdict::Undecided
    };
    let ratios = row
        .checks
        .iter()
        .map(|check| format!("{:.3} (B = {})", check.measured / check.predicted, check.batch_size));
    Claim {
        claim,
        exhibit: exhibit.name.into(),
        measured: format!("measured / predicted {}", ratios.collect::<Vec<String>>().join(", ")),
        statistic: format!("slope {slope:.3} +- {error:.3}, expected 1, 95% within {MARGIN} of it"),
        verdict,
    }
}

/// Slope and its standard error by weighted least squares through points x, y, error of y.
fn slope(points: &[[f64; 3]]) -> Option<(f64, f64)> {
    let weight = |error: f64| error.max(1e-12).powi(-2);
    let total: f64 = points.iter().map(|&[_, _, error]| weight(error)).sum();
    let mean = |of: usize| points.iter().map(|point| weight(point[2]) * point[of]).sum::<f64>() / total;
    let (x, y) = (mean(0), mean(1));
    let spread: f64 = points.iter().map(|point| weight(point[2]) * (point[0] - x).powi(2)).sum();
    let product: f64 = points.iter().map(|point| weight(point[2]) * (point[0] - x) * (point[1] - y)).sum();
    (spread > 0.0).then(|| (product / spread, spread.sqrt().recip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_and_its_error_are_those_of_least_squares() {
        let points: Vec<[f64; 3]> = [0.0, 1.0, 2.0].iter().map(|&x| [x, 3.0 + 0.5 * x, 0.1]).collect();
        let (found, error) = slope(&points).unwrap();
        // sum of squares about the mean is 2
        assert!((found - 0.5).abs() < 1e-12 && (error - 0.1 / 2f64.sqrt()).abs() < 1e-12);
        assert_eq!(slope(&points[..1]), None);
    }
}
