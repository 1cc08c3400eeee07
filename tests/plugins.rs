//! Plugins from elsewhere, good and hostile.

use std::env::consts::DLL_SUFFIX;
use std::process::Command;

use crate::support::{Bench, GOOD, Ran, root};

/// A plugin crate that depends on walk-arch alone, with an option to misbehave.
const OUTSIDE: &str = r#"
use walk_arch::{Activation, Graph, Net, Problem, flatten, linear};

walk_arch::options! {
    /// Options of the outside plugin.
    pub struct OutsideOptions {
        /// width of the hidden layer
        width: usize = 12, in 1..=64;
        /// 1 panics, 2 names no output, 3 asks for the impossible, 4 never returns, 5 mixes networks
        mischief: usize = 0, in 0..=5;
    }
}

fn build(options: &OutsideOptions, problem: &Problem) -> Result<Graph, String> {
    assert!(options.mischief != 1, "this plugin panics when asked to");
    while options.mischief == 4 {
        std::thread::park();
    }
    let width = if options.mischief == 3 { usize::MAX } else { options.width };
    let net = Net::new();
    let mut layers = net.sequential("net");
    layers.push(flatten()).push(linear(width)).push(Activation::Silu).push(linear(problem.classes));
    let mut graph = net.finish(layers.output());
    if options.mischief == 5 {
        return Ok(Net::new().finish(layers.output()));
    }
    if options.mischief == 2 {
        graph.output = None;
    }
    Ok(graph)
}

walk_arch::export_plugin! {
    /// one hidden layer, from outside the workspace
    name: "outside", options: OutsideOptions, build: build
}
"#;

fn outside(bench: &Bench) {
    let manifest = format!(
        "[package]\nname = \"outside\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n\
         [dependencies]\nwalk-arch = {{ path = {:?} }}\n\n[workspace]\n",
        root().join("crates/arch")
    );
    bench.write("outside/Cargo.toml", manifest.as_bytes());
    bench.write("outside/src/lib.rs", OUTSIDE.as_bytes());
}

fn experiment(plugin: &str, options: &str) -> String {
    GOOD.replace("\"mlp\"", &format!("{plugin:?}")).replace("widths = [16]", options)
}

fn run(bench: &Bench, text: &str) -> Ran {
    bench.write("exp.toml", text.as_bytes());
    bench.run(&["exp.toml", "--out", "run"])
}

#[test]
fn a_plugin_outside_the_workspace_is_built_and_runs_and_its_mischief_is_named() {
    let bench = Bench::new("");
    outside(&bench);
    bench.write("exp.toml", experiment("./outside", "width = 9").as_bytes());
    bench.run_into("first", &[]);
    let info = bench.info("first");
    assert_eq!(info["plugin"]["name"], "outside");
    assert_eq!(info["network"]["n_params"], 64 * 9 + 9 + 9 * 10 + 10);

    let listed = bench.run(&["plugins", "./outside"]);
    assert!(
        listed.stdout.contains("width = 12\n    width of the hidden layer; a whole number from 1 to 64"),
        "{}",
        listed.stdout
    );

    for (options, message) in [
        ("mischief = 1", "`build` panicked: this plugin panics when asked to"),
        ("mischief = 2", "the graph has no output"),
        ("mischief = 3", "layer `net.1` is too large"),
        ("mischief = 5", "the graph's output is a value of another `Net`"),
    ] {
        let ran = run(&bench, &experiment("./outside", options));
        assert_eq!(ran.code, 2);
        // a panic's own report comes first; the last line is ours
        let last = ran.stderr.lines().last().unwrap();
        assert!(last.starts_with("error: exp.toml:") && last.contains(message), "{}", ran.stderr);
    }

    // one that never returns
    bench.write("exp.toml", experiment("./outside", "mischief = 4").as_bytes());
    let mut command = Command::new(env!("CARGO_BIN_EXE_sgdwalk"));
    command.args(["exp.toml", "--out", "run"]).current_dir(bench.path("")).env("SGDWALK_PLUGIN_TIMEOUT", "1");
    let ended = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("`build` did not return within 1 s"), "{stderr}");
    assert!(!bench.path("run").exists());

    // a changed source is built anew
    bench.write("outside/src/lib.rs", OUTSIDE.replace("problem.classes", "problem.classes + 1").as_bytes());
    let ran = run(&bench, &experiment("./outside", "width = 9"));
    assert!(ran.stderr.contains("the output layer `net.3` has shape [11], expected [10]"), "{}", ran.stderr);
    bench.write("outside/src/lib.rs", b"this is not Rust");
    let ran = run(&bench, &experiment("./outside", "width = 9"));
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("cargo could not build it"), "{}", ran.stderr);
}

