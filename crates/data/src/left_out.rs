//! A report for the user of what is not used of a data set on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::formats::{SUPPORTED, kind};

/// Maximum number of names that a sentence lists.
const MAX_NAMES: usize = 5;

/// Entries of a set's folders that are not samples.
#[derive(Debug, Default)]
pub(crate) struct LeftOut {
    /// Files in other formats, by kind.
    files: BTreeMap<String, usize>,
    /// Number of images outside the class folders.
    stray: usize,
    /// Folders without images.
    folders: Vec<PathBuf>,
    /// Folders of classes missing from the set's list.
    unlisted: Vec<PathBuf>,
}

impl LeftOut {
    /// Adds files that are not supported images.
    pub(crate) fn add_files(&mut self, files: &[PathBuf]) {
        files.iter().for_each(|file| *self.files.entry(kind(file)).or_default() += 1);
    }

    /// Adds images outside the class folders.
    pub(crate) fn add_stray(&mut self, pictures: &[PathBuf]) {
        self.stray += pictures.len();
    }

    /// Adds a folder without images.
    pub(crate) fn add_folder(&mut self, folder: PathBuf) {
        self.folders.push(folder);
    }

    /// Adds a folder of a class missing from the set's list.
    pub(crate) fn add_unlisted(&mut self, folder: PathBuf) {
        self.unlisted.push(folder);
    }

    /// One sentence per kind of entry.
    pub(crate) fn remarks(&self, dir: &Path) -> Vec<String> {
        let dir = dir.display();
        let mut remarks = vec![];
        let files = self.files.values().sum::<usize>();
        if files > 0 {
            let what = counted(files, "file that is", "files that are");
            remarks.push(format!("{dir}: left out {what} not {SUPPORTED}: {}", by_kind(&self.files)));
        }
        if self.stray > 0 {
            let what = counted(self.stray, "image that is", "images that are");
            remarks.push(format!("{dir}: left out {what} outside the class folders"));
        }
        let without = [(&self.folders, "without images"), (&self.unlisted, "not in the list of classes")];
        for (folders, why) in without.into_iter().filter(|(folders, _)| !folders.is_empty()) {
            let what = counted(folders.len(), "folder", "folders");
            let names = folders.iter().map(|folder| folder.display().to_string());
            remarks.push(format!("{dir}: left out {what} {why}: {}", listed(names)));
        }
        remarks
    }
}

fn by_kind(files: &BTreeMap<String, usize>) -> String {
    listed(files.iter().map(|(kind, count)| format!("{count} {kind}")))
}

/// Kinds of files with their counts: "2 .txt, 30 .webp (WebP)"; "nothing" without files.
pub(crate) fn kinds(files: &[PathBuf]) -> String {
    let mut left_out = LeftOut::default();
    left_out.add_files(files);
    if files.is_empty() { "nothing".into() } else { by_kind(&left_out.files) }
}

/// A number with its noun: "1 file", "2 files".
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The first names, separated by commas, and how many more there are.
pub(crate) fn listed(names: impl IntoIterator<Item = String>) -> String {
    let mut names: Vec<String> = names.into_iter().collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    names.truncate(MAX_NAMES);
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_counted_and_said() {
        let mut left_out = LeftOut::default();
        assert!(left_out.remarks(Path::new("data")).is_empty());
        left_out.add_files(&["a/1.webp", "a/2.WebP", "a/notes.txt", "README"].map(PathBuf::from));
        left_out.add_stray(&[PathBuf::from("0.png")]);
        (0..7).for_each(|i| left_out.add_folder(format!("data/{i}").into()));
        let expected = [
            "data: left out 4 files that are not PNG, JPEG or BMP: 1 .txt, 2 .webp (WebP), 1 without an extension",
            "data: left out 1 image that is outside the class folders",
            "data: left out 7 folders without images: data/0, data/1, data/2, data/3, data/4, and 2 more",
        ];
        assert_eq!(left_out.remarks(Path::new("data")), expected);
        assert_eq!((kinds(&[]), kinds(&["x.gif".into()])), ("nothing".into(), "1 .gif (GIF)".into()));
    }
}
