//! What the fuzz targets share: files in a folder, read as a data set. Any result is fine; a panic, a hang or memory beyond
//! the fuzzer's limit is not.

use std::path::Path;

use walk_data::{DataConfig, DataSet};

/// Reads `set` from a folder with these files. A file that is in the way of another's folder stays.
pub fn read(set: DataSet, files: &[(impl AsRef<Path>, &[u8])]) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        let path = dir.path().join(name);
        if path.parent().is_some_and(|parent| std::fs::create_dir_all(parent).is_ok()) {
            let _ = std::fs::write(path, bytes);
        }
    }
    let _ = DataConfig { dir: Some(dir.path().into()), ..DataConfig::new(set) }.load();
}
