//! Tiny ImageNet's files, in its folder or in its archive.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::archive::{MAX_BYTES, Place, open_zip, read_file, read_limited};
use crate::formats::is_picture;
use crate::left_out::LeftOut;
use crate::listing::{Listing, holds_pictures, is_left_behind, list};
use crate::{DataError, FolderError};

/// The files; names are relative to the folder, or to the one folder in the archive.
pub(super) enum Files {
    Folder(PathBuf),
    /// The archive, and the index of every name in it.
    Zip(PathBuf, BTreeMap<String, usize>),
}

/// An archive in use.
struct OpenZip {
    path: PathBuf,
    archive: zip::ZipArchive<BufReader<File>>,
}

impl Files {
    pub(super) fn open(place: Place) -> Result<Self, DataError> {
        match place {
            Place::Zip(archive) => Ok(Self::Zip(archive.clone(), names_in_zip(&archive)?)),
            Place::TarGz(file) => {
                let message = "expected the folder or its .zip".to_owned();
                Err(DataError::Archive { file, at: 0, message })
            }
            Place::Folder(dir) => Ok(Self::Folder(dir)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Zip(path, _) => path,
        }
    }

    /// A name for messages.
    pub(super) fn shown(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// A file's bytes, if it exists.
    pub(super) fn read(&self, name: &Path) -> Result<Option<Vec<u8>>, DataError> {
        match self {
            Self::Folder(dir) => {
                let path = dir.join(name);
                if path.is_file() { read_file(&path).map(Some) } else { Ok(None) }
            }
            Self::Zip(path, names) => match name.to_str().and_then(|name| names.get(name)) {
                Some(&index) => read_from_zip(path, index).map(Some),
                None => Ok(None),
            },
        }
    }

    /// The images in a folder, sorted by the number at the end of their names; other files are left out.
    pub(super) fn pictures(&self, folder: &str, left_out: &mut LeftOut) -> Result<Vec<PathBuf>, DataError> {
        let Listing { pictures, folders, others } = self.list(folder)?;
        left_out.add_files(&others);
        let class = self.shown(folder);
        for folder in folders {
            let is_full = match self {
                Self::Folder(_) => holds_pictures(&folder),
                Self::Zip(..) => true,
            };
            if is_full {
                return Err(FolderError::Deeper { dir: folder, class }.into());
            }
            left_out.add_folder(folder);
        }
        let names = pictures.iter().filter_map(|path| Some(Path::new(folder).join(path.file_name()?)));
        let mut names: Vec<PathBuf> = names.collect();
        let number =
            |path: &PathBuf| -> Option<u64> { path.file_stem()?.to_str()?.rsplit('_').next()?.parse().ok() };
        names.sort_by_cached_key(|path| (number(path), path.clone()));
        Ok(names)
    }

    /// The contents of a folder, empty if it does not exist. In an archive, only folders with images are listed.
    pub(super) fn list(&self, folder: &str) -> Result<Listing, DataError> {
        match self {
            Self::Folder(dir) if dir.join(folder).is_dir() => list(&dir.join(folder)),
            Self::Folder(_) => Ok(Listing::default()),
            Self::Zip(path, names) => {
                let prefix = format!("{folder}/");
                let within = names.range(prefix.clone()..).map(|(name, _)| name);
                let mut listing = Listing::default();
                for name in within.map_while(|name| name.strip_prefix(&prefix)) {
                    let place = path.join(folder).join(name);
                    let parts: Vec<&str> = name.split('/').collect();
                    if parts.iter().any(|part| part.is_empty() || is_left_behind(part.as_ref())) {
                        continue;
                    }
                    match parts.as_slice() {
                        [_] if is_picture(&place) => listing.pictures.push(place),
                        [_] => listing.others.push(place),
                        [first, ..] if is_picture(&place) => {
                            let inner = path.join(folder).join(first);
                            if listing.folders.last() != Some(&inner) {
                                listing.folders.push(inner);
                            }
                        }
                        _ => listing.others.push(place),
                    }
                }
                Ok(listing)
            }
        }
    }
}

/// The files of an archive by their names below its one folder.
fn names_in_zip(path: &Path) -> Result<BTreeMap<String, usize>, DataError> {
    let file = File::open(path).map_err(|error| DataError::io(path, error))?;
    let archive = open_zip(path, file)?;
    let below = |name: &str| name.strip_prefix("tiny-imagenet-200/").unwrap_or(name).to_owned();
    Ok((0..archive.len()).filter_map(|index| Some((below(archive.name_for_index(index)?), index))).collect())
}

fn read_from_zip(path: &Path, index: usize) -> Result<Vec<u8>, DataError> {
    let broken = |error: &dyn std::fmt::Display| DataError::archive(path, index as u64, error);
    // every thread keeps its own reader, since reading the table of contents takes as long as
    // decoding several files
    thread_local! {
        static OPEN: RefCell<Option<OpenZip>> = const { RefCell::new(None) };
    }
    OPEN.with_borrow_mut(|open| {
        if open.as_ref().is_none_or(|open| open.path != *path) {
            let file = File::open(path).map_err(|error| DataError::io(path, error))?;
            let archive = open_zip(path, BufReader::new(file))?;
            *open = Some(OpenZip { path: path.into(), archive });
        }
        let OpenZip { archive, .. } = open.as_mut().expect("opened above");
        let entry = archive.by_index(index).map_err(|error| broken(&error))?;
        read_limited(entry.take(MAX_BYTES)).map_err(|error| broken(&error))
    })
}
