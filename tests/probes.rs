//! The probes against PyTorch, for the same parameters and data: fixtures made by scripts/make_probe_fixtures.py.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use serde::Deserialize;
use walk_arch::{Network, OptionValues, Options, Problem};
use walk_core::{Fused, Loss, Model, Seed};
use walk_data::{Images, Part, Preprocess, Split, SplitConfig};
use walk_record::rows::{Alignment, GradientUnit, Kind, Matrix, Spectrum};
use walk_record::{Measured, RecordError, Row, rows_of};
use walk_train::probe::{ProbeConfig, ProbeContext};
use walk_train::{OptimConfig, Position, Ranks, Sink, Solo, TrainConfig, TrainState, train};

use crate::networks::{numbers, point};
use crate::support::root;

/// The images and networks that PyTorch used.
#[derive(Deserialize)]
pub(crate) struct Fixture {
    side: usize,
    classes: usize,
    pub(crate) samples: usize,
    chunk: usize,
    part: usize,
    lr: f64,
    adam_lr: f64,
    adam_epsilon: f64,
    weight_decay: f64,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    batch_norm: bool,
    activation: String,
    names: Vec<String>,
    steps: Vec<Step>,
    /// The largest eigenvalues of Adam's preconditioned Hessian after each of its steps.
    preconditioned: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Step {
    cosine: Option<f64>,
    cosine_with_decay: Option<f64>,
    distance: f64,
    alignment: f64,
    alignment_of_part: f64,
    eigenvalues: Vec<f64>,
    trace: f64,
    gradient_share: f64,
    grad_norm_sq: f64,
    tr_c: f64,
    noise: Vec<f64>,
    change: f64,
    slope: f64,
    curvature: f64,
    /// By name, or for a block of the Hessian by the pattern of its parameters.
    matrices: BTreeMap<String, MatrixOfPytorch>,
}

#[derive(Deserialize)]
struct MatrixOfPytorch {
    values: Vec<f64>,
    trace: f64,
}

/// The fixture's images in its order, and a validation image more.
fn images(fixture: &Fixture) -> Images {
    let pixels = fixture.side * fixture.side;
    let mut bytes: Vec<u8> = numbers(1, fixture.samples * pixels)
        .iter()
        .map(|u| ((u + 0.5) * 256.0).floor().clamp(0.0, 255.0) as u8)
        .collect();
    bytes.extend(vec![0; pixels]);
    Images {
        pixels: bytes,
        labels: (0..=fixture.samples).map(|i| (i * 7 % fixture.classes) as u16).collect(),
        shape: [1, fixture.side, fixture.side],
        classes: (0..fixture.classes).map(|class| class.to_string()).collect(),
        max: 255,
        official: None,
        remarks: vec![],
    }
}

/// The fixture's images, stored such that their mixed order is the fixture's.
pub(crate) fn split(fixture: &Fixture) -> Split {
    let config = SplitConfig {
        train: Some(Part::Count(fixture.samples)),
        valid: Some(Part::Count(1)),
        ..SplitConfig::default()
    };
    let split =
        |images| Split::new(images, Some(Preprocess { mean: vec![0.5], std: vec![1.0] }), &config).unwrap();
    let (original, mut stored) = (images(fixture), images(fixture));
    let len = fixture.side * fixture.side;
    for (index, &place) in split(images(fixture)).train.mixed().iter().enumerate() {
        stored.pixels[place * len..][..len].copy_from_slice(&original.pixels[index * len..][..len]);
        stored.labels[place] = original.labels[index];
    }
    split(stored)
}

/// Keeps every row.
pub(crate) struct Rows(pub(crate) Vec<Row>);

impl Sink for Rows {
    fn row(&mut self, row: &Row) -> Result<(), RecordError> {
        self.0.push(row.clone());
        Ok(())
    }
    fn begins(&mut self, _: Position, _: &'static str) {}
}

/// The optimizer of full-batch gradient descent on the fixture's images with these values.
pub(crate) fn descent(fixture: &Fixture, mut optim: serde_json::Value, epochs: u32) -> OptimConfig {
    optim["method"] = "gd".into();
    optim["batch_size"] = fixture.chunk.into();
    let mut optim: OptimConfig = serde_json::from_value(optim).unwrap();
    optim.resolve(epochs);
    optim.check(fixture.samples).unwrap();
    optim
}

/// The network of a case.
pub(crate) fn network(fixture: &Fixture, activation: &str, batch_norm: bool) -> Network {
    let problem = Problem { input: vec![1, fixture.side, fixture.side], classes: fixture.classes };
    let options = serde_json::json!({ "widths": [9, 6], "activation": activation, "batch_norm": batch_norm });
    let options: OptionValues = serde_json::from_value(options).unwrap();
    let options = mlp::MlpOptions::from_values(&options).unwrap();
    mlp::build(&options, &problem).unwrap().check(&problem).unwrap()
}

/// Every row of a run of full-batch gradient descent with these probes.
fn run(fixture: &Fixture, case: &Case, probes: serde_json::Value) -> Vec<Row> {
    let optim = serde_json::json!({ "lr": fixture.lr, "weight_decay": fixture.weight_decay });
    run_by(fixture, case, optim, probes)
}

/// The same with other values of the optimizer.
fn run_by(fixture: &Fixture, case: &Case, optim: serde_json::Value, probes: serde_json::Value) -> Vec<Row> {
    let split = split(fixture);
    let network = network(fixture, &case.activation, case.batch_norm);
    let start = TrainState::new(point(&network, &case.names));
    let model = Model::new(Rc::new(Fused::default()), network, Loss::CrossEntropy);
    let epochs = case.steps.len() as u32;
    let config =
        TrainConfig { epochs, seed: Seed(1), optim: descent(fixture, optim, epochs), record_order: false };
    let probes: ProbeConfig = serde_json::from_value(probes).unwrap();
    let ranks: Arc<dyn Ranks> = Arc::new(Solo);
    let (optim, seed) = (&config.optim, config.seed);
    let context = ProbeContext { model: &model, train: &split.train, optim, seed, ranks: &ranks };
    let mut probes = probes.probes(context).unwrap();
    let mut rows = Rows(vec![]);
    train(&model, &split, &config, start, &mut probes, &mut rows, &ranks).unwrap();
    rows.0
}

pub(crate) fn fixture() -> Fixture {
    let path: &Path = &root().join("tests/fixtures/probes.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The tolerances wanted are 1e-5 for cosines and distances, 1e-3 for Eq. 4, eigenvalues and tr C; the test holds to a tenth.
#[track_caller]
fn close(found: Measured, expected: f64, tolerance: f64) {
    let found = found.or_nan();
    let error = (found - expected).abs() / expected.abs().max(1e-3);
    assert!(error < 0.1 * tolerance, "{found} {expected}: off by {error:e}");
}

#[test]
fn every_probe_agrees_with_pytorch() {
    let fixture = fixture();
    for case in &fixture.cases {
        let (n, chunk) = (fixture.samples, fixture.chunk);
        let alignment = |part: usize| serde_json::json!({ "when": {}, "batch_sizes": [n], "chunk": chunk, "hessian_samples": part });
        let rows = run(
            &fixture,
            case,
            serde_json::json!({
                "cosine": {}, "distance": {}, "alignment": alignment(n),
                "spectrum": { "when": {}, "chunk": chunk, "tolerance": 1e-4, "random_vectors": 100, "gradient_noise": true },
                "covariance": { "when": {}, "chunk": chunk },
                "quadratic": { "when": {}, "chunk": chunk },
            }),
        );
        let step = |at: u64| &case.steps[at as usize - 1];
        let mut seen = 0;
        for row in &rows {
            let at = row.at.step;
            match &row.kind {
                Kind::Cosine(row) => {
                    close(row.cosine, step(at).cosine.unwrap(), 1e-5);
                    close(row.cosine_with_decay, step(at).cosine_with_decay.unwrap(), 1e-5);
                }
                Kind::Distance(row) => close(row.distance, step(at).distance, 1e-5),
                Kind::Alignment(row) => close(row.mean, step(at).alignment, 1e-3),
                Kind::Spectrum(row) => {
                    let expected = step(at);
                    for (found, expected) in row.values.iter().zip(&expected.eigenvalues) {
                        close(*found, *expected, 1e-3);
                    }
                    close(row.gradient_share, expected.gradient_share, 1e-3);
                    close(row.grad_norm_sq, expected.grad_norm_sq, 1e-3);
                    for (found, expected) in row.gradient_noise.as_ref().unwrap().iter().zip(&expected.noise)
                    {
                        close(*found, *expected, 1e-2);
                    }
                    let (trace, error) = (row.trace.or_nan(), row.trace_error.or_nan());
                    assert!((trace - expected.trace).abs() < 4.0 * error, "{trace} {error}");
                    assert!(error < 0.2 * expected.trace.abs());
                }
                Kind::Quadratic(row) => {
                    // the change is a difference of two losses of about 1.6
                    close(row.change, step(at).change, 1e-3);
                    close(row.slope, step(at).slope, 1e-4);
                    close(row.curvature, step(at).curvature, 1e-3);
                }
                Kind::Covariance(row) => {
                    let unit = if case.batch_norm {
                        (GradientUnit::Chunk, chunk)
                    } else {
                        (GradientUnit::Sample, 1)
                    };
                    assert_eq!((row.unit, row.unit_size), unit);
                    close(row.trace, step(at).tr_c, 1e-3);
                }
                _ => continue,
            }
            seen += 1;
        }
        assert_eq!(seen, 2 + 5 * case.steps.len(), "{}", case.name);
        let rows = run(&fixture, case, serde_json::json!({ "alignment": alignment(fixture.part) }));
        for row in rows_of::<Alignment>(&rows) {
            close(row.mean, step(row.at.step).alignment_of_part, 1e-3);
        }
    }
}

#[test]
fn gauss_newton_fisher_and_blocks_agree_with_pytorch() {
    let fixture = fixture();
    for case in &fixture.cases {
        let matrices = match case.batch_norm {
            false => vec!["hessian", "gauss_newton", "empirical_fisher"],
            true => vec!["hessian", "gauss_newton"],
        };
        let spectrum = serde_json::json!({
            "when": {}, "chunk": fixture.chunk, "tolerance": 1e-5, "values": 3, "by_layer": true, "random_vectors": 200,
            "matrices": matrices,
        });
        let rows = run(&fixture, case, serde_json::json!({ "spectrum": spectrum }));
        let mut compared = 0;
        for row in rows_of::<Spectrum>(&rows) {
            let matrices = &case.steps[row.at.step as usize - 1].matrices;
            let expected = match (row.matrix, row.is_whole()) {
                // for cross-entropy, the Fisher information is the Gauss-Newton matrix
                (Matrix::GaussNewton, true) => vec![&matrices["gauss_newton"], &matrices["fisher"]],
                (Matrix::EmpiricalFisher, true) => vec![&matrices["empirical_fisher"]],
                (Matrix::Hessian, false) => vec![&matrices[&row.parameters]],
                _ => continue,
            };
            for MatrixOfPytorch { values, trace } in expected {
                for (found, expected) in row.values.iter().zip(values) {
                    close(*found, *expected, 1e-3);
                }
                let (found, error) = (row.trace.or_nan(), row.trace_error.or_nan());
                assert!((found - trace).abs() < 4.0 * error, "{found} {error} {trace}");
            }
            compared += 1;
        }
        let layers = if case.batch_norm { 5 } else { 3 };
        assert_eq!(compared, case.steps.len() * (layers + matrices.len() - 1), "{}", case.name);
    }
}

#[test]
fn the_preconditioned_hessian_of_adam_agrees_with_pytorch() {
    let fixture = fixture();
    for case in &fixture.cases {
        let optim = serde_json::json!({
            "rule": "adam", "lr": fixture.adam_lr, "weight_decay": fixture.weight_decay,
            "adam": { "epsilon": fixture.adam_epsilon },
        });
        let spectrum = serde_json::json!({
            "when": {}, "chunk": fixture.chunk, "tolerance": 1e-5, "values": 3, "matrices": ["preconditioned"],
        });
        let rows = run_by(&fixture, case, optim, serde_json::json!({ "spectrum": spectrum }));
        let mut compared = 0;
        for (row, expected) in rows_of::<Spectrum>(&rows).zip(&case.preconditioned) {
            row.values.iter().zip(expected).for_each(|(found, expected)| close(*found, *expected, 1e-3));
            // (2 + 2 * 0.9) / 0.1 / lr
            close(row.stability_threshold, 38.0 / fixture.adam_lr, 1e-9);
            compared += 1;
        }
        assert_eq!(compared, case.steps.len(), "{}", case.name);
    }
}
