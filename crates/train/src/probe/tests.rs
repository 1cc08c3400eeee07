//! Every probe on a linear network with squared error, whose loss is quadratic: the results are known in closed form.

use std::rc::Rc;
use std::sync::Arc;

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use walk_arch::{Net, Problem, flatten, linear};
use walk_core::{Fused, Loss, Model, Point, Samples, Seed};
use walk_data::{DataConfig, DataSet, Part, Split};
use walk_record::rows::{
    Alignment, Completeness, Cosine, Covariance, CriticalLr, CriticalLrOutcome, GradientUnit, Line, Noise,
    Plane, RowKind, Spectrum,
};
use walk_record::{Measured, Row, Stamped, rows_of};

use super::*;
use crate::samples::Fixed;
use crate::test_support::Rows;
use crate::{Method, OptimConfig, Ranks, Solo, TrainConfig, TrainState, point_tensors, train};

const SAMPLES: usize = 200;
const CLASSES: usize = 10;

/// z = W x + b on the digits; L = 1/N Σ ½ ‖z - y‖².
struct Quadratic {
    split: Split,
    model: Model,
    /// One row (x, 1) per sample.
    inputs: DMatrix<f64>,
    /// One row y per sample.
    targets: DMatrix<f64>,
}

impl Quadratic {
    fn new() -> Self {
        let config = DataConfig {
            train: Some(Part::Count(SAMPLES)),
            valid: Some(Part::Count(20)),
            ..DataConfig::new(DataSet::Digits)
        };
        let split = config.load().unwrap();
        let problem = Problem { input: vec![1, 8, 8], classes: CLASSES };
        let net = Net::new();
        let mut layers = net.sequential("");
        layers.push(flatten()).push(linear(CLASSES));
        let network = net.finish(layers.output()).check(&problem).unwrap();
        let model = Model::new(Rc::new(Fused::default()), network, Loss::SquaredError);
        let (mut values, mut labels) = (vec![0.0; SAMPLES * 64], vec![0; SAMPLES]);
        Fixed(&split.train).fill(0..SAMPLES, &mut values, &mut labels);
        let inputs = DMatrix::from_fn(SAMPLES, 65, |row, column| {
            if column < 64 { f64::from(values[row * 64 + column]) } else { 1.0 }
        });
        let targets =
            DMatrix::from_fn(SAMPLES, CLASSES, |row, class| f64::from(u8::from(labels[row] == class)));
        Self { split, model, inputs, targets }
    }

    /// M = 1/N Σ (x, 1)(x, 1)ᵀ: the Hessian has M once per class.
    fn moment(&self) -> DMatrix<f64> {
        self.inputs.transpose() * &self.inputs / SAMPLES as f64
    }

    /// (W, b) as `[65, classes]`.
    fn weights(&self, point: &Point) -> DMatrix<f64> {
        let params = &point.params;
        DMatrix::from_fn(65, CLASSES, |row, class| {
            f64::from(if row < 64 { params[class * 64 + row] } else { params[CLASSES * 64 + class] })
        })
    }

    /// z - y, one row per sample.
    fn residuals(&self, point: &Point) -> DMatrix<f64> {
        &self.inputs * self.weights(point) - &self.targets
    }

    /// ḡ as `[65, classes]`.
    fn grad(&self, point: &Point) -> DMatrix<f64> {
        self.inputs.transpose() * self.residuals(point) / SAMPLES as f64
    }

    fn loss(&self, point: &Point) -> f64 {
        0.5 * self.residuals(point).norm_squared() / SAMPLES as f64
    }

    /// Trains with `probes`; every row, and the last point.
    fn run(&self, method: Method, lr: f64, epochs: u32, probes: &ProbeConfig) -> (Vec<Row>, Point) {
        self.run_on(Arc::new(Solo), (method, lr, epochs), probes)
    }

    fn run_on(
        &self,
        ranks: Arc<dyn Ranks>,
        (method, lr, epochs): (Method, f64, u32),
        probes: &ProbeConfig,
    ) -> (Vec<Row>, Point) {
        let batch_size = if method == Method::Gd { SAMPLES } else { 50 };
        let optim =
            OptimConfig { method, lr, batch_size, weight_decay: 0.0, ..crate::optim::tests::config() };
        let config = TrainConfig { epochs, seed: Seed(3), optim, record_order: false };
        let (model, train_part) = (&self.model, &self.split.train);
        let (optim, seed) = (&config.optim, config.seed);
        let mut active =
            probes.probes(ProbeContext { model, train: train_part, optim, seed, ranks: &ranks }).unwrap();
        let mut rows = Rows::default();
        let start = TrainState::new(self.model.initial(Seed(3)));
        let end = train(&self.model, &self.split, &config, start, &mut active, &mut rows, &ranks).unwrap();
        (rows.0, end.point)
    }
}