#[test]
fn without_cargo_a_library_that_was_built_before_is_used() {
    let bench = Bench::new(GOOD);
    let run = |out: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sgdwalk"));
        command.args(["exp.toml", "--quiet", "--out", out]).current_dir(bench.path(""));
        command.env_remove("CARGO_PKG_NAME").env("CARGO", "/nowhere/cargo");
        let ended = command.output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    // it is built by now
    bench.run_into("first", &["--quiet"]);
    let (code, stderr) = run("run");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.starts_with("warning: cannot start /nowhere/cargo to build the plugin "), "{stderr}");
    assert!(stderr.contains("which may be older than its source") && stderr.lines().count() == 1, "{stderr}");
    bench.write("fresh/Cargo.toml", b"[package]\nname = \"my-net\"\n");
    bench.write("exp.toml", GOOD.replace("\"mlp\"", "\"./fresh\"").as_bytes());
    let (code, stderr) = run("other");
    assert_eq!((code, stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(
        stderr.contains("install Rust (https://rustup.rs), or set `model.plugin` to the path"),
        "{stderr}"
    );
}

/// Compiles a library without walk-arch.
fn library(bench: &Bench, source: &str) {
    bench.write("hostile.rs", source.as_bytes());
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let status = Command::new(rustc)
        .args(["--edition=2024", "--crate-type=cdylib", "-o"])
        .arg(bench.path(&format!("hostile{DLL_SUFFIX}")))
        .arg(bench.path("hostile.rs"))
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn libraries_that_are_no_plugins_are_refused() {
    let bench = Bench::new("");
    let name = format!("./hostile{DLL_SUFFIX}");
    let text = experiment(&name, "");
    let refused = |message: &str| {
        let ran = run(&bench, &text);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.lines().count() == 1 && ran.stderr.contains(message), "{}", ran.stderr);
    };
    bench.write(&name, b"not a library at all");
    refused("cannot load the library");
    library(&bench, "#[unsafe(no_mangle)] pub extern \"C\" fn something_else() {}");
    refused("not a plugin: it does not export `walk_plugin`");
    let table = |table: &str| {
        format!(
            "#[repr(C)] pub struct Table(u32, u32, usize, usize); static TABLE: Table = Table({table}, 0, 0);\n\
             #[unsafe(no_mangle)] pub extern \"C\" fn walk_plugin() -> *const Table {{ &TABLE }}"
        )
    };
    library(&bench, &table("99, 24"));
    refused("it uses plugin ABI 99, but this program uses 1; rebuild it against this walk-arch");
    library(&bench, &table("1, 8"));
    refused("its function table has 8 bytes, expected at least 24");
    library(
        &bench,
        "#[unsafe(no_mangle)] pub extern \"C\" fn walk_plugin() -> *const u8 { std::ptr::null() }",
    );
    refused("its function table is null or not aligned");
}

#[test]
fn plugins_are_listed_with_their_options() {
    let bench = Bench::new("");
    let all = bench.run(&["plugins"]);
    for plugin in ["│ mlp ", "│ resnet56 ", "│ vgg11 ", "│ vit ", "│ wresnet ", "│ multi-layer perceptron"]
    {
        assert!(all.stdout.contains(plugin), "{}", all.stdout);
    }
    let one = bench.run(&["plugins", "mlp"]);
    assert_eq!(
        one.stdout,
        "mlp: multi-layer perceptron: Linear, BatchNorm1d, nonlinearity per hidden layer\n\
         by default: 1717060 parameters, 3.4 MFLOP per 3x32x32 image, 10 classes\n\
         \n[model.options]\n\
         widths = [500,350]\n    width of each hidden layer; a list of whole numbers from 1 to 1000000\n\
         activation = \"relu\"\n    nonlinearity of the hidden layers; one of \"relu\", \"leaky_relu\", \"gelu\", \"silu\", \"tanh\", \"sigmoid\", \"relu6\", \"elu\", \"hard_swish\"\n\
         batch_norm = true\n    BatchNorm1d between each hidden linear layer and its nonlinearity; true or false\n\
         dropout = 0.0\n    probability of dropout after each hidden layer; 0 for none; a number from 0 to 0.99\n"
    );
    assert_eq!(bench.run(&["plugins", "nothing"]).code, 2);
}

#[test]
fn a_new_plugin_builds_passes_its_test_and_runs() {
    let bench = Bench::new(&experiment("./my-net", "widths = [16]"));
    let ran = bench.run(&["new-plugin", "my-net", "--dir", "."]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("--set model.plugin=./my-net"), "{}", ran.stdout);
    let again = bench.run(&["new-plugin", "my-net", "--dir", "."]);
    assert_eq!((again.code, again.stderr.contains("already exists")), (2, true));
    let manifest = bench.path("my-net/Cargo.toml");
    let tested = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--manifest-path"])
        .arg(&manifest)
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&tested.stdout);
    assert!(
        tested.status.success() && stdout.contains("1 passed"),
        "{}",
        String::from_utf8_lossy(&tested.stderr)
    );
    bench.run_into("run", &["--quiet"]);
    assert_eq!(bench.info("run")["plugin"]["name"], "my-net");
    let quick = root().join("experiments/quick.toml");
    let plugin = "model.plugin=./my-net";
    let ran = bench.run(&[quick.to_str().unwrap(), "--set", plugin, "--out", "quick", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}
