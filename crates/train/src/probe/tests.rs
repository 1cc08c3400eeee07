//! Every probe on a linear network with squared error, whose loss is a quadratic: what it measures is known in closed form.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use walk_arch::{Net, Problem, flatten, linear};
use walk_core::{Fused, Loss, Model, Point, Samples};
use walk_data::{DataConfig, DataSet, Part, Split};
use walk_record::{AlignmentRow, CosineRow, CovarianceRow, LineRow, NoiseRow, PlaneRow, SpectrumRow};

use super::*;
use crate::samples::Fixed;
use crate::{Accumulate, Method, Sink, Solo, TrainConfig, TrainState, point_tensors, train};

const SAMPLES: usize = 200;
const CLASSES: usize = 10;

/// z = W x + b on the digits; L = 1/N Σ ½ ‖z - y‖².
struct Quadratic {
    split: Split,
    model: Model<Fused>,
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
        let model = Model::new(Fused::default(), network, Loss::SquaredError);
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
        let optim = OptimConfig {
            method,
            lr,
            batch_size,
            momentum: 0.0,
            weight_decay: 0.0,
            accumulate: Accumulate::Mean,
            replacement: false,
            drop_last: false,
        };
        let config = TrainConfig { epochs, seed: Seed(3), optim, record_order: false };
        let (model, train_part) = (&self.model, &self.split.train);
        let (optim, seed) = (&config.optim, config.seed);
        let mut active =
            probes.probes(Context { model, train: train_part, optim, seed, ranks: &ranks }).unwrap();
        let mut rows = Rows::default();
        let start = TrainState::new(self.model.initial(Seed(3)));
        let end = train(&self.model, &self.split, &config, start, &mut active, (&mut rows, &ranks)).unwrap();
        (rows.0, end.point)
    }
}

#[derive(Default)]
struct Rows(Vec<Row>);

impl Sink for Rows {
    fn row(&mut self, row: &Row) -> Result<(), walk_record::RecordError> {
        self.0.push(row.clone());
        Ok(())
    }
    fn progress(&mut self, _: Position, _: usize) {}
}

/// The sections of a TOML text, as an experiment has them under `[probe]`.
fn probes(text: serde_json::Value) -> ProbeConfig {
    let probes: ProbeConfig = serde_json::from_value(text).unwrap();
    probes.check(100, 4).unwrap();
    probes
}

/// The rows of one kind.
macro_rules! rows_of {
    ($rows:expr, $kind:ident) => {
        $rows.iter().filter_map(|row| if let Row::$kind(row) = row { Some(row) } else { None }).collect()
    };
}

fn close(found: f64, expected: f64, relative: f64) -> bool {
    (found - expected).abs() <= relative * expected.abs()
}

