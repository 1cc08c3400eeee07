//! Guards the workspace: which way dependencies point, among crates and within them, and that files stay small.

mod circles;
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::root;

/// The workspace's crates and the crates of the workspace that each depends on, dev-dependencies included.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let depends = |package: &Value| {
        package["dependencies"].as_array().unwrap().iter().map(name).filter(|d| ours.contains(d)).collect()
    };
    packages.iter().map(|package| (name(package), depends(package))).collect()
}

#[test]
fn dependencies_point_one_way() {
    let allowed = BTreeMap::from([
        ("walk-arch", vec![]),
        ("walk-kernels", vec![]),
        ("walk-core", vec!["walk-arch", "walk-kernels"]),
        ("walk-data", vec![]),
        ("walk-record", vec![]),
        ("walk-report", vec!["walk-record"]),
        ("walk-train", vec!["walk-arch", "walk-core", "walk-data", "walk-record"]),
    ]);
    for (name, depends) in arrows() {
        if name == "runner" {
            continue; // knows all
        }
        assert!(!depends.contains("runner"), "{name} depends on runner");
        // a plugin knows walk-arch alone
        let allowed = allowed.get(name.as_str()).cloned().unwrap_or_else(|| vec!["walk-arch"]);
        for dependency in depends {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn files_stay_small_and_begin_with_their_purpose() {
    let mut files = vec![];
    for folder in ["crates", "plugins", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    assert!(files.len() > 30);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        assert!(lines <= 800, "{}: {lines} lines, at most 800", file.display());
        let is_test = file.components().any(|part| part.as_os_str() == "tests.rs");
        assert!(is_test || text.starts_with("//!"), "{}: starts without //!", file.display());
    }
}

#[test]
fn modules_form_no_circles() {
    let mut found = vec![];
    let folders = ["crates", "plugins"].map(|folder| std::fs::read_dir(root().join(folder)).unwrap());
    for folder in folders.into_iter().flatten().map(|entry| entry.unwrap().path()) {
        let source = folder.join("src");
        let mut files = vec![];
        sources(&source, &mut files);
        assert!(!files.is_empty(), "{}: no source", folder.display());
        let text = |file: PathBuf| {
            let text = std::fs::read_to_string(&file).unwrap();
            (file.strip_prefix(&source).unwrap().to_str().unwrap().to_owned(), text)
        };
        let name = folder.file_name().unwrap().to_str().unwrap();
        found.extend(circles::circles(name, &files.into_iter().map(text).collect()));
    }
    assert!(found.is_empty(), "modules that need each other:\n{}", found.join("\n"));
}
