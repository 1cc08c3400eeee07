//! Tiny ImageNet (Stanford CS231n, 2015): 200 classes of 64x64 images, in its folder or its published archive.

mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use self::files::Files;
use crate::archive::Place;
use crate::images::{Official, Rest};
use crate::left_out::{LeftOut, counted, kinds};
use crate::listing::holds_pictures;
use crate::picture::Color;
use crate::pictures::{Decoded, Entry, decode_all};
use crate::{DataError, FolderError, Images};

const ANNOTATIONS: &str = "val/val_annotations.txt";

/// The training images, class by class in the order of wnids.txt, followed by the validation images in the order of
/// val_annotations.txt. The published test images have no labels.
pub(crate) fn load(path: &Path) -> Result<Images, DataError> {
    let files = Files::open(Place::new(path, "tiny-imagenet-200.zip", "wnids.txt"))?;
    let mut left_out = LeftOut::default();
    let classes = classes(&files)?;
    let mut entries = vec![];
    for (class, label) in classes.iter().zip(0..) {
        let folder = format!("train/{class}/images");
        let pictures = files.pictures(&folder, &mut left_out)?;
        if pictures.is_empty() {
            let found = kinds(&files.list(&folder)?.others);
            return Err(FolderError::EmptyClass { dir: files.shown(folder), found }.into());
        }
        entries.extend(pictures.into_iter().map(|file| Entry { file, label }));
    }
    for folder in files.list("train")?.folders {
        if !folder.file_name().is_some_and(|name| classes.iter().any(|class| *name == **class)) {
            left_out.add_unlisted(folder);
        }
    }
    let train = entries.len();
    let Validation { entries: validation, remarks } = validation(&files, &classes, &mut left_out)?;
    let official = (!validation.is_empty()).then_some(Official { train, rest: Rest::Validation });
    entries.extend(validation);
    let mut all_remarks = left_out.remarks(files.path());
    all_remarks.extend(remarks);
    let Decoded { pixels, shape } = decode_all(&entries, Color::Rgb, |entry| {
        files.read(&entry.file)?.ok_or_else(|| missing(&files, &entry.file.to_string_lossy()))
    })?;
    let labels = entries.iter().map(|entry| entry.label).collect();
    Ok(Images { pixels, labels, shape, classes, max: 255, official, remarks: all_remarks })
}

fn missing(files: &Files, what: &str) -> DataError {
    DataError::missing("tiny_imagenet", files.path(), &[what.to_owned()])
}

/// An invalid line.
fn wrong(files: &Files, name: &str, line: usize, found: String, expected: &str) -> DataError {
    DataError::Line { file: files.shown(name), line, found, expected: expected.into() }
}

fn text(files: &Files, name: &str) -> Result<String, DataError> {
    let bytes = files.read(name.as_ref())?.ok_or_else(|| missing(files, name))?;
    let found = |error| format!("bytes that are not text ({error})");
    String::from_utf8(bytes).map_err(|error| wrong(files, name, 1, found(error), "lines of text"))
}

/// The classes in the order of their labels.
fn classes(files: &Files) -> Result<Vec<String>, DataError> {
    let name = "wnids.txt";
    let wnids = text(files, name)?;
    let classes: Vec<String> =
        wnids.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    let distinct = classes.iter().collect::<BTreeSet<_>>().len();
    if classes.len() != distinct || !(2..=usize::from(u16::MAX)).contains(&distinct) {
        let found = format!("{} lines with {distinct} distinct names", classes.len());
        return Err(wrong(files, name, 1, found, "200 distinct class names, one per line"));
    }
    if let Some(index) = classes.iter().position(|class| class.contains(['/', '\\']) || class == "..") {
        let found = format!("\"{}\"", classes[index].escape_debug());
        return Err(wrong(files, name, index + 1, found, "the name of a folder in train"));
    }
    Ok(classes)
}

/// The validation images, and remarks about them for the user.
struct Validation {
    entries: Vec<Entry>,
    remarks: Vec<String>,
}

fn validation(files: &Files, classes: &[String], left_out: &mut LeftOut) -> Result<Validation, DataError> {
    let folder = files.shown("val/images");
    let present = files.pictures("val/images", left_out)?;
    if present.is_empty() {
        let elsewhere = files.shown("val");
        if holds_pictures(&elsewhere) {
            return Err(FolderError::Layout { dir: elsewhere, expected: "val/images/*.JPEG" }.into());
        }
        let instead = "part of the training images is used for validation instead";
        let remarks = vec![format!("{}: has no images; {instead}", folder.display())];
        return Ok(Validation { entries: vec![], remarks });
    }
    let mut unlisted: BTreeMap<&str, &PathBuf> = BTreeMap::new();
    // a name that is not UTF-8 cannot be in the list
    let mut unnamed = 0;
    for path in &present {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) => drop(unlisted.insert(name, path)),
            None => unnamed += 1,
        }
    }
    let labels: BTreeMap<&str, u16> = classes.iter().map(String::as_str).zip(0..).collect();
    let annotations = text(files, ANNOTATIONS)?;
    let (mut entries, mut names, mut absent) = (vec![], BTreeSet::new(), 0);
    for (index, line) in annotations.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |found: &str, expected: &str| {
            wrong(files, ANNOTATIONS, index + 1, format!("\"{}\"", found.escape_debug()), expected)
        };
        let mut parts = line.split('\t').map(str::trim);
        let (Some(name), Some(wnid)) = (parts.next(), parts.next()) else {
            return Err(wrong(line, "an image's name, a tab and its class"));
        };
        let label = *labels.get(wnid).ok_or_else(|| wrong(wnid, "a class of wnids.txt"))?;
        if !names.insert(name) {
            return Err(wrong(name, "an image not listed on an earlier line"));
        }
        match unlisted.remove(name) {
            Some(file) => entries.push(Entry { file: file.clone(), label }),
            None => absent += 1,
        }
    }
    let mut remarks = vec![];
    let unlisted = unlisted.len() + unnamed;
    if entries.is_empty() {
        let found = counted(unlisted, "image", "images");
        let found = format!("{found}, none of which is in val_annotations.txt");
        return Err(FolderError::EmptyPart { dir: folder, found }.into());
    }
    if unlisted > 0 {
        let what = counted(unlisted, "image", "images");
        remarks.push(format!("{}: left out {what} that val_annotations.txt does not list", folder.display()));
    }
    if absent > 0 {
        let what = counted(absent, "image", "images");
        remarks.push(format!("{}: is missing {what} listed in val_annotations.txt", folder.display()));
    }
    Ok(Validation { entries, remarks })
}

#[cfg(test)]
mod tests;
