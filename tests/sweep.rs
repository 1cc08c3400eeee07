//! Sweeps of experiments and forks, and what `sgdwalk check` says of them before they run.

use crate::resume::experiment;
use crate::support::{Bench, GOOD};

/// A small experiment without probes, whose plugin is named by its library.
fn short() -> String {
    experiment().split("[probe").next().unwrap().replace("epochs = 3", "epochs = 1")
}

#[test]
fn a_sweep_runs_what_is_missing_and_a_failed_member_does_not_stop_it() {
    let text = short();
    let bench = Bench::new(&text);
    // a rate of 1e30 leaves nothing finite
    let arguments =
        ["exp.toml", "--sweep", "optim.lr=0.01,1e30", "--seeds", "2", "--jobs", "2", "--out", "all"];
    let ran = bench.run(&arguments);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("error: 2 of 4 runs failed:"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("optim.lr=1e30,seed=6: ") && ran.stderr.contains("A smaller `optim.lr` may help")
    );
    assert!(ran.stdout.contains("4 of 4 runs are in all"), "{}", ran.stdout);
    let status = |member: &str| bench.info(&format!("all/{member}"))["status"].clone();
    assert_eq!([status("optim.lr=0.01,seed=5"), status("optim.lr=1e30,seed=5")], ["finished", "failed"]);
    let seed = bench.info("all/optim.lr=0.01,seed=6")["seed"].clone();
    assert_eq!(seed, 6);
    // one is missing: it alone is run
    std::fs::remove_dir_all(bench.path("all/optim.lr=0.01,seed=6")).unwrap();
    let ran = bench.run(&["exp.toml", "--sweep", "optim.lr=0.01", "--seeds", "2", "--out", "all"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("1 of 2: optim.lr=0.01,seed=5: already finished"), "{}", ran.stderr);
    assert!(ran.stderr.contains("2 of 2: optim.lr=0.01,seed=6: done"), "{}", ran.stderr);
    // the experiment was changed since: its members are others
    bench.write("exp.toml", text.replace("momentum = 0.9", "momentum = 0.5").as_bytes());
    let ran = bench.run(&["exp.toml", "--sweep", "optim.lr=0.01", "--seeds", "2", "--out", "all"]);
    assert!(ran.stderr.contains("the run of another experiment"), "{}", ran.stderr);
}

#[test]
fn a_sweep_with_a_member_that_cannot_run_trains_none() {
    let bench = Bench::new(&short());
    let cases = [
        ("optim.batch_size=20,999", "--sweep optim.batch_size=999: "),
        ("data.train=100,99999", "--sweep data.train=99999: "),
        // the value blamed is in the file
        ("data.train=100,15", "data.train=15: exp.toml:16: `optim.batch_size` = 20, expected 1 to 15"),
    ];
    for (values, message) in cases {
        let ran = bench.run(&["exp.toml", "--sweep", values, "--out", "all"]);
        assert_eq!((ran.code, ran.stderr.lines().count()), (2, 1), "{}", ran.stderr);
        assert!(ran.stderr.starts_with(&format!("error: {message}")), "{}", ran.stderr);
        assert!(!bench.path("all").exists());
    }
}

#[test]
fn each_warning_of_a_sweep_is_printed_once_with_its_run() {
    let bench = Bench::new(&short());
    let values = "optim.weight_decay=1e-50,1e-60";
    let ran = bench.run(&["exp.toml", "--sweep", values, "--seeds", "2", "--out", "all", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let of_second = "optim.weight_decay=1e-60,seed=5: `optim.weight_decay` = 1e-60";
    let expected = format!(
        "warning: `optim.weight_decay` = 1e-50 is 0 in f32 and has no effect\n\
         warning: {of_second} is 0 in f32 and has no effect\n"
    );
    assert_eq!(ran.stderr, expected);
}

#[cfg(target_os = "linux")]
#[test]
fn a_sweep_survives_a_rebuild_of_the_program() {
    let bench = Bench::new(&short().replace("epochs = 1", "epochs = 40"));
    let program = bench.path("copy");
    std::fs::copy(env!("CARGO_BIN_EXE_sgdwalk"), &program).unwrap();
    let mut sweep = std::process::Command::new(&program)
        .args(["exp.toml", "--seeds", "3", "--out", "all", "--quiet"])
        .current_dir(bench.path(""))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while !bench.path("all/seed=5/run.json").exists() {
        assert!(sweep.try_wait().unwrap().is_none(), "the sweep ended early");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // as the linker does it: another file under the same name
    std::fs::remove_file(&program).unwrap();
    std::fs::write(&program, "not a program").unwrap();
    assert!(!bench.path("all/seed=7").exists(), "the runs are too short for this test");
    assert!(sweep.wait().unwrap().success());
    for seed in 5..=7 {
        assert_eq!(bench.info(&format!("all/seed={seed}"))["status"], "finished");
    }
}

#[test]
fn a_sweep_of_forks_has_a_run_for_each_value() {
    let bench = Bench::new(&short().replace("epochs = 1", "epochs = 3"));
    bench.run_into("parent", &["--quiet"]);
    let sweep = |point: &str| {
        let values = "optim.lr=0.01,0.02";
        bench.run(&["fork", point, "--set", "optim.momentum=0.5", "--sweep", values, "--out", "forks"])
    };
    let ran = sweep("parent@10");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("2 of 2 runs are in forks"), "{}", ran.stdout);
    for lr in ["0.01", "0.02"] {
        let run = format!("forks/optim.lr={lr}");
        let fork = bench.info(&run)["fork"].clone();
        let changes = serde_json::json!(["optim.momentum=0.5", format!("optim.lr={lr}")]);
        assert_eq!((&fork["step"], &fork["changes"]), (&10.into(), &changes));
        assert_eq!(bench.rows(&run)[0]["epoch"], 2);
    }
    // a fork that was killed before its first checkpoint starts again from its parent
    let run = "forks/optim.lr=0.01";
    let rows = bench.metrics(run);
    std::fs::remove_dir_all(bench.path(run).join("checkpoints")).unwrap();
    let info = std::fs::read_to_string(bench.path(run).join("run.json")).unwrap();
    bench.write(&format!("{run}/run.json"), info.replace("\"finished\"", "\"running\"").as_bytes());
    let ran = sweep("parent@10");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("optim.lr=0.01: done"), "{}", ran.stderr);
    assert!(ran.stderr.contains("optim.lr=0.02: already finished"), "{}", ran.stderr);
    assert!(rows == bench.metrics(run));
    // the same experiment from another checkpoint is another run
    let other = sweep("parent@20");
    assert_eq!(
        (other.code, other.stderr.contains("the run of another experiment")),
        (2, true),
        "{}",
        other.stderr
    );
    let ran = bench.run(&["resume", "forks"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("forks: contains several runs; choose one of them, or repeat the sweep command"),
        "{}",
        ran.stderr
    );
}

#[test]
fn resume_and_fork_say_what_is_not_a_run() {
    let bench = Bench::new(&short());
    bench.run_into("out/runs/one", &["--quiet"]);
    let error = |arguments: &[&str]| {
        let ran = bench.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
        ran.stderr
    };
    assert!(
        error(&["resume", "out"]).contains("out: contains the runs of a reproduction; repeat its `sgdwalk")
    );
    assert!(error(&["fork", "out/runs@10"]).contains("out/runs: contains several runs"));
    assert!(error(&["resume", "exp.toml"]).contains("exp.toml: this is a file, expected a run folder"));
    assert!(error(&["resume", "nowhere"]).contains("nowhere: not a run folder"));
    let hint = "out/runs/one: this is a run folder, not an experiment; use `sgdwalk resume out/runs/one`";
    assert!(error(&["out/runs/one"]).contains(hint));
}

#[test]
fn check_estimates_a_run_and_leaves_nothing() {
    let bench = Bench::new(GOOD);
    let ran = bench.run(&["check", "exp.toml", "--threads", "1"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for text in [
        "training: 2 epochs of 6 updates on 300 samples: ",
        "interpolation: 6 measurements, 18000 losses of samples: ",
        "(threads: 1)",
        "for checkpoints; tables, figures and report.html, a few MB, are not counted",
        "folder: runs/exp, which does not exist yet",
    ] {
        assert!(ran.stdout.contains(text), "{text} in {}", ran.stdout);
    }
    assert_eq!(std::fs::read_dir(bench.path("")).unwrap().count(), 1);
    bench.write("run/file", b"");
    let taken = bench.run(&["check", "exp.toml", "--out", "run"]);
    assert_eq!(taken.code, 2);
    assert!(taken.stdout.contains("total: about ") && taken.stderr.contains("run: already exists"));
    let wrong = bench.run(&["check", "exp.toml", "--set", "probe.interpolation.when={ epochs = [9] }"]);
    assert_eq!(
        (wrong.code, wrong.stderr.contains("probe.interpolation.when")),
        (2, true),
        "{}",
        wrong.stderr
    );
}

#[test]
fn check_estimates_each_member_of_a_sweep() {
    let bench = Bench::new(&short());
    let sweep = ["exp.toml", "--sweep", "optim.lr=0.01", "--seeds", "2", "--jobs", "2", "--out", "all"];
    let check = |more: &[&str]| bench.run(&[&["check"], &sweep[..], more].concat());
    let ran = check(&["--threads", "4"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let row = |stdout: &str, member: &str| {
        let line = stdout.lines().find(|line| line.contains(member)).unwrap();
        line.split('│').map(str::trim).map(str::to_owned).collect::<Vec<_>>()
    };
    for member in ["optim.lr=0.01,seed=5", "optim.lr=0.01,seed=6"] {
        let cells = row(&ran.stdout, member);
        assert_eq!((cells[3].as_str(), cells[8].as_str()), ("10", "new"), "{cells:?}");
        assert!(cells[5].ends_with(" MB"), "{cells:?}");
    }
    assert!(ran.stdout.contains("for 2 of 2 runs (2 at a time, threads per run: 2)"), "{}", ran.stdout);
    assert!(ran.stdout.contains("folder: all, which does not exist yet"), "{}", ran.stdout);
    assert!(!bench.path("all").exists());
    assert_eq!(bench.run(&sweep).code, 0);
    std::fs::remove_dir_all(bench.path("all/optim.lr=0.01,seed=6")).unwrap();
    let ran = check(&[]);
    assert_eq!(row(&ran.stdout, "seed=5")[8], "finished, will be kept");
    assert!(ran.stdout.contains("for 1 of 2 runs") && ran.stdout.contains("all, which exists"));
    let other = check(&["--set", "optim.momentum=0.1"]);
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("seed=5: the run of another experiment"), "{}", other.stderr);
}

#[test]
fn every_verb_has_a_manual_page() {
    let bench = Bench::new("");
    assert_eq!(bench.run(&["man", "--out", "pages"]).code, 0);
    let page = |name: &str| std::fs::read_to_string(bench.path("pages").join(name)).unwrap();
    for (verb, name) in [
        (vec![], "sgdwalk.1"),
        (vec!["resume"], "sgdwalk-resume.1"),
        (vec!["data", "fetch"], "sgdwalk-data-fetch.1"),
    ] {
        let ran = bench.run(&[&["man"], verb.as_slice()].concat());
        assert_eq!((ran.code, ran.stdout), (0, page(name)), "{name}");
    }
    let help = bench.run(&["--help"]).stdout;
    let verbs = help.lines().skip_while(|line| *line != "Verbs:").skip(1).take_while(|line| !line.is_empty());
    let verbs: Vec<&str> = verbs.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(verbs.contains(&"new-plugin"), "{verbs:?}");
    for verb in verbs.into_iter().filter(|verb| !["", "help"].contains(verb)) {
        assert!(
            page(&format!("sgdwalk-{verb}.1")).replace('\\', "").contains(&format!("sgdwalk {verb}")),
            "{verb}"
        );
    }
}

#[test]
fn a_sweep_keeps_out_of_the_folders_of_others() {
    let bench = Bench::new(&short());
    let sweep =
        |arguments: &[&str]| bench.run(&[&["exp.toml", "--set", "probe={}", "--quiet"], arguments].concat());
    assert_eq!(sweep(&["--sweep", "optim.lr=0.1", "--out", "all"]).code, 0);
    let listed = || {
        let names = std::fs::read_dir(bench.path("all")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let before = listed();
    for (arguments, part) in [
        (
            &["--seeds", "2", "--out", "all"][..],
            "all: contains another sweep, over optim.lr; choose another folder",
        ),
        (
            &["--sweep", "optim.lr=0.2", "--set", "seed=9", "--out", "all"],
            "all: contains another sweep, of another experiment",
        ),
        (
            &["--sweep", "optim.lr=0.1", "--set", "seed=9", "--out", "all"],
            "all/optim.lr=0.1: the run of another experiment",
        ),
        (&["--seeds", "2", "--out", "all/optim.lr=0.1"], "all/optim.lr=0.1: the folder of a run"),
        (&["--out", "all"], "all: the folder of a sweep; choose another folder"),
        (
            &["--out", "all/optim.lr=0.1/x"],
            "all/optim.lr=0.1/x: is inside the folder of the run all/optim.lr=0.1",
        ),
        (&["--seeds", "2", "--out", "exp.toml"], "exp.toml: this is a file, expected a folder"),
    ] {
        let ran = sweep(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stdout);
        assert!(ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
        assert_eq!(listed(), before);
    }
    // further values of the same keys extend a sweep
    assert_eq!(sweep(&["--sweep", "optim.lr=0.1,0.2", "--out", "all"]).code, 0);
    // without --out each sweep finds its own folder
    for _ in 0..2 {
        assert!(sweep(&["--sweep", "optim.lr=0.1"]).stdout.contains("in runs/exp.sweep\n"));
        assert!(sweep(&["--seeds", "2"]).stdout.contains("2 of 2 runs are in runs/exp-2.sweep\n"));
    }
}
