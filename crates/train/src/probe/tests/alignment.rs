//! The alignment, and what it says of consecutive gradients.

use super::*;

#[test]
fn one_batch_and_one_vector_have_no_error() {
    let quadratic = Quadratic::new();
    let config = probes(serde_json::json!({
        "alignment": { "when": {}, "batch_sizes": [20], "batches": 1 },
        "spectrum": { "when": {}, "values": 1, "random_vectors": 1 },
    }));
    let (records, _) = quadratic.run(Method::Sgd, 1e-30, 1, &config);
    let (alignment, spectrum) = (&kind::<Alignment>(&records)[0], &kind::<Spectrum>(&records)[0]);
    assert_eq!((alignment.batches, alignment.mean.get().is_some()), (1, true));
    assert_eq!((alignment.deviation, alignment.standard_error), (Measured::MISSING, Measured::MISSING));
    assert_eq!(alignment.ratio_of_means_error, Measured::MISSING);
    assert!(spectrum.trace.get().is_some());
    assert_eq!(spectrum.trace_error, Measured::MISSING);
}

#[test]
fn the_alignment_is_that_of_known_gradients_and_eq_3_predicts_it() {
    let quadratic = Quadratic::new();
    let config = probes(serde_json::json!({ "alignment": {
        "when": { "at_end_of_epochs": true }, "batch_sizes": [4, 16, 64, 200], "batches": 100, "chunk": 50,
    }}));
    let (records, point) = quadratic.run(Method::Sgd, 0.05, 1, &config);
    let rows = kind::<Alignment>(&records);
    let (grad, moment) = (quadratic.grad(&point), quadratic.moment());
    let full = (grad.transpose() * &moment * &grad).trace() / grad.norm_squared();
    let last = &rows[3];
    assert_eq!((last.batch_size, last.batches, last.is_exact()), (SAMPLES, 1, true));
    assert_eq!((last.deviation, last.standard_error), (Measured::MISSING, Measured::MISSING));
    assert!(close(last.mean, full, 1e-5) && close(last.predicted, full, 1e-5));
    assert_eq!((last.ratio_of_means_error, last.predicted_error), (Measured::MISSING, Measured::MISSING));
    assert!(close(last.stability_threshold, 40.0, 1e-12));
    // tr C and tr HC in closed form give Eq. 3's ratio of means for every size
    let residuals = quadratic.residuals(&point);
    let (mut of_c, mut of_hc) = (0.0, 0.0);
    for i in 0..SAMPLES {
        let x: DVector<f64> = quadratic.inputs.row(i).transpose();
        let residual = residuals.row(i).norm_squared();
        of_c += residual * x.norm_squared();
        of_hc += residual * x.dot(&(&moment * &x));
    }
    let n = SAMPLES as f64;
    let of_c = (of_c - n * grad.norm_squared()) / (n - 1.0);
    let of_hc = (of_hc - n * full * grad.norm_squared()) / (n - 1.0);
    for row in &rows[..3] {
        let f = 1.0 / row.batch_size as f64 - 1.0 / n;
        let expected = (full * grad.norm_squared() + f * of_hc) / (grad.norm_squared() + f * of_c);
        let (predicted, error) = (row.predicted.or_nan(), row.predicted_error.or_nan());
        assert!((predicted - expected).abs() < 4.0 * error, "{predicted} {error} {expected}");
        let own_error = row.ratio_of_means_error.or_nan();
        let apart = (row.ratio_of_means.or_nan() - expected).abs();
        assert!(apart < 4.0 * own_error, "B = {}: {apart}", row.batch_size);
        assert!(own_error < 0.2 * expected && error < 0.2 * expected);
    }
    // a standard error below the requested one ends it early
    let config = probes(serde_json::json!({ "alignment": {
        "when": { "at_end_of_epochs": true }, "batch_sizes": [64], "relative_error": 0.2, "hessian": "batch",
    }}));
    let (records, _) = quadratic.run(Method::Sgd, 0.05, 1, &config);
    let rows = kind::<Alignment>(&records);
    assert!(rows[0].batches < 50 && rows[0].standard_error.or_nan() <= 0.2 * rows[0].mean.or_nan());
    assert_eq!((rows[0].hessian_samples, rows[0].predicted), (64, Measured::MISSING));
}

#[test]
fn consecutive_gradients_turn_back_where_the_step_is_longer_than_the_curvature_allows() {
    let quadratic = Quadratic::new();
    let config = probes(serde_json::json!({
        "cosine": {}, "alignment": { "when": {}, "batch_sizes": [200] }, "distance": {},
    }));
    let mut signs = vec![];
    for lr in [0.02, 0.15, 0.24] {
        let (records, _) = quadratic.run(Method::Gd, lr, 6, &config);
        let alignments = kind::<Alignment>(&records);
        let cosines = kind::<Cosine>(&records);
        for alignment in &alignments {
            // A at θ_s is of the gradient of update s + 1, whose cosine with that of update s + 2 comes with the latter
            let Some(cosine) = cosines.iter().find(|row| row.at.step == alignment.at.step + 2) else {
                continue;
            };
            let turns = lr * alignment.mean.or_nan() > 1.0;
            assert_eq!(cosine.cosine.or_nan() < 0.0, turns, "{lr} {}", alignment.at.step);
            assert_eq!(cosine.cosine, cosine.cosine_with_decay);
            signs.push(turns);
        }
    }
    assert!(signs.contains(&true) && signs.contains(&false));
}
