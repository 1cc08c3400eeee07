//! Finds the training, validation and test parts of a folder.

use std::path::{Path, PathBuf};

use crate::left_out::LeftOut;
use crate::listing::{holds_pictures, list};
use crate::{DataError, FolderError};

/// A part of a set, as given by a folder's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Training,
    Validation,
    Test,
}

impl Role {
    /// The part that a folder of this name stands for, ignoring case.
    fn of(dir: &Path) -> Option<Self> {
        let name = dir.file_name()?.to_str()?.to_lowercase();
        Some(match name.as_str() {
            "train" | "training" => Self::Training,
            "valid" | "val" | "validation" | "dev" | "eval" => Self::Validation,
            "test" | "testing" => Self::Test,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// The folders of a set's parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) training: PathBuf,
    pub(super) validation: Option<PathBuf>,
    pub(super) test: Option<PathBuf>,
}

impl Parts {
    /// The parts in `dir`; without a training folder, `dir` itself is the training part.
    pub(super) fn find(dir: &Path, left_out: &mut LeftOut) -> Result<Self, DataError> {
        let listing = list(dir)?;
        let mut found: [Option<PathBuf>; 3] = [None, None, None];
        let mut siblings = vec![];
        for folder in listing.folders {
            let Some(role) = Role::of(&folder) else {
                siblings.push(folder);
                continue;
            };
            if let Some(first) = found[role as usize].replace(folder.clone()) {
                return Err(FolderError::TwoFolders { first, second: folder, part: role.name() }.into());
            }
        }
        let [training, validation, test] = found;
        let Some(training) = training else {
            // the entries are listed and accounted for again as those of the training part
            let parts = [(validation, Role::Validation), (test, Role::Test)];
            return match parts.into_iter().find_map(|(dir, role)| Some((dir?, role))) {
                Some((dir, role)) => Err(FolderError::NoTraining { dir, part: role.name() }.into()),
                None => Ok(Self { training: dir.into(), validation: None, test: None }),
            };
        };
        left_out.add_files(&listing.others);
        left_out.add_stray(&listing.pictures);
        for folder in siblings {
            if holds_pictures(&folder) {
                return Err(FolderError::Sibling { dir: folder }.into());
            }
            left_out.add_folder(folder);
        }
        Ok(Self { training, validation, test })
    }
}
