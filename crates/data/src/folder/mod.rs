//! Images in folders: one folder per class, as PNG or JPEG; and Tiny ImageNet's folders (Stanford CS231n, 2015).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::archive::{Place, open_zip, read_file, read_limited};
use crate::picture::{Color, Picture, decode, is_picture};
use crate::{DataError, Images};

/// Most images of a set.
const MAX_IMAGES: usize = 1 << 24;
/// Most bytes of all images together: 64 GiB.
const MAX_PIXELS: usize = 1 << 36;

/// A picture to be read, and its class.
struct Entry {
    file: PathBuf,
    label: u16,
}

/// A user's folder: `train/CLASS/*.png` and perhaps `valid/CLASS/*.png` (or `val`), or `CLASS/*.png`.
///
/// Classes are the folders in alphabetical order. In both parts the first image of each class comes first, then the second
/// of each, and so on, so that any number of images from the start is balanced.
pub(crate) fn load(dir: &Path, channels: usize) -> Result<Images, DataError> {
    let train = dir.join("train");
    let (train, valid) = if train.is_dir() {
        (train, ["valid", "val"].iter().map(|name| dir.join(name)).find(|dir| dir.is_dir()))
    } else {
        (dir.to_path_buf(), None)
    };
    let classes = folders(&train)?;
    if classes.len() < 2 || classes.len() > usize::from(u16::MAX) {
        return Err(no_images(&train));
    }
    let mut entries = in_turn(&train, &classes)?;
    let official_train = entries.len();
    if official_train == 0 {
        return Err(no_images(&train));
    }
    if let Some(valid) = &valid {
        if let Some(unknown) = folders(valid)?.iter().find(|class| !classes.contains(class)) {
            let (dir, tried) = (train.join(unknown), "a class that valid has".into());
            return Err(DataError::NoImages { dir, tried });
        }
        entries.extend(in_turn(valid, &classes)?);
    }
    let bytes = |entry: &Entry| read_file(&entry.file);
    let official_train = valid.is_some().then_some(official_train);
    let color = if channels == 3 { Color::Rgb } else { Color::Gray };
    decode_all(&entries, color, classes.len(), official_train, bytes)
}

/// Tiny ImageNet: 200 classes of 64x64 images, in its folder or its published archive. The training images, class by
/// class in the order of wnids.txt, are followed by the validation images in the order of val_annotations.txt.
pub(crate) fn load_tiny(path: &Path) -> Result<Images, DataError> {
    let place = Place::new(path, "tiny-imagenet-200.zip", "wnids.txt");
    let files = match &place {
        Place::Zip(archive) => Files::Zip(archive.clone(), names_in_zip(archive)?),
        Place::TarGz(file) => {
            let message = "expected the folder or its .zip".to_owned();
            return Err(DataError::Archive { file: file.clone(), at: 0, message });
        }
        Place::Folder(dir) => Files::Folder(dir.clone()),
    };
    let missing = |what: &str| DataError::missing("tiny_imagenet", place.path(), what.into());
    let wrong = |name: &str, line: usize, found: String, expected: &str| DataError::Line {
        file: files.shown(name),
        line,
        found,
        expected: expected.into(),
    };
    let text = |name: &str| -> Result<String, DataError> {
        let bytes = files.read(name)?.ok_or_else(|| missing(name))?;
        let found = |error| format!("bytes that are not text ({error})");
        String::from_utf8(bytes).map_err(|error| wrong(name, 1, found(error), "lines of text"))
    };
    let wnids = text("wnids.txt")?;
    let classes: Vec<&str> = wnids.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let labels: BTreeMap<&str, u16> = classes.iter().zip(0..).map(|(&wnid, label)| (wnid, label)).collect();
    if classes.len() != labels.len() || !(2..=usize::from(u16::MAX)).contains(&classes.len()) {
        let found = format!("{} classes", labels.len());
        return Err(wrong("wnids.txt", 1, found, "200 distinct class names, one per line"));
    }
    let mut entries = vec![];
    for (wnid, &label) in classes.iter().map(|wnid| (wnid, &labels[wnid])) {
        for file in files.pictures(&format!("train/{wnid}/images"))? {
            entries.push(Entry { file, label });
        }
    }
    let official_train = entries.len();
    if official_train == 0 {
        return Err(missing("train/CLASS/images/*.JPEG"));
    }
    let present = files.pictures("val/images")?;
    let present: BTreeMap<&str, &PathBuf> =
        present.iter().filter_map(|path| Some((path.file_name()?.to_str()?, path))).collect();
    let annotations = if present.is_empty() { String::new() } else { text("val/val_annotations.txt")? };
    for (index, line) in annotations.lines().enumerate() {
        let wrong = |found: &str, expected: &str| {
            let found = format!("\"{}\"", found.escape_debug());
            wrong("val/val_annotations.txt", index + 1, found, expected)
        };
        let mut parts = line.split('\t');
        let (Some(name), Some(wnid)) = (parts.next(), parts.next()) else {
            return Err(wrong(line, "an image's name, a tab and its class"));
        };
        let label = *labels.get(wnid).ok_or_else(|| wrong(wnid, "a class of wnids.txt"))?;
        // the listing may name images that an incomplete copy of the set does not have
        if let Some(&file) = present.get(name) {
            entries.push(Entry { file: file.clone(), label });
        }
    }
    let bytes = |entry: &Entry| {
        let name = entry.file.to_string_lossy().into_owned();
        files.read(&name)?.ok_or_else(|| missing(&name))
    };
    decode_all(&entries, Color::Rgb, classes.len(), Some(official_train), bytes)
}

