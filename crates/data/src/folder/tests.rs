//! Folders written by the tests: what is read, what is left out, what is rejected.

use std::path::Path;

use super::*;
use crate::images::Published;
use crate::picture::tests::png;

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A folder with pictures of 3x2 pixels, whose values are their places in the list.
fn folder(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (value, name) in (1..).zip(names) {
        write(dir.path(), name, &png(3, 2, [value; 3]));
    }
    dir
}

fn read(dir: &Path) -> Result<Images, String> {
    load(dir, 1, Published::Training).map_err(|error| error.to_string())
}

fn refused(dir: &Path) -> String {
    read(dir).unwrap_err()
}

/// The first pixel of each image.
fn values(images: &Images) -> Vec<u8> {
    images.pixels.iter().step_by(images.image_len()).copied().collect()
}

const PETS: [&str; 4] = ["train/cat/1.png", "train/cat/2.png", "train/dog/1.png", "val/dog/9.png"];

#[test]
fn classes_take_turns_in_each_part() {
    let dir = folder(&PETS);
    let images = read(dir.path()).unwrap();
    assert_eq!((images.labels.as_slice(), images.shape), (&[0, 1, 0, 1][..], [1, 2, 3]));
    assert_eq!((values(&images), images.classes.join(" ")), (vec![1, 3, 2, 4], "cat dog".into()));
    assert_eq!(images.official, Some(Official { train: 3, rest: Rest::Validation }));
    let lacking = "val: has no images for 1 class of the training part: cat";
    assert!(images.remarks[0].ends_with(lacking) && images.remarks.len() == 1, "{:?}", images.remarks);
    write(dir.path(), "train/cat/3.png", &png(4, 4, [0; 3]));
    let text = refused(dir.path());
    assert!(text.contains("3.png: is 4x4, but") && text.contains("1.png is 3x2"), "{text}");
    assert!(refused(&dir.path().join("none")).contains("none: not found"));
    let file = refused(&dir.path().join("train/cat/1.png"));
    assert!(file.contains("1.png: is a file, expected a folder with train/CLASS"), "{file}");
}

#[test]
fn names_of_classes_sort_as_text() {
    let dir = folder(&["2/a.png", "10/a.png", "1/a.png"]);
    let images = read(dir.path()).unwrap();
    assert_eq!((values(&images), images.classes.join(" ")), (vec![3, 2, 1], "1 10 2".into()));
    assert_eq!((images.official, images.remarks.len()), (None, 0));
}

#[test]
fn what_tools_leave_behind_is_left_out_silently() {
    let plain = read(folder(&PETS).path()).unwrap();
    let dir = folder(&PETS);
    for name in [
        ".DS_Store",
        ".git/1.png",
        "__MACOSX/train/cat/1.png",
        "train/.ipynb_checkpoints/1.png",
        "train/@eaDir/1.png",
        "val/.thumbnails/1.png",
        "train/cat/._1.png",
        "train/cat/Thumbs.db",
        "train/cat/desktop.ini",
        "train/cat/.1.png.swp",
        "train/dog/@eaDir/1.png",
    ] {
        write(dir.path(), name, b"junk");
    }
    let images = read(dir.path()).unwrap();
    assert_eq!((&images.pixels, &images.classes, images.remarks.len()), (&plain.pixels, &plain.classes, 1));
}

#[test]
fn everything_else_that_is_left_out_is_counted() {
    let dir = folder(&PETS);
    for name in
        ["README", "train/0.png", "train/cat/3.webp", "val/dog/1.TXT", "notes/a.txt", "train/cat/old/a.txt"]
    {
        write(dir.path(), name, b"");
    }
    let images = read(dir.path()).unwrap();
    assert_eq!(values(&images), [1, 3, 2, 4]);
    let remarks = images.remarks.join("\n");
    for expected in [
        "left out 3 files that are not PNG, JPEG or BMP: 1 .txt, 1 .webp (WebP), 1 without an extension",
        "left out 1 image that is outside the class folders",
        "left out 2 folders without images: ",
    ] {
        assert!(remarks.contains(expected), "{remarks}");
    }
}

