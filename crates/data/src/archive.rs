//! A set's files, in a folder or in the archive that its authors publish, which is read without unpacking it to disk.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::DataError;

/// Largest file that is read, unpacked: 1 GiB, twice EMNIST's largest.
pub(crate) const MAX_BYTES: u64 = 1 << 30;

/// Where a set's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Folder(PathBuf),
    TarGz(PathBuf),
    Zip(PathBuf),
}

/// A file of an archive that was asked for.
struct Match {
    /// Which of the files asked for it is.
    index: usize,
    /// Which of that file's names it has.
    rank: usize,
}

/// The best match so far for a file that was asked for.
struct Candidate {
    rank: usize,
    found: Found,
}

/// A file's bytes, and its name for messages.
pub(crate) struct Found {
    pub(crate) file: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

impl Place {
    /// `path` itself if it is an archive; otherwise the file `archive` in the folder `path`, provided that it exists and
    /// `unpacked`, a file of the unpacked set, does not; otherwise the folder.
    pub(crate) fn new(path: &Path, archive: &str, unpacked: &str) -> Self {
        let within = path.join(archive);
        let file = if path.is_file() {
            path
        } else if within.is_file() && !path.join(unpacked).exists() {
            &within
        } else {
            return Self::Folder(path.into());
        };
        if file.extension().is_some_and(|extension| extension == "zip") {
            Self::Zip(file.into())
        } else {
            Self::TarGz(file.into())
        }
    }

    /// The folder or archive.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::TarGz(path) | Self::Zip(path) => path,
        }
    }

    /// One file for each item of `names`, the first of its alternatives that exists. Folders within an archive are ignored.
    pub(crate) fn read(&self, set: &'static str, names: &[Vec<String>]) -> Result<Vec<Found>, DataError> {
        let missing = |names: &Vec<String>| DataError::missing(set, self.path(), names.join(", "));
        let mut candidates: Vec<Option<Candidate>> = names.iter().map(|_| None).collect();
        match self {
            Self::Folder(dir) => {
                for (names, candidate) in names.iter().zip(&mut candidates) {
                    let file = names.iter().map(|name| dir.join(name)).find(|path| path.is_file());
                    let file = file.ok_or_else(|| missing(names))?;
                    let bytes = read_file(&file)?;
                    *candidate = Some(Candidate { rank: 0, found: Found { file, bytes } });
                }
            }
            Self::TarGz(path) => {
                let broken = |read: u64, error: std::io::Error| DataError::archive(path, read, &error);
                let file = File::open(path).map_err(|error| DataError::io(path, error))?;
                let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
                for entry in archive.entries().map_err(|error| broken(0, error))? {
                    let entry = entry.map_err(|error| broken(0, error))?;
                    let at = entry.raw_file_position();
                    let name = entry.path().map_err(|error| broken(at, error))?.into_owned();
                    if let Some(matched) = matching(names, &name) {
                        let bytes = read_limited(entry).map_err(|error| broken(at, error))?;
                        let found = Found { file: path.join(&name), bytes };
                        put(&mut candidates[matched.index], Candidate { rank: matched.rank, found });
                    }
                }
            }
            Self::Zip(path) => {
                let file = File::open(path).map_err(|error| DataError::io(path, error))?;
                let mut archive = open_zip(path, file)?;
                for index in 0..archive.len() {
                    let broken =
                        |error: &dyn std::fmt::Display| DataError::archive(path, index as u64, error);
                    let entry = archive.by_index(index).map_err(|error| broken(&error))?;
                    let name = PathBuf::from(entry.name());
                    if let Some(matched) = matching(names, &name) {
                        let bytes = read_limited(entry).map_err(|error| broken(&error))?;
                        let found = Found { file: path.join(&name), bytes };
                        put(&mut candidates[matched.index], Candidate { rank: matched.rank, found });
                    }
                }
            }
        }
        let files = candidates.into_iter().zip(names);
        files.map(|(best, names)| best.map(|best| best.found).ok_or_else(|| missing(names))).collect()
    }
}

fn matching(names: &[Vec<String>], file: &Path) -> Option<Match> {
    let name = file.file_name()?.to_str()?;
    let rank = |names: &Vec<String>| names.iter().position(|known| known == name);
    names.iter().enumerate().find_map(|(index, names)| Some(Match { index, rank: rank(names)? }))
}

fn put(slot: &mut Option<Candidate>, candidate: Candidate) {
    if slot.as_ref().is_none_or(|before| candidate.rank < before.rank) {
        *slot = Some(candidate);
    }
}

/// An archive's table of contents.
pub(crate) fn open_zip<R: Read + std::io::Seek>(
    path: &Path,
    file: R,
) -> Result<zip::ZipArchive<R>, DataError> {
    zip::ZipArchive::new(file).map_err(|error| DataError::archive(path, 0, &error))
}

/// All bytes of a file of at most [`MAX_BYTES`].
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    let file = File::open(path).map_err(|error| DataError::io(path, error))?;
    let len = file.metadata().map_err(|error| DataError::io(path, error))?.len();
    let mut bytes = Vec::with_capacity(len.min(MAX_BYTES) as usize);
    // one byte more than allowed, to notice a file that is too long
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| DataError::io(path, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(DataError::TooLong { file: path.into(), expected: MAX_BYTES as usize });
    }
    Ok(bytes)
}

/// All bytes, at most [`MAX_BYTES`]; memory grows with the bytes read, whatever a header says.
pub(crate) fn read_limited(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(std::io::Error::other(format!("a file in it is longer than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}
