//! Records that were changed since they were written, and runs whose experiment was.

use crate::resume::{assert_same, experiment};
use crate::support::{Bench, GOOD, Ran};

/// A copy of the folder of a run.
fn copy(bench: &Bench, from: &str, to: &str) {
    let _ = std::fs::remove_dir_all(bench.path(to));
    for folder in ["", "checkpoints"] {
        let from = bench.path(from).join(folder);
        std::fs::create_dir_all(bench.path(to).join(folder)).unwrap();
        for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), bench.path(to).join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
}

fn refused(ran: &Ran, part: &str) {
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}

#[test]
fn a_record_that_was_changed_is_refused() {
    let bench = Bench::new(GOOD);
    bench.run_into("whole", &["--quiet"]);
    let text = String::from_utf8(bench.metrics("whole")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let join = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let (missing, mut doubled, mut blank, mut changed) =
        ([&lines[..4], &lines[5..]].concat(), lines.clone(), lines.clone(), lines.clone());
    doubled.insert(4, lines[4]);
    blank.insert(4, "");
    let other_number = lines[4].replacen("0.", "1.", 1);
    assert_ne!(other_number, lines[4]);
    changed[4] = &other_number;
    let not_written = "are not those that the run wrote";
    let cases = [
        (join(&missing), "rows are missing"),
        (join(&doubled), not_written),
        (join(&blank), "metrics.jsonl:5: not a record: the line is blank"),
        (join(&changed), not_written),
        (text.replace('\n', "\r\n"), not_written),
        (format!("{text}{}\n", lines[4]), "the run had ended before this line"),
        (text.replacen("\"train\"", "\"trian\"", 1), "metrics.jsonl:1: not a record: unknown kind `trian`"),
    ];
    for (damaged, part) in cases {
        copy(&bench, "whole", "run");
        bench.write("run/metrics.jsonl", damaged.as_bytes());
        refused(&bench.run(&["report", "run"]), part);
        let ran = bench.run(&["resume", "run", "--epochs", "3"]);
        if part != "the run had ended before this line" {
            assert_eq!(ran.code, 2, "{damaged}");
            assert!(ran.stderr.contains("are not those that the run wrote (SHA-256)"), "{}", ran.stderr);
            assert_eq!(bench.metrics("run"), damaged.as_bytes());
        }
    }
}

#[test]
fn lost_rows_are_measured_again() {
    let bench = Bench::new(GOOD);
    bench.run_into("whole", &["--quiet"]);
    for lines in [0, 5] {
        copy(&bench, "whole", "run");
        let text = String::from_utf8(bench.metrics("whole")).unwrap();
        let kept: String = text.split_inclusive('\n').take(lines).collect();
        bench.write("run/metrics.jsonl", kept.as_bytes());
        let ran = bench.run(&["resume", "run", "--quiet"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains("rows are missing; they will be measured again"), "{}", ran.stderr);
        assert_same(&bench, "whole", "run");
    }
}

#[test]
fn a_resumed_run_may_train_longer_and_change_nothing_else() {
    let bench = Bench::new(&experiment());
    bench.run_into("other", &["--quiet", "--set", "seed=6", "--set", "probe={}"]);
    std::fs::copy(bench.path("other/checkpoints/final.safetensors"), bench.path("start.safetensors"))
        .unwrap();
    let set =
        ["--set", "init.from=start.safetensors", "--set", "probe.plane.when={ at_end_of_epochs = true }"];
    let line = ["--set", "probe.line.from=start.safetensors"];
    let run = |out: &str, epochs: &str| {
        let set = [&set[..], &line, &["--quiet", "--set", epochs]].concat();
        bench.run_into(out, &set);
    };
    run("whole", "epochs=3");
    run("run", "epochs=2");
    let done = bench.run(&["resume", "run"]);
    assert_eq!(done.code, 0);
    assert!(done.stderr.contains("nothing to do: run is finished, its 2 epochs are done"), "{}", done.stderr);
    refused(&bench.run(&["resume", "run", "--epochs", "1"]), "`epochs` = 1");

    let config = std::fs::read_to_string(bench.path("run/config.toml")).unwrap();
    for (from, to) in [
        ("lr = 0.05", "lr = 0.06"),
        ("seed = 5", "seed = 6"),
        ("train = 200", "train = 180"),
        ("points = 3", "points = 4"),
    ] {
        assert!(config.contains(from));
        bench.write("run/config.toml", config.replace(from, to).as_bytes());
        refused(
            &bench.run(&["resume", "run", "--epochs", "3"]),
            "config.toml is not the experiment that the run started",
        );
    }
    let kept = config.replace("last = 10", "last = 9").replace("tensorboard = false", "tensorboard = true");
    bench.write("run/config.toml", kept.as_bytes());
    let start = std::fs::read(bench.path("start.safetensors")).unwrap();
    std::fs::copy(bench.path("other/checkpoints/epoch-0000001.safetensors"), bench.path("start.safetensors"))
        .unwrap();
    refused(
        &bench.run(&["resume", "run", "--epochs", "3"]),
        "`init.from`: start.safetensors does not have the contents that",
    );
    bench.write("start.safetensors", &start);
    let ran = bench.run(&["resume", "run", "--epochs", "3", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_same(&bench, "whole", "run");
    assert!(std::fs::read_to_string(bench.path("run/config.toml")).unwrap().contains("epochs = 3\n"));
}

#[test]
fn a_report_goes_on_without_the_runs_that_cannot_be_read() {
    let bench = Bench::new(GOOD);
    bench.run_into("a/run", &["--quiet"]);
    bench.run_into("b/run", &["--quiet", "--set", "optim.lr=0.2"]);
    bench.run_into("c/run", &["--quiet"]);
    bench.write("c/run/metrics.jsonl", b"{}\n");
    let ran = bench.run(&["report", "a/run", "b/run", "c/run", "nowhere"]);
    assert_eq!(ran.code, 1);
    for part in [
        "left out: c/run/metrics.jsonl:1: not a record",
        "left out: nowhere: not a run",
        "2 of 4 runs could not be read",
    ] {
        assert!(ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
    }
    for part in ["│ lr  │", "│ 0.1 │", "│ 0.2 │", "no files were written; --out DIR writes"] {
        assert!(ran.stdout.contains(part), "no {part:?} in {}", ran.stdout);
    }
}

#[test]
fn a_report_of_several_runs_stays_out_of_the_folders_of_others() {
    let bench = Bench::new(GOOD);
    bench.run_into("a", &["--quiet"]);
    bench.run_into("b", &["--quiet", "--set", "optim.lr=0.2"]);
    let page = || std::fs::read(bench.path("b/report.html")).unwrap();
    let before = page();
    let report = |out: &str| bench.run(&["report", "a", "b", "--out", out]);
    refused(
        &report("b"),
        "b: the folder of a run, which has its own report; choose another folder with --out",
    );
    refused(&report("b/x"), "b/x: is inside the folder of the run ");
    assert!(before == page() && !bench.path("b/x").exists());
    for _ in 0..2 {
        assert_eq!(report("new/both").code, 0);
    }
    assert_eq!(bench.run(&["report", "b", "--out", "./b"]).code, 0);
    bench.write("mine/report.html", b"<p>mine</p>");
    refused(&report("mine"), "mine/report.html: not part of a report by sgdwalk, but would be replaced");
}

#[test]
fn an_experiment_that_was_edited_after_its_run_is_pointed_out() {
    let bench = Bench::new(GOOD);
    bench.run_into("a", &["--quiet"]);
    bench.run_into("b", &["--quiet", "--set", "optim.lr=0.2"]);
    let warnings = |arguments: &[&str]| {
        let ran = bench.run(arguments);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stderr
    };
    assert_eq!(warnings(&["report", "a", "b"]), "");
    let config = std::fs::read_to_string(bench.path("a/config.toml")).unwrap();
    let edit = |from: &str, to: &str| bench.write("a/config.toml", config.replace(from, to).as_bytes());
    // what a resumed run may change is not an edit
    edit("epochs = 2\n", "epochs = 3\n");
    assert_eq!(warnings(&["report", "a"]), "");
    let changed =
        "warning: a: config.toml was changed after the run started; its values are shown as they are now\n";
    for (from, to) in [("lr = 0.1\n", "lr = 0.3\n"), ("lr = 0.1\n", "lrr = 0.1\n")] {
        edit(from, to);
        assert_eq!(warnings(&["report", "a", "b"]), changed);
        assert_eq!(warnings(&["export", "a", "--out", "csv"]), changed);
    }
    edit("lr = 0.1\n", "lr = \n");
    for arguments in [&["report", "a"][..], &["report", "a", "b", "--out", "both"]] {
        let warning = warnings(arguments);
        assert!(warning.starts_with("warning: a/config.toml: not valid TOML: "), "{warning}");
        assert!(warning.ends_with("; the values of this run are not shown\n"), "{warning}");
        assert_eq!(warning.lines().count(), 1);
    }
}

#[test]
fn several_reports_of_a_run_at_once_all_end_well() {
    let bench = Bench::new(GOOD);
    bench.run_into("run", &["--quiet"]);
    std::thread::scope(|scope| {
        let reports: Vec<_> = (0..4).map(|_| scope.spawn(|| bench.run(&["report", "run"]))).collect();
        for report in reports {
            let ran = report.join().unwrap();
            assert_eq!(ran.code, 0, "{}", ran.stderr);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_or_closed_output_costs_no_run() {
    use std::process::{Command, Stdio};
    let bench = Bench::new(GOOD);
    let run = |arguments: &[&str], output: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sgdwalk"));
        command.args(arguments).current_dir(bench.path("")).stdout(output).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let ended = child.wait_with_output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (code, stderr) = run(&["exp.toml", "--out", "full", "--quiet"], full().into());
    assert_eq!(code, Some(1));
    assert!(stderr.contains("cannot write to standard output: No space left"), "{stderr}");
    assert_eq!(bench.info("full")["status"], "finished");
    assert!(bench.path("full/report.html").is_file());
    assert_eq!(run(&["report", "full"], full().into()).0, Some(1));
    assert_eq!(run(&["keys"], full().into()).0, Some(1));
    // a reader that went away
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(run(&["report", "full"], writer.into()), (Some(0), String::new()));
}