#[test]
fn the_spectrum_is_that_of_the_inputs_second_moment() {
    let quadratic = Quadratic::new();
    let at_end = serde_json::json!({ "epochs": [1, 2], "at_end_of_epochs": true });
    let config = probes(serde_json::json!({ "spectrum": {
        "when": at_end, "tolerance": 1e-3, "random_vectors": 30, "density_steps": 20, "chunk": 64,
    }}));
    let (rows, point) = quadratic.run(Method::Sgd, 0.05, 2, &config);
    let rows: Vec<&SpectrumRow> = rows_of!(rows, Spectrum);
    let mut expected: Vec<f64> =
        SymmetricEigen::new(quadratic.moment()).eigenvalues.iter().copied().collect();
    expected.sort_by(|a, b| b.total_cmp(a));
    for row in &rows {
        assert_eq!((row.values.len(), row.samples), (5, SAMPLES));
        // an eigenvalue comes once per class, and Lanczos finds some of the copies by f32's rounding
        let largest = row.values[0];
        let mut distinct: Vec<f64> = vec![];
        for (&found, &residual) in row.values.iter().zip(&row.residuals) {
            assert!(residual <= 1e-3 * largest);
            let nearest = expected.iter().map(|e| (found - e).abs()).fold(f64::INFINITY, f64::min);
            assert!(nearest <= residual + 1e-6 * largest, "{found} +- {residual}");
            if distinct.last().is_none_or(|last| last - found > 1e-2) {
                distinct.push(found);
            }
        }
        assert!(distinct.len() >= 2);
        for (found, expected) in distinct.iter().zip(&expected) {
            assert!((found - expected).abs() < 1e-4 * largest, "{distinct:?}");
        }
        let [trace, error] = row.trace.unwrap();
        let exact = CLASSES as f64 * expected.iter().sum::<f64>();
        assert!((trace - exact).abs() < 4.0 * error && error < 0.2 * exact, "{trace} {error} {exact}");
        let density = row.density.as_ref().unwrap();
        assert_eq!((density.nodes.len(), density.nodes[0].len()), (30, 20));
        assert!(density.weights.iter().all(|w| close(w.iter().sum(), 1.0, 1e-9)));
        let mean: f64 = density
            .nodes
            .iter()
            .zip(&density.weights)
            .map(|(nodes, weights)| nodes.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() / 30.0)
            .sum();
        assert!(close(mean * 650.0, trace, 1e-9));
    }
    // the eigenvectors are known by then
    assert!(rows[1].products < rows[0].products, "{} {}", rows[1].products, rows[0].products);
    // the gradient's share: of a value that comes once per class not every copy is found, so the eigenspaces' is a bound
    let eigen = SymmetricEigen::new(quadratic.moment());
    let mut order: Vec<usize> = (0..65).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    let grad = quadratic.grad(&point);
    let share: f64 = order[..5]
        .iter()
        .map(|&index| (eigen.eigenvectors.column(index).transpose() * &grad).norm_squared())
        .sum::<f64>()
        / grad.norm_squared();
    assert!(rows[1].gradient_share > 0.0 && rows[1].gradient_share <= share + 1e-5);
    assert!(close(rows[1].grad_norm_sq, grad.norm_squared(), 1e-5));
}

#[test]
fn the_covariance_is_that_of_known_gradients_and_batches_follow_eq_3() {
    let quadratic = Quadratic::new();
    let config = probes(serde_json::json!({ "covariance": {
        "when": { "at_end_of_epochs": true }, "batch_sizes": [5, 20, 100, 200], "batches": 200, "chunk": 30,
    }}));
    let (rows, point) = quadratic.run(Method::Sgd, 0.05, 1, &config);
    let rows: Vec<&CovarianceRow> = rows_of!(rows, Covariance);
    let (residuals, grad) = (quadratic.residuals(&point), quadratic.grad(&point));
    let squares: f64 =
        (0..SAMPLES).map(|i| residuals.row(i).norm_squared() * quadratic.inputs.row(i).norm_squared()).sum();
    let n = SAMPLES as f64;
    let expected = (squares - n * grad.norm_squared()) / (n - 1.0);
    let row = rows[0];
    assert!(close(row.trace, expected, 1e-5), "{} {expected}", row.trace);
    assert!(close(row.full_grad_norm_sq, grad.norm_squared(), 1e-5));
    assert_eq!((row.unit.as_str(), row.count, row.trace_error), ("sample", SAMPLES, 0.0));
    for check in &row.checks[..3] {
        assert!(close(check.predicted, (1.0 / check.batch_size as f64 - 1.0 / n) * expected, 1e-5));
        let apart = (check.measured - check.predicted).abs();
        assert!(apart < 4.0 * check.standard_error, "B = {}: {apart}", check.batch_size);
        assert!(check.standard_error < 0.1 * check.predicted);
    }
    // B = N: there is one batch
    assert_eq!((row.checks[3].measured, row.checks[3].predicted), (0.0, 0.0));
}

