//! The trace of the covariance and the prediction of Eq. 3.

use super::*;

#[test]
fn the_covariance_is_that_of_known_gradients_and_batches_follow_eq_3() {
    let quadratic = Quadratic::new();
    let config = probes(serde_json::json!({ "covariance": {
        "when": { "at_end_of_epochs": true }, "batch_sizes": [5, 20, 100, 200], "batches": 200, "chunk": 30,
    }}));
    let (records, point) = quadratic.run(Method::Sgd, 0.05, 1, &config);
    let rows = kind::<Covariance>(&records);
    let (residuals, grad) = (quadratic.residuals(&point), quadratic.grad(&point));
    let squares: f64 =
        (0..SAMPLES).map(|i| residuals.row(i).norm_squared() * quadratic.inputs.row(i).norm_squared()).sum();
    let n = SAMPLES as f64;
    let expected = (squares - n * grad.norm_squared()) / (n - 1.0);
    let row = &rows[0];
    assert!(close(row.trace, expected, 1e-5), "{} {expected}", row.trace);
    assert!(close(row.full_grad_norm_sq, grad.norm_squared(), 1e-5));
    assert_eq!((row.unit, row.count, row.trace_error), (GradientUnit::Sample, SAMPLES, Measured::MISSING));
    assert!(row.is_exact());
    for check in &row.checks[..3] {
        assert!(close(check.predicted, (1.0 / check.batch_size as f64 - 1.0 / n) * expected, 1e-5));
        let (error, predicted) = (check.standard_error.or_nan(), check.predicted.or_nan());
        let apart = (check.measured.or_nan() - predicted).abs();
        assert!(apart < 4.0 * error, "B = {}: {apart}", check.batch_size);
        assert!(error < 0.1 * predicted);
    }
    // B = N: there is one batch
    let last = &row.checks[3];
    assert_eq!((last.measured, last.predicted, last.batches), (0.0.into(), 0.0.into(), 1));
    assert_eq!((last.standard_error, last.ratio()), (Measured::MISSING, Measured::MISSING));
}

#[test]
fn the_covariance_of_some_samples_has_the_error_of_what_they_leave_out() {
    let (quadratic, some) = (Quadratic::new(), 60);
    let config = probes(serde_json::json!({ "covariance": {
        "when": { "at_end_of_epochs": true }, "samples": some, "batch_sizes": [5, 20], "batches": 200, "chunk": 30,
    }}));
    let (records, point) = quadratic.run(Method::Sgd, 0.05, 1, &config);
    let row = &kind::<Covariance>(&records)[0];
    let residuals = quadratic.residuals(&point);
    let gradient = |i: usize| quadratic.inputs.row(i).transpose() * residuals.row(i);
    let gradients: Vec<DMatrix<f64>> = (0..some).map(gradient).collect();
    let n = some as f64;
    let middle = gradients.iter().fold(DMatrix::zeros(65, CLASSES), |sum, g| sum + g) / n;
    let squares: Vec<f64> = gradients.iter().map(|g| (g - &middle).norm_squared()).collect();
    let trace = squares.iter().sum::<f64>() / (n - 1.0);
    // the root of n / ((n-1)^2 (n-2)) times the sum of squares about the mean, and of 1 - n/N
    let spread: f64 = squares.iter().map(|d| (d - trace * (n - 1.0) / n).powi(2)).sum();
    let error = (n * spread / (n - 2.0)).sqrt() / (n - 1.0) * (1.0 - n / SAMPLES as f64).sqrt();
    assert!(close(row.trace, trace, 1e-5), "{} {trace}", row.trace);
    assert!(close(row.trace_error, error, 1e-4), "{} {error}", row.trace_error);
    assert_eq!((row.samples, row.train_samples, row.is_exact()), (some, SAMPLES, false));
    for check in &row.checks {
        let apart = (check.measured.or_nan() - check.predicted.or_nan()).abs();
        assert!(apart < 4.0 * check.standard_error.or_nan(), "B = {}: {apart}", check.batch_size);
    }
}
