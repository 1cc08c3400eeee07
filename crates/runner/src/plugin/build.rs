//! Builds a plugin crate with cargo, which also decides whether its library is out of date.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

/// The crate's library, built if it is missing or out of date.
pub(crate) fn library(folder: &Path) -> Result<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    // try offline first: the crates downloaded so far nearly always suffice
    let mut output = cargo_build(&manifest, true)?;
    if !output.status.success() {
        output = cargo_build(&manifest, false)?;
    }
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(anyhow!("plugin {}: cargo could not build it:\n{}", folder.display(), errors.trim_end()));
    }
    artifact(&output.stdout, &manifest).ok_or_else(|| {
        anyhow!(
            "plugin {}: its crate does not build a dynamic library; its Cargo.toml needs [lib] crate-type = [\"cdylib\"]",
            folder.display()
        )
    })
}

fn cargo_build(manifest: &Path, offline: bool) -> Result<Output> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(&cargo);
    command
        .args(["build", "--lib", "--message-format=json-render-diagnostics", "--manifest-path"])
        .arg(manifest);
    if offline {
        command.arg("--offline");
    }
    command.output().with_context(|| {
        format!("cannot start {} to build the plugin {}", cargo.display(), manifest.display())
    })
}

/// The dynamic library of the package with this manifest, from cargo's messages.
fn artifact(messages: &[u8], manifest: &Path) -> Option<PathBuf> {
    let manifest = manifest.canonicalize().ok()?;
    let is_library = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with(DLL_PREFIX) && name.ends_with(DLL_SUFFIX)
    };
    messages
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact")
        .filter(|message| message["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest))
        .flat_map(|message| message["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|file| file.as_str().map(PathBuf::from))
        .find(|path| is_library(path))
}