#[test]
fn the_alignment_is_that_of_known_gradients_and_eq_3_predicts_it() {
    let quadratic = Quadratic::new();
    let config = probes(serde_json::json!({ "alignment": {
        "when": { "at_end_of_epochs": true }, "batch_sizes": [4, 16, 64, 200], "batches": 100, "chunk": 50,
    }}));
    let (rows, point) = quadratic.run(Method::Sgd, 0.05, 1, &config);
    let rows: Vec<&AlignmentRow> = rows_of!(rows, Alignment);
    let (grad, moment) = (quadratic.grad(&point), quadratic.moment());
    let full = (grad.transpose() * &moment * &grad).trace() / grad.norm_squared();
    let last = rows[3];
    assert_eq!((last.batch_size, last.batches, last.deviation), (SAMPLES, 1, 0.0));
    assert!(close(last.mean, full, 1e-5) && close(last.predicted.unwrap()[0], full, 1e-5));
    assert!(close(last.two_over_lr, 40.0, 1e-12));
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
        let [predicted, error] = row.predicted.unwrap();
        assert!((predicted - expected).abs() < 4.0 * error, "{predicted} {error} {expected}");
        let apart = (row.ratio_of_means - expected).abs();
        assert!(apart < 4.0 * row.ratio_of_means_error, "B = {}: {apart}", row.batch_size);
        assert!(row.ratio_of_means_error < 0.2 * expected && error < 0.2 * expected);
    }
    // a smaller standard error than asked for ends it early
    let config = probes(serde_json::json!({ "alignment": {
        "when": { "at_end_of_epochs": true }, "batch_sizes": [64], "relative_error": 0.2, "hessian": "batch",
    }}));
    let (rows, _) = quadratic.run(Method::Sgd, 0.05, 1, &config);
    let rows: Vec<&AlignmentRow> = rows_of!(rows, Alignment);
    assert!(rows[0].batches < 50 && rows[0].standard_error <= 0.2 * rows[0].mean);
    assert_eq!((rows[0].hessian_samples, rows[0].predicted), (64, None));
}

