//! Runs that are killed or receive a signal.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::resume::{assert_same, experiment};
use crate::support::Bench;

fn start(bench: &Bench, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sgdwalk"));
    command.args(arguments).current_dir(bench.path("")).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// How many updates each probe measured according to run.json.
fn measurements(bench: &Bench, run: &str) -> Vec<(Value, Value)> {
    let probes = bench.info(run)["probes"].as_array().unwrap().clone();
    probes.into_iter().map(|probe| (probe["name"].clone(), probe["measurements"].clone())).collect()
}

/// SLOW_TESTS=1 kills 200 times, otherwise 15 times.
#[test]
fn a_run_killed_at_random_moments_ends_in_the_same_bytes() {
    let kills = if std::env::var_os("SLOW_TESTS").is_some() { 200 } else { 15 };
    // a checkpoint now and then within epochs too
    let text = experiment().replace("last = 10", "last = 10\nseconds = 1");
    let bench = Bench::new(&text);
    bench.run_into("whole", &["--quiet"]);
    let mut state = 88_172_645_463_325_252u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let (mut killed, mut runs) = (0, 0);
    while killed < kills {
        runs += 1;
        assert!(runs < 20 * kills, "the runs end before they can be killed");
        let name = format!("run-{runs}");
        loop {
            let begun = bench.path(&name).exists();
            let new = ["exp.toml", "--out", &name, "--quiet"];
            let mut child =
                if begun { start(&bench, &["resume", &name, "--quiet"]) } else { start(&bench, &new) };
            std::thread::sleep(Duration::from_millis(random(300)));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success(), "{name} after {killed} kills: {status}");
                break;
            }
            child.kill().unwrap(); // SIGKILL
            child.wait().unwrap();
            killed += 1;
            if killed >= kills {
                let last = if bench.path(&name).exists() {
                    bench.run(&["resume", &name, "--quiet"])
                } else {
                    bench.run(&new)
                };
                assert_eq!(last.code, 0, "{}", last.stderr);
                break;
            }
        }
        assert_same(&bench, "whole", &name);
        assert_eq!(measurements(&bench, "whole"), measurements(&bench, &name), "{name}");
        std::fs::remove_dir_all(bench.path(&name)).unwrap();
    }
}

/// An experiment that runs for minutes, if it is left to.
fn long() -> String {
    experiment()
        .replace("epochs = 3", "epochs = 3000")
        .replace("[probe.plane]\nwhen = { epochs = [3],", "[probe.plane]\nwhen = { epochs = [2000],")
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
}

#[cfg(unix)]
pub(crate) fn wait_for_rows(bench: &Bench, run: &str) {
    for _ in 0..600 {
        let len = std::fs::metadata(bench.path(run).join("metrics.jsonl")).map_or(0, |file| file.len());
        if len > 10_000 {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no rows come");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_run_at_an_update_and_a_second_run_in_its_folder_is_refused() {
    for name in ["INT", "TERM"] {
        let bench = Bench::new(&long());
        let mut child = start(&bench, &["exp.toml", "--out", "run", "--quiet"]);
        wait_for_rows(&bench, "run");
        let ran = bench.run(&["resume", "run"]);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains("run: another process is using this folder"), "{}", ran.stderr);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(3), "SIG{name}");
        assert_eq!(bench.info("run")["status"], "stopped");
        let rows = bench.rows("run");
        let step = rows[rows.len() - 1]["step"].as_u64().unwrap();
        assert!(bench.path("run/checkpoints").read_dir().unwrap().count() > 0);
        // it goes on where it was
        let mut child = start(&bench, &["resume", "run", "--quiet"]);
        std::thread::sleep(Duration::from_millis(700));
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), Some(3));
        let rows = bench.rows("run");
        assert!(rows[rows.len() - 1]["step"].as_u64().unwrap() > step);
        let steps: Vec<u64> = rows
            .iter()
            .filter(|row| row["kind"] == "train")
            .map(|row| row["step"].as_u64().unwrap())
            .collect();
        assert!(steps.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }
}

#[cfg(unix)]
#[test]
fn the_runs_of_a_sweep_stop_when_it_is_asked_to_or_killed() {
    for name in ["TERM", "KILL"] {
        let bench = Bench::new(&long());
        let arguments = ["exp.toml", "--sweep", "seed=1,2", "--out", "all", "--quiet"];
        let mut sweep = start(&bench, &arguments);
        wait_for_rows(&bench, "all/seed=1");
        signal(&sweep, name);
        // one that is killed does not wait for its run
        assert_eq!(sweep.wait().unwrap().code(), (name == "TERM").then_some(3));
        let is_stopped = || bench.info("all/seed=1")["status"] == "stopped";
        (0..600).find(|_| {
            std::thread::sleep(Duration::from_millis(50));
            is_stopped()
        });
        assert!(is_stopped(), "SIG{name}");
        assert!(!bench.path("all/seed=2").exists());
    }
}
