//! A user's images: one folder per class, optionally inside folders for the training, validation and test parts.

mod classes;
mod parts;

use std::path::Path;

use self::classes::{Class, ClassReader};
use self::parts::Parts;
use crate::archive::read_file;
use crate::images::{Official, Published, Rest};
use crate::left_out::{counted, listed};
use crate::picture::Color;
use crate::pictures::{Decoded, Entry, decode_all};
use crate::{DataError, FolderError, Images};

/// Reads `train/CLASS/*.png` and, if present, `valid/CLASS/*.png` and `test/CLASS/*.png`; or `CLASS/*.png`. The training images
/// are followed by those of the test part if requested by `which`, or else by those of the validation part, if any.
///
/// Classes are the folders of the training part, sorted by name as text. In each part the first image of each class comes
/// first, then the second of each, and so on, so any number of images from the start is balanced.
pub(crate) fn load(dir: &Path, channels: usize, which: Published) -> Result<Images, DataError> {
    if dir.is_file() {
        return Err(FolderError::IsFile { file: dir.into() }.into());
    }
    if !dir.is_dir() {
        return Err(FolderError::Missing { dir: dir.into() }.into());
    }
    let mut reader = ClassReader::default();
    let parts = Parts::find(dir, &mut reader.left_out)?;
    let rest = match which {
        Published::Training => parts.validation.as_ref().map(|dir| (dir, Rest::Validation)),
        Published::TrainingAndTest => {
            let missing = || {
                let expected =
                    format!("a number or a range of images: {} has no folder test/", dir.display());
                DataError::value("valid", "\"test\"", expected)
            };
            Some((parts.test.as_ref().ok_or_else(missing)?, Rest::Test))
        }
    };
    let training = reader.read(&parts.training)?;
    check(&parts.training, &training)?;
    let names: Vec<String> = training.iter().map(|class| class.name.clone()).collect();
    let mut entries = in_turn(&training, &names);
    let mut remarks = vec![];
    let mut official = None;
    if let Some((dir, rest)) = rest {
        let classes = reader.read(dir)?;
        remarks.extend(check_rest(dir, &classes, &parts.training, &names)?);
        official = Some(Official { train: entries.len(), rest });
        entries.extend(in_turn(&classes, &names));
    } else if let Some(test) = &parts.test {
        let test = test.display();
        remarks.push(format!("{test}: not used; `data.valid` = \"test\" validates on these images"));
    }
    remarks.splice(0..0, reader.left_out.remarks(dir));
    let color = if channels == 3 { Color::Rgb } else { Color::Gray };
    let Decoded { pixels, shape } = decode_all(&entries, color, |entry| read_file(&entry.file))?;
    let labels = entries.iter().map(|entry| entry.label).collect();
    Ok(Images { pixels, labels, shape, classes: names, max: 255, official, remarks })
}

/// Checks the classes of the training part.
fn check(dir: &Path, classes: &[Class]) -> Result<(), DataError> {
    let refused = |found| Err(FolderError::Classes { dir: dir.into(), found }.into());
    match classes {
        [] => return refused("no class folders".into()),
        [class] => return refused(format!("one class, {}", class.name.escape_debug())),
        _ if classes.len() > usize::from(u16::MAX) => return refused(format!("{} classes", classes.len())),
        _ => {}
    }
    match classes.iter().find(|class| class.pictures.is_empty()) {
        Some(class) => {
            Err(FolderError::EmptyClass { dir: class.dir.clone(), found: class.others.clone() }.into())
        }
        None => Ok(()),
    }
}

/// Checks the classes of another part, and reports which classes of the training part it lacks.
fn check_rest(
    dir: &Path,
    classes: &[Class],
    training: &Path,
    names: &[String],
) -> Result<Option<String>, DataError> {
    if let Some(unknown) = classes.iter().find(|class| names.binary_search(&class.name).is_err()) {
        return Err(FolderError::UnknownClass { dir: unknown.dir.clone(), train: training.into() }.into());
    }
    let filled: Vec<&String> =
        classes.iter().filter(|class| !class.pictures.is_empty()).map(|class| &class.name).collect();
    if filled.is_empty() {
        let found = match classes.len() {
            0 => "no class folders".into(),
            _ => {
                listed(classes.iter().map(|class| format!("{}: {}", class.name.escape_debug(), class.others)))
            }
        };
        return Err(FolderError::EmptyPart { dir: dir.into(), found }.into());
    }
    let lacking: Vec<String> =
        names.iter().filter(|name| filled.binary_search(name).is_err()).cloned().collect();
    Ok((!lacking.is_empty()).then(|| {
        let what = counted(lacking.len(), "class", "classes");
        format!("{}: has no images for {what} of the training part: {}", dir.display(), listed(lacking))
    }))
}

/// The first picture of each class, then the second of each, ...; labels are places in `names`, which is sorted.
fn in_turn(classes: &[Class], names: &[String]) -> Vec<Entry> {
    let mut entries = vec![];
    for class in classes {
        let label = names.binary_search(&class.name).unwrap_or_default() as u16;
        let ranked = class.pictures.iter().cloned().enumerate();
        entries.extend(ranked.map(|(rank, file)| (rank, Entry { file, label })));
    }
    entries.sort_by_key(|(rank, entry)| (*rank, entry.label));
    entries.into_iter().map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests;
