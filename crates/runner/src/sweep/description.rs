//! `sweep.json`: what the members of a sweep have in common; it keeps other sweeps out of the folder.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use walk_record::{RunFolder, write_file};

use crate::child::{Child, FolderState};
use crate::sweep_folder::FILE;

/// What the members of a sweep have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SweepDescription {
    /// The keys whose values differ.
    pub(super) keys: Vec<String>,
    /// `RUN@STEP` for a sweep of forks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fork: Option<String>,
    /// SHA-256 of each experiment of the file without those keys; under an empty name if the file is a single experiment.
    pub(super) bases: BTreeMap<String, String>,
}

impl SweepDescription {
    /// Rejects the folder of another sweep, a run or a reproduction before anything is written. More values of the same keys
    /// extend a sweep.
    pub(super) fn check(&self, folder: &Path, children: &[Child]) -> Result<()> {
        let path = folder.display();
        if folder.symlink_metadata().is_ok() && !folder.is_dir() {
            bail!("{path}: this is a file, expected a folder for the runs of a sweep");
        }
        if RunFolder::is_at(folder) {
            bail!("{path}: the folder of a run, but a sweep needs its own folder; choose another with --out");
        }
        for child in children {
            if child.folder_state()? == FolderState::Foreign {
                let run = child.out.display();
                bail!("{run}: the run of another experiment; choose another folder with --out or remove it");
            }
        }
        match std::fs::read(folder.join(FILE)) {
            Ok(text) => {
                let known: Self = serde_json::from_slice(&text)
                    .with_context(|| format!("{path}/{FILE}: not a valid sweep description"))?;
                if let Some(difference) = self.difference(&known) {
                    bail!("{path}: contains another sweep, {difference}; choose another folder with --out");
                }
            }
            // a file in the place of a folder is found when the folder is created
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(error).with_context(|| format!("{path}/{FILE}: cannot be read"));
            }
            Err(_) => {
                let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
                let mut others = entries.map(|entry| entry.path()).filter(|run| {
                    RunFolder::open(run).is_ok() && !children.iter().any(|child| child.out == *run)
                });
                if let Some(other) = others.next() {
                    let run = other.display();
                    bail!(
                        "{path}: contains {run}, which is not a run of this sweep; choose another folder with --out"
                    );
                }
            }
        }
        Ok(())
    }

    /// How another sweep differs from this one, apart from its values.
    fn difference(&self, other: &Self) -> Option<String> {
        let fork = |sweep: &Self| sweep.fork.clone().unwrap_or_else(|| "no checkpoint".into());
        if self.keys != other.keys {
            let keys = if other.keys.is_empty() { "no keys".into() } else { other.keys.join(", ") };
            return Some(format!("over {keys}"));
        }
        if self.fork != other.fork {
            return Some(format!("from {}", fork(other)));
        }
        let differs =
            |(name, base): (&String, &String)| other.bases.get(name).is_some_and(|known| known != base);
        self.bases.iter().any(differs).then(|| "of another experiment".into())
    }

    /// Writes it into the folder.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(self).context("a description is JSON")?;
        text.push(b'\n');
        Ok(write_file(&folder.join(FILE), &text)?)
    }
}
