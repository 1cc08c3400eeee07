#![no_main]
//! A user's folder: any tree of small files. The input is a list of files: a byte for the number of names in its path, for each
//! name a byte for its kind and, if it is a free one, a length and its bytes; then a byte for what the file holds.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

const NAMES: [&str; 16] = [
    "train", "Valid", "val", "test", "a", "b", "c", ".x", "__y", "@z", "1.png", "2.JPG", "3.bmp", "4.webp",
    "5.txt", "6",
];

fn name(bytes: &mut impl Iterator<Item = u8>) -> Option<OsString> {
    let kind = usize::from(bytes.next()?);
    if let Some(name) = NAMES.get(kind % 20) {
        return Some(name.into());
    }
    let len = usize::from(bytes.next()? % 12) + 1;
    let name: Vec<u8> =
        bytes.take(len).map(|byte| if matches!(byte, 0 | b'/') { b'x' } else { byte }).collect();
    let is_dots = name.iter().all(|&byte| byte == b'.');
    Some(OsString::from_vec(if is_dots { b"dots".to_vec() } else { name }))
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let picture = include_bytes!("one_pixel.png");
    let bytes = &mut bytes.iter().copied();
    let mut files: Vec<(PathBuf, &[u8])> = vec![];
    while let Some(depth) = bytes.next() {
        let Some(path) = (0..=depth % 4).map(|_| name(bytes)).collect::<Option<PathBuf>>() else { break };
        let content: &[u8] = if bytes.next().unwrap_or_default() % 8 == 7 { b"junk" } else { picture };
        files.push((path, content));
    }
    walk_fuzz::read(walk_data::DataSet::Folder, &files);
});
