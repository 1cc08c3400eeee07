//! The main job, end to end: the real binary, the real plugin, real images.

use crate::support::{Bench, EVERY_PROBE, GOOD, root};
use serde_json::json;

#[test]
fn quick_toml_runs_and_prints_the_barrier_table() {
    let bench = Bench::new("");
    let quick = root().join("experiments/quick.toml");
    let ran = bench.run(&[quick.to_str().unwrap(), "--out", "quick"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("\nBarriers / updates (barriers that exceed the noise)\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("│ mlp     │ 0 / 70 (0) │ 0 / 70 (0) │ 0 / 70 (0) │"), "{}", ran.stdout);
    // one short table, what it says, and where the rest is
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let conclusion = "None of 210 updates crossed a barrier; with 95% confidence, fewer than 5.2% do.";
    assert!(lines.len() <= 14 && lines.contains(&conclusion), "{}", ran.stdout);
    assert!(lines.last().unwrap().ends_with("; the report is quick/report.html"), "{}", ran.stdout);
    let segments = bench.rows("quick").into_iter().filter(|row| row["kind"] == "interpolation").count();
    assert_eq!(segments, 3 * 70);
    let info = bench.info("quick");
    assert_eq!((&info["status"], &info["network"]["n_params"]), (&json!("finished"), &json!(17610)));
    assert_eq!(info["data"]["train"], 1400);
    assert_eq!(info["plugin"]["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn bench_times_the_given_number_of_images_or_those_that_fit_into_a_second() {
    let bench = Bench::new(GOOD);
    let timed = |more: &[&str]| -> serde_json::Value {
        let ran = bench.run(&[&["bench", "exp.toml", "--json", "--repeat", "1"], more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    };
    // all of the 300 images, which take milliseconds
    for (more, images) in [(&["--eval", "120"][..], 120), (&[], 300)] {
        let result = timed(more);
        assert_eq!((&result["arch"], &result["images"]), (&json!("mlp"), &json!(images)));
        for speed in ["eval_images_per_s", "train_images_per_s", "hvp_images_per_s", "segment_s"] {
            assert!(result[speed].as_f64().unwrap() > 0.0, "{speed}: {result}");
        }
    }
}

#[test]
fn metrics_have_the_documented_fields() {
    let bench = Bench::new(GOOD);
    bench.run_into("run", &[]);
    let rows = bench.rows("run");
    let keys = |kind: &str| {
        let row = rows.iter().find(|row| row["kind"] == kind).unwrap();
        row.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys("train"), "epoch grad_norm iteration kind loss lr step");
    assert_eq!(
        keys("interpolation"),
        "alphas barrier batch_norm degrees_of_freedom depth depth_error epoch evaluation evaluations floor_move_error \
         height height_error iteration kind landing losses \
         min_alpha min_loss min_loss_error mode samples step"
    );
    let segments: Vec<_> = rows.iter().filter(|row| row["kind"] == "interpolation").collect();
    let places: Vec<_> =
        segments.iter().map(|row| json!([row["epoch"], row["iteration"], row["step"]])).collect();
    assert_eq!(json!(places), json!([[1, 1, 1], [1, 2, 2], [1, 3, 3], [2, 1, 7], [2, 2, 8], [2, 3, 9]]));
    for row in segments {
        let losses: Vec<f64> = serde_json::from_value(row["losses"].clone()).unwrap();
        let inside = losses[1..10].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ends = losses[0].max(losses[10]);
        assert_eq!(row["barrier"], json!(inside > ends));
        assert!((row["height"].as_f64().unwrap() - (inside - ends)).abs() < 1e-15);
        assert_eq!((row["samples"].as_u64(), losses.len()), (Some(300), 11));
    }
}

#[test]
fn every_probe_measures_every_kind_of_network() {
    let plugins = [
        ("mlp", "{ widths = [12] }"),
        ("resnet56", "{ depth = 8, width = 4 }"),
        ("wresnet", "{ depth = 10, widen = 1 }"),
        ("vit", "{ patch = 4, width = 8, depth = 1, heads = 2, hidden = 8 }"),
    ];
    for (plugin, options) in plugins {
        let good = GOOD.split("[probe").next().unwrap().replace("epochs = 2", "epochs = 1");
        let good = good.replace("\"mlp\"", &format!("{plugin:?}")).replace("{ widths = [16] }", options);
        let bench = Bench::new(&(good + EVERY_PROBE));
        let ran = bench.run_into("run", &[]);
        let kinds = |kind: &str| bench.rows("run").iter().filter(|row| row["kind"] == kind).count();
        for (kind, count) in [
            ("interpolation", 2),
            ("noise", 1),
            ("cosine", 5),
            ("distance", 6),
            ("alignment", 2),
            ("covariance", 1),
            ("spectrum", 4),
            ("critical_lr", 2),
            ("line", 1),
            ("plane", 1),
            ("quadratic", 2),
            ("connectivity", 2),
        ] {
            assert_eq!(kinds(kind), count, "{plugin} {kind}");
        }
        let timed = bench.info("run")["probes"].as_array().unwrap().len();
        assert_eq!(timed, 12);
        assert!(ran.stdout.contains("exceed the noise"), "{}", ran.stdout);
        // the same tables and figures from the records alone, to the byte
        let folders = ["tables", "figures"].map(|folder| bench.path("run").join(folder));
        let files = || -> Vec<(std::path::PathBuf, Vec<u8>)> {
            let paths = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
            let mut files: Vec<_> = paths.map(|entry| entry.unwrap().path()).collect();
            files.sort();
            files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
        };
        let before = files();
        let drawn = before.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "svg")).count();
        assert!(drawn >= 6 && before.len() > 3 * drawn, "{plugin}: {drawn} figures, {} files", before.len());
        folders.iter().for_each(|folder| std::fs::remove_dir_all(folder).unwrap());
        let report = bench.run(&["report", "run"]);
        assert!(files() == before, "{plugin}: other tables or figures");
        assert_eq!(report.code, 0, "{}", report.stderr);
        for title in ["Largest eigenvalues", "Cosine of consecutive gradients"] {
            assert!(report.stdout.contains(title) && !ran.stdout.contains(title), "{}", report.stdout);
        }
    }
}

#[test]
fn equal_seeds_give_equal_bytes_twice_and_for_any_number_of_threads() {
    let bench = Bench::new(GOOD);
    bench.run_into("first", &[]);
    bench.run_into("again", &[]);
    bench.run_into("one", &["--threads", "1"]);
    bench.run_into("two", &["--threads", "2"]);
    let first = bench.metrics("first");
    assert!(first.len() > 1000);
    for other in ["again", "one", "two"] {
        assert!(first == bench.metrics(other), "{other} differs");
    }
    // the resolved experiment gives them too
    let resolved = bench.path("first/config.toml");
    let ran = bench.run(&[resolved.to_str().unwrap(), "--out", "resolved"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(first == bench.metrics("resolved"));
    bench.write("exp.toml", format!("seed = 5\n{GOOD}").as_bytes());
    bench.run_into("other-seed", &[]);
    assert!(first != bench.metrics("other-seed"));
}

#[test]
fn gd_momentum_squared_error_and_running_statistics_run() {
    let text = GOOD
        .replace("epochs = 2\n", "epochs = 2\nloss = \"squared_error\"\n")
        .replace("batch_size = 50", "batch_size = 100\nmethod = \"gd\"\naccumulate = \"sum\"\nmomentum = 0.5")
        .replace(", iterations = [1, 3] }", " }\nbatch_norm = \"running\"\npoints = 5");
    let bench = Bench::new(&text);
    bench.run_into("run", &[]);
    let rows = bench.rows("run");
    let kinds: Vec<_> = rows.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["train", "interpolation", "epoch"].repeat(2));
    assert_eq!((&rows[1]["batch_norm"], rows[1]["losses"].as_array().unwrap().len()), (&json!("running"), 5));
}

#[test]
fn an_existing_folder_is_refused_and_left_alone() {
    let bench = Bench::new(GOOD);
    bench.run_into("run", &[]);
    let before = bench.metrics("run");
    let ran = bench.run(&["exp.toml", "--out", "run"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr
            .contains("run: already exists and will not be overwritten; choose another folder with --out")
    );
    assert!(before == bench.metrics("run"));
    // without --out the first free name is taken
    for name in ["runs/exp", "runs/exp-2"] {
        assert_eq!(bench.run(&["exp.toml"]).code, 0);
        assert!(bench.path(name).join("run.json").is_file());
    }
}

#[test]
fn a_diverging_run_stops_keeps_its_rows_and_says_where() {
    let bench = Bench::new(
        &GOOD.replace("lr = 0.1", "lr = 1e30").replace("widths = [16]", "widths = [16], batch_norm = false"),
    );
    let ran = bench.run(&["exp.toml", "--out", "run"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("at epoch 1, iteration"), "{}", ran.stderr);
    assert!(ran.stderr.contains("the run folder is run"), "{}", ran.stderr);
    let rows = bench.rows("run");
    assert!(rows.len() <= 12);
    let info = bench.info("run");
    assert_eq!(info["status"], "failed");
    assert!(info["message"].as_str().unwrap().contains("epoch 1"));
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_ends_the_program_quietly_and_loses_nothing() {
    let bench = Bench::new(GOOD);
    let program = env!("CARGO_BIN_EXE_sgdwalk");
    let script = format!("{program:?} exp.toml --out run --quiet | true");
    let output =
        std::process::Command::new("sh").args(["-c", &script]).current_dir(bench.path("")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(bench.info("run")["status"], "finished");
    assert!(
        bench.path("run/tables/barriers.txt").is_file()
            && bench.path("run/checkpoints/final.safetensors").is_file()
    );
}
