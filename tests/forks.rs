//! Forks, and runs that start from a file of parameters.

use serde_json::{Value, json};

use crate::resume::experiment;
use crate::support::Bench;

/// Rows of a kind after update 10.
fn after(bench: &Bench, run: &str, kind: &str) -> Vec<Value> {
    let rows = bench.rows(run).into_iter();
    rows.filter(|row| row["kind"] == kind && row["step"].as_u64().unwrap() > 10).collect()
}

#[test]
fn a_fork_goes_on_from_a_checkpoint_with_its_changes_on_record() {
    let bench = Bench::new(&experiment());
    bench.run_into("parent", &["--quiet"]);
    let fork = |out: &str, at: &str, sets: &[&str]| {
        let mut arguments = vec!["fork", at, "--out", out, "--quiet"];
        sets.iter().for_each(|set| arguments.extend(["--set", set]));
        bench.run(&arguments)
    };
    // without a change it is the parent's second half
    assert_eq!(fork("same", "parent@10", &[]).code, 0);
    for of in ["train", "cosine", "distance", "spectrum", "line", "plane", "epoch"] {
        assert_eq!(after(&bench, "same", of), after(&bench, "parent", of), "{of}");
    }
    assert_eq!(bench.rows("same")[0]["epoch"], 2);
    let ran = fork("slow", "parent@10", &["optim.lr=0.001", "optim.batch_size=50"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stdout
            .contains("forked from parent after update 10, changed: optim.lr=0.001, optim.batch_size=50")
    );
    let info = bench.info("slow");
    assert_eq!(info["fork"]["step"], 10);
    assert_eq!(info["fork"]["changes"], json!(["optim.lr=0.001", "optim.batch_size=50"]));
    assert_eq!(after(&bench, "slow", "train").len(), 2 * 4);
    let config = std::fs::read_to_string(bench.path("slow/config.toml")).unwrap();
    assert!(config.contains("lr = 0.001"), "{config}");
    let ran = fork("none", "parent@13", &[]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("no checkpoint after 13 updates; there are checkpoints after: 10, 20, 30"),
        "{}",
        ran.stderr
    );
    let ran = fork("none", "parent", &[]);
    assert!(
        ran.stderr.contains("invalid value 'parent' for '<RUN@STEP>': expected RUN@STEP"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_run_begins_at_a_file_of_parameters() {
    let bench = Bench::new(&experiment());
    bench.run_into("first", &["--quiet", "--set", "probe={}"]);
    let file = "init.from=first/checkpoints/final.safetensors";
    bench.run_into("second", &["--quiet", "--set", "epochs=1", "--set", "probe={}", "--set", file]);
    let loss = |run: &str, kind: &str, key: &str| {
        bench.rows(run).into_iter().find(|row| row["kind"] == kind).unwrap()[key].as_f64().unwrap()
    };
    assert!(loss("second", "train", "loss") < 0.8 * loss("first", "train", "loss"));
    let missing = bench.run(&["exp.toml", "--set", "init.from=none.safetensors"]);
    assert_eq!(missing.code, 2);
    assert!(
        missing.stderr.contains("--set init.from=none.safetensors: `init.from` = "),
        "{}",
        missing.stderr
    );
}

#[test]
fn probes_that_a_fork_turns_on_measure_from_the_first_run_s_start() {
    // the start is in the file, not in the seed
    let bench = Bench::new(&experiment());
    bench.run_into("start", &["--quiet", "--set", "seed=77", "--set", "epochs=1", "--set", "probe={}"]);
    let from = "init.from=start/checkpoints/final.safetensors";
    bench.run_into("measured", &["--quiet", "--set", from]);
    bench.run_into("parent", &["--quiet", "--set", from, "--set", "probe={}"]);
    let probes = "probe={distance={},line={when={at_end_of_epochs=true},points=3},\
                  plane={when={epochs=[3],at_end_of_epochs=true},directions=\"principal\",points=3}}";
    let fork = |at: &str, out: &str, set: &str| {
        let ran = bench.run(&["fork", at, "--out", out, "--quiet", "--set", set]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    };
    fork("parent@10", "fork", probes);
    for kind in ["distance", "line"] {
        assert!(!after(&bench, "fork", kind).is_empty());
        assert_eq!(after(&bench, "fork", kind), after(&bench, "measured", kind), "{kind}");
    }
    // the trajectory has θ_0 and what came after the fork, and says so
    let plane = &after(&bench, "fork", "plane")[0];
    assert_eq!((&plane["unseen"], plane["trajectory"].as_array().unwrap().len()), (&10.into(), 4));
    assert!(after(&bench, "measured", "plane")[0].get("unseen").is_none());

    // a fork of a fork, whose parents are gone
    fork("parent@10", "plain", "optim.lr=0.05");
    std::fs::remove_dir_all(bench.path("parent")).unwrap();
    std::fs::remove_dir_all(bench.path("start")).unwrap();
    fork("plain@20", "grandchild", probes);
    let distances = |run: &str| {
        let rows = after(&bench, run, "distance").into_iter();
        rows.filter(|row| row["step"].as_u64().unwrap() > 20).collect::<Vec<_>>()
    };
    assert_eq!(distances("grandchild").len(), 10);
    assert_eq!(distances("grandchild"), distances("measured"));
}

#[test]
fn a_fork_with_nothing_left_to_train_is_refused() {
    let bench = Bench::new(&experiment());
    bench.run_into("parent", &["--quiet", "--set", "probe={}"]);
    let refused = |arguments: &[&str]| {
        let ran = bench.run(arguments);
        assert_eq!(ran.code, 2, "{}", ran.stdout);
        assert!(
            ran.stderr.contains("leaves nothing to train; raise it, e.g. --set epochs="),
            "{}",
            ran.stderr
        );
        assert!(!bench.path("fork").exists());
    };
    refused(&["fork", "parent@30", "--out", "fork"]);
    refused(&["fork", "parent@20", "--out", "fork", "--set", "epochs=2"]);
    refused(&["fork", "parent@30", "--out", "fork", "--sweep", "optim.lr=0.1,0.2"]);
    assert_eq!(bench.run(&["fork", "parent@30", "--out", "fork", "--set", "epochs=4", "--quiet"]).code, 0);
}

#[test]
fn a_fork_does_not_mind_other_damaged_checkpoints() {
    let bench = Bench::new(&experiment());
    bench.run_into("parent", &["--quiet", "--set", "probe={}"]);
    bench.write("parent/checkpoints/epoch-0000001.safetensors", b"damaged");
    let ran = bench.run(&["fork", "parent@20", "--out", "fork", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = bench.run(&["fork", "parent@10", "--out", "none", "--quiet"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("there are checkpoints after: 20, 30; cannot read epoch-0000001"),
        "{}",
        ran.stderr
    );
}
