//! The noise of the loss at one point.

use super::*;

#[test]
fn the_noise_of_a_fixed_evaluation_is_rounding() {
    let quadratic = Quadratic::new();
    let config = probes(serde_json::json!({ "noise": { "when": { "at_end_of_epochs": true } } }));
    let (records, point) = quadratic.run(Method::Sgd, 0.05, 1, &config);
    let rows = kind::<Noise>(&records);
    let loss = quadratic.loss(&point);
    assert!(close(rows[0].mean_loss, loss, 1e-6));
    // f32 has 24 bits; sums over 64 products of some size do not reach further than a few hundred times that
    let sigma = rows[0].sigma.or_nan();
    assert!(sigma > 0.0 && sigma < 1e-5 * loss, "{sigma:e}");
    let rounding = rows[0].rounding.as_ref().unwrap();
    assert_eq!(rounding.samples, SAMPLES);
    let (mean, sigma) = (rounding.mean.or_nan(), rounding.sigma.or_nan());
    assert!(sigma > 0.0 && sigma < 1e-6 * loss && mean.abs() < 1e-6 * loss);
}

#[test]
fn the_noise_of_a_paper_evaluation_has_rounding_too() {
    // without batch norm and augmentation the order of samples leaves no noise but that of a sum in f64
    let quadratic = Quadratic::new();
    let sigma = |evaluation: &str| {
        let noise = serde_json::json!({ "when": { "at_end_of_epochs": true }, "evaluation": evaluation });
        let (records, _) =
            quadratic.run(Method::Sgd, 0.05, 1, &probes(serde_json::json!({ "noise": noise })));
        kind::<Noise>(&records)[0].sigma.or_nan()
    };
    let (fixed, paper) = (sigma("fixed"), sigma("paper"));
    // two estimates from ten evaluations each: F of 9 and 9 degrees of freedom is between 1/20 and 20 but for 1 in 10,000
    assert!((0.05..20.0).contains(&(paper / fixed).powi(2)), "{fixed:e} {paper:e}");
}
