//! Settings compared over seeds: the tables, figures and files of a sweep, against numbers that the test computes itself.

use std::collections::BTreeMap;

use crate::support::{Bench, GOOD, split_quoted};

/// A sweep of two rates, each with three seeds.
fn sweep() -> Bench {
    let probes =
        "[probe.spectrum]\nwhen = { at_end_of_epochs = true }\n[probe.cosine]\n[probe.interpolation]\n";
    let text = GOOD.split("[probe").next().unwrap().to_owned() + probes;
    let bench = Bench::new(&text);
    let ran =
        bench.run(&["exp.toml", "--sweep", "optim.lr=0.05,0.2", "--seeds", "3", "--out", "sweep", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    bench
}

/// The rows of a CSV file, each as its values by the names of their columns.
fn rows(bench: &Bench, file: &str) -> Vec<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(bench.path(file)).unwrap();
    let mut lines = text.lines().map(|line| split_quoted(line, ',', '"'));
    let header = lines.next().unwrap();
    lines.map(|line| header.iter().cloned().zip(line).collect()).collect()
}

/// A value that every run of a setting recorded, in the order of the seeds.
fn recorded(
    bench: &Bench,
    lr: &str,
    kind: &str,
    step: u64,
    value: impl Fn(&serde_json::Value) -> f64,
) -> [f64; 3] {
    [1111, 1112, 1113].map(|seed| {
        let rows = bench.rows(&format!("sweep/optim.lr={lr},seed={seed}"));
        value(rows.iter().find(|row| row["kind"] == kind && row["step"] == step).unwrap())
    })
}

fn mean_and_deviation(values: [f64; 3]) -> [f64; 2] {
    let mean = values.iter().sum::<f64>() / 3.0;
    [mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2.0).sqrt()]
}

fn assert_close(found: &str, expected: f64) {
    let found: f64 = found.parse().unwrap();
    assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{found} is not {expected}");
}

#[test]
fn seeds_are_joined_in_tables_and_figures() {
    let bench = sweep();
    let (losses, figure) = (
        rows(&bench, "sweep/report/tables/training.csv"),
        rows(&bench, "sweep/report/figures/sharpness.csv"),
    );
    let cosines = rows(&bench, "sweep/report/figures/cosine.csv");
    assert_eq!((losses.len(), figure.len(), cosines.len()), (4, 4, 22));
    for lr in ["0.05", "0.2"] {
        let of_setting = |rows: &'_ [BTreeMap<String, String>], place: &str, at: &str| {
            let is_it = |row: &&BTreeMap<String, String>| row["optim_lr"] == lr && row[place] == at;
            rows.iter().find(is_it).unwrap_or_else(|| panic!("no {place} {at} at {lr}")).clone()
        };
        for (epoch, step) in [("1", 6), ("2", 12)] {
            let [mean, deviation] = mean_and_deviation(recorded(&bench, lr, "epoch", step, |row| {
                row["valid_loss"].as_f64().unwrap()
            }));
            let row = of_setting(&losses, "epoch", epoch);
            assert_eq!(row["seeds"], "3");
            assert_close(&row["valid_loss"], mean);
            assert_close(&row["valid_loss_std"], deviation);
            // the band of the figure is one such deviation
            let largest = |row: &serde_json::Value| row["values"][0].as_f64().unwrap();
            let [mean, deviation] = mean_and_deviation(recorded(&bench, lr, "spectrum", step, largest));
            let row = of_setting(&figure, "x", &step.to_string());
            assert_eq!(row["n"], "3");
            assert_close(&row["mean"], mean);
            assert_close(&row["std"], deviation);
        }
        let [mean, deviation] =
            mean_and_deviation(recorded(&bench, lr, "cosine", 7, |row| row["cosine"].as_f64().unwrap()));
        let row = of_setting(&cosines, "x", "7");
        assert_close(&row["mean"], mean);
        assert_close(&row["std"], deviation);
    }
    let svg = std::fs::read_to_string(bench.path("sweep/report/figures/sharpness.svg")).unwrap();
    for text in ["lr = 0.05", "lr = 0.2", "mlp on digits, SGD, B = 50; band: 1 std. dev. over 3 seeds"] {
        assert!(svg.contains(text), "no {text:?} in the figure");
    }

    // Welch's t of the difference, by hand
    let [a, b] = ["0.05", "0.2"].map(|lr| {
        mean_and_deviation(recorded(&bench, lr, "epoch", 12, |row| row["valid_loss"].as_f64().unwrap()))
    });
    let t = (b[0] - a[0]) / ((a[1].powi(2) + b[1].powi(2)) / 3.0).sqrt();
    let differences = rows(&bench, "sweep/report/tables/differences.csv");
    let row = differences.iter().find(|row| row["quantity"] == "validation loss").unwrap();
    assert_close(&row["t"], t);
}

#[test]
fn a_report_compares_by_the_keys_that_are_named() {
    let bench = sweep();
    // the folder of the sweep stands for its runs
    let ran = bench.run(&["report", "sweep", "--by", "seed", "--out", "by-seed"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let losses = rows(&bench, "by-seed/tables/training.csv");
    let found: Vec<&str> = losses.iter().map(|row| row["seed"].as_str()).collect();
    assert_eq!(found, ["1111", "1111", "1112", "1112", "1113", "1113"]);
    assert!(losses.iter().all(|row| row["seeds"] == "2"), "{losses:?}");
    let ran = bench.run(&["report", "sweep", "--by", "momentum"]);
    let message =
        "error: --by momentum: the runs do not differ in `momentum`; they differ in seed, optim.lr\n";
    assert_eq!((ran.code, ran.stderr.as_str()), (2, message));
}

#[test]
fn records_are_exported_with_their_configuration() {
    let bench = sweep();
    let ran = bench.run(&["export", "sweep", "--out", "csv"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("csv/spectrum.csv: 12 lines\n"), "{}", ran.stdout);
    let exported = rows(&bench, "csv/train.csv");
    assert_eq!(exported.len(), 6 * 12);
    let recorded = recorded(&bench, "0.2", "train", 5, |row| row["loss"].as_f64().unwrap());
    let is_it = |row: &&BTreeMap<String, String>| row["optim_lr"] == "0.2" && row["step"] == "5";
    let found: Vec<f64> = exported.iter().filter(is_it).map(|row| row["loss"].parse().unwrap()).collect();
    assert_eq!(found, recorded);
    assert_eq!(rows(&bench, "csv/runs.csv").len(), 6);
}
