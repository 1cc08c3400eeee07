//! Where `sgdwalk report --out` may write: not into the folders of runs, sweeps and reproductions, which have reports of their
//! own, and not over files that it did not write.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use walk_record::RunFolder;
use walk_report::ReportConfig;

use crate::sweep_folder::is_sweep;

/// Refuses a folder for a report of several runs. `own` is the folder that the report would be in without --out.
pub(crate) fn check(out: &Path, own: Option<&Path>) -> Result<()> {
    let (path, place) = (out.display(), real(out));
    if own.is_some_and(|own| real(own) == place) {
        return Ok(());
    }
    let owner = place.ancestors().find_map(|folder| Some((folder, kind(folder)?)));
    if let Some((folder, kind)) = owner {
        if folder == place {
            bail!(
                "{path}: the folder of a {kind}, which has its own report; choose another folder with --out"
            );
        }
        let folder = folder.display();
        bail!("{path}: is inside the folder of the {kind} {folder}; choose another folder with --out");
    }
    if let Some(foreign) = ReportConfig::foreign(out) {
        let foreign = foreign.display();
        bail!(
            "{foreign}: not part of a report by sgdwalk, but would be replaced; choose another folder with --out"
        );
    }
    Ok(())
}

/// The path without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let known = path.ancestors().find_map(|known| Some((known, known.canonicalize().ok()?)));
    known.map_or_else(
        || path.clone(),
        |(known, real)| match path.strip_prefix(known) {
            Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
            _ => real,
        },
    )
}

/// What a folder is that has its own report.
fn kind(folder: &Path) -> Option<&'static str> {
    if RunFolder::open(folder).is_ok() {
        Some("run")
    } else if is_sweep(folder) {
        Some("sweep")
    } else if is_reproduction(folder) {
        Some("reproduction")
    } else {
        None
    }
}

/// Whether a folder is that of a reproduction, whose runs lie beside their experiments.
fn is_reproduction(folder: &Path) -> bool {
    let runs = std::fs::read_dir(folder.join("runs")).into_iter().flatten().flatten();
    runs.map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .any(|path| RunFolder::open(&path.with_extension("")).is_ok())
}

#[cfg(test)]
mod tests {
    use walk_record::{FORMAT, RunInfo};

    use super::*;

    #[test]
    fn a_report_stays_out_of_the_folders_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let info = RunInfo { format: FORMAT, ..RunInfo::default() };
        for run in ["one", "sweep/a", "repro/runs/b"] {
            RunFolder::create(&root.join(run), "", &info).unwrap();
        }
        std::fs::write(root.join("sweep/sweep.json"), "{}").unwrap();
        std::fs::write(root.join("repro/runs/b.toml"), "").unwrap();
        let refused = |out: &str| check(&root.join(out), None).unwrap_err().to_string();
        assert!(refused("one").contains("one: the folder of a run, which has its own report"));
        assert!(
            refused("one/new/../x").contains("x: is inside the folder of the run "),
            "{}",
            refused("one/x")
        );
        assert!(
            refused("sweep").contains("the folder of a sweep") && refused("sweep/report").contains("sweep")
        );
        assert!(refused("sweep/a").contains("the folder of a run"));
        assert!(
            refused("repro").contains("of a reproduction") && refused("repro/fig05").contains("reproduction")
        );
        check(&root.join("sweep/report"), Some(&root.join("sweep/a/../report"))).unwrap();
        check(&root.join("new/folder"), None).unwrap();
        check(&root, None).unwrap();
        std::fs::create_dir(root.join("tables")).unwrap();
        assert!(refused("").contains("tables: not part of a report by sgdwalk"), "{}", refused(""));
    }
}
