//! The device of a run, and switching to the program built with CUDA.
//!
//! A program linked to CUDA cannot start on a machine without the driver, so it is a separate program, `sgdwalk-cuda`. If an
//! experiment requires CUDA, it replaces this process; if it cannot, this process reports why.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow};
use walk_core::{Backend, Convolution, DeviceError, DeviceName, backend_for};

const CUDA_PROGRAM: &str = "sgdwalk-cuda";

/// The device of that name. If only the program with CUDA supports it, that program replaces this process and starts over, and
/// this function does not return.
pub(crate) fn backend(device: DeviceName, convolution: Convolution) -> Result<Rc<dyn Backend>> {
    match backend_for(device, convolution) {
        Ok(backend) => Ok(backend),
        Err(DeviceError::WithoutCuda) => Err(go_on_with_cuda()),
        Err(error) => Err(error.into()),
    }
}

/// Replaces this process with the program with CUDA; if that fails, returns the reason.
fn go_on_with_cuda() -> anyhow::Error {
    let program = match cuda_program() {
        Ok(program) => program,
        Err(error) => return error,
    };
    match startable(&program) {
        Ok(()) => replace_by(&program),
        Err(error) => error,
    }
}

/// The program with CUDA next to this one.
fn cuda_program() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find this program's file")?;
    let program = this.with_file_name(CUDA_PROGRAM);
    if program.is_file() {
        return Ok(program);
    }
    Err(anyhow!(
        "this program was built without CUDA, and there is no {CUDA_PROGRAM} next to it; `bash scripts/build_cuda.sh` builds both"
    ))
}

/// Checks that the libraries the program is linked to can be loaded.
fn startable(program: &Path) -> Result<()> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("cannot start {}", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason was given");
    Err(anyhow!(
        "CUDA cannot be used: {why}; libcuda.so.1 comes with NVIDIA's driver, the other libraries with nvidia-libraries.tar.gz"
    ))
}

#[cfg(unix)]
fn replace_by(program: &Path) -> anyhow::Error {
    use std::os::unix::process::CommandExt;

    let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
    anyhow::Error::new(error).context(format!("cannot start {}", program.display()))
}

#[cfg(not(unix))]
fn replace_by(program: &Path) -> anyhow::Error {
    anyhow!("run {} instead: on this system, one program cannot replace another", program.display())
}
