//! A data set's files, in a folder or in the archive published by its authors, which is read without unpacking it to disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use crate::DataError;

/// Maximum unpacked size of a file: 1 GiB, twice the size of EMNIST's largest.
pub(crate) const MAX_BYTES: u64 = 1 << 30;

/// Where a set's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Folder(PathBuf),
    TarGz(PathBuf),
    Zip(PathBuf),
}

/// The contents of a file, and its name for messages.
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

    /// For each item of `names`, the first of its alternatives that exists. Folders within an archive are ignored.
    pub(crate) fn read(&self, set: &'static str, names: &[Vec<String>]) -> Result<Vec<Found>, DataError> {
        // in an archive, every alternative is read, since files may come in any order; the first with a given name counts
        let mut found: BTreeMap<&str, Found> = BTreeMap::new();
        let wanted = |file: &Path| {
            let name = file.file_name()?.to_str()?;
            names.iter().flatten().map(String::as_str).find(|wanted| *wanted == name)
        };
        match self {
            Self::Folder(dir) => {
                for names in names {
                    let mut files = names.iter().map(|name| (name, dir.join(name)));
                    if let Some((name, file)) = files.find(|(_, path)| path.is_file()) {
                        found.insert(name, Found { bytes: read_file(&file)?, file });
                    }
                }
            }
            Self::TarGz(path) => {
                let broken = |read: u64, error: std::io::Error| DataError::archive(path, read, &error);
                let file = File::open(path).map_err(|error| DataError::io(path, error))?;
                let mut archive = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
                for entry in archive.entries().map_err(|error| broken(0, error))? {
                    let entry = entry.map_err(|error| broken(0, error))?;
                    let at = entry.raw_file_position();
                    let file = entry.path().map_err(|error| broken(at, error))?.into_owned();
                    if let Some(name) = wanted(&file) {
                        let bytes = read_limited(entry).map_err(|error| broken(at, error))?;
                        found.entry(name).or_insert(Found { file: path.join(file), bytes });
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
                    let file = PathBuf::from(entry.name());
                    if let Some(name) = wanted(&file) {
                        let bytes = read_limited(entry).map_err(|error| broken(&error))?;
                        found.entry(name).or_insert(Found { file: path.join(file), bytes });
                    }
                }
            }
        }
        let files = names.iter().map(|names| {
            let best = names.iter().find_map(|name| found.remove(name.as_str()));
            best.ok_or_else(|| DataError::missing(set, self.path(), names))
        });
        files.collect()
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
    // one byte more than allowed, to detect a file that is too long
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
