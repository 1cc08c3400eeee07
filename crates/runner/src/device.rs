//! The device of a run, and the change to the program that has CUDA.
//!
//! The program with CUDA cannot start where there is no driver, so it is a separate program, `sgdwalk-cuda`. Where CUDA is asked
//! for, it replaces this one; if it cannot, this one says why.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow};
use walk_core::{Backend, Convolution, DeviceError, DeviceName, backend_for};

const CUDA_PROGRAM: &str = "sgdwalk-cuda";

/// The device of that name. If only the program with CUDA has it, that program replaces this one and starts over, and this
/// function does not return.
pub(crate) fn backend(device: DeviceName, convolution: Convolution) -> Result<Rc<dyn Backend>> {
    match backend_for(device, convolution) {
        Ok(backend) => Ok(backend),
        Err(DeviceError::WithoutCuda) => Err(go_on_with_cuda()),
        Err(error) => Err(error.into()),
    }
}

/// Replaces this process by the program with CUDA; returns why that cannot be.
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

/// The program with CUDA beside this one.
fn cuda_program() -> Result<PathBuf> {
    let this = std::env::current_exe().context("this program cannot be found")?;
    let program = this.with_file_name(CUDA_PROGRAM);
    if program.is_file() {
        return Ok(program);
    }
    Err(anyhow!(
        "this program was built without CUDA, and there is no {CUDA_PROGRAM} beside it; `bash scripts/build_cuda.sh` builds both"
    ))
}

/// Whether the libraries that the program is linked to can be loaded.
fn startable(program: &Path) -> Result<()> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("{} cannot be started", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(anyhow!(
        "CUDA cannot be used: {why}; libcuda.so.1 belongs to NVIDIA's driver, the other libraries are in nvidia-libraries.tar.gz"
    ))
}

#[cfg(unix)]
fn replace_by(program: &Path) -> anyhow::Error {
    use std::os::unix::process::CommandExt;

    let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
    anyhow::Error::new(error).context(format!("{} cannot be started", program.display()))
}

#[cfg(not(unix))]
fn replace_by(program: &Path) -> anyhow::Error {
    anyhow!(
        "start {} instead: on this system one program cannot take the place of another",
        program.display()
    )
}
