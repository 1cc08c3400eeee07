//! What the fuzz targets share: files in a folder, read as a data set. Any result is fine; a panic, a hang or memory beyond
//! the fuzzer's limit is not.

use std::path::Path;

use walk_data::{DataConfig, DataSet};

/// Reads `set` from a folder with these files.
pub fn read(set: DataSet, files: &[(&str, &[u8])]) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        write(&dir.path().join(name), bytes);
    }
    let _ = DataConfig { dir: Some(dir.path().into()), ..DataConfig::new(set) }.load();
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder");
    std::fs::write(path, bytes).expect("a file");
}
