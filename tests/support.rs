//! What the end-to-end tests share: the real binary in a folder of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The parts of a text between separators that are not in quotes.
pub(crate) fn split_quoted(text: &str, separator: char, quote: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_quoted = false;
    for c in text.chars() {
        match c {
            c if c == quote => is_quoted = !is_quoted,
            c if c == separator && !is_quoted => parts.push(String::new()),
            c => parts.last_mut().unwrap().push(c),
        }
    }
    parts
}

/// A temporary folder with an experiment in it.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

/// What a run of the binary gave.
pub(crate) struct Ran {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// A small experiment on the digits, good as it stands.
pub(crate) const GOOD: &str = r#"epochs = 2

[model]
plugin = "mlp"
options = { widths = [16] }

[data]
set = "digits"
train = 300
valid = 100

[optim]
lr = 0.1
batch_size = 50

[probe.interpolation]
when = { epochs = [1, 2], iterations = [1, 3] }
"#;

/// Every probe, at the end of the first epoch.
pub(crate) const EVERY_PROBE: &str = r#"
[probe.interpolation]
when = { iterations = [1, 2] }
mode = "adaptive"
[probe.noise]
when = { at_end_of_epochs = true }
evaluations = 3
reference_samples = 50
[probe.cosine]
[probe.distance]
[probe.alignment]
when = { at_end_of_epochs = true }
batch_sizes = [50, 100]
batches = 3
chunk = 50
[probe.covariance]
when = { at_end_of_epochs = true }
batch_sizes = [50]
batches = 3
chunk = 50
[probe.spectrum]
when = { at_end_of_epochs = true }
matrices = ["hessian", "gauss_newton"]
parameters = ["*", "*weight"]
gradient_noise = true
chunk = 50
values = 2
steps = 10
random_vectors = 2
density_steps = 5
[probe.critical_lr]
when = { iterations = [1, 2] }
samples = 100
evaluations = 8
[probe.line]
when = { at_end_of_epochs = true }
points = 4
[probe.plane]
when = { at_end_of_epochs = true }
points = 3
[probe.quadratic]
when = { iterations = [1, 2] }
chunk = 50
[probe.connectivity]
when = { at_end_of_epochs = true }
split_after = [0, 2]
points = 3
"#;

impl Bench {
    /// A folder whose `exp.toml` has this text.
    pub(crate) fn new(experiment: &str) -> Self {
        let bench = Self { dir: tempfile::tempdir().unwrap() };
        bench.write("exp.toml", experiment.as_bytes());
        bench
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in the folder.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Runs the binary in the folder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sgdwalk"));
        // as a user calls it, not as cargo runs it
        command.env_remove("CARGO_PKG_NAME").args(arguments).current_dir(self.dir.path());
        let Output { status, stdout, stderr } = command.output().unwrap();
        Ran {
            code: status.code().expect("not killed"),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Runs `exp.toml` into `out` and wants it to end well.
    pub(crate) fn run_into(&self, out: &str, arguments: &[&str]) -> Ran {
        let ran = self.run(&[&["exp.toml", "--out", out], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran
    }

    /// The bytes of a run's metrics.
    pub(crate) fn metrics(&self, out: &str) -> Vec<u8> {
        std::fs::read(self.path(out).join("metrics.jsonl")).unwrap()
    }

    /// A run's metrics, line by line.
    pub(crate) fn rows(&self, out: &str) -> Vec<Value> {
        let text = String::from_utf8(self.metrics(out)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A run's description.
    pub(crate) fn info(&self, out: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(out).join("run.json")).unwrap()).unwrap()
    }
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Says that a test was skipped and what it needs: on standard error itself, since what a passing test prints is not shown.
pub(crate) fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}");
}
