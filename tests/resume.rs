//! Runs that go on: resumed, extended, damaged, out of disk.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::Command;

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
    assert!(ran.stderr.contains("file: is not a folder, but files must be written into"), "{}", ran.stderr);
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
