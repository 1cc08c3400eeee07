//! Several processes of `mpirun`: the same bytes as one. Needs MPI, and WALK_MPI=an sgdwalk built with `--features mpi`
//! (`cargo build -p runner --features mpi --target-dir target/mpi`); .ci/run has both.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::interrupted::wait_for_rows;
use crate::resume::{assert_same, experiment};
use crate::support::{Bench, skipped};

/// The program with MPI; if there is none, says so.
fn program(test: &str) -> Option<PathBuf> {
    let there = Command::new("mpirun").arg("--version").output().is_ok_and(|output| output.status.success());
    match std::env::var_os("WALK_MPI").map(PathBuf::from).filter(|path| there && path.is_file()) {
        Some(path) => Some(path),
        None => {
            skipped(&format!("{test} needs mpirun, and WALK_MPI=an sgdwalk built with --features mpi"));
            None
        }
    }
}

fn mpirun(bench: &Bench, program: &PathBuf, ranks: usize, arguments: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command
        .envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")])
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .args(["-n", &ranks.to_string()])
        .arg(program)
        .args(arguments)
        .current_dir(bench.path(""));
    command
}

#[test]
fn two_and_four_ranks_give_the_bytes_of_one() {
    let Some(program) = program("two_and_four_ranks_give_the_bytes_of_one") else { return };
    let bench = Bench::new(&experiment());
    bench.run_into("one", &["--quiet"]);
    for ranks in [2, 4] {
        let out = format!("ranks-{ranks}");
        let arguments = ["exp.toml", "--out", &out, "--quiet", "--threads", "1"];
        let ran = mpirun(&bench, &program, ranks, &arguments).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        assert_same(&bench, "one", &out);
        // one process alone prints
        let stdout = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(stdout.matches("Barriers / updates").count(), 1, "{stdout}");
    }
    // what was measured before a failure of all ranks is kept, and the failure is reported once
    let arguments = ["exp.toml", "--set", "optim.lr=1e30", "--out", "failed", "--threads", "1"];
    let ran = mpirun(&bench, &program, 2, &arguments).output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(stderr.matches("earlier measurements are kept").count(), 1, "{stderr}");
    assert_eq!(bench.info("failed")["status"], "failed");
    // what cannot be run is said once
    let ran = mpirun(&bench, &program, 2, &["exp.toml", "--set", "optim.lr=-1"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(stderr.matches("`optim.lr` = -1").count(), 1, "{stderr}");
}

#[cfg(unix)]
#[test]
fn a_rank_that_dies_ends_the_job_and_the_run_goes_on_with_another_number_of_ranks() {
    let Some(program) = program("a_rank_that_dies_ends_the_job") else { return };
    let bench = Bench::new(&experiment().replace("epochs = 3", "epochs = 40"));
    let arguments = ["exp.toml", "--out", "run", "--quiet", "--threads", "1"];
    let mut job: Child =
        mpirun(&bench, &program, 2, &arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_rows(&bench, "run");
    let children = Command::new("pgrep").args(["-P", &job.id().to_string()]).output().unwrap();
    let children = String::from_utf8(children.stdout).unwrap();
    let last = children.lines().next_back().expect("mpirun has children");
    assert!(Command::new("kill").args(["-9", last]).status().unwrap().success());
    let mut ended = None;
    for _ in 0..100 {
        ended = job.try_wait().unwrap();
        if ended.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let ended = ended.expect("the job ends by itself");
    assert!(!ended.success());
    let output = job.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("signal 9"), "{stderr}");
    let ran = mpirun(&bench, &program, 3, &["resume", "run", "--quiet", "--threads", "1"]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    bench.run_into("whole", &["--quiet"]);
    assert_same(&bench, "whole", "run");
}

#[cfg(unix)]
#[test]
fn a_signal_to_every_rank_ends_the_job_with_the_code_of_a_stopped_run() {
    let Some(program) = program("a_signal_to_every_rank_ends_the_job") else { return };
    let bench = Bench::new(&experiment().replace("epochs = 3", "epochs = 3000"));
    let arguments = ["exp.toml", "--out", "run", "--quiet", "--threads", "1"];
    let mut job =
        mpirun(&bench, &program, 2, &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for_rows(&bench, "run");
    assert!(Command::new("pkill").args(["-TERM", "-P", &job.id().to_string()]).status().unwrap().success());
    assert_eq!(job.wait().unwrap().code(), Some(3));
    assert_eq!(bench.info("run")["status"], "stopped");
}
