//! Eigenvalues, trace and density are those of the second moment of the inputs.

use super::*;

#[test]
fn the_spectrum_is_that_of_the_inputs_second_moment() {
    let quadratic = Quadratic::new();
    let at_end = serde_json::json!({ "epochs": [1, 2], "at_end_of_epochs": true });
    let config = probes(serde_json::json!({ "spectrum": {
        "when": at_end, "values": 10, "tolerance": 1e-3, "steps": 300, "random_vectors": 30, "density_steps": 20,
        "chunk": 64,
    }}));
    let (records, point) = quadratic.run(Method::Sgd, 0.05, 2, &config);
    let rows = kind::<Spectrum>(&records);
    let mut expected: Vec<f64> =
        SymmetricEigen::new(quadratic.moment()).eigenvalues.iter().copied().collect();
    expected.sort_by(|a, b| b.total_cmp(a));
    for row in &rows {
        assert_eq!((row.values.len(), row.samples, row.train_samples), (10, SAMPLES, SAMPLES));
        assert_eq!((row.asked, row.completeness), (10, Completeness::Verified));
        // each eigenvalue occurs once per class
        for (found, residual) in numbers(&row.values).iter().zip(numbers(&row.residuals)) {
            assert!(residual <= 1e-3 * expected[0]);
            assert!(
                (found - expected[0]).abs() < 1e-5 * expected[0],
                "{found} +- {residual} {}",
                expected[0]
            );
        }
        assert!(close(row.stability_threshold, 40.0, 1e-12) && close(row.small_batch_plateau, 40.0, 1e-12));
        let (trace, error) = (row.trace.or_nan(), row.trace_error.or_nan());
        let exact = CLASSES as f64 * expected.iter().sum::<f64>();
        assert!((trace - exact).abs() < 4.0 * error && error < 0.2 * exact, "{trace} {error} {exact}");
        let density = row.density.as_ref().unwrap();
        assert_eq!((density.nodes.len(), density.nodes[0].len()), (30, 20));
        assert!(density.weights.iter().all(|w| close(numbers(w).iter().sum::<f64>(), 1.0, 1e-9)));
        let mean: f64 = density
            .nodes
            .iter()
            .zip(&density.weights)
            .map(|(nodes, weights)| {
                let (nodes, weights) = (numbers(nodes), numbers(weights));
                nodes.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>() / 30.0
            })
            .sum();
        assert!(close(mean * 650.0, trace, 1e-9));
    }
    // the gradient's share in the ten eigenvectors of the largest value
    let eigen = SymmetricEigen::new(quadratic.moment());
    let first = (0..65).max_by(|&a, &b| eigen.eigenvalues[a].total_cmp(&eigen.eigenvalues[b])).unwrap();
    let grad = quadratic.grad(&point);
    let along = (eigen.eigenvectors.column(first).transpose() * &grad).norm_squared();
    assert!(close(rows[1].gradient_share, along / grad.norm_squared(), 1e-3));
    assert!(close(rows[1].grad_norm_sq, grad.norm_squared(), 1e-5));
}

#[test]
fn a_spectrum_starts_from_the_eigenvectors_found_before() {
    let section = serde_json::json!({ "when": {}, "values": 1, "tolerance": 1e-3 });
    let config = probes(serde_json::json!({ "spectrum": section }));
    let (records, _) = Quadratic::new().run(Method::Sgd, 0.05, 1, &config);
    let rows = kind::<Spectrum>(&records);
    let products: Vec<usize> = rows.iter().map(|row| row.products).collect();
    assert!(products[1..].iter().all(|&later| later < products[0]), "{products:?}");
    assert!(rows.iter().all(|row| close(row.values[0], rows[0].values[0].or_nan(), 1e-5)));
}

#[test]
fn subsets_say_how_far_the_eigenvalues_of_one_lie_from_anothers() {
    let (quadratic, size) = (Quadratic::new(), 40);
    let spectrum = |subsets: usize| {
        serde_json::json!({ "spectrum": {
            "when": { "at_end_of_epochs": true }, "values": 1, "tolerance": 1e-4, "samples": size, "subsets": subsets,
        }})
    };
    let (records, _) = quadratic.run(Method::Sgd, 0.05, 1, &probes(spectrum(3)));
    let row = &kind::<Spectrum>(&records)[0];
    let exact = |subset: usize| {
        let inputs = quadratic.inputs.rows(subset * size, size);
        SymmetricEigen::new(inputs.transpose() * inputs / size as f64).eigenvalues.max()
    };
    let exact: Vec<f64> = (0..3).map(exact).collect();
    let subsets = row.subsets.as_ref().unwrap();
    assert_eq!((subsets.values.len(), &subsets.values[0]), (3, &row.values));
    for (found, exact) in subsets.values.iter().zip(&exact) {
        assert!(close(found[0], *exact, 1e-4), "{found:?} {exact}");
    }
    let mean = exact.iter().sum::<f64>() / 3.0;
    let deviation = (exact.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    assert!(close(subsets.deviations[0], deviation, 1e-2), "{:?} {deviation}", subsets.deviations);
    let (records, _) = quadratic.run(Method::Sgd, 0.05, 1, &probes(spectrum(1)));
    let alone = &kind::<Spectrum>(&records)[0];
    assert_eq!((&alone.subsets, &alone.values), (&None, &row.values));
    // more than there are samples for
    let refused = |section: serde_json::Value| {
        let config: ProbeConfig = serde_json::from_value(section).unwrap();
        let (optim, ranks): (_, Arc<dyn Ranks>) = (crate::optim::tests::config(), Arc::new(Solo));
        let (model, train, seed) = (&quadratic.model, &quadratic.split.train, Seed(1));
        let context = ProbeContext { model, train, optim: &optim, seed, ranks: &ranks };
        let error = config.check(1, 4).and_then(|()| config.probes(context).map(|_| ())).unwrap_err();
        error.to_string()
    };
    let expected = "`probe.spectrum.subsets` = 6, expected at most 5, the number of subsets of 40 that fit in 200 samples";
    assert_eq!(refused(spectrum(6)), expected);
    let all = serde_json::json!({ "spectrum": { "when": {}, "subsets": 2 } });
    assert!(refused(all).starts_with("`probe.spectrum.subsets` = 2, expected 1: `samples`"));
}
