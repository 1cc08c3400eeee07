//! A set of two classes, laid out as the published one.

use std::io::Write;
use std::path::Path;

use super::*;
use crate::picture::tests::png;

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn tiny(root: &Path) {
    write(root, "wnids.txt", b"n2\nn1\n");
    for (name, value) in [("n1_10", 4), ("n1_2", 3), ("n2_0", 1)] {
        let wnid = &name[..2];
        write(root, &format!("train/{wnid}/images/{name}.JPEG"), &png(2, 2, [value; 3]));
    }
    write(root, ANNOTATIONS, b"val_1.JPEG\tn1\t0\t0\nval_0.JPEG\tn2\t0\n");
    write(root, "val/images/val_0.JPEG", &png(2, 2, [7; 3]));
    write(root, "val/images/val_1.JPEG", &png(2, 2, [8; 3]));
}

fn message(dir: &Path) -> String {
    load(dir).unwrap_err().to_string()
}

#[test]
fn the_folders_are_read_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    tiny(dir.path());
    let images = load(dir.path()).unwrap();
    let official = Official { train: 3, rest: Rest::Validation };
    assert_eq!((images.labels.as_slice(), images.official), (&[0, 1, 1, 1, 0][..], Some(official)));
    assert_eq!(images.pixels.iter().step_by(12).copied().collect::<Vec<u8>>(), [1, 3, 4, 8, 7]);
    assert_eq!((images.classes.clone(), images.remarks.len()), (vec!["n2".into(), "n1".into()], 0));
    // Windows line endings and blank lines make no difference
    write(dir.path(), "wnids.txt", b"n2\r\nn1\r\n\r\n");
    write(dir.path(), ANNOTATIONS, b"val_1.JPEG\tn1\r\nval_0.JPEG\tn2\r\n\r\n");
    assert_eq!(load(dir.path()).unwrap(), images);
}

#[test]
fn images_that_the_list_lacks_and_the_reverse_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    tiny(dir.path());
    write(dir.path(), ANNOTATIONS, b"val_1.JPEG\tn1\nval_7.JPEG\tn2\nval_8.JPEG\tn2\n");
    write(dir.path(), "train/n1/images/readme.txt", b"");
    write(dir.path(), "train/n3/images/n3_0.JPEG", &png(2, 2, [7; 3]));
    write(dir.path(), "val/images/._val_0.JPEG", b"junk");
    let images = load(dir.path()).unwrap();
    assert_eq!(images.labels, [0, 1, 1, 1]);
    let [files, folders, unlisted, absent] = images.remarks.as_slice() else {
        panic!("{:?}", images.remarks);
    };
    assert!(files.contains("left out 1 file that is not PNG, JPEG or BMP: 1 .txt"), "{files}");
    assert!(folders.contains("1 folder not in the list of classes") && folders.contains("n3"), "{folders}");
    assert!(unlisted.contains("left out 1 image that val_annotations.txt does not list"), "{unlisted}");
    assert!(absent.contains("is missing 2 images listed in val_annotations.txt"), "{absent}");
    write(dir.path(), ANNOTATIONS, b"val_7.JPEG\tn2\n");
    assert!(message(dir.path()).contains("found 2 images, none of which is in val_annotations.txt"));
}

#[test]
fn what_is_wrong_is_named() {
    let dir = tempfile::tempdir().unwrap();
    tiny(dir.path());
    write(dir.path(), ANNOTATIONS, b"val_1.JPEG\tn9\n");
    let text = message(dir.path());
    assert!(text.contains("line 1: found \"n9\", expected a class of wnids.txt"), "{text}");
    write(dir.path(), ANNOTATIONS, b"val_1.JPEG\tn1\nval_1.JPEG\tn2\n");
    let text = message(dir.path());
    assert!(
        text.contains("line 2: found \"val_1.JPEG\", expected an image not listed on an earlier line"),
        "{text}"
    );
    std::fs::remove_dir_all(dir.path().join("val/images")).unwrap();
    let images = load(dir.path()).unwrap();
    assert_eq!((images.len(), images.official), (3, None));
    assert!(images.remarks[0].contains("part of the training images is used for validation instead"));
    write(dir.path(), "val/n1/val_1.JPEG", &png(2, 2, [8; 3]));
    assert!(message(dir.path()).contains("not laid out as published, expected val/images/*.JPEG"));
    write(dir.path(), "wnids.txt", b"n2\nn1\nn4\n");
    write(dir.path(), "train/n4/images/n4_0.webp", b"");
    let text = message(dir.path());
    assert!(text.contains("n4/images: the class has no images") && text.contains("1 .webp (WebP)"), "{text}");
    write(dir.path(), "wnids.txt", b"n2\n../n1\n");
    assert!(message(dir.path()).contains("line 2: found \"../n1\", expected the name of a folder"));
    write(dir.path(), "wnids.txt", &[0xff, 0xfe]);
    assert!(message(dir.path()).contains("bytes that are not text"));
    std::fs::remove_file(dir.path().join("wnids.txt")).unwrap();
    assert!(message(dir.path()).contains("data fetch tiny_imagenet"));
}

#[test]
fn the_archive_is_read_as_it_is() {
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
        ANNOTATIONS,
        "val/images/val_0.JPEG",
        "val/images/val_1.JPEG",
    ] {
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(format!("tiny-imagenet-200/{name}"), options).unwrap();
        archive.write_all(&std::fs::read(folder.join(name)).unwrap()).unwrap();
    }
    archive.finish().unwrap();
    assert_eq!(load(dir.path()).unwrap(), load(&folder).unwrap());
    assert_eq!(load(&path).unwrap(), load(&folder).unwrap());
    let bytes = std::fs::read(&path).unwrap();
    let cut = dir.path().join("cut.zip");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(load(&cut), Err(DataError::Archive { .. })));
}

/// The published folders, where they are: set WALK_TINY_IMAGENET to tiny-imagenet-200.
#[test]
fn tiny_imagenet_has_its_known_facts() {
    let Some(dir) = std::env::var_os("WALK_TINY_IMAGENET") else {
        crate::test_support::skipped("tiny_imagenet_has_its_known_facts needs WALK_TINY_IMAGENET=its folder");
        return;
    };
    let images = load(dir.as_ref()).unwrap();
    assert_eq!((images.shape, images.classes.len()), ([3, 64, 64], 200));
    let train = images.official.map_or(images.len(), |official| official.train);
    // the whole set has 500 images of each class; a part of it has fewer, but as many of each
    let counts = |class| images.labels[..train].iter().filter(|&&label| label == class).count();
    assert!(train > 0 && (0..200).all(|class| counts(class) == train / 200));
}
