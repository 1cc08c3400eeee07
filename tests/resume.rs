//! Runs that survive: resumed, forked, interrupted, killed, damaged, out of disk.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{Bench, skipped};
use serde_json::json;

/// Momentum, augmentation, dropout and every probe that remembers anything.
const EXPERIMENT: &str = r#"epochs = 3
seed = 5

[model]
plugin = "PLUGIN"
options = { widths = [12], dropout = 0.2 }

[data]
set = "digits"
train = 200
valid = 50
augment = { crop_padding = 1, flip = true }

[optim]
lr = 0.05
batch_size = 20
momentum = 0.9

[checkpoint]
last = 10

[record]
order = true

[probe.interpolation]
mode = "adaptive"
chunk = 20
[probe.cosine]
[probe.distance]
[probe.noise]
when = { at_end_of_epochs = true }
evaluations = 2
reference_samples = 20
[probe.alignment]
when = { at_end_of_epochs = true }
batch_sizes = [20, 100]
batches = 2
[probe.covariance]
when = { at_end_of_epochs = true }
chunk = 50
[probe.spectrum]
when = { every = 7 }
values = 2
steps = 8
random_vectors = 1
density_steps = 3
[probe.critical_lr]
when = { every = 4 }
[probe.line]
when = { at_end_of_epochs = true }
points = 3
[probe.quadratic]
when = { every = 7 }
chunk = 20
[probe.connectivity]
when = { at_end_of_epochs = true }
split_after = [0, 4, 9]
points = 3
[probe.plane]
when = { epochs = [3], at_end_of_epochs = true }
directions = "principal"
points = 3
"#;

/// The library of the plugin mlp: named by its path it costs no call of cargo.
fn library() -> PathBuf {
    let bench = Bench::new("");
    assert_eq!(bench.run(&["plugins", "mlp"]).code, 0);
    let folder = Path::new(env!("CARGO_BIN_EXE_sgdwalk")).parent().unwrap();
    let name = format!("{DLL_PREFIX}mlp{DLL_SUFFIX}");
    [folder.join(&name), folder.join("deps").join(&name)].into_iter().find(|path| path.is_file()).unwrap()
}

pub(crate) fn experiment() -> String {
    EXPERIMENT.replace("PLUGIN", library().to_str().unwrap())
}

fn start(bench: &Bench, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sgdwalk"));
    command.args(arguments).current_dir(bench.path("")).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Everything that must be the same however often a run was interrupted.
fn results(bench: &Bench, run: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![(String::from("metrics"), bench.metrics(run))];
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(bench.path(run).join("checkpoints")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for path in names {
        files.push((path.file_name().unwrap().to_string_lossy().into(), std::fs::read(&path).unwrap()));
    }
    files
}

pub(crate) fn assert_same(bench: &Bench, one: &str, other: &str) {
    let (a, b) = (results(bench, one), results(bench, other));
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&a), names(&b));
    for ((name, a), (_, b)) in a.iter().zip(&b) {
        assert!(a == b, "{name} differs");
    }
}

/// A copy of a run as it was when it had `epochs` epochs, with `rows` bytes of rows written after that.
fn rewind(bench: &Bench, from: &str, to: &str, epochs: u32, after: usize) {
    let (from_path, to_path) = (bench.path(from), bench.path(to));
    std::fs::create_dir_all(to_path.join("checkpoints")).unwrap();
    std::fs::copy(from_path.join("config.toml"), to_path.join("config.toml")).unwrap();
    let mut info = bench.info(from);
    info["status"] = json!("running");
    std::fs::write(to_path.join("run.json"), info.to_string()).unwrap();
    for epoch in 1..=epochs {
        let name = format!("checkpoints/epoch-{epoch:07}.safetensors");
        std::fs::copy(from_path.join(&name), to_path.join(&name)).unwrap();
    }
    let metrics = bench.metrics(from);
    let text = String::from_utf8_lossy(&metrics);
    let end_of_epoch = format!("{{\"kind\":\"epoch\",\"epoch\":{epochs},");
    let at = text.find(&end_of_epoch).map_or(0, |at| at + text[at..].find('\n').unwrap() + 1);
    std::fs::write(to_path.join("metrics.jsonl"), &metrics[..metrics.len().min(at + after)]).unwrap();
}

