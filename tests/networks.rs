//! The plugins' networks against PyTorch: fixtures made by scripts/make_network_fixtures.py.

use std::collections::BTreeMap;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use libloading::{Library, Symbol};
use serde::Deserialize;
use walk_arch::abi::{EntryFn, SYMBOL};
use walk_arch::{Graph, Network, OptionValues, PluginHandle, Problem};
use walk_core::{Backend, Batch, BatchNormMode, Composite, Cpu, Fused, Loss, Model, Point, Reference};

use crate::support::{Bench, root};

#[derive(Deserialize)]
pub(crate) struct Fixture {
    rows: usize,
    pub(crate) classes: usize,
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) plugin: String,
    pub(crate) options: OptionValues,
    /// If it has other than the fixture's.
    rows: Option<usize>,
    pub(crate) input: Vec<usize>,
    pub(crate) mode: BatchNormMode,
    /// Which of `numbers` the inputs are: one that keeps every ReLU's input away from 0.
    input_stream: u64,
    pub(crate) names: Vec<String>,
    losses: Vec<f64>,
    grad: Vec<Projection>,
    hvp: Vec<Projection>,
    /// The losses before each of some updates by SGD, and after the last.
    #[serde(default)]
    pub(crate) updates: Vec<f64>,
    /// Their learning rate.
    #[serde(default)]
    pub(crate) lr: f64,
    /// What other loss functions give, by their names.
    #[serde(default)]
    pub(crate) losses_of: BTreeMap<String, OfLoss>,
}

/// What a loss function gives.
#[derive(Deserialize)]
pub(crate) struct OfLoss {
    pub(crate) losses: Vec<f64>,
    pub(crate) grad: Vec<Projection>,
}

/// A tensor by its norm and its products with three directions.
#[derive(Deserialize)]
pub(crate) struct Projection {
    norm: f64,
    onto: Vec<f64>,
}

/// scripts/networks.py's `numbers`.
pub(crate) fn numbers(stream: u64, n: usize) -> Vec<f32> {
    let number = |index: u64| {
        let mut mixed = ((index + stream * 1_000_003) * 2_654_435_761) % (1 << 32);
        mixed ^= mixed >> 15;
        mixed = (mixed * 2_246_822_519) % (1 << 32);
        mixed ^= mixed >> 13;
        (mixed >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n as u64).map(number).collect()
}

/// The plugin's graph: built by the runner, loaded as the runner does.
fn graph(bench: &Bench, case: &Case, problem: &Problem) -> Graph {
    let built = bench.run(&["plugins", &case.plugin]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    load(&library(&case.plugin)).build(problem, &case.options).unwrap()
}

/// Where cargo puts a plugin.
pub(crate) fn library(plugin: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_sgdwalk")).parent().unwrap();
    folder.join(format!("{DLL_PREFIX}{plugin}{DLL_SUFFIX}"))
}

#[expect(unsafe_code, reason = "loads a plugin's library")]
pub(crate) fn load(path: &Path) -> PluginHandle {
    // SAFETY: our own plugin, built just now
    let library: &'static Library = Box::leak(Box::new(unsafe { Library::new(path) }.unwrap()));
    // SAFETY: walk-arch's ABI fixes the symbol's type
    let entry: Symbol<'static, EntryFn> = unsafe { library.get(SYMBOL.as_bytes()) }.unwrap();
    // SAFETY: the table came from the plugin's entry point and its library is never unloaded
    unsafe { PluginHandle::new(entry()) }.unwrap()
}

/// scripts/networks.py's `set_numbers`; PyTorch may order its parameters otherwise than the plugin.
pub(crate) fn point(network: &Network, names: &[String]) -> Point {
    let mut point = Point { params: vec![0.0; network.n_params()], buffers: network.initial_buffers() };
    for spec in network.params() {
        let stream = 100 + stream(names, &spec.name);
        let (values, len) = (&mut point.params[spec.range.clone()], spec.range.len());
        let fan_in: usize = spec.shape[1..].iter().product();
        let scale = (-((fan_in as f64).sqrt().log2() - 1.0).floor()).exp2() as f32;
        for (value, u) in values.iter_mut().zip(numbers(stream, len)) {
            *value = match spec.shape.len() {
                1 if spec.name.ends_with("weight") => 1.0 + 0.5 * u,
                1 => 0.5 * u,
                _ => scale * u,
            };
        }
    }
    // PyTorch's buffers come in the order of its modules, as the norms' weights do
    let norms: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix("weight")).collect();
    let buffers: Vec<String> = norms
        .iter()
        .flat_map(|norm| ["running_mean", "running_var"].map(|buffer| format!("{norm}{buffer}")))
        .filter(|name| network.buffers().iter().any(|spec| spec.name == *name))
        .collect();
    for spec in network.buffers() {
        let stream = 900 + stream(&buffers, &spec.name);
        let values = &mut point.buffers[spec.range.clone()];
        for (value, u) in values.iter_mut().zip(numbers(stream, spec.range.len())) {
            *value = if spec.name.ends_with("mean") { 0.5 * u } else { 1.0 + u };
        }
    }
    point
}

fn stream(names: &[String], name: &str) -> u64 {
    names.iter().position(|known| known == name).unwrap_or_else(|| panic!("PyTorch has no {name}")) as u64
}

/// The largest error of a flat vector's projections, relative to the norms of what is projected.
pub(crate) fn projection_error(
    network: &Network,
    names: &[String],
    found: &[f64],
    expected: &[Projection],
) -> f64 {
    let mut worst: f64 = 0.0;
    let whole = expected.iter().map(|p| p.norm * p.norm).sum::<f64>().sqrt();
    for spec in network.params() {
        let tensor = stream(names, &spec.name);
        let values = &found[spec.range.clone()];
        for (k, expected) in expected[tensor as usize].onto.iter().enumerate() {
            let direction = numbers(5000 + 10 * tensor + k as u64, values.len());
            let norm = direction.iter().map(|d| f64::from(*d).powi(2)).sum::<f64>().sqrt();
            let product: f64 = values.iter().zip(&direction).map(|(x, d)| x * f64::from(*d)).sum();
            worst = worst.max((product - expected).abs() / (norm * whole));
        }
    }
    worst
}

pub(crate) fn check(
    backend: Rc<dyn Backend>,
    fixture: &Fixture,
    case: &Case,
    graph: &Graph,
    [of_losses, of_derivatives]: [f64; 2],
) {
    let problem = Problem { input: case.input.clone(), classes: fixture.classes };
    let network = graph.check(&problem).unwrap();
    let point = point(&network, &case.names);
    let batch = batch(fixture, case);
    let name = format!("{} {} {:?}", backend.name(), case.plugin, case.mode);
    let model = Model::new(backend, network, Loss::CrossEntropy);
    let found = model.at(&point).unwrap().gradient(&batch, case.mode).unwrap();
    for (found, expected) in found.losses.iter().zip(&case.losses) {
        assert!((f64::from(*found) / expected - 1.0).abs() < of_losses, "{name}: {found} {expected}");
    }
    // f32 against float64
    let error = projection_error(model.network(), &case.names, &wide(&found.grad), &case.grad);
    assert!(error < of_derivatives, "{name}: gradient off by {error:e}");
}

/// The gradient and Hv in f64 against PyTorch's in f64.
pub(crate) fn check_reference(fixture: &Fixture, case: &Case, graph: &Graph) {
    let problem = Problem { input: case.input.clone(), classes: fixture.classes };
    let network = Arc::new(graph.check(&problem).unwrap());
    let (point, batch) = (point(&network, &case.names), batch(fixture, case));
    let reference = Reference::new(&network, Loss::CrossEntropy, &point, case.mode).unwrap();
    let found = [
        (reference.gradient(&batch).unwrap(), &case.grad),
        (reference.hessian_vector(&batch, &direction(&network, &case.names)).unwrap(), &case.hvp),
    ];
    for (found, expected) in found {
        let error = projection_error(&network, &case.names, &found, expected);
        // derivatives of nonlinearities are computed in f32
        assert!(error < 1e-6, "{} {:?}, in f64: off by {error:e}", case.plugin, case.mode);
    }
}

/// The direction of Hv.
fn direction(network: &Network, names: &[String]) -> Vec<f32> {
    let mut direction = vec![0.0; network.n_params()];
    for spec in network.params() {
        let stream = 3000 + stream(names, &spec.name);
        direction[spec.range.clone()].copy_from_slice(&numbers(stream, spec.range.len()));
    }
    direction
}

pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&x| x.into()).collect()
}

