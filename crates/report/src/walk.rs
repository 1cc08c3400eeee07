//! How θ walks: the angle between consecutive gradients and the distance from the start (paper, Figures 7 and 8).

use std::collections::BTreeSet;

use crate::Summary;
use crate::table::{Table, or_dash};

/// One row per run and epoch: mean cosine of consecutive gradients, how many were negative, the distance from the start
/// at the epoch's last measured update, and the slope b of the fit distance = a + b ln(step) up to there.
///
/// `None` if no run measured either.
pub fn walk_table(runs: &[Summary]) -> Option<Table> {
    let mut rows = vec![];
    for run in runs {
        let epochs: BTreeSet<u32> = run.cosines.keys().chain(run.distances.keys()).copied().collect();
        let mut so_far = vec![];
        for epoch in epochs {
            let cosines = run.cosines.get(&epoch).map_or(&[][..], Vec::as_slice);
            let distances = run.distances.get(&epoch).map_or(&[][..], Vec::as_slice);
            so_far.extend_from_slice(distances);
            let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
            let negative = cosines.iter().filter(|&&cosine| cosine < 0.0).count();
            let any = !cosines.is_empty();
            rows.push(vec![
                run.label.clone(),
                epoch.to_string(),
                or_dash(any.then(|| format!("{mean:.4}"))),
                or_dash(any.then(|| format!("{negative} / {}", cosines.len()))),
                or_dash(distances.last().map(|(_, distance)| format!("{distance:.4}"))),
                or_dash(log_fit(&so_far).map(|(_, slope)| format!("{slope:.4}"))),
            ]);
        }
    }
    Table::new("walk", ["", "epoch", "mean cosine", "negative", "distance", "b of a + b ln t"], rows)
}

/// a and b of the least squares fit a + b ln(step), `None` of fewer than two different steps.
pub(crate) fn log_fit(points: &[(u64, f64)]) -> Option<(f64, f64)> {
    let n = points.len() as f64;
    let logs = || points.iter().map(|&(step, _)| (step as f64).ln());
    let (mean_log, mean) = (logs().sum::<f64>() / n, points.iter().map(|&(_, d)| d).sum::<f64>() / n);
    let spread: f64 = logs().map(|x| (x - mean_log).powi(2)).sum();
    let product: f64 = logs().zip(points).map(|(x, &(_, d))| (x - mean_log) * (d - mean)).sum();
    (spread > 0.0).then(|| (mean - product / spread * mean_log, product / spread))
}

#[cfg(test)]
mod tests {
    use super::log_fit;

    #[test]
    fn a_logarithm_is_fitted_exactly() {
        let points: Vec<(u64, f64)> = (1..50).map(|step| (step, 2.0 + 0.5 * (step as f64).ln())).collect();
        let (a, b) = log_fit(&points).unwrap();
        assert!((a - 2.0).abs() < 1e-12 && (b - 0.5).abs() < 1e-12);
        assert_eq!(log_fit(&points[..1]), None);
    }
}
