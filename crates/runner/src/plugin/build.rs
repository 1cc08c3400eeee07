//! Builds a plugin crate with cargo, which also decides whether its library is out of date. Where cargo cannot be started, the
//! newest library that was built before is used.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::installation;
use crate::output::warn;

/// The crate's library, built if it is missing or out of date.
pub(crate) fn library(folder: &Path) -> Result<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    // try offline first: the crates downloaded so far nearly always suffice
    let mut output = match cargo_build(&manifest, true) {
        Ok(output) => output,
        Err(error) => return built_before(folder, &error),
    };
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

/// The crate's newest library, since cargo cannot be started.
fn built_before(folder: &Path, error: &anyhow::Error) -> Result<PathBuf> {
    let Some(library) = libraries(folder).into_iter().max_by_key(|path| modified(path)) else {
        return Err(anyhow!(
            "{error:#}, and it was not built before; install Rust (https://rustup.rs), or set `model.plugin` to the path of its \
             library built elsewhere"
        ));
    };
    warn(&format!("{error:#}; using {}, which may be older than its source", library.display()));
    Ok(library)
}

/// The libraries of the crate in the folders where cargo puts them by default, and among the installed ones.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    let Some(name) = library_name(&folder.join("Cargo.toml")) else { return vec![] };
    let name = format!("{DLL_PREFIX}{name}{DLL_SUFFIX}");
    let crate_folder = folder.canonicalize().unwrap_or_else(|_| folder.into());
    let targets = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"].into_iter().filter_map(std::env::var_os);
    let targets = targets.map(PathBuf::from).chain(crate_folder.ancestors().map(|root| root.join("target")));
    // one folder for each profile
    let profiles = targets.flat_map(|target| std::fs::read_dir(target).into_iter().flatten().flatten());
    let folders = profiles.map(|profile| profile.path()).chain(installation::plugins());
    folders.map(|folder| folder.join(&name)).filter(|path| path.is_file()).collect()
}

/// The name of the library of a package.
fn library_name(manifest: &Path) -> Option<String> {
    let manifest: toml::Table = toml::from_str(&std::fs::read_to_string(manifest).ok()?).ok()?;
    let name = |section: &str| manifest.get(section)?.get("name")?.as_str();
    Some(name("lib").or_else(|| name("package"))?.replace('-', "_"))
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|metadata| metadata.modified()).ok()
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