#[test]
fn a_run_that_goes_on_from_any_checkpoint_equals_one_that_never_stopped() {
    let bench = Bench::new(&experiment());
    bench.run_into("whole", &["--quiet"]);
    for (epochs, after) in [(0, 0), (0, 3000), (1, 0), (1, 5000), (2, 777), (3, 0)] {
        let copy = format!("copy-{epochs}-{after}");
        rewind(&bench, "whole", &copy, epochs, after);
        let ran = bench.run(&["resume", &copy, "--quiet"]);
        assert_eq!(ran.code, 0, "{copy}: {}", ran.stderr);
        assert_same(&bench, "whole", &copy);
        assert_eq!(bench.info(&copy)["status"], "finished");
    }
    // a run that is done stays as it is
    assert_eq!(bench.run(&["resume", "copy-1-0"]).code, 0);
    assert_same(&bench, "whole", "copy-1-0");
}

#[test]
fn every_optimizer_and_schedule_resumes_with_the_same_bytes() {
    let bench = Bench::new(&experiment());
    let adam = ["--set", "optim.rule=adam", "--set", "optim.momentum=0"];
    let adamw = ["--set", "optim.rule=adamw", "--set", "optim.momentum=0"];
    let nesterov = ["--set", "optim.nesterov=true"];
    let preconditioned = ["--set", "probe.spectrum.matrices=[\"hessian\", \"preconditioned\"]"];
    for (name, optim, schedule) in [
        ("constant", [&adam[..], &preconditioned].concat(), "{warmup=15}"),
        ("step", nesterov.to_vec(), "{kind=\"step\", milestones=[1, 2]}"),
        ("cosine", adamw.to_vec(), "{kind=\"cosine\", warmup=3}"),
        (
            "stable",
            [&adamw[..], &preconditioned].concat(),
            "{kind=\"warmup_stable_decay\", warmup=3, decay=12}",
        ),
    ] {
        let schedule = format!("optim.schedule={schedule}");
        let whole = bench.run_into(name, &[&["--quiet", "--set", &schedule], &optim[..]].concat());
        assert_eq!(whole.code, 0, "{}", whole.stderr);
        for epochs in [1, 2] {
            let copy = format!("{name}-{epochs}");
            rewind(&bench, name, &copy, epochs, 777);
            let ran = bench.run(&["resume", &copy, "--quiet"]);
            assert_eq!(ran.code, 0, "{copy}: {}", ran.stderr);
            assert_same(&bench, name, &copy);
        }
    }
}

