//! The folder of a sweep: its runs, and the file that identifies it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use walk_record::RunFolder;

/// The file that describes what the members of a sweep have in common.
pub(crate) const FILE: &str = "sweep.json";

/// Whether a folder belongs to a sweep.
pub(crate) fn is_sweep(folder: &Path) -> bool {
    folder.join(FILE).is_file()
}

/// The runs in folders of runs and of sweeps; those of a sweep are sorted by name.
pub(crate) fn runs_of(folders: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut runs = vec![];
    for folder in folders {
        if is_sweep(folder) {
            runs.extend(runs_in(folder)?);
        } else {
            runs.push(folder.clone());
        }
    }
    Ok(runs)
}

fn runs_in(sweep: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(sweep).with_context(|| format!("{}: cannot read the folder", sweep.display()))?;
    let mut runs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    runs.retain(|path| RunFolder::open(path).is_ok());
    runs.sort();
    if runs.is_empty() {
        bail!("{}: the folder of a sweep that has no runs yet", sweep.display());
    }
    Ok(runs)
}