#[test]
fn folders_that_plainly_mean_a_part_are_that_part() {
    for name in ["valid", "val", "Validation", "DEV", "eval"] {
        let dir = folder(&["Training/cat/1.png", "Training/dog/1.png"]);
        write(dir.path(), &format!("{name}/cat/1.png"), &png(3, 2, [9; 3]));
        write(dir.path(), &format!("{name}/dog/1.png"), &png(3, 2, [8; 3]));
        let images = read(dir.path()).unwrap();
        assert_eq!((values(&images), images.remarks.len()), (vec![1, 2, 9, 8], 0), "{name}");
    }
}

#[test]
fn the_test_part_is_used_alone_and_on_request() {
    let dir = folder(&["train/a/1.png", "train/b/1.png", "testing/a/1.png", "testing/b/1.png"]);
    let without = read(dir.path()).unwrap();
    assert_eq!((values(&without), without.official), (vec![1, 2], None));
    assert!(
        without.remarks[0].contains("testing: not used; `data.valid` = \"test\""),
        "{:?}",
        without.remarks
    );
    write(dir.path(), "valid/a/1.png", &png(3, 2, [7; 3]));
    write(dir.path(), "valid/b/1.png", &png(3, 2, [8; 3]));
    assert_eq!(values(&read(dir.path()).unwrap()), [1, 2, 7, 8]);
    let tested = load(dir.path(), 1, Published::TrainingAndTest).unwrap();
    assert_eq!(values(&tested), [1, 2, 3, 4]);
    assert_eq!(tested.official, Some(Official { train: 2, rest: Rest::Test }));
    std::fs::remove_dir_all(dir.path().join("testing")).unwrap();
    let text = load(dir.path(), 1, Published::TrainingAndTest).unwrap_err().to_string();
    assert!(text.contains("`data.valid` = \"test\"") && text.contains("has no folder test/"), "{text}");
}

#[test]
fn parts_that_are_not_plain_are_refused() {
    let with = |names: &[&str]| {
        let dir = folder(&["train/a/1.png", "train/b/1.png"]);
        names.iter().for_each(|name| write(dir.path(), name, &png(3, 2, [1; 3])));
        refused(dir.path())
    };
    let both = with(&["valid/a/1.png", "val/a/1.png"]);
    assert!(
        both.contains("val and ") && both.contains("valid: are both named like the validation"),
        "{both}"
    );
    assert!(with(&["Train/a/1.png"]).contains("named like the training part"));
    assert!(with(&["extra/a/1.png"]).contains("extra: contains images, but its name is not that of a part"));
    assert!(with(&["val/c/1.png"]).contains("c: is a class that "));
    assert!(with(&["val/a/1.gif"]).contains("val: has no images in class folders (found a: 1 .gif (GIF))"));
    assert!(with(&["val/1.png"]).contains("val: has no images in class folders (found no class folders"));
    let beside = folder(&["a/1.png", "b/1.png", "Test/a/1.png"]);
    let text = refused(beside.path());
    assert!(
        text.contains("Test: is named like the test part, but there is no folder train/ next to it"),
        "{text}"
    );
}

#[test]
fn classes_that_cannot_be_used_are_refused() {
    let dir = folder(&["a/1.png", "b/1.png"]);
    write(dir.path(), "emu/1.webp", b"");
    write(dir.path(), "emu/2.webp", b"");
    let text = refused(dir.path());
    assert!(text.contains("emu: the class has no images to train on (found 2 .webp (WebP))"), "{text}");
    assert!(text.contains("expected at least one PNG, JPEG or BMP"), "{text}");
    let deeper = folder(&["a/1.png", "b/1.png", "b/more/even/1.png"]);
    let text = refused(deeper.path());
    assert!(text.contains("more: contains images below the class folder"), "{text}");
    assert!(refused(folder(&["a/1.png"]).path()).contains("contains one class, a, expected at least two"));
    assert!(refused(folder(&["1.png"]).path()).contains("contains no class folders"));
}