/// Exact Hv against PyTorch's double backward, for the direction of the fixture.
pub(crate) fn check_hessian(
    backend: Rc<dyn Backend>,
    fixture: &Fixture,
    case: &Case,
    graph: &Graph,
    of_derivatives: f64,
) {
    let problem = Problem { input: case.input.clone(), classes: fixture.classes };
    let network = graph.check(&problem).unwrap();
    let point = point(&network, &case.names);
    let batch = batch(fixture, case);
    let direction = direction(&network, &case.names);
    let name = backend.name();
    let model = Model::new(backend, network, Loss::CrossEntropy);
    let found = model.at(&point).unwrap().hessian_vector(&batch, &direction, case.mode).unwrap();
    let error = projection_error(model.network(), &case.names, &wide(&found), &case.hvp);
    assert!(error < of_derivatives, "{name} {} {:?}: Hv off by {error:e}", case.plugin, case.mode);
}

pub(crate) fn batch(fixture: &Fixture, case: &Case) -> Batch {
    let (size, rows): (usize, usize) = (case.input.iter().product(), case.rows.unwrap_or(fixture.rows));
    let inputs = numbers(case.input_stream, rows * size).iter().map(|u| 4.0 * u).collect();
    Batch { inputs, labels: (0..rows).map(|row| row * 7 % 10).collect(), dropout: None }
}

fn fixture() -> Fixture {
    let path: &Path = &root().join("tests/fixtures/networks.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn losses_gradients_and_hessian_products_agree_with_pytorch() {
    let fixture = fixture();
    assert_eq!(fixture.cases.len(), 10);
    let bench = Bench::new("");
    for case in &fixture.cases {
        let problem = Problem { input: case.input.clone(), classes: fixture.classes };
        let graph = graph(&bench, case, &problem);
        check(Rc::new(Fused::default()), &fixture, case, &graph, [1e-4, 1e-4]);
        check(Rc::new(Composite::<Cpu>::default()), &fixture, case, &graph, [1e-4, 1e-4]);
        check_hessian(Rc::new(Fused::default()), &fixture, case, &graph, 1e-4);
        check_hessian(Rc::new(Composite::<Cpu>::default()), &fixture, case, &graph, 1e-4);
    }
}
