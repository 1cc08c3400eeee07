//! The program with CUDA. Needs WALK_CUDA=the folder that scripts/build_cuda.sh leaves; .ci/run builds it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::skipped;

/// The folder with the program; if there is none, says so.
fn folder(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("WALK_CUDA").map(PathBuf::from).filter(|path| path.is_dir());
    if folder.is_none() {
        skipped(&format!("{test} needs WALK_CUDA=target/cuda-dist of scripts/build_cuda.sh"));
    }
    folder
}

/// Exit code and standard error of `selfcheck --device cuda`.
fn selfcheck(folder: &Path, driver: Option<PathBuf>) -> (Option<i32>, String) {
    let mut command = Command::new(folder.join("sgdwalk"));
    command.args(["selfcheck", "--device", "cuda"]);
    command.envs(driver.map(|driver| ("LD_LIBRARY_PATH", driver)));
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn cuda_runs_or_says_in_one_line_that_the_driver_is_missing() {
    let Some(folder) = folder("cuda_runs_or_says_in_one_line_that_the_driver_is_missing") else { return };
    let (code, stderr) = selfcheck(&folder, None);
    let has_gpu = Command::new("nvidia-smi").output().is_ok_and(|output| output.status.success());
    if has_gpu {
        assert_eq!(code, Some(0), "{stderr}");
    } else {
        assert_eq!((code, stderr.lines().count()), (Some(2), 1), "{stderr}");
        assert!(stderr.contains("libcuda.so.1"), "{stderr}");
    }
}

#[test]
fn a_driver_without_a_gpu_is_said_in_one_line() {
    let Some(folder) = folder("a_driver_without_a_gpu_is_said_in_one_line") else { return };
    // the build's stand-in for the driver's library, which finds no GPU
    let (code, stderr) = selfcheck(&folder, Some(folder.join("../cuda/stub")));
    assert_eq!((code, stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(stderr.contains("CUDA_ERROR_NO_DEVICE"), "{stderr}");
}
