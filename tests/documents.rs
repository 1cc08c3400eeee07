//! The documents: every link leads somewhere, every command is one that the program knows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::{Bench, root, split_quoted};

/// Every document that users and developers read.
fn documents() -> BTreeMap<PathBuf, String> {
    let folders = [root(), root().join("docs"), root().join("crates/data/assets")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files =
        files.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "md"));
    files.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The part of a document that is text, without its blocks of code.
fn prose(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// What a heading is called in links: in lower case, without punctuation, with hyphens for spaces.
fn anchors(text: &str) -> Vec<String> {
    let headings = prose(text);
    let headings = headings.lines().filter_map(|line| line.strip_prefix('#'));
    let anchor = |heading: &str| {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .collect::<String>()
            .replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    assert!(documents.len() >= 12, "{} documents", documents.len());
    let mut links = 0;
    for (path, text) in &documents {
        for link in prose(text).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.starts_with("http") || link.starts_with("data:") {
                continue;
            }
            links += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", path.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                assert!(
                    anchors(&text).iter().any(|known| known == anchor),
                    "{}: no heading for {link}",
                    path.display()
                );
            }
        }
    }
    assert!(links > 40, "{links} links");
}

/// The commands in a document's blocks of code, without the remarks beside them.
fn commands(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let blocks: Vec<&str> = text.split("```").skip(1).step_by(2).collect();
    let lines = blocks.iter().flat_map(|block| block.lines().skip(1));
    let command =
        |line: &str| line.split("  ").next().and_then(|line| line.split(" #").next()).map(str::to_owned);
    lines.filter_map(command).map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn every_command_is_known() {
    let bench = Bench::new("");
    let mut known = 0;
    for (path, text) in documents() {
        for command in commands(&text) {
            let of_program =
                ["sgdwalk ", "cargo run -p runner -- ", "target/debug/sgdwalk ", "target/cuda-dist/sgdwalk "]
                    .into_iter()
                    .find_map(|start| command.strip_prefix(start));
            let script = command.strip_prefix("bash ").or_else(|| command.strip_prefix("python3 "));
            if let Some(script) = script.and_then(|rest| rest.split(' ').next()) {
                assert!(
                    Path::new(&root().join(script)).exists(),
                    "{}: {command}: no such script",
                    path.display()
                );
            }
            let Some(arguments) = of_program else { continue };
            // what stands in brackets may be left out; the rest must parse, before it asks for help
            let arguments = arguments.split(" [").next().unwrap().split(" > ").next().unwrap();
            let words = split_quoted(arguments, ' ', '\'');
            let words = words.iter().map(String::as_str).filter(|word| !["", "..."].contains(word));
            let ran = bench.run(&words.chain(["--help"]).collect::<Vec<&str>>());
            assert_eq!(ran.code, 0, "{}: {command}: {}", path.display(), ran.stderr);
            known += 1;
        }
    }
    assert!(known > 25, "{known} commands");
}

/// The lines of Python that show how to read the data do so; pandas is needed.
#[test]
fn pandas_reads_the_data_as_the_guide_says() {
    let python = std::env::var("WALK_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_pandas = std::process::Command::new(&python).args(["-c", "import pandas"]).output();
    if !has_pandas.is_ok_and(|ran| ran.status.success()) {
        crate::support::skipped(
            "the guide's lines of Python; pandas is not installed (WALK_PYTHON names a Python)",
        );
        return;
    }
    let bench = Bench::new(
        &(crate::support::GOOD.to_owned() + "[probe.spectrum]\nwhen = { at_end_of_epochs = true }\n"),
    );
    bench.run_into("runs/quick", &[]);
    let ran = bench.run(&["exp.toml", "--sweep", "optim.lr=0.05,0.2", "--out", "runs/exp.sweep", "--quiet"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(bench.run(&["export", "runs/exp.sweep", "--out", "csv"]).code, 0);
    let guide = std::fs::read_to_string(root().join("docs/GUIDE.md")).unwrap();
    let scripts: Vec<&str> =
        guide.split("```python\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(scripts.len(), 2);
    for script in scripts {
        assert_eq!(script.lines().count(), 3, "{script}");
        let ran = std::process::Command::new(&python)
            .args(["-c", script])
            .current_dir(bench.path(""))
            .output()
            .unwrap();
        assert!(ran.status.success(), "{script}{}", String::from_utf8_lossy(&ran.stderr));
        assert!(String::from_utf8_lossy(&ran.stdout).contains("epoch"), "{script}");
    }
}