/// Tiny ImageNet's files; names are relative to its folder.
enum Files {
    Folder(PathBuf),
    /// The archive, and in it the index of every name.
    Zip(PathBuf, BTreeMap<String, usize>),
}

/// An archive in use.
struct OpenZip {
    path: PathBuf,
    archive: zip::ZipArchive<BufReader<File>>,
}

/// The files of an archive by their names below its one folder.
fn names_in_zip(path: &Path) -> Result<BTreeMap<String, usize>, DataError> {
    let file = File::open(path).map_err(|error| DataError::io(path, error))?;
    let archive = open_zip(path, file)?;
    let below = |name: &str| name.strip_prefix("tiny-imagenet-200/").unwrap_or(name).to_owned();
    Ok((0..archive.len()).filter_map(|index| Some((below(archive.name_for_index(index)?), index))).collect())
}

impl Files {
    fn shown(&self, name: &str) -> PathBuf {
        match self {
            Self::Folder(path) | Self::Zip(path, _) => path.join(name),
        }
    }

    /// A file's bytes, if it is there.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DataError> {
        match self {
            Self::Folder(dir) => {
                let path = dir.join(name);
                if path.is_file() { read_file(&path).map(Some) } else { Ok(None) }
            }
            Self::Zip(path, names) => {
                let Some(&index) = names.get(name) else { return Ok(None) };
                let broken = |error: &dyn std::fmt::Display| DataError::archive(path, index as u64, error);
                // every thread reads through its own view and keeps it, since reading the table of contents takes
                // as long as decoding several files
                thread_local! {
                    static OPEN: RefCell<Option<OpenZip>> = const { RefCell::new(None) };
                }
                OPEN.with_borrow_mut(|open| {
                    if open.as_ref().is_none_or(|open| open.path != *path) {
                        let file = File::open(path).map_err(|error| DataError::io(path, error))?;
                        let archive = open_zip(path, BufReader::new(file))?;
                        *open = Some(OpenZip { path: path.clone(), archive });
                    }
                    let OpenZip { archive, .. } = open.as_mut().expect("opened above");
                    let entry = archive.by_index(index).map_err(|error| broken(&error))?;
                    read_limited(entry.take(crate::archive::MAX_BYTES))
                        .map(Some)
                        .map_err(|error| broken(&error))
                })
            }
        }
    }

    /// The pictures of a folder, sorted by the number at the end of their names.
    fn pictures(&self, folder: &str) -> Result<Vec<PathBuf>, DataError> {
        let mut found: Vec<PathBuf> = match self {
            Self::Folder(dir) if dir.join(folder).is_dir() => {
                let names = list(&dir.join(folder))?.into_iter().filter(|path| is_picture(path));
                names.filter_map(|path| Some(Path::new(folder).join(path.file_name()?))).collect()
            }
            Self::Folder(_) => vec![],
            Self::Zip(_, names) => {
                let prefix = format!("{folder}/");
                let within = names.range(prefix.clone()..).map(|(name, _)| name);
                let within = within.take_while(|name| name.starts_with(&prefix)).map(PathBuf::from);
                within.filter(|path| is_picture(path)).collect()
            }
        };
        let number =
            |path: &PathBuf| -> Option<u64> { path.file_stem()?.to_str()?.rsplit('_').next()?.parse().ok() };
        found.sort_by_cached_key(|path| (number(path), path.clone()));
        Ok(found)
    }
}

