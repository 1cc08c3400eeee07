//! MNIST (Y. LeCun, C. Cortes, C. Burges) and the sets in its format: Fashion-MNIST (H. Xiao, K. Rasul, R. Vollgraf,
//! 2017) and EMNIST (G. Cohen et al., 2017). IDX files, plain or gzipped, EMNIST's also in its archive.

use std::path::Path;

use crate::archive::Place;
use crate::class_names::{DIGITS, FASHION, LETTERS, SMALL, SMALL_APART, names};
use crate::images::{Official, Published, Rest};
use crate::{DataError, Images, idx};

/// A data set in MNIST's format.
struct MnistSet {
    name: &'static str,
    /// The part of the file names before `train-images-idx3-ubyte`.
    prefix: String,
    archive: &'static str,
    classes: Vec<String>,
    /// The label of the first class.
    first_label: u8,
    /// Whether images are stored transposed, as EMNIST's are.
    transposed: bool,
}

/// The 60,000 training images of `mnist` or `fashion_mnist`, followed by its 10,000 test images if requested by `which`.
pub(crate) fn load_mnist(path: &Path, which: Published, name: &'static str) -> Result<Images, DataError> {
    let (prefix, archive) = (String::new(), "");
    let classes = names(&[if name == "mnist" { DIGITS } else { FASHION }]);
    load(path, which, &MnistSet { name, prefix, archive, classes, first_label: 0, transposed: false })
}

/// The images of a variant of EMNIST, upright.
pub(crate) fn load_emnist(path: &Path, which: Published, part: &str) -> Result<Images, DataError> {
    let classes = match part {
        "balanced" | "bymerge" => names(&[DIGITS, LETTERS, SMALL_APART]),
        "byclass" => names(&[DIGITS, LETTERS, SMALL]),
        "letters" => names(&[LETTERS]),
        "digits" | "mnist" => names(&[DIGITS]),
        _ => {
            let expected = r#"one of "balanced", "byclass", "bymerge", "letters", "digits", "mnist""#;
            return Err(DataError::value("variant", format!("\"{part}\""), expected));
        }
    };
    let (prefix, archive) = (format!("emnist-{part}-"), "gzip.zip");
    // labels of letters start at 1
    let first_label = u8::from(part == "letters");
    load(path, which, &MnistSet { name: "emnist", prefix, archive, classes, first_label, transposed: true })
}

fn load(path: &Path, which: Published, set: &MnistSet) -> Result<Images, DataError> {
    let mut images = load_files(path, ["train"].as_slice(), set)?;
    if which == Published::TrainingAndTest {
        let test = load_files(path, ["t10k", "test"].as_slice(), set)?;
        if test.shape != images.shape {
            let (found, expected) = (format!("{:?}", test.shape), format!("{:?}", images.shape));
            return Err(DataError::value("valid", found, expected));
        }
        images.official = Some(Official { train: images.len(), rest: Rest::Test });
        images.pixels.extend(test.pixels);
        images.labels.extend(test.labels);
    }
    Ok(images)
}

/// The images of the files that begin with one of `stems`.
fn load_files(path: &Path, stems: &[&str], set: &MnistSet) -> Result<Images, DataError> {
    let alternatives = |what: &str, kind: &str| -> Vec<String> {
        stems.iter().flat_map(|stem| file_names(&set.prefix, &format!("{stem}-{what}"), kind)).collect()
    };
    let names = [alternatives("images", "idx3"), alternatives("labels", "idx1")];
    let place = Place::new(path, set.archive, &names[0][0]);
    let mut found = place.read(set.name, &names)?.into_iter();
    let (image_file, label_file) =
        (found.next().expect("two files were requested"), found.next().expect("two files were requested"));
    let (image_path, label_path) = (image_file.file.clone(), label_file.file.clone());
    let images = idx::read(image_file, 3)?;
    let labels = idx::read(label_file, 1)?;
    if images.sizes[0] != labels.sizes[0] {
        let (images, labels) = (images.sizes[0], labels.sizes[0]);
        return Err(DataError::Count { image_file: image_path, images, label_file: label_path, labels });
    }
    let class = |label: &u8| label.checked_sub(set.first_label).map(u16::from);
    let good = |label: &u8| class(label).is_some_and(|class| usize::from(class) < set.classes.len());
    if let Some(record) = labels.values.iter().position(|label| !good(label)) {
        let (label, classes) =
            (labels.values[record].into(), set.classes.len() + usize::from(set.first_label));
        return Err(DataError::Label { file: label_path, record, label, classes });
    }
    let shape = [1, images.sizes[1], images.sizes[2]];
    let pixels = if set.transposed { transpose(&images.values, shape) } else { images.values };
    let shape = if set.transposed { [1, shape[2], shape[1]] } else { shape };
    let labels = labels.values.iter().filter_map(class).collect();
    Ok(Images {
        pixels,
        labels,
        shape,
        classes: set.classes.clone(),
        max: 255,
        official: None,
        remarks: vec![],
    })
}