/// The sections of a TOML text, as an experiment has them under `[probe]`.
fn probes(text: serde_json::Value) -> ProbeConfig {
    let probes: ProbeConfig = serde_json::from_value(text).unwrap();
    probes.check(100, 4).unwrap();
    probes
}

/// The rows of one kind.
fn kind<T: RowKind>(records: &[Row]) -> Vec<Stamped<'_, T>> {
    rows_of(records).collect()
}

fn numbers(values: &[Measured]) -> Vec<f64> {
    values.iter().map(|value| value.or_nan()).collect()
}

fn close(found: impl Into<Measured>, expected: f64, relative: f64) -> bool {
    (found.into().or_nan() - expected).abs() <= relative * expected.abs()
}

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

#[test]
fn the_critical_learning_rate_is_that_of_the_quadratic() {
    let quadratic = Quadratic::new();
    let start = quadratic.model.initial(Seed(3));
    let (grad, residuals) = (quadratic.grad(&start), quadratic.residuals(&start));
    // of the loss of the first n samples while the update is that of all: 2 ḡᵀg / gᵀHg with ḡ and H of the n
    let exact = |n: usize| {
        let inputs = quadratic.inputs.rows(0, n);
        let own = inputs.transpose() * residuals.rows(0, n) / n as f64;
        let curvature = (inputs * &grad).norm_squared() / n as f64;
        2.0 * own.dot(&grad) / curvature
    };
    for samples in [SAMPLES, 60] {
        // the update itself stops before the crossing, or goes past it
        for lr in [0.01, 2.0] {
            let config = probes(serde_json::json!({ "critical_lr": {
                "when": {}, "samples": samples, "chunk": 25, "tolerance": 1e-3,
            }}));
            let (records, _) = quadratic.run(Method::Gd, lr, 1, &config);
            let row = &kind::<CriticalLr>(&records)[0];
            let expected = exact(samples);
            assert_eq!((row.outcome, row.samples), (CriticalLrOutcome::Crossing, samples));
            // losses are those of f32 outputs: a relative error of 1e-7 over a depth of a tenth or so
            assert!(close(row.critical_lr, expected, 1e-5), "{lr}: {} {expected}", row.critical_lr);
            assert!(close(row.critical_sharpness, 2.0 / expected, 1e-5));
            assert!(row.bracket_width.or_nan() <= 2e-3 * expected && row.evaluations <= 20);
        }
    }
}

#[test]
fn a_line_and_a_plane_are_the_quadratic_itself() {
    let quadratic = Quadratic::new();
    let when = serde_json::json!({ "at_end_of_epochs": true, "epochs": [4] });
    let plane = |directions: &str| {
        let points = 5;
        let trajectory = serde_json::json!({ "every": 2 });
        serde_json::json!({ "when": when, "directions": directions, "points": points, "trajectory": trajectory })
    };
    let config =
        probes(serde_json::json!({ "line": { "when": when, "points": 11 }, "plane": plane("principal") }));
    let (records, point) = quadratic.run(Method::Sgd, 0.05, 4, &config);
    let line = kind::<Line>(&records);
    let start = quadratic.model.initial(Seed(3));
    let exact = |alpha: f64| {
        let params = start.params.iter().zip(&point.params);
        let params = params.map(|(a, b)| ((1.0 - alpha) * f64::from(*a) + alpha * f64::from(*b)) as f32);
        quadratic.loss(&Point { params: params.collect(), buffers: vec![] })
    };
    assert_eq!((line.len(), line[0].from.as_str(), line[0].at.step), (1, "start", 16));
    for (alpha, loss) in line[0].alphas.iter().zip(&line[0].losses) {
        assert!(close(*loss, exact(*alpha), 1e-5), "{alpha}");
    }
    assert!(line[0].monotone == Some(true) && line[0].loss_barrier.or_nan() > 0.0);

    let planes = kind::<Plane>(&records);
    let found = &planes[0];
    let (grid_x, grid_y) = (numbers(&found.x), numbers(&found.y));
    assert_eq!((found.trajectory.len(), found.losses.len(), found.losses[0].len()), (10, 5, 5));
    // the grid contains the whole trajectory with a margin, and the start is at the measured distance
    let [x, y] = found.trajectory[0].map(Measured::or_nan);
    assert!(grid_x[0] < x && x < grid_x[4] && grid_y[0] < y && y < grid_y[4]);
    let length = line[0].length.or_nan();
    assert!(x.hypot(y) <= length + 1e-4 && x.hypot(y) > 0.9 * length);
    let explained = found.explained.unwrap().map(Measured::or_nan);
    assert!(explained[0] > explained[1] && explained[0] + explained[1] <= 1.0 + 1e-9);
    // on a quadratic the third differences vanish
    for row in &found.losses {
        let row = numbers(row);
        let third = row[3] - 3.0 * row[2] + 3.0 * row[1] - row[0];
        assert!(third.abs() < 1e-5 * row[0].max(row[3]), "{third:e}");
    }

    let config = probes(serde_json::json!({ "plane": plane("random") }));
    let (records, point) = quadratic.run(Method::Sgd, 0.05, 4, &config);
    let planes = kind::<Plane>(&records);
    assert!(close(planes[0].losses[2][2], quadratic.loss(&point), 1e-6));
    // a random direction has the length of the weights: filters are scaled to them, biases stay
    assert_eq!((planes[0].x[0], planes[0].x[4], planes[0].explained), ((-1.0).into(), 1.0.into(), None));
}

