//! `sgdwalk new-plugin NAME`: a crate to start from.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use walk_record::write_file;

use crate::failure::Failure;
use crate::installation;
use crate::output::outln;

const LIBRARY: &str = include_str!("new_plugin/lib.rs.txt");
/// The manifest of a member of this workspace.
const MEMBER_MANIFEST: &str = include_str!("new_plugin/member.toml.txt");
/// The manifest of a crate elsewhere.
const STANDALONE_MANIFEST: &str = include_str!("new_plugin/standalone.toml.txt");

/// Writes the crate to `dir`, or to the folder of plugins by default.
pub(crate) fn write(name: &str, dir: Option<PathBuf>) -> Result<(), Failure> {
    check(name)?;
    let workspace = installation::workspace();
    let plugins = workspace.join("plugins");
    let here = std::env::current_dir().context("the current folder does not exist")?;
    let dir = dir.unwrap_or_else(|| if here.starts_with(&workspace) { plugins.clone() } else { here });
    let folder = dir.join(name);
    if folder.symlink_metadata().is_ok() {
        return Err(anyhow!("{}: already exists and will not be overwritten", folder.display()).into());
    }
    let is_member =
        matches!((dir.canonicalize(), plugins.canonicalize()), (Ok(dir), Ok(plugins)) if dir == plugins);
    let type_name: String = name.split(['-', '_']).map(capitalized).collect();
    let arch = toml::Value::String(installation::arch().display().to_string());
    let manifest = if is_member { MEMBER_MANIFEST } else { STANDALONE_MANIFEST };
    let manifest = manifest.replace("NAME", name).replace("ARCH", &arch.to_string());
    let library = LIBRARY.replace("TYPE", &type_name).replace("NAME", name);
    write_file(&folder.join("Cargo.toml"), manifest.as_bytes())?;
    write_file(&folder.join("src/lib.rs"), library.as_bytes())?;
    let path = folder.display().to_string();
    let has_separator = path.contains(std::path::is_separator);
    let plugin = if is_member {
        name.to_owned()
    } else if has_separator {
        path.clone()
    } else {
        format!("./{path}")
    };
    outln!("created {path}; next:");
    outln!("  edit {}", folder.join("src/lib.rs").display());
    outln!("  cargo test --manifest-path {}", folder.join("Cargo.toml").display());
    outln!("  sgdwalk experiments/quick.toml --set model.plugin={plugin}");
    Ok(())
}

fn check(name: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain) && name.len() <= 64 {
        return Ok(());
    }
    Err(anyhow!(
        "`{name}`: expected a crate name: lowercase letters, digits, `-` and `_`, starting with a letter"
    ))
}

fn capitalized(part: &str) -> String {
    let mut chars = part.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
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
        assert_eq!("my-net_5".split(['-', '_']).map(capitalized).collect::<String>(), "MyNet5");
    }
}
