//! MNIST (Y. LeCun, C. Cortes, C. Burges) in its four original files, plain or gzipped.

use std::path::{Path, PathBuf};

use crate::{DataError, Images, idx};

const CLASSES: usize = 10;

/// The 60,000 training images.
pub(crate) fn load(dir: &Path) -> Result<Images, DataError> {
    let image_file = find(dir, "train-images", "idx3")?;
    let label_file = find(dir, "train-labels", "idx1")?;
    let images = idx::read(&image_file, 3)?;
    let labels = idx::read(&label_file, 1)?;
    if images.sizes[0] != labels.sizes[0] {
        let (images, labels) = (images.sizes[0], labels.sizes[0]);
        return Err(DataError::Count { image_file, images, label_file, labels });
    }
    if let Some(record) = labels.values.iter().position(|&label| usize::from(label) >= CLASSES) {
        let label = labels.values[record].into();
        return Err(DataError::Label { file: label_file, record, label, classes: CLASSES });
    }
    let shape = [1, images.sizes[1], images.sizes[2]];
    Ok(Images { pixels: images.values, labels: labels.values, shape, classes: CLASSES, max: 255 })
}

/// The file under its published name, or as it is called after unpacking elsewhere.
fn find(dir: &Path, stem: &str, kind: &str) -> Result<PathBuf, DataError> {
    let names = ["-", "."].map(|dot| format!("{stem}{dot}{kind}-ubyte"));
    let names: Vec<String> = names.iter().flat_map(|name| [format!("{name}.gz"), name.clone()]).collect();
    let found = names.iter().map(|name| dir.join(name)).find(|path| path.is_file());
    found.ok_or_else(|| DataError::Missing { set: "mnist", dir: dir.into(), tried: names.join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, name: &str, header: &[u8], values: &[u8]) {
        std::fs::write(dir.join(name), [header, values].concat()).unwrap();
    }

    fn images(dir: &Path) {
        let header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1];
        write(dir, "train-images-idx3-ubyte", &header, &[9, 8, 7, 6]);
    }

    #[test]
    fn reads_images_and_labels() {
        let dir = tempfile::tempdir().unwrap();
        images(dir.path());
        write(dir.path(), "train-labels.idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 2], &[5, 0]);
        let set = load(dir.path()).unwrap();
        assert_eq!((set.shape, set.labels, set.pixels), ([1, 2, 1], vec![5, 0], vec![9, 8, 7, 6]));
    }

    #[test]
    fn a_wrong_label_or_count_or_a_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let message = || load(dir.path()).unwrap_err().to_string();
        assert!(message().contains("train-images-idx3-ubyte.gz"));
        images(dir.path());
        write(dir.path(), "train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 2], &[5, 10]);
        assert!(message().contains("record 1 has the label 10, expected one below 10"));
        write(dir.path(), "train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 1], &[5]);
        assert!(message().contains("has 1 labels, but"));
    }
}
