//! Networks from ONNX files against PyTorch, which exported them: fixtures made by scripts/make_onnx_fixtures.py.

use std::path::Path;
use std::rc::Rc;

use walk_arch::{Graph, OptionValues, Problem};
use walk_core::{
    Backend, Batch, BatchNormMode, Composite, Convolution, Cpu, Fused, Loss, Model, Point, SgdStep, sgd_step,
};

use crate::networks::{
    Case, Fixture, batch, check, check_hessian, check_reference, library, load, point, projection_error, wide,
};
use crate::support::{Bench, root};

fn fixture(folder: &Path) -> Fixture {
    serde_json::from_slice(&std::fs::read(folder.join("cases.json")).unwrap()).unwrap()
}

fn options(folder: &Path, case: &Case) -> OptionValues {
    let file = folder.join(format!("{}.onnx", case.plugin));
    OptionValues::from_iter([("file".to_owned(), file.display().to_string().into())])
}

fn graph(folder: &Path, case: &Case, problem: &Problem) -> Graph {
    load(&library("onnx")).build(problem, &options(folder, case)).unwrap()
}

/// The losses before each update by SGD on one batch, and after the last.
fn updates(model: &Model, mut point: Point, batch: &Batch, lr: f64, count: usize) -> Vec<f64> {
    // as in the script
    let step = SgdStep { lr: lr as f32, momentum: 0.9, weight_decay: 1e-3 };
    let mut velocity = vec![0.0; point.params.len()];
    let mut losses = vec![];
    for _ in 0..=count {
        let gradient = model.at(&point).unwrap().gradient(batch, BatchNormMode::Batch).unwrap();
        losses.push(gradient.mean_loss());
        let mut after = point.clone();
        model.update_buffers(&mut after.buffers, &gradient);
        sgd_step(step, &point.params, &gradient.grad, &mut velocity, &mut after.params);
        point = after;
    }
    losses
}

fn check_all(folder: &Path) {
    let fixture = fixture(folder);
    let built = Bench::new("").run(&["plugins", "onnx"]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    for case in &fixture.cases {
        let problem = Problem { input: case.input.clone(), classes: fixture.classes };
        let graph = graph(folder, case, &problem);
        // batch norm of 8 pixels: PyTorch's own gradients in f32 and f64 differ by 1.3e-4 here, by 2e-2 for other inputs
        let is_sensitive = case.plugin == "mobilenet_v2" && case.mode == BatchNormMode::Batch;
        let of_derivatives = if is_sensitive { 2e-3 } else { 1e-4 };
        let mut backends: Vec<Rc<dyn Backend>> = vec![Rc::new(Fused::default())];
        let is_large = ["resnet18", "mobilenet_v2"].contains(&&*case.plugin);
        if !is_large {
            backends.push(Rc::new(Composite::<Cpu>::default()));
        }
        // the large ones take half a minute in f64
        if !is_large || std::env::var_os("SLOW_TESTS").is_some() {
            check_reference(&fixture, case, &graph);
        }
        for backend in backends {
            check(backend.clone(), &fixture, case, &graph, [1e-5, of_derivatives]);
            check_hessian(backend, &fixture, case, &graph, of_derivatives);
        }
        if case.updates.is_empty() {
            continue;
        }
        let network = graph.check(&problem).unwrap();
        let start = point(&network, &case.names);
        // Winograd's rounding changes the sign of more ReLUs' inputs
        let plain = Fused::new(Convolution::Plain);
        let model = Model::new(Rc::new(plain), network, Loss::CrossEntropy);
        let found = updates(&model, start, &batch(&fixture, case), case.lr, case.updates.len() - 1);
        for (found, expected) in found.iter().zip(&case.updates) {
            let error = (found / expected - 1.0).abs();
            let bound = if is_sensitive { 1e-4 } else { 1e-5 };
            assert!(error < bound, "{}: {found} {expected} ({error:e})", case.plugin);
        }
    }
}

#[test]
fn networks_of_others_agree_with_pytorch() {
    check_all(&root().join("tests/fixtures/onnx"));
}

#[test]
fn exports_of_the_plugins_networks_are_the_plugins_networks() {
    let folder = root().join("tests/fixtures/onnx");
    let (fixture, own) = (fixture(&folder), root().join("tests/fixtures/networks.json"));
    let own: Fixture = serde_json::from_slice(&std::fs::read(own).unwrap()).unwrap();
    let bench = Bench::new("");
    let mut compared = 0;
    for case in &own.cases {
        let Some(exported) =
            fixture.cases.iter().find(|other| other.plugin == case.plugin && other.mode == case.mode)
        else {
            continue;
        };
        for plugin in [case.plugin.as_str(), "onnx"] {
            assert_eq!(bench.run(&["plugins", plugin]).code, 0);
        }
        let problem = Problem { input: case.input.clone(), classes: own.classes };
        let native =
            load(&library(&case.plugin)).build(&problem, &case.options).unwrap().check(&problem).unwrap();
        let imported = graph(&folder, exported, &problem).check(&problem).unwrap();
        let names = |network: &walk_arch::Network| {
            let mut names: Vec<(String, Vec<usize>)> =
                network.params().iter().map(|param| (param.name.clone(), param.shape.clone())).collect();
            names.sort();
            names
        };
        assert_eq!(names(&imported), names(&native), "{}", case.plugin);
        let losses = [&native, &imported].map(|network| {
            let at = point(network, &case.names);
            let model = Model::new(Rc::new(Fused::default()), network.clone(), Loss::CrossEntropy);
            model.at(&at).unwrap().gradient(&batch(&own, case), case.mode).unwrap().losses
        });
        for (native, imported) in losses[0].iter().zip(&losses[1]) {
            assert!((native / imported - 1.0).abs() < 1e-6, "{}: {native} {imported}", case.plugin);
        }
        compared += 1;
    }
    assert_eq!(compared, 9);
}

#[test]
fn other_losses_agree_with_pytorch() {
    let folder = root().join("tests/fixtures/onnx");
    let fixture = fixture(&folder);
    let case = fixture.cases.iter().find(|case| !case.losses_of.is_empty()).unwrap();
    assert_eq!(Bench::new("").run(&["plugins", "onnx"]).code, 0);
    let problem = Problem { input: case.input.clone(), classes: fixture.classes };
    let network = graph(&folder, case, &problem).check(&problem).unwrap();
    let (at, batch) = (point(&network, &case.names), batch(&fixture, case));
    let losses =
        [("label_smoothing", Loss::SmoothedCrossEntropy { smoothing: 0.1 }), ("mse", Loss::MeanSquaredError)];
    for (name, loss) in losses {
        let expected = &case.losses_of[name];
        let backends: [Rc<dyn Backend>; 2] =
            [Rc::new(Fused::default()), Rc::new(Composite::<Cpu>::default())];
        for backend in backends {
            let model = Model::new(backend, network.clone(), loss);
            let found = model.at(&at).unwrap().gradient(&batch, case.mode).unwrap();
            for (found, expected) in found.losses.iter().zip(&expected.losses) {
                assert!((f64::from(*found) / expected - 1.0).abs() < 1e-5, "{name}: {found} {expected}");
            }
            let error = projection_error(&network, &case.names, &wide(&found.grad), &expected.grad);
            assert!(error < 1e-4, "{name}: gradient off by {error:e}");
        }
    }
}
