//! Errors in a folder of images.

use std::path::PathBuf;

use crate::formats::SUPPORTED;

/// Why a folder of images cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum FolderError {
    #[error("{}: not found, expected a folder with train/CLASS/*.png or CLASS/*.png ({SUPPORTED}); set `data.dir` to the folder with the images", .dir.display())]
    Missing { dir: PathBuf },
    #[error("{}: is a file, expected a folder with train/CLASS/*.png or CLASS/*.png ({SUPPORTED}); set `data.dir` to the folder with the images", .file.display())]
    IsFile { file: PathBuf },
    #[error("{}: contains {found}, expected at least two folders with images, one per class", .dir.display())]
    Classes { dir: PathBuf, found: String },
    #[error("{}: the class has no images to train on (found {found}), expected at least one {SUPPORTED}; add some or remove the folder", .dir.display())]
    EmptyClass { dir: PathBuf, found: String },
    #[error("{}: has no images in class folders (found {found}), expected {SUPPORTED}; add some or remove the folder", .dir.display())]
    EmptyPart { dir: PathBuf, found: String },
    #[error("{}: is a class that {} does not have, expected the classes of the training part", .dir.display(), .train.display())]
    UnknownClass { dir: PathBuf, train: PathBuf },
    #[error("{}: the name of this class is not UTF-8, expected UTF-8, since run.json records it; rename the folder", .dir.display())]
    ClassName { dir: PathBuf },
    #[error("{}: contains images below the class folder {}, expected all images directly in it; move them there, or set `data.dir` to the folder whose subfolders are the classes", .dir.display(), .class.display())]
    Deeper { dir: PathBuf, class: PathBuf },
    #[error("{} and {}: are both named like the {part} part, expected one folder; merge them or move one elsewhere", .first.display(), .second.display())]
    TwoFolders { first: PathBuf, second: PathBuf, part: &'static str },
    #[error("{}: is named like the {part} part, but there is no folder train/ next to it; put the class folders into train/", .dir.display())]
    NoTraining { dir: PathBuf, part: &'static str },
    #[error("{}: contains images, but its name is not that of a part, expected train/, valid/ (val/, validation/, dev/, eval/) or test/ (testing/); rename it or move it elsewhere", .dir.display())]
    Sibling { dir: PathBuf },
    #[error("{}: its images are not laid out as published, expected {expected}; unpack the set again", .dir.display())]
    Layout { dir: PathBuf, expected: &'static str },
    #[error("{}: is the same folder as {}; its images would be read twice, remove one of the two", .dir.display(), .other.display())]
    SameFolder { dir: PathBuf, other: PathBuf },
    #[error("{}: is a link to a folder above it, expected a folder with the images of a class; remove the link", .dir.display())]
    Loop { dir: PathBuf },
    #[error("{}: is {found}, expected a file", .file.display())]
    NoFile { file: PathBuf, found: &'static str },
    #[error("{}: is a link to {}, which does not exist; repair or remove the link", .link.display(), .target.display())]
    BrokenLink { link: PathBuf, target: PathBuf },
}
