//! Networks from ONNX files against PyTorch, which exported them: fixtures made by scripts/make_onnx_fixtures.py.

use std::path::Path;
use std::process::Command;
use std::rc::Rc;

use walk_arch::{Graph, Network, OptionValues, Problem};
use walk_core::{
    Backend, Batch, BatchNormMode, Composite, Convolution, Cpu, Fused, Loss, Model, Point, SgdStep, sgd_step,
};

use crate::networks::{
    Case, Fixture, batch, check, check_hessian, check_reference, library, load, point, projection_error, wide,
};
use crate::support::{Bench, root, skipped};

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
    let step = SgdStep { lr: lr as f32, momentum: 0.9, weight_decay: 1e-3, nesterov: false };
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

/// The names of a network's operations, sorted.
fn operations(network: &Network) -> Vec<&'static str> {
    let mut names: Vec<&str> = network.layers().iter().map(|layer| layer.op.name()).collect();
    names.sort_unstable();
    names
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
        let names = |network: &Network| {
            let mut names: Vec<(String, Vec<usize>)> =
                network.params().iter().map(|param| (param.name.clone(), param.shape.clone())).collect();
            names.sort();
            names
        };
        assert_eq!(names(&imported), names(&native), "{}", case.plugin);
        // the same layers are fused alike
        if case.plugin != "vit" {
            assert_eq!(operations(&imported), operations(&native), "{}", case.plugin);
        }
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

/// A Python that has PyTorch and its exporter: `WALK_TORCH`, or the usual one.
fn torch() -> Option<String> {
    let named = std::env::var("WALK_TORCH").ok();
    let found = [named, Some("python3".to_owned())].into_iter().flatten().find(|python| {
        let found = Command::new(python).args(["-c", "import torch, onnx, onnxscript, safetensors"]).output();
        found.is_ok_and(|output| output.status.success())
    });
    if found.is_none() {
        skipped(
            "networks exported by PyTorch itself (pip install torch torchvision onnx onnxscript safetensors, WALK_TORCH=...)",
        );
    }
    found
}

/// Runs Python in a folder, and wants it to end well.
fn run_python(python: &str, folder: &Path, arguments: &[&str]) -> String {
    let ran = Command::new(python).args(arguments).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn networks_exported_now_agree_with_pytorch_at_the_weights_in_their_files() {
    let Some(python) = torch() else { return };
    let bench = Bench::new("");
    let (script, out) = (root().join("scripts/make_onnx_fixtures.py"), bench.path("onnx"));
    let (script, out) = (script.to_str().unwrap(), out.to_str().unwrap());
    let names = ["vgg_group_norm", "convnext", "vit_attention", "plain_cnn", "vgg11"];
    run_python(&python, &bench.path(""), &[&[script, "--weights", "--out", out], &names[..]].concat());
    check_all(&bench.path("onnx"));
    let fixture = fixture(&bench.path("onnx"));
    for case in &fixture.cases {
        let problem = Problem { input: case.input.clone(), classes: fixture.classes };
        let network = graph(&bench.path("onnx"), case, &problem).check(&problem).unwrap();
        let options = options(&bench.path("onnx"), case);
        let [params, buffers] = load(&library("onnx")).initial_point(&network, &problem, &options).unwrap();
        let expected = point(&network, &case.names);
        assert_eq!((params, buffers), (expected.params, expected.buffers), "{}", case.plugin);
    }
}

/// A network for the built-in digits.
const NETWORK: &str = "
import torch, torch.nn as nn
def make():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(96, 10))
";

/// Loads a checkpoint into the module that was exported; its names must be the module's.
const LOAD_BACK: &str = "
import net, sys
from safetensors.torch import load_file
module = net.make()
state = load_file(sys.argv[1])
module.load_state_dict(state)
trained = {name for name, _ in module.named_parameters()} | {'1.running_mean', '1.running_var'}
assert set(state) == trained, set(state) ^ trained
print(float(state['0.weight'].sum()))
";

#[test]
fn a_module_goes_to_onnx_is_trained_and_its_checkpoint_comes_back() {
    let Some(python) = torch() else { return };
    let bench = Bench::new(
        "epochs = 2\n[model]\nplugin = \"onnx\"\noptions = { file = \"net.onnx\" }\n\
         [init]\nfrom = \"plugin\"\n[data]\nset = \"digits\"\n[optim]\nlr = 0.05\nbatch_size = 100\n",
    );
    bench.write("net.py", NETWORK.as_bytes());
    let script = root().join("scripts/export_onnx.py");
    let export = [script.to_str().unwrap(), "net.py:make", "--input", "1x8x8", "--out", "net.onnx"];
    run_python(&python, &bench.path(""), &export);
    let shown = bench.run(&["plugins", "onnx", "--set", "file=net.onnx", "--input", "1x8x8"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(
        shown.stdout.contains("1042 parameters") && shown.stdout.contains("│ conv2d"),
        "{}",
        shown.stdout
    );

    bench.run_into("run", &["--set", "checkpoint.epochs=[1]"]);
    let files = &bench.info("run")["files"];
    assert_eq!(
        (files[0]["key"].as_str(), files[0]["path"].as_str()),
        (Some("model.options.file"), Some("net.onnx"))
    );
    let accuracy =
        bench.rows("run").iter().rfind(|row| row["kind"] == "epoch").unwrap()["valid_accuracy"].as_f64();
    assert!(accuracy.unwrap() > 0.5, "{accuracy:?}");
    run_python(&python, &bench.path(""), &["-c", LOAD_BACK, "run/checkpoints/final.safetensors"]);

    // without the file's weights they are drawn
    bench.run_into("drawn", &["--set", "init={}"]);
    assert!(bench.metrics("drawn") != bench.metrics("run"));
    // another file would change the numbers of a run that is resumed
    bench.write("net.py", NETWORK.replace("manual_seed(1)", "manual_seed(2)").as_bytes());
    run_python(&python, &bench.path(""), &export);
    let resumed = bench.run(&["resume", "run", "--epochs", "3"]);
    assert_eq!(resumed.code, 2);
    let message = "run: `model.options.file`: net.onnx does not have the contents";
    assert!(resumed.stderr.contains(message), "{}", resumed.stderr);
}
