//! Event files, read back by TensorBoard's own reader.

use std::process::Command;

use serde_json::Value;

use crate::support::{Bench, GOOD, skipped};

/// A Python that has TensorBoard: `WALK_PYTHON`, or the usual one.
fn python() -> Option<String> {
    let named = std::env::var("WALK_PYTHON").ok();
    [named, Some("python3".to_owned())].into_iter().flatten().find(|python| {
        let found = Command::new(python).args(["-c", "import tensorboard"]).output();
        found.is_ok_and(|output| output.status.success())
    })
}

/// Prints every scalar as `[name, step, value]`.
const READ: &str = r#"
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
print(json.dumps([[n, e.step, e.value] for n in events.Tags()["scalars"] for e in events.Scalars(n)]))
"#;

#[test]
fn tensorboard_reads_what_was_measured_and_goes_on_after_a_resume() {
    let bench = Bench::new(&format!("{GOOD}[record]\ntensorboard = true\n[checkpoint]\nepochs = [1]\n"));
    bench.run_into("run", &[]);
    let files = |of: &str| std::fs::read_dir(bench.path(of).join("tensorboard")).unwrap().count();
    assert_eq!(files("run"), 1);
    let Some(python) = python() else {
        skipped(
            "event files read by TensorBoard; no Python with it (pip install tensorboard, WALK_PYTHON=...)",
        );
        return;
    };
    let read = |run: &str| -> Vec<(String, u64, f64)> {
        let output = Command::new(&python)
            .args(["-c", READ])
            .arg(bench.path(run).join("tensorboard"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    };
    let scalars = read("run");
    let rows = bench.rows("run");
    let measured = |kind: &str, field: &str| -> Vec<(u64, f64)> {
        let of_kind = rows.iter().filter(|row| row["kind"] == kind);
        of_kind.map(|row| (row["step"].as_u64().unwrap(), number(&row[field]))).collect()
    };
    for (kind, field, name) in [
        ("train", "loss", "train/loss"),
        ("interpolation", "barrier", "interpolation/barrier"),
        ("interpolation", "depth", "interpolation/depth"),
        ("epoch", "valid_accuracy", "epoch/valid_accuracy"),
    ] {
        let read: Vec<_> =
            scalars.iter().filter(|scalar| scalar.0 == name).map(|scalar| (scalar.1, scalar.2)).collect();
        let expected = measured(kind, field);
        assert_eq!(read.len(), expected.len(), "{name}");
        for (found, wanted) in read.iter().zip(&expected) {
            // scalars are kept in f32
            assert!(
                found.0 == wanted.0 && (found.1 - wanted.1).abs() <= 1e-6 * wanted.1.abs(),
                "{name}: {found:?} {wanted:?}"
            );
        }
    }

    // a run that goes on from its first epoch's checkpoint has each scalar once
    let info = bench.path("run/run.json");
    let text = std::fs::read_to_string(&info).unwrap().replace("\"finished\"", "\"stopped\"");
    std::fs::write(&info, text).unwrap();
    std::fs::remove_file(bench.path("run/checkpoints/epoch-0000002.safetensors")).unwrap();
    let ran = bench.run(&["resume", "run"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!((files("run"), read("run")), (1, scalars));
}

fn number(value: &Value) -> f64 {
    value.as_bool().map_or_else(|| value.as_f64().unwrap(), |yes| f64::from(u8::from(yes)))
}