#[test]
fn consecutive_gradients_turn_back_where_the_step_is_longer_than_the_curvature_allows() {
    let quadratic = Quadratic::new();
    let config = probes(serde_json::json!({
        "cosine": {}, "alignment": { "when": {}, "batch_sizes": [200] }, "distance": {},
    }));
    let mut signs = vec![];
    for lr in [0.02, 0.15, 0.24] {
        let (rows, _) = quadratic.run(Method::Gd, lr, 6, &config);
        let alignments: Vec<&AlignmentRow> = rows_of!(rows, Alignment);
        let cosines: Vec<&CosineRow> = rows_of!(rows, Cosine);
        for alignment in &alignments {
            // A at θ_s is of the gradient of update s + 1, whose cosine with that of update s + 2 comes with the latter
            let Some(cosine) = cosines.iter().find(|row| row.step == alignment.step + 2) else { continue };
            let turns = lr * alignment.mean > 1.0;
            assert_eq!(cosine.cosine.unwrap() < 0.0, turns, "{lr} {}", alignment.step);
            assert_eq!(cosine.cosine, cosine.cosine_with_decay);
            signs.push(turns);
        }
    }
    assert!(signs.contains(&true) && signs.contains(&false));
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
    let (rows, point) = quadratic.run(Method::Sgd, 0.05, 4, &config);
    let line: Vec<&LineRow> = rows_of!(rows, Line);
    let start = quadratic.model.initial(Seed(3));
    let exact = |alpha: f64| {
        let params = start.params.iter().zip(&point.params);
        let params = params.map(|(a, b)| ((1.0 - alpha) * f64::from(*a) + alpha * f64::from(*b)) as f32);
        quadratic.loss(&Point { params: params.collect(), buffers: vec![] })
    };
    assert_eq!((line.len(), line[0].from.as_str(), line[0].step), (1, "start", 16));
    for (alpha, loss) in line[0].alphas.iter().zip(&line[0].losses) {
        assert!(close(*loss, exact(*alpha), 1e-5), "{alpha}");
    }
    assert!(line[0].monotone && line[0].loss_barrier > 0.0);

    let planes: Vec<&PlaneRow> = rows_of!(rows, Plane);
    let found = planes[0];
    assert_eq!((found.trajectory.len(), found.losses.len(), found.losses[0].len()), (10, 5, 5));
    // the grid holds the whole trajectory with a margin, and the start lies where the distance says
    let [x, y] = found.trajectory[0];
    assert!(found.x[0] < x && x < found.x[4] && found.y[0] < y && y < found.y[4]);
    assert!(x.hypot(y) <= line[0].length + 1e-4 && x.hypot(y) > 0.9 * line[0].length);
    let explained = found.explained.unwrap();
    assert!(explained[0] > explained[1] && explained[0] + explained[1] <= 1.0 + 1e-9);
    // on a quadratic the third differences vanish
    for row in &found.losses {
        let third = row[3] - 3.0 * row[2] + 3.0 * row[1] - row[0];
        assert!(third.abs() < 1e-5 * row[0].max(row[3]), "{third:e}");
    }

    let config = probes(serde_json::json!({ "plane": plane("random") }));
    let (rows, point) = quadratic.run(Method::Sgd, 0.05, 4, &config);
    let planes: Vec<&PlaneRow> = rows_of!(rows, Plane);
    assert!(close(planes[0].losses[2][2], quadratic.loss(&point), 1e-6));
    // a random direction has the length of the weights: filters are scaled to them, biases stay
    assert_eq!((planes[0].x[0], planes[0].x[4], planes[0].explained), (-1.0, 1.0, None));
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
    let (rows, _) = quadratic.run(Method::Sgd, 0.05, 1, &line(&file));
    let rows: Vec<&LineRow> = rows_of!(rows, Line);
    assert!(close(rows[0].losses[0], quadratic.loss(&other), 1e-6));
    let ranks: Arc<dyn Ranks> = Arc::new(Solo);
    let context = |probes: &ProbeConfig| {
        let optim = crate::optim::tests::config();
        let (model, train) = (&quadratic.model, &quadratic.split.train);
        probes
            .probes(Context { model, train, optim: &optim, seed: Seed(1), ranks: &ranks })
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let missing = context(&line(&dir.path().join("none.safetensors")));
    assert!(missing.contains("`probe.line.from` = ") && missing.contains("can be read"), "{missing}");
    std::fs::write(&file, walk_record::checkpoint_bytes(&tensors[..1]).unwrap()).unwrap();
    let wrong = context(&line(&file));
    assert!(wrong.contains("whose tensor 1.bias is f32 of shape [10]; there is none"), "{wrong}");
}

#[test]
fn the_noise_of_a_fixed_evaluation_is_rounding() {
    let quadratic = Quadratic::new();
    let config = probes(serde_json::json!({ "noise": { "when": { "at_end_of_epochs": true } } }));
    let (rows, point) = quadratic.run(Method::Sgd, 0.05, 1, &config);
    let rows: Vec<&NoiseRow> = rows_of!(rows, Noise);
    let loss = quadratic.loss(&point);
    assert!(close(rows[0].mean_loss, loss, 1e-6));
    // f32 has 24 bits; sums over 64 products of some size do not reach further than a few hundred times that
    assert!(rows[0].sigma > 0.0 && rows[0].sigma < 1e-5 * loss, "{:e}", rows[0].sigma);
    let rounding = rows[0].rounding.as_ref().unwrap();
    assert_eq!(rounding.samples, SAMPLES);
    assert!(rounding.sigma > 0.0 && rounding.sigma < 1e-6 * loss && rounding.mean.abs() < 1e-6 * loss);
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
        "line": { "when": when, "points": 3 },
        "plane": { "when": when, "points": 3 },
    }));
    let run = |ranks| Quadratic::new().run_on(ranks, (Method::Sgd, 0.05, 2), &config);
    let (rows, point) = run(Arc::new(Solo));
    assert_eq!(rows.len(), 8 + 8 + 2 * (1 + 1 + 2 + 1 + 1 + 1 + 1));
    for size in [2, 3, 20] {
        for (rank, (found, end)) in crate::ranks::threads::on(size, run).into_iter().enumerate() {
            assert!(found == rows && end == point, "rank {rank} of {size} differs");
        }
    }
}
