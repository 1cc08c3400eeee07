//! Losses along updates, lines and planes.

use super::*;

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
