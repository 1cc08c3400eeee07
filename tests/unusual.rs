//! Losses that overflow, batches that batch norm cannot use, and sets that are stored class by class.

use serde_json::Value;

use crate::support::{Bench, GOOD};

fn rows<'a>(rows: &'a [Value], kind: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["kind"] == kind).collect()
}

/// How many values are null, lists included.
fn nulls(value: &Value) -> usize {
    match value {
        Value::Null => 1,
        Value::Array(values) => values.iter().map(nulls).sum(),
        _ => 0,
    }
}

#[test]
fn what_overflows_far_out_is_missing_and_counted_and_costs_nothing_else() {
    let probes = "[probe.plane]\nwhen = { epochs = [1], at_end_of_epochs = true }\npoints = 3\nradius = 1e30\n\
                  [probe.cosine]\n";
    let bench = Bench::new(&(GOOD.to_owned() + probes));
    // batch norm would take the size of the parameters away
    let ran = bench.run_into("run", &["--set", "model.options.batch_norm=false"]);
    let found = bench.rows("run");
    let planes = rows(&found, "plane");
    // the eight cells around the origin
    assert_eq!((planes.len(), nulls(&planes[0]["losses"])), (1, 8));
    assert!(planes[0]["losses"][1][1].is_number());
    assert_eq!((rows(&found, "epoch").len(), rows(&found, "interpolation").len()), (2, 6));
    assert!(ran.stdout.contains("missing because not finite: 8 values of plane"), "{}", ran.stdout);
    // the record is read back whole, and a finished run stays one
    assert_eq!(bench.run(&["report", "run"]).code, 0);
    assert_eq!(bench.run(&["resume", "run"]).code, 0);
}

#[test]
fn a_member_that_diverges_does_not_cost_the_others_their_report() {
    let bench = Bench::new(GOOD);
    let diverges = ["--set", "loss=squared_error", "--sweep", "optim.lr=0.1,1e30"];
    let ran = bench.run(&[&["exp.toml", "--out", "sweep"], &diverges[..]].concat());
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("1 of 2 runs failed")
            && ran.stderr.contains("not finite") | ran.stderr.contains("inf") | ran.stderr.contains("NaN"),
        "{}",
        ran.stderr
    );
    assert!(bench.path("sweep/report/report.html").is_file());
    // what it measured before is kept
    assert!(!rows(&bench.rows("sweep/optim.lr=1e30"), "train").is_empty());
}

#[test]
fn a_batch_or_chunk_of_one_sample_is_refused_before_anything_is_written() {
    let bench = Bench::new(GOOD);
    let refused = |arguments: &[&str], expected: &str| {
        let ran = bench.run(&[&["exp.toml", "--out", "run", "--set", "data.train=301"], arguments].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
        assert!(!bench.path("run").exists());
    };
    refused(&[], "`optim.batch_size` = 50 for 301 training samples");
    let without_last = ["--set", "optim.drop_last=true"];
    refused(
        &without_last,
        "`probe.interpolation.chunk` = 100, expected chunks of at least two of the 301 samples, for instance 99",
    );
    for probe in [
        "noise={when={},chunk=60}",
        "line={when={},chunk=60}",
        "plane={when={},chunk=60}",
        "critical_lr={when={},chunk=60}",
        "alignment={when={},chunk=60}",
        "spectrum={when={},chunk=60}",
        "covariance={when={},chunk=60}",
    ] {
        let key = format!("`probe.{}.chunk` = 60", probe.split('=').next().unwrap());
        refused(&[&without_last[..], &["--set", &format!("probe={{{probe}}}")]].concat(), &key);
    }
    // without batch norm, or with running statistics, nothing is wrong with it
    let fine = [
        "--set",
        "data.train=301",
        "--set",
        "probe.interpolation={batch_norm=\"running\",statistics_samples=200}",
    ];
    let ran = bench.run_into("running", &[&fine[..], &without_last].concat());
    let row = bench.rows("running").into_iter().find(|row| row["kind"] == "interpolation").unwrap();
    assert_eq!(
        (&row["batch_norm"], &row["statistics_samples"]),
        (&"running".into(), &200.into()),
        "{}",
        ran.stderr
    );
    bench.run_into("plain", &["--set", "data.train=301", "--set", "model.options.batch_norm=false"]);
}

#[test]
fn what_may_not_be_meant_is_said_and_run() {
    let bench = Bench::new(GOOD);
    let frozen = bench.run_into("frozen", &["--set", "optim.lr=1e-50"]);
    assert!(
        frozen.stderr.contains("warning: `optim.lr` = 1e-50 is 0 in f32 and has no effect"),
        "{}",
        frozen.stderr
    );
    let parts = ["--set", "optim.method=gd", "--set", "probe.interpolation={points=3}"];
    let other = bench.run_into("other", &parts);
    assert!(other.stderr.contains("warning: `probe.interpolation.chunk`: not 50"), "{}", other.stderr);
    let same =
        bench.run_into("same", &["--set", "optim.method=gd", "--set", "probe.interpolation={chunk=50}"]);
    assert!(!same.stderr.contains("warning"), "{}", same.stderr);
    // then the loss at the start of each segment is the one that is descended
    let found = bench.rows("same");
    for (train, segment) in rows(&found, "train").iter().zip(rows(&found, "interpolation")) {
        let [descended, start] = [&train["loss"], &segment["losses"][0]].map(|loss| loss.as_f64().unwrap());
        assert!((descended - start).abs() < 1e-6, "{descended} {start}");
    }
}
