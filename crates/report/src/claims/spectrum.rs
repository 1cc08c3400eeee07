//! Claims about eigenvalues: the edge of stability, flatness by batch size, the gradient's share in the top eigenspace.

use walk_record::rows::{Matrix, Spectrum};
use walk_record::{Run, Stamped};

use super::claim::{Claim, Exhibit, stated};
use super::run_number::{RunNumber, late};
use super::trend::{PairedRuns, over_seeds, paired_verdict};
use crate::statistics::mean;
use crate::training::is_gradient_descent;

/// The rows of the matrix that training is limited by: Adam's preconditioned Hessian if it was measured, otherwise the Hessian.
fn limiting(run: &Run) -> Vec<Stamped<'_, Spectrum>> {
    let preconditioned = whole(run, Matrix::Preconditioned);
    if preconditioned.is_empty() { whole(run, Matrix::Hessian) } else { preconditioned }
}

/// The rows of a whole matrix.
fn whole(run: &Run, matrix: Matrix) -> Vec<Stamped<'_, Spectrum>> {
    run.rows::<Spectrum>().filter(|row| row.is_of(matrix)).collect()
}

/// The mean of `value` over the last third of the measurements.
fn late_mean(rows: &[Stamped<'_, Spectrum>], value: impl Fn(&Spectrum) -> Option<f64>) -> Option<f64> {
    mean(&late(rows).iter().filter_map(|row| value(row)).collect::<Vec<f64>>()).get()
}

/// The largest eigenvalue.
fn sharpness(row: &Spectrum) -> Option<f64> {
    row.values.first()?.get()
}

/// The largest eigenvalue as a multiple of the stability threshold.
fn of_threshold(row: &Spectrum) -> Option<f64> {
    Some(sharpness(row)? / row.stability_threshold.get()?)
}

const RATIO: &str = "λ₁ / threshold, last third of the measurements";

/// Late in training the sharpness is within a tenth of the stability threshold (Cohen et al., 2021 and 2022).
pub(super) fn sharpness_at_threshold(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the sharpness settles at the stability threshold";
    let number = RunNumber { claim, what: RATIO, claimed: [0.9, 1.1] };
    number.test(exhibit, |run| late_mean(&limiting(run), of_threshold).filter(|_| is_gradient_descent(run)))
}

/// Late in training the sharpness is below the threshold of full-batch training (Andreyev and Beneventano, 2024).
pub(super) fn sharpness_below_threshold(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "the sharpness stays below the full-batch threshold";
    let number = RunNumber { claim, what: RATIO, claimed: [f64::NEG_INFINITY, 1.0] };
    number.test(exhibit, |run| late_mean(&limiting(run), of_threshold))
}

/// Late in training the sharpness rises from each batch size to the next larger one.
pub(super) fn flatter_at_small_batches(exhibit: &Exhibit<'_>) -> Claim {
    let claim = "the sharpness settles at a lower level for smaller batch sizes";
    let Some(paired) = PairedRuns::new(exhibit) else { return Claim::not_measured(claim, exhibit) };
    let mut values =
        paired.values(|run| late_mean(&whole(run, Matrix::Hessian), sharpness).unwrap_or(f64::NAN));
    let numbers: Vec<String> = values.iter().map(|values| over_seeds(values)).collect();
    if values.iter().flatten().all(|value| value.is_nan()) {
        return Claim::not_measured(claim, exhibit);
    }
    // smallest batch first
    values.reverse();
    let (verdict, statistic) = paired_verdict(&values);
    Claim {
        claim: stated(claim, paired.seeds()),
        exhibit: exhibit.name.into(),
        measured: format!("λ₁, last third of the measurements: {}", paired.text(&numbers)),
        statistic,
        verdict,
    }
}

/// Late in training, more than half of ‖ḡ‖² is in the span of the top eigenvectors (Gur-Ari et al., 2018).
pub(super) fn gradient_in_top_space(exhibit: &Exhibit<'_>) -> Vec<Claim> {
    let claim = "most of the gradient lies in the span of the top eigenvectors, one per class";
    let what = "share of ‖ḡ‖², last third of the measurements";
    let number = RunNumber { claim, what, claimed: [0.5, f64::INFINITY] };
    number.test(exhibit, |run| {
        late_mean(&whole(run, Matrix::Hessian), |row| {
            row.gradient_share.get().filter(|_| row.asked == run.info.network.classes)
        })
    })
}