fn no_images(dir: &Path) -> DataError {
    let tried = "train/CLASS/*.png, CLASS/*.png; .jpg and .jpeg too".into();
    DataError::NoImages { dir: dir.into(), tried }
}

/// What a folder holds, sorted.
fn list(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let entries = std::fs::read_dir(dir).map_err(|error| DataError::io(dir, error))?;
    let paths =
        entries.map(|entry| entry.map(|entry| entry.path()).map_err(|error| DataError::io(dir, error)));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_, _>>()?;
    paths.sort();
    Ok(paths)
}

/// The names of the folders in a folder, sorted.
fn folders(dir: &Path) -> Result<Vec<String>, DataError> {
    if !dir.is_dir() {
        return Err(no_images(dir));
    }
    let found = list(dir)?.into_iter().filter(|path| path.is_dir());
    Ok(found.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
}

/// The first picture of each class, then the second of each, ...
fn in_turn(dir: &Path, classes: &[String]) -> Result<Vec<Entry>, DataError> {
    let mut entries = vec![];
    for (class, label) in classes.iter().zip(0..) {
        let dir = dir.join(class);
        let files = if dir.is_dir() { list(&dir)? } else { vec![] };
        let files = files.into_iter().filter(|path| path.is_file() && is_picture(path));
        entries.extend(files.enumerate().map(|(rank, file)| (rank, Entry { file, label })));
    }
    entries.sort_by_key(|(rank, entry)| (*rank, entry.label));
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn decode_all(
    entries: &[Entry],
    color: Color,
    classes: usize,
    official_train: Option<usize>,
    bytes: impl Fn(&Entry) -> Result<Vec<u8>, DataError> + Sync,
) -> Result<Images, DataError> {
    let picture = |entry: &Entry| decode(&entry.file, &bytes(entry)?, color);
    let first = picture(&entries[0])?;
    let [height, width] = first.size;
    let shape = [if color == Color::Rgb { 3 } else { 1 }, height, width];
    let len = shape.iter().product::<usize>();
    if entries.len() > MAX_IMAGES || entries.len().saturating_mul(len) > MAX_PIXELS {
        let found = format!("{} images of {len} bytes", entries.len());
        return Err(DataError::value("dir", found, "at most 64 GiB in all"));
    }
    let mut pixels = vec![0; entries.len() * len];
    pixels.par_chunks_exact_mut(len).zip(entries).try_for_each(|(to, entry)| {
        let Picture { size, planes } = picture(entry)?;
        if size != first.size {
            let (file, first_file) = (entry.file.clone(), entries[0].file.clone());
            return Err(DataError::Size { file, found: size, first: first_file, expected: first.size });
        }
        to.copy_from_slice(&planes);
        Ok(())
    })?;
    let labels = entries.iter().map(|entry| entry.label).collect();
    Ok(Images { pixels, labels, shape, classes, max: 255, official_train })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::tests::png;

    fn write(root: &Path, name: &str, bytes: &[u8]) {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_folder_of_ones_own_is_read_in_turn() {
        let dir = tempfile::tempdir().unwrap();
        for (name, value) in [("cat/1.png", 1), ("cat/2.png", 2), ("dog/1.png", 3), ("dog/notes.txt", 0)] {
            write(dir.path(), &format!("train/{name}"), &png(3, 2, [value; 3]));
        }
        write(dir.path(), "val/dog/9.png", &png(3, 2, [9; 3]));
        let images = load(dir.path(), 1).unwrap();
        assert_eq!((images.labels.as_slice(), images.shape), (&[0, 1, 0, 1][..], [1, 2, 3]));
        assert_eq!([images.pixels[0], images.pixels[6], images.pixels[12]], [1, 3, 2]);
        assert_eq!((images.official_train, images.classes), (Some(3), 2));
        write(dir.path(), "train/cat/3.png", &png(4, 4, [0; 3]));
        let text = load(dir.path(), 3).unwrap_err().to_string();
        assert!(text.contains("3.png: is 4x4, but") && text.contains("1.png is 3x2"), "{text}");
        write(dir.path(), "train/cat/3.png", b"no picture");
        assert!(load(dir.path(), 3).unwrap_err().to_string().contains("3.png: cannot be decoded"));
        assert!(matches!(load(&dir.path().join("none"), 3), Err(DataError::NoImages { .. })));
    }

    fn tiny(root: &Path) {
        write(root, "wnids.txt", b"n2\nn1\n");
        for (name, value) in [("n1_10", 4), ("n1_2", 3), ("n2_0", 1)] {
            let wnid = &name[..2];
            write(root, &format!("train/{wnid}/images/{name}.JPEG"), &png(2, 2, [value; 3]));
        }
        write(
            root,
            "val/val_annotations.txt",
            b"val_1.JPEG\tn1\t0\t0\nval_0.JPEG\tn2\t0\nval_7.JPEG\tn2\t0\n",
        );
        write(root, "val/images/val_0.JPEG", &png(2, 2, [7; 3]));
        write(root, "val/images/val_1.JPEG", &png(2, 2, [8; 3]));
    }

    #[test]
    fn tiny_imagenets_folders_are_read_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        tiny(dir.path());
        let images = load_tiny(dir.path()).unwrap();
        assert_eq!((images.labels.as_slice(), images.official_train), (&[0, 1, 1, 1, 0][..], Some(3)));
        assert_eq!(images.pixels.iter().step_by(12).copied().collect::<Vec<u8>>(), [1, 3, 4, 8, 7]);
        write(dir.path(), "val/val_annotations.txt", b"val_1.JPEG\tn9\n");
        let text = load_tiny(dir.path()).unwrap_err().to_string();
        assert!(text.contains("line 1: found \"n9\", expected a class of wnids.txt"), "{text}");
        write(dir.path(), "wnids.txt", &[0xff, 0xfe]);
        assert!(load_tiny(dir.path()).is_err());
        std::fs::remove_file(dir.path().join("wnids.txt")).unwrap();
        let text = load_tiny(dir.path()).unwrap_err().to_string();
        assert!(text.contains("data fetch tiny_imagenet"), "{text}");
    }

    #[test]
    fn tiny_imagenets_archive_is_read_as_it_is() {
        use std::io::Write;
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("unpacked");
        tiny(&folder);
        let path = dir.path().join("tiny-imagenet-200.zip");
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for name in [
            "wnids.txt",
            "train/n1/images/n1_10.JPEG",
            "train/n1/images/n1_2.JPEG",
            "train/n2/images/n2_0.JPEG",
            "val/val_annotations.txt",
            "val/images/val_0.JPEG",
            "val/images/val_1.JPEG",
        ] {
            let options = zip::write::SimpleFileOptions::default();
            archive.start_file(format!("tiny-imagenet-200/{name}"), options).unwrap();
            archive.write_all(&std::fs::read(folder.join(name)).unwrap()).unwrap();
        }
        archive.finish().unwrap();
        assert_eq!(load_tiny(dir.path()).unwrap(), load_tiny(&folder).unwrap());
        assert_eq!(load_tiny(&path).unwrap(), load_tiny(&folder).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        let cut = dir.path().join("cut.zip");
        std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(load_tiny(&cut), Err(DataError::Archive { .. })));
    }

    /// The published folders, where they are: set WALK_TINY_IMAGENET to tiny-imagenet-200.
    #[test]
    fn tiny_imagenet_has_its_known_facts() {
        let Some(dir) = std::env::var_os("WALK_TINY_IMAGENET") else {
            crate::test_support::skipped(
                "tiny_imagenet_has_its_known_facts needs WALK_TINY_IMAGENET=its folder",
            );
            return;
        };
        let images = load_tiny(dir.as_ref()).unwrap();
        assert_eq!((images.shape, images.classes), ([3, 64, 64], 200));
        let train = images.official_train.unwrap();
        // the whole set has 500 images of each class; a part of it has fewer, but as many of each
        let counts = |class| images.labels[..train].iter().filter(|&&label| label == class).count();
        assert!(train > 0 && (0..200).all(|class| counts(class) == train / 200));
    }
}