fn transpose(pixels: &[u8], [_, height, width]: [usize; 3]) -> Vec<u8> {
    let turned = |image: &[u8]| -> Vec<u8> {
        (0..width * height).map(|to| image[to % height * width + to / height]).collect()
    };
    pixels.chunks_exact(height * width).flat_map(turned).collect()
}

/// The possible names of a file: as published, or as unpacked by other tools.
fn file_names(prefix: &str, stem: &str, kind: &str) -> Vec<String> {
    let names = ["-", "."].map(|dot| format!("{prefix}{stem}{dot}{kind}-ubyte"));
    names.iter().flat_map(|name| [format!("{name}.gz"), name.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mnist(path: &Path) -> Result<Images, DataError> {
        load_mnist(path, Published::Training, "mnist")
    }

    fn emnist(path: &Path, part: &str) -> Result<Images, DataError> {
        load_emnist(path, Published::Training, part)
    }

    fn write(dir: &Path, name: &str, header: &[u8], values: &[u8]) {
        std::fs::write(dir.join(name), [header, values].concat()).unwrap();
    }

    fn images(dir: &Path, prefix: &str) {
        let header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1];
        write(dir, &format!("{prefix}train-images-idx3-ubyte"), &header, &[9, 8, 7, 6]);
    }

    #[test]
    fn reads_images_and_labels() {
        let dir = tempfile::tempdir().unwrap();
        images(dir.path(), "");
        write(dir.path(), "train-labels.idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 2], &[5, 0]);
        let set = mnist(dir.path()).unwrap();
        assert_eq!((set.shape, set.labels, set.pixels), ([1, 2, 1], vec![5, 0], vec![9, 8, 7, 6]));
    }

    #[test]
    fn emnist_is_turned_upright_and_its_letters_count_from_one() {
        let dir = tempfile::tempdir().unwrap();
        images(dir.path(), "emnist-letters-");
        let labels = "emnist-letters-train-labels-idx1-ubyte";
        write(dir.path(), labels, &[0, 0, 8, 1, 0, 0, 0, 2], &[26, 1]);
        let set = emnist(dir.path(), "letters").unwrap();
        assert_eq!((set.shape, set.labels, set.classes.len()), ([1, 1, 2], vec![25, 0], 26));
        write(dir.path(), labels, &[0, 0, 8, 1, 0, 0, 0, 2], &[0, 1]);
        let text = emnist(dir.path(), "letters").unwrap_err().to_string();
        assert!(text.contains("record 0 has the label 0"), "{text}");
        let text = emnist(dir.path(), "letter").unwrap_err().to_string();
        assert!(text.contains("`data.variant` = \"letter\", expected one of \"balanced\""), "{text}");
    }

    #[test]
    fn a_wrong_label_or_count_or_a_missing_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let message = || mnist(dir.path()).unwrap_err().to_string();
        assert!(message().contains("train-images-idx3-ubyte.gz") && message().contains("data fetch mnist"));
        images(dir.path(), "");
        write(dir.path(), "train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 2], &[5, 10]);
        assert!(message().contains("record 1 has the label 10, expected one below 10"));
        write(dir.path(), "train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 1], &[5]);
        assert!(message().contains("has 1 labels, but"));
    }

    /// The published files, where they are: set WALK_MNIST to the folder with the four files.
    #[test]
    fn mnist_has_its_known_facts() {
        let Some(dir) = std::env::var_os("WALK_MNIST") else {
            crate::test_support::skipped(
                "mnist_has_its_known_facts needs WALK_MNIST=folder with the MNIST files",
            );
            return;
        };
        let images = mnist(dir.as_ref()).unwrap();
        assert_eq!((images.len(), images.shape, images.labels[0]), (60_000, [1, 28, 28], 5));
        let all = load_mnist(dir.as_ref(), Published::TrainingAndTest, "mnist").unwrap();
        assert_eq!(all.official, Some(Official { train: 60_000, rest: Rest::Test }));
        assert_eq!((all.len(), all.labels[60_000]), (70_000, 7));
        let counts = |class| images.labels.iter().filter(|&&label| label == class).count();
        let known = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(counts), known);
        let values = images.pixels.iter().map(|&byte| f64::from(byte) / 255.0);
        let n = images.pixels.len() as f64;
        let mean = values.clone().sum::<f64>() / n;
        let std = (values.map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        assert!((mean - 0.1307).abs() < 5e-5 && (std - 0.3081).abs() < 5e-5);
    }
}