#[test]
fn a_file_that_is_no_whole_picture_is_named() {
    let bad: [(&str, &[u8], &str); 4] = [
        ("empty.png", b"", "is an empty file"),
        ("lies.png", b"RIFF\x24\0\0\0WEBPVP8 ", "is a WebP file"),
        ("text.jpg", b"no picture", "is not an image"),
        ("cut.jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0", "truncated"),
    ];
    for (name, bytes, expected) in bad {
        let dir = folder(&["a/1.png", "b/1.png"]);
        write(dir.path(), &format!("b/{name}"), bytes);
        let text = refused(dir.path());
        assert!(text.contains(&format!("{name}: ")) && text.contains(expected), "{text}");
    }
    let dir = folder(&["a/1.png", "b/1.png"]);
    let whole = png(3, 2, [7; 3]);
    write(dir.path(), "b/2.png", &whole[..whole.len() - 20]);
    let text = refused(dir.path());
    assert!(
        text.contains("2.png: cannot be decoded: ") && text.ends_with("; replace, convert or remove it"),
        "{text}"
    );
    // an image in a supported format other than its name suggests is accepted
    let dir = folder(&["a/1.png", "b/1.jpg", "b/2.BMP"]);
    assert_eq!(values(&read(dir.path()).unwrap()), [1, 2, 3]);
}

/// Files of any names anywhere, among those of a good set.
#[cfg(unix)]
mod any_tree {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;
    use crate::listing::is_left_behind;

    fn name() -> impl Strategy<Value = OsString> {
        let known = [
            "train",
            "TRAINING",
            "valid",
            "Dev",
            "test",
            "a",
            "b",
            "c",
            "more",
            ".hidden",
            "__MACOSX",
            "@eaDir",
            "Thumbs.db",
            "1.png",
            "2.JPG",
            "3.bmp",
            "._1.png",
            "4.webp",
            "notes.txt",
            "README",
        ];
        let known = prop::sample::select(known.to_vec()).prop_map(OsString::from);
        let any = prop::collection::vec(any::<u8>(), 1..9).prop_map(|bytes| {
            let byte = |byte| if matches!(byte, 0 | b'/') { b'x' } else { byte };
            let bytes: Vec<u8> = bytes.into_iter().map(byte).collect();
            let is_dots = bytes.iter().all(|&byte| byte == b'.');
            OsString::from_vec(if is_dots { b"dots".to_vec() } else { bytes })
        });
        prop_oneof![9 => known, 1 => any]
    }

    /// A file's path and bytes.
    fn file() -> impl Strategy<Value = (PathBuf, Vec<u8>)> {
        let path = prop::collection::vec(name(), 1..5).prop_map(|names| names.iter().collect());
        let good = Just(png(3, 2, [9; 3]));
        let bytes = prop_oneof![20 => good, 1 => Just(png(2, 2, [9; 3])), 1 => prop::collection::vec(any::<u8>(), 0..9)];
        (path, bytes)
    }

