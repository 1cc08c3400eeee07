//! Lists every entry of a folder on disk.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use crate::formats::is_picture;
use crate::{DataError, FolderError};

/// The contents of a folder, each kind sorted by path, without the files that systems and tools leave behind.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Files with the name of a supported image.
    pub(crate) pictures: Vec<PathBuf>,
    /// Folders, and links to folders.
    pub(crate) folders: Vec<PathBuf>,
    /// Everything else.
    pub(crate) others: Vec<PathBuf>,
}

/// Whether an entry's name is typical of what systems and tools leave behind: names that begin with a dot, `__` or `@`, and
/// some names used by Windows and Linux.
pub(crate) fn is_left_behind(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let known = [
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "lost+found",
        "$recycle.bin",
        "system volume information",
    ];
    name.starts_with(b".")
        || name.starts_with(b"__")
        || name.starts_with(b"@")
        || known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Lists a folder.
///
/// # Errors
/// [`DataError::Io`] if it cannot be read; [`FolderError`] for a broken link, and for an image name on something that is
/// neither a file nor a folder.
pub(crate) fn list(dir: &Path) -> Result<Listing, DataError> {
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(dir).map_err(|error| DataError::io(dir, error))? {
        let entry = entry.map_err(|error| DataError::io(dir, error))?;
        if is_left_behind(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        let metadata = followed(&path)?;
        if metadata.is_dir() {
            listing.folders.push(path);
        } else if !is_picture(&path) {
            listing.others.push(path);
        } else if metadata.is_file() {
            listing.pictures.push(path);
        } else {
            return Err(FolderError::NoFile { file: path, found: "a pipe, a socket or a device" }.into());
        }
    }
    for paths in [&mut listing.pictures, &mut listing.folders, &mut listing.others] {
        paths.sort();
    }
    Ok(listing)
}

/// The type of what a path or link points to.
fn followed(path: &Path) -> Result<Metadata, DataError> {
    path.metadata().map_err(|error| match path.read_link() {
        Ok(target) if error.kind() == std::io::ErrorKind::NotFound => {
            FolderError::BrokenLink { link: path.into(), target }.into()
        }
        _ => DataError::io(path, error),
    })
}

/// Whether a folder contains an image at any depth. Links below it are not followed; unreadable folders count as empty.
pub(crate) fn holds_pictures(dir: &Path) -> bool {
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if is_left_behind(&entry.file_name()) {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            } else if is_picture(&entry.path()) {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tools_leave_behind_is_known_by_its_name() {
        for name in [
            ".DS_Store",
            "._1.png",
            ".ipynb_checkpoints",
            "__MACOSX",
            "@eaDir",
            "Thumbs.db",
            "thumbs.DB",
            "lost+found",
        ] {
            assert!(is_left_behind(OsStr::new(name)), "{name}");
        }
        for name in ["a.png", "_a.png", "a@b", "thumbs", "Thumbs.db.png"] {
            assert!(!is_left_behind(OsStr::new(name)), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_broken_ones_named() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("folder")).unwrap();
        std::fs::write(at("one.PNG"), b"").unwrap();
        std::fs::write(at("notes.txt"), b"").unwrap();
        symlink("one.PNG", at("two.png")).unwrap();
        symlink("folder", at("link")).unwrap();
        let listing = list(dir.path()).unwrap();
        assert_eq!(listing.pictures, [at("one.PNG"), at("two.png")]);
        assert_eq!(
            (listing.folders, listing.others),
            (vec![at("folder"), at("link")], vec![at("notes.txt")])
        );
        symlink("nowhere", at("x.png")).unwrap();
        let message = list(dir.path()).unwrap_err().to_string();
        assert!(message.contains("x.png: is a link to nowhere, which does not exist"), "{message}");
        std::fs::remove_file(at("x.png")).unwrap();
        symlink("y.png", at("y.png")).unwrap();
        assert!(list(dir.path()).unwrap_err().to_string().contains("y.png: cannot be read"));
    }

    #[cfg(unix)]
    #[test]
    fn pictures_are_found_at_any_depth_without_following_links() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        symlink(dir.path(), deep.join("up")).unwrap();
        std::fs::write(deep.join("._1.png"), b"").unwrap();
        assert!(!holds_pictures(dir.path()));
        std::fs::write(deep.join("1.jpe"), b"").unwrap();
        assert!(holds_pictures(dir.path()) && !holds_pictures(&dir.path().join("none")));
    }
}
