//! Loss and gradient against PyTorch: fixtures made by scripts/make_fixtures.py.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use serde::Deserialize;
use walk_arch::{Network, OptionValues, Problem};
use walk_core::{Backend, Batch, BatchNormMode, Composite, Cpu, Fused, Loss, Model, Point, Samples};

#[derive(Deserialize)]
struct Fixture {
    input: Vec<usize>,
    widths: Vec<usize>,
    classes: usize,
    inputs: Vec<f32>,
    labels: Vec<usize>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    activation: String,
    batch_norm: bool,
    mode: BatchNormMode,
    loss: String,
    start: BTreeMap<String, Vec<f32>>,
    losses: Vec<f64>,
    grad: BTreeMap<String, Vec<f64>>,
    buffers_after: BTreeMap<String, Vec<f64>>,
}

/// ‖found - expected‖ / ‖expected‖.
fn error(found: impl IntoIterator<Item = f64>, expected: &[f64]) -> f64 {
    let found: Vec<f64> = found.into_iter().collect();
    assert_eq!(found.len(), expected.len());
    let difference: f64 = found.iter().zip(expected).map(|(f, e)| (f - e).powi(2)).sum();
    (difference / expected.iter().map(|e| e * e).sum::<f64>()).sqrt()
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/mlp.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn network(fixture: &Fixture, case: &Case) -> Network {
    use walk_arch::Options;
    let values = serde_json::json!({
        "widths": fixture.widths, "activation": case.activation, "batch_norm": case.batch_norm,
    });
    let values: OptionValues = serde_json::from_value(values).unwrap();
    let problem = Problem { input: fixture.input.clone(), classes: fixture.classes };
    let options = mlp::MlpOptions::from_values(&values).unwrap();
    mlp::build(&options, &problem).unwrap().check(&problem).unwrap()
}

/// The named tensors of PyTorch, laid out flat as the network wants them.
fn point(network: &Network, case: &Case) -> Point {
    let mut point = Point { params: vec![0.0; network.n_params()], buffers: network.initial_buffers() };
    let mut used = 0;
    for spec in network.params() {
        point.params[spec.range.clone()].copy_from_slice(&case.start[&spec.name]);
        used += 1;
    }
    for spec in network.buffers() {
        point.buffers[spec.range.clone()].copy_from_slice(&case.start[&spec.name]);
        used += 1;
    }
    assert_eq!(used, case.start.len(), "PyTorch and the plugin name the same tensors");
    point
}

struct All(Batch);

impl Samples for All {
    fn len(&self) -> usize {
        self.0.labels.len()
    }
    fn fill(&self, _: Range<usize>, inputs: &mut [f32], labels: &mut [usize]) {
        inputs.copy_from_slice(&self.0.inputs);
        labels.copy_from_slice(&self.0.labels);
    }
}

fn batch_of(fixture: &Fixture) -> Batch {
    Batch { inputs: fixture.inputs.clone(), labels: fixture.labels.clone(), dropout: None }
}

fn check(backend: Rc<dyn Backend>, fixture: &Fixture, case: &Case) {
    let loss = match case.loss.as_str() {
        "cross_entropy" => Loss::CrossEntropy,
        _ => Loss::SquaredError,
    };
    let name = format!("{} {} {:?} {}", backend.name(), case.activation, case.mode, case.loss);
    let model = Model::new(backend, network(fixture, case), loss);
    let at = point(model.network(), case);
    let batch = batch_of(fixture);
    let gradient = model.at(&at).unwrap().gradient(&batch, case.mode).unwrap();
    // a few f32 roundings reach 1e-6
    assert!(error(gradient.losses.iter().map(|&x| x.into()), &case.losses) < 1e-5, "{name}");
    let mut expected = vec![];
    for spec in model.network().params() {
        expected.extend(&case.grad[&spec.name]);
    }
    let found = error(gradient.grad.iter().map(|&x| x.into()), &expected);
    assert!(found < 1e-5, "{name}: gradient off by {found:e}");
    let mean = case.losses.iter().sum::<f64>() / case.losses.len() as f64;
    let evaluation = model.evaluator().evaluate(&at, &All(batch), 6, case.mode).unwrap();
    assert!((evaluation.mean_loss() / mean - 1.0).abs() < 1e-5, "{name}");
    let reference = model.reference().evaluate(&at, &All(batch_of(fixture)), 6, case.mode).unwrap();
    // both in f64; batch norm's eps is an f32 here
    assert!(
        (reference.mean_loss() / mean - 1.0).abs() < 1e-9,
        "{name}: {}",
        reference.mean_loss() / mean - 1.0
    );
    let mut buffers = at.buffers.clone();
    model.update_buffers(&mut buffers, &gradient);
    for spec in model.network().buffers() {
        let found = buffers[spec.range.clone()].iter().map(|&x| x.into());
        assert!(error(found, &case.buffers_after[&spec.name]) < 1e-5, "{name}: {}", spec.name);
    }
}

#[test]
fn the_mlp_agrees_with_pytorch_in_every_activation_mode_and_loss() {
    let fixture = fixture();
    assert_eq!(fixture.cases.len(), 26);
    for case in &fixture.cases {
        check(Rc::new(Fused::default()), &fixture, case);
        check(Rc::new(Composite::<Cpu>::default()), &fixture, case);
    }
}