#[test]
fn a_schedule_keeps_its_length_when_a_run_is_extended() {
    let text = experiment();
    let bench = Bench::new(text.split("[probe").next().unwrap());
    let schedule = "optim.schedule={kind=\"cosine\", final_factor=0.5}";
    assert_eq!(bench.run_into("run", &["--quiet", "--set", "epochs=1", "--set", schedule]).code, 0);
    let ran = bench.run(&["resume", "run", "--quiet", "--epochs", "2"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let rates: Vec<f64> = bench
        .rows("run")
        .iter()
        .filter(|row| row["kind"] == "train")
        .map(|row| row["lr"].as_f64().unwrap())
        .collect();
    assert_eq!(rates.len(), 20);
    assert!(
        rates[..10].windows(2).all(|pair| pair[1] < pair[0]) && (rates[0] - 0.05).abs() < 1e-12,
        "{rates:?}"
    );
    let said = "`optim.schedule.epochs` = 1: from epoch 2 on, the learning rate is 0.025";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    let shorter = bench.run(&["resume", "run", "--epochs", "1"]);
    assert!(shorter.code == 2 && shorter.stderr.contains("epoch 2 has begun"), "{}", shorter.stderr);
    assert!(rates[10..].iter().all(|rate| (rate - 0.025).abs() < 1e-12), "{rates:?}");
}

#[test]
fn damaged_checkpoints_and_rows_are_told_of_and_recovered_from() {
    let bench = Bench::new(&experiment());
    bench.run_into("whole", &["--quiet"]);
    // the last checkpoint cut, then with a flipped bit: the one before serves
    for damage in [(|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2)) as fn(&mut Vec<u8>), |bytes| {
        let at = bytes.len() - 9;
        bytes[at] ^= 4;
    }] {
        let copy = "damaged";
        rewind(&bench, "whole", copy, 2, 900);
        let file = bench.path(copy).join("checkpoints/epoch-0000002.safetensors");
        let mut bytes = std::fs::read(&file).unwrap();
        damage(&mut bytes);
        std::fs::write(&file, bytes).unwrap();
        let ran = bench.run(&["resume", copy, "--quiet"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains("skipping checkpoint epoch-0000002"), "{}", ran.stderr);
        assert_same(&bench, "whole", copy);
        std::fs::remove_dir_all(bench.path(copy)).unwrap();
    }
    // garbage behind the rows is moved aside
    rewind(&bench, "whole", "garbage", 1, 2000);
    let file = bench.path("garbage").join("metrics.jsonl");
    let rows = std::fs::read(&file).unwrap();
    std::fs::write(&file, [rows.as_slice(), b"\0\0\0\n\xff{\"kind\":\n"].concat()).unwrap();
    assert_eq!(bench.run(&["resume", "garbage", "--quiet"]).code, 0);
    assert_same(&bench, "whole", "garbage");
    let aside = std::fs::read(bench.path("garbage").join("metrics.garbage")).unwrap();
    assert!(aside.ends_with(b"\n\xff{\"kind\":\n"));
    // rows that are not this run's are an error, and stay
    rewind(&bench, "whole", "other", 1, 5000);
    let file = bench.path("other").join("metrics.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let at = text.rfind("\"grad_norm\":").unwrap();
    let changed = format!("{}{}", &text[..at], text[at..].replacen("\"grad_norm\":", "\"grad_norm\":1", 1));
    std::fs::write(&file, &changed).unwrap();
    let ran = bench.run(&["resume", "other", "--quiet"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("differs from the one measured now"), "{}", ran.stderr);
    assert!(std::fs::read_to_string(&file).unwrap().starts_with(changed.trim_end_matches(|c| c != '\n')));
    // another network or other data too
    rewind(&bench, "whole", "wider", 1, 0);
    let config = bench.path("wider").join("config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("widths = [12]", "widths = [13]")).unwrap();
    let ran = bench.run(&["resume", "wider"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("the network that the plugin describes is not the one"), "{}", ran.stderr);
    let ran = bench.run(&["resume", "nowhere"]);
    assert_eq!((ran.code, ran.stderr.contains("nowhere")), (2, true));
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
    let kind = |row: &serde_json::Value, kind: &str| row["kind"] == kind;
    let after = |run: &str, of: &str| -> Vec<serde_json::Value> {
        bench
            .rows(run)
            .into_iter()
            .filter(|row| kind(row, of) && row["step"].as_u64().unwrap() > 10)
            .collect()
    };
    for of in ["train", "cosine", "distance", "spectrum", "line", "plane", "epoch"] {
        assert_eq!(after("same", of), after("parent", of), "{of}");
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
    assert_eq!(after("slow", "train").len(), 2 * 4);
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

/// A small file system that fills up; needs the right to mount one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_in_a_clear_error_and_a_run_that_goes_on() {
    let bench = Bench::new(&experiment());
    let disk = bench.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = |size: &str, kind: &[&str]| {
        let options = format!("{size},mode=0777");
        Command::new("mount").args(kind).args(["-o", &options, "tmpfs"]).arg(&disk).output()
    };
    if !mount("size=64k", &["-t", "tmpfs"]).is_ok_and(|output| output.status.success()) {
        skipped("a_full_disk_ends_in_a_clear_error: a tmpfs cannot be mounted here");
        return;
    }
    let ran = bench.run(&["exp.toml", "--out", "disk/run", "--quiet"]);
    let grown = Command::new("mount").args(["-o", "remount,size=20m"]).arg(&disk).status().unwrap();
    let resumed = bench.run(&["resume", "disk/run", "--quiet"]);
    let metrics = std::fs::read(disk.join("run/metrics.jsonl"));
    assert!(Command::new("umount").arg(&disk).status().unwrap().success());
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("cannot be written") && ran.stderr.contains("No space left"),
        "{}",
        ran.stderr
    );
    assert!(grown.success());
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    bench.run_into("whole", &["--quiet"]);
    assert!(metrics.unwrap() == bench.metrics("whole"), "the rows differ");
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let bench = Bench::new(&experiment());
    bench.write("file", b"");
    let ran = bench.run(&["exp.toml", "--out", "file/run"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("file/run: cannot be created"), "{}", ran.stderr);
    if cfg!(target_os = "linux") {
        let ran = bench.run(&["exp.toml", "--out", "/proc/run"]);
        assert_eq!(
            (ran.code, ran.stderr.contains("/proc/run: cannot be created")),
            (2, true),
            "{}",
            ran.stderr
        );
    }
}
