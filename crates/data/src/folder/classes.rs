//! The class folders of a part.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::formats::is_picture;
use crate::left_out::{LeftOut, counted, kinds};
use crate::listing::{holds_pictures, list};
use crate::{DataError, FolderError};

/// A class folder.
pub(super) struct Class {
    pub(super) name: String,
    pub(super) dir: PathBuf,
    pub(super) pictures: Vec<PathBuf>,
    /// A description of what else it contains.
    pub(super) others: String,
}

/// Reads the class folders of all parts; no two may be the same folder.
#[derive(Default)]
pub(super) struct ClassReader {
    /// Entries that are not samples.
    pub(super) left_out: LeftOut,
    /// The class folders so far, by canonical path.
    seen: BTreeMap<PathBuf, PathBuf>,
}

impl ClassReader {
    /// The classes in a part's folder, sorted by name as text.
    pub(super) fn read(&mut self, part: &Path) -> Result<Vec<Class>, DataError> {
        let listing = list(part)?;
        self.left_out.add_files(&listing.others);
        self.left_out.add_stray(&listing.pictures);
        let root = real(part)?;
        listing.folders.into_iter().map(|dir| self.class(dir, &root)).collect()
    }

    fn class(&mut self, dir: PathBuf, root: &Path) -> Result<Class, DataError> {
        let Some(name) = dir.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
            return Err(FolderError::ClassName { dir }.into());
        };
        let place = real(&dir)?;
        if root.starts_with(&place) {
            return Err(FolderError::Loop { dir }.into());
        }
        if let Some(other) = self.seen.insert(place, dir.clone()) {
            return Err(FolderError::SameFolder { dir, other }.into());
        }
        let listing = list(&dir)?;
        let others = match listing.folders.len() {
            0 => kinds(&listing.others),
            folders => format!("{}, {}", kinds(&listing.others), counted(folders, "folder", "folders")),
        };
        self.left_out.add_files(&listing.others);
        for folder in listing.folders {
            if is_picture(&folder) {
                return Err(FolderError::NoFile { file: folder, found: "a folder" }.into());
            }
            if holds_pictures(&folder) {
                return Err(FolderError::Deeper { dir: folder, class: dir }.into());
            }
            self.left_out.add_folder(folder);
        }
        Ok(Class { name, dir, pictures: listing.pictures, others })
    }
}

/// The canonical path of a folder, with links resolved.
fn real(dir: &Path) -> Result<PathBuf, DataError> {
    dir.canonicalize().map_err(|error| DataError::io(dir, error))
}
