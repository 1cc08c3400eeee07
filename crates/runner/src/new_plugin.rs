//! `sgdwalk new-plugin NAME`: a crate to start from.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::failure::Failure;

const LIBRARY: &str = include_str!("new_plugin/lib.rs.txt");

/// Writes the crate, in `dir` or where plugins are.
pub(crate) fn write(name: &str, dir: Option<&Path>) -> Result<(), Failure> {
    check(name)?;
    let workspace = workspace();
    let plugins = workspace.join("plugins");
    let here = std::env::current_dir().context("the current folder is not there")?;
    let dir = match dir {
        Some(dir) => dir.to_path_buf(),
        None if here.starts_with(&workspace) => plugins.clone(),
        None => here,
    };
    let folder = dir.join(name);
    if folder.symlink_metadata().is_ok() {
        return Err(anyhow!("{}: exists already, and nothing is overwritten", folder.display()).into());
    }
    let inside =
        matches!((dir.canonicalize(), plugins.canonicalize()), (Ok(dir), Ok(plugins)) if dir == plugins);
    let type_name: String = name.split(['-', '_']).map(capitalised).collect();
    let manifest = if inside { member_manifest(name) } else { own_manifest(name, &workspace) };
    let put = |file: &str, text: &str| -> Result<()> {
        let path = folder.join(file);
        let made =
            path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&path, text));
        made.with_context(|| format!("{}: cannot be written", path.display()))
    };
    put("Cargo.toml", &manifest)?;
    put("src/lib.rs", &LIBRARY.replace("TYPE", &type_name).replace("NAME", name))?;
    let named = if inside { name.to_owned() } else { folder.display().to_string() };
    let plugin = if inside || named.contains(std::path::is_separator) { named } else { format!("./{named}") };
    println!("{} is written; next:", folder.display());
    println!("  edit {}", folder.join("src/lib.rs").display());
    println!("  cargo test --manifest-path {}", folder.join("Cargo.toml").display());
    println!("  sgdwalk experiments/quick.toml --set model.plugin={plugin}");
    Ok(())
}

/// The workspace this program was built from: it has the crate that a plugin depends on.
fn workspace() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    path.canonicalize().unwrap_or(path)
}

fn check(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain) && name.len() <= 64 {
        return Ok(());
    }
    Err(anyhow!("`{name}`: expected a crate's name: small letters, digits, `-` and `_`, a letter first"))
}

fn capitalised(part: &str) -> String {
    let mut chars = part.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

fn member_manifest(name: &str) -> String {
    format!(
        r#"[package]
name = "{name}"
description = "The architecture {name} as a plugin of sgdwalk"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[lib]
crate-type = ["cdylib", "rlib"]

[dependencies]
walk-arch.workspace = true

[lints]
workspace = true
"#
    )
}

fn own_manifest(name: &str, workspace: &Path) -> String {
    let arch = toml::Value::String(workspace.join("crates/arch").display().to_string());
    format!(
        r#"[package]
name = "{name}"
description = "The architecture {name} as a plugin of sgdwalk"
version = "0.1.0"
edition = "2024"
publish = false

[lib]
crate-type = ["cdylib", "rlib"]

[dependencies]
walk-arch = {{ path = {arch} }}

# a workspace of its own, wherever it lies
[workspace]
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_crates() {
        for good in ["lenet", "my-net_5"] {
            check(good).unwrap();
        }
        for bad in ["", "LeNet", "5net", "a b", "../x", "-x"] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!("my-net_5".split(['-', '_']).map(capitalised).collect::<String>(), "MyNet5");
    }
}