#[test]
fn a_line_between_two_runs_begins_at_the_checkpoint() {
    let quadratic = Quadratic::new();
    let (_, other) = quadratic.run(Method::Sgd, 0.02, 1, &ProbeConfig::default());
    let dir = tempfile::tempdir().unwrap();
    let tensors = point_tensors(quadratic.model.network(), &other);
    let file = dir.path().join("other.safetensors");
    std::fs::write(&file, walk_record::checkpoint_bytes(&tensors).unwrap()).unwrap();
    let line = |from: &std::path::Path| {
        let when = serde_json::json!({ "at_end_of_epochs": true });
        probes(serde_json::json!({ "line": { "when": when, "points": 3, "from": from } }))
    };
    let (records, _) = quadratic.run(Method::Sgd, 0.05, 1, &line(&file));
    let rows = kind::<Line>(&records);
    assert!(close(rows[0].losses[0], quadratic.loss(&other), 1e-6));
    let ranks: Arc<dyn Ranks> = Arc::new(Solo);
    let context = |probes: &ProbeConfig| {
        let optim = crate::optim::tests::config();
        let (model, train) = (&quadratic.model, &quadratic.split.train);
        probes
            .probes(ProbeContext { model, train, optim: &optim, seed: Seed(1), ranks: &ranks })
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let missing = context(&line(&dir.path().join("none.safetensors")));
    assert!(
        missing.contains("`probe.line.from` = ") && missing.contains("a readable safetensors file"),
        "{missing}"
    );
    std::fs::write(&file, walk_record::checkpoint_bytes(&tensors[..1]).unwrap()).unwrap();
    let wrong = context(&line(&file));
    assert!(
        wrong.contains("a tensor `1.bias` of shape [10]; the most similar names in the file are `1.weight`"),
        "{wrong}"
    );
}

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

#[test]
fn any_number_of_ranks_gives_the_same_bits() {
    let when = serde_json::json!({ "at_end_of_epochs": true });
    let config = probes(serde_json::json!({
        "interpolation": { "chunk": 20 },
        "noise": { "when": when, "evaluations": 2, "reference_samples": 20 },
        "alignment": { "when": when, "batch_sizes": [20, 100], "batches": 3, "chunk": 10 },
        "covariance": { "when": when, "batch_sizes": [50], "batches": 2, "chunk": 7 },
        "spectrum": { "when": when, "values": 2, "steps": 6, "random_vectors": 1, "density_steps": 3, "chunk": 9 },
        "critical_lr": { "when": when },
        "line": { "when": when, "points": 3 },
        "plane": { "when": when, "points": 3 },
    }));
    let run = |ranks| Quadratic::new().run_on(ranks, (Method::Sgd, 0.05, 2), &config);
    let (rows, point) = run(Arc::new(Solo));
    assert_eq!(rows.len(), 8 + 8 + 2 * (1 + 1 + 2 + 1 + 1 + 1 + 1 + 1));
    for size in [2, 3, 20] {
        for (rank, (found, end)) in crate::ranks::threads::on(size, run).into_iter().enumerate() {
            assert!(found == rows && end == point, "rank {rank} of {size} differs");
        }
    }
}