    /// The files that count, by their paths: no part of the path is left out silently, and none is in the test part.
    fn counted(dir: &Path, below: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir.join(below)).unwrap() {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            if is_left_behind(&entry.file_name()) {
                continue;
            }
            if !entry.file_type().unwrap().is_dir() {
                found.push(path);
            } else if !path.as_os_str().eq_ignore_ascii_case("test") {
                counted(dir, &path, found);
            }
        }
    }

    /// The counts that remarks give for something.
    fn said(images: &Images, what: [&str; 2]) -> usize {
        let number = |remark: &String| {
            let (_, rest) = remark.split_once(": left out ")?;
            let (number, rest) = rest.split_once(' ')?;
            what.iter().any(|what| rest.starts_with(what)).then(|| number.parse::<usize>().unwrap())
        };
        images.remarks.iter().filter_map(number).sum()
    }

    proptest! {
        #[test]
        fn every_file_is_a_sample_or_said_or_part_of_the_error(
            files in prop::collection::vec(file(), 0..7), has_parts: bool,
        ) {
            let dir = if has_parts { folder(&["train/a/0.png", "train/b/0.png"]) } else { folder(&["a/0.png", "b/0.png"]) };
            for (path, bytes) in &files {
                let path = dir.path().join(path);
                // a file may be in the way of a folder, and vice versa
                if std::fs::create_dir_all(path.parent().unwrap()).is_ok() {
                    let _ = std::fs::write(path, bytes);
                }
            }
            let mut files = vec![];
            counted(dir.path(), "".as_ref(), &mut files);
            match read(dir.path()) {
                Ok(images) => {
                    let depth = |path: &PathBuf| path.components().count();
                    let is_part = |path: &PathBuf| {
                        let first = path.components().next().unwrap().as_os_str().to_ascii_lowercase();
                        ["train", "training", "valid", "dev"].iter().any(|part| *part == first)
                    };
                    // with parts: PART/CLASS/FILE; a folder beside the parts or below a class is left out as a whole
                    let classes = if has_parts { 2 } else { 1 };
                    let in_left_out = |path: &&PathBuf| {
                        depth(path) > classes + 1 || (has_parts && depth(path) > 1 && !is_part(path))
                    };
                    let left_out = files.iter().filter(in_left_out).count();
                    let others = said(&images, ["file that", "files that"]);
                    let stray = said(&images, ["image that", "images that"]);
                    prop_assert_eq!(images.len() + others + stray + left_out, files.len(), "{:?}", &images.remarks);
                    prop_assert!(left_out == 0 || said(&images, ["folder ", "folders "]) > 0, "{:?}", &images.remarks);
                }
                Err(text) => prop_assert!(text.contains(&dir.path().display().to_string()), "{text}"),
            }
        }
    }
}

#[cfg(unix)]
mod on_unix {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn names_that_are_not_utf8() {
        let dir = folder(&["a/1.png", "b/1.png"]);
        let latin = OsStr::from_bytes(b"caf\xe9.png");
        std::fs::write(dir.path().join("b").join(latin), png(3, 2, [9; 3])).unwrap();
        assert_eq!(values(&read(dir.path()).unwrap()), [1, 2, 9]);
        std::fs::create_dir(dir.path().join(OsStr::from_bytes(b"caf\xe9"))).unwrap();
        assert!(refused(dir.path()).contains("the name of this class is not UTF-8"));
    }

    #[test]
    fn links_are_followed_but_nothing_is_read_twice() {
        let other = folder(&["emu/1.png"]);
        let dir = folder(&["a/1.png", "b/1.png"]);
        symlink(other.path().join("emu"), dir.path().join("emu")).unwrap();
        assert_eq!(read(dir.path()).unwrap().classes.len(), 3);
        let with = |target: &Path, name: &str| {
            symlink(target, dir.path().join(name)).unwrap();
            let text = refused(dir.path());
            std::fs::remove_file(dir.path().join(name)).unwrap();
            text
        };
        assert!(with(dir.path(), "loop").contains("loop: is a link to a folder above it"));
        assert!(with("..".as_ref(), "up").contains("up: is a link to a folder above it"));
        assert!(with("a".as_ref(), "c").contains("c: is the same folder as"));
        assert!(with("..".as_ref(), "a/up").contains("contains images below the class folder"));
        assert!(with("nowhere".as_ref(), "c").contains("c: is a link to nowhere, which does not exist"));
        assert!(with("nowhere".as_ref(), "a/2.png").contains("2.png: is a link to nowhere"));
        let parts = folder(&["train/a/1.png", "train/b/1.png"]);
        symlink("train", parts.path().join("valid")).unwrap();
        assert!(refused(parts.path()).contains("a: is the same folder as"));
    }

    #[test]
    fn what_is_no_file_is_refused_by_name() {
        let dir = folder(&["a/1.png", "b/1.png"]);
        std::os::unix::net::UnixListener::bind(dir.path().join("a/x.png")).unwrap();
        assert!(refused(dir.path()).contains("x.png: is a pipe, a socket or a device, expected a file"));
        std::fs::remove_file(dir.path().join("a/x.png")).unwrap();
        std::fs::create_dir(dir.path().join("a/x.png")).unwrap();
        assert!(refused(dir.path()).contains("x.png: is a folder, expected a file"));
    }
}
