//! CIFAR-10 and CIFAR-100 (A. Krizhevsky) in their binary format: records of label bytes and 3 x 32 x 32 pixels.

use std::path::Path;

use crate::archive::{Found, Place};
use crate::class_names::{CIFAR_10, CIFAR_100, names};
use crate::images::{Official, Published, Rest};
use crate::{DataError, Images};

const PIXELS: usize = 3 * 32 * 32;

/// The differences between the two sets.
struct CifarSet {
    name: &'static str,
    archive: &'static str,
    training: &'static [&'static str],
    test: &'static str,
    /// Bytes before the pixels; the last is the class.
    label_bytes: usize,
    /// Names of the classes, separated by spaces.
    classes: &'static str,
}

/// CIFAR-10's 50,000 training images, in the order of its five files, followed by its 10,000 test images if requested by `which`.
pub(crate) fn load_10(path: &Path, which: Published) -> Result<Images, DataError> {
    let training =
        &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
    let (archive, test) = ("cifar-10-binary.tar.gz", "test_batch.bin");
    load(
        path,
        which,
        &CifarSet { name: "cifar10", archive, training, test, label_bytes: 1, classes: CIFAR_10 },
    )
}

/// CIFAR-100's 50,000 training images with their fine labels, followed by its 10,000 test images if requested by `which`.
pub(crate) fn load_100(path: &Path, which: Published) -> Result<Images, DataError> {
    let (archive, training, test) = ("cifar-100-binary.tar.gz", &["train.bin"], "test.bin");
    load(
        path,
        which,
        &CifarSet { name: "cifar100", archive, training, test, label_bytes: 2, classes: CIFAR_100 },
    )
}

fn load(path: &Path, which: Published, set: &CifarSet) -> Result<Images, DataError> {
    let test = (which == Published::TrainingAndTest).then_some(set.test);
    let files: Vec<Vec<String>> =
        set.training.iter().copied().chain(test).map(|name| vec![name.to_owned()]).collect();
    let found = Place::new(path, set.archive, set.training[0]).read(set.name, &files)?;
    let total = found.iter().map(|found| found.bytes.len()).sum();
    let mut images = Images {
        pixels: Vec::with_capacity(total),
        labels: vec![],
        shape: [3, 32, 32],
        classes: names(&[set.classes]),
        max: 255,
        official: None,
        remarks: vec![],
    };
    for (index, found) in found.into_iter().enumerate() {
        if index == set.training.len() {
            images.official = Some(Official { train: images.len(), rest: Rest::Test });
        }
        add(found, set, &mut images)?;
    }
    Ok(images)
}

fn add(Found { file, bytes }: Found, set: &CifarSet, images: &mut Images) -> Result<(), DataError> {
    let record = set.label_bytes + PIXELS;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        let expected = (bytes.len() / record + 1) * record;
        return Err(DataError::Truncated { file, found: bytes.len(), expected });
    }
    for (index, record) in bytes.chunks_exact(record).enumerate() {
        let (labels, pixels) = record.split_at(set.label_bytes);
        let label = labels[set.label_bytes - 1];
        if usize::from(label) >= images.classes.len() {
            let (label, classes) = (label.into(), images.classes.len());
            return Err(DataError::Label { file, record: index, label, classes });
        }
        images.labels.push(label.into());
        images.pixels.extend_from_slice(pixels);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load_10(path: &Path) -> Result<Images, DataError> {
        super::load_10(path, Published::Training)
    }

    fn load_100(path: &Path) -> Result<Images, DataError> {
        super::load_100(path, Published::Training)
    }

    fn record(labels: &[u8], pixel: u8) -> Vec<u8> {
        [labels, &[pixel; PIXELS]].concat()
    }

    #[test]
    fn reads_the_files_in_order_and_the_fine_labels() {
        let dir = tempfile::tempdir().unwrap();
        for n in 1..=5u8 {
            let name = format!("data_batch_{n}.bin");
            std::fs::write(dir.path().join(name), [record(&[n], n), record(&[0], 9)].concat()).unwrap();
        }
        let ten = load_10(dir.path()).unwrap();
        assert_eq!(ten.labels, [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
        assert_eq!((ten.pixels[0], ten.pixels[PIXELS], ten.len()), (1, 9, 10));
        std::fs::write(dir.path().join("train.bin"), record(&[19, 99], 3)).unwrap();
        assert_eq!(load_100(dir.path()).unwrap().labels, [99]);
        std::fs::write(dir.path().join("test.bin"), [record(&[3, 5], 1), record(&[3, 6], 1)].concat())
            .unwrap();
        let all = super::load_100(dir.path(), Published::TrainingAndTest).unwrap();
        assert_eq!(
            (all.labels.as_slice(), all.official),
            ([99, 5, 6].as_slice(), Some(Official { train: 1, rest: Rest::Test }))
        );
        let missing = super::load_10(dir.path(), Published::TrainingAndTest).unwrap_err().to_string();
        assert!(missing.contains(": this folder has no test_batch.bin; download it again"), "{missing}");
    }

    #[test]
    fn names_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let message = || load_100(dir.path()).unwrap_err().to_string();
        assert!(
            message().contains(
                ": this folder has no train.bin; download it again with `sgdwalk data fetch cifar100"
            )
        );
        let nowhere = load_100(&dir.path().join("x")).unwrap_err().to_string();
        assert!(nowhere.contains("x: not found (looked for train.bin); download it with"), "{nowhere}");
        let write = |bytes: &[u8]| std::fs::write(dir.path().join("train.bin"), bytes).unwrap();
        write(&[]);
        assert!(message().contains("the file ends after 0 of 3074 bytes"));
        write(&record(&[0, 1], 0)[..3000]);
        assert!(message().contains("the file ends after 3000 of 3074 bytes"));
        write(&[record(&[0, 1], 0), record(&[0, 100], 0)].concat());
        assert!(message().contains("record 1 has the label 100, expected one below 100"));
    }

    fn archive(dir: &Path, files: &[(&str, Vec<u8>)]) -> std::path::PathBuf {
        let path = dir.join("cifar-100-binary.tar.gz");
        let file = std::fs::File::create(&path).unwrap();
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast()));
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, &bytes[..]).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        path
    }

    #[test]
    fn the_published_archive_is_read_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("a/readme", vec![1]), ("a/train.bin", record(&[1, 7], 5)), ("a/test.bin", vec![2])];
        let path = archive(dir.path(), &files);
        // by its path, and by the folder it lies in
        for place in [path.as_path(), dir.path()] {
            assert_eq!(load_100(place).unwrap().labels, [7]);
        }
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let text = load_100(dir.path()).unwrap_err().to_string();
        assert!(text.contains("broken archive"), "{text}");
        archive(dir.path(), &files[..1]);
        assert!(matches!(load_100(dir.path()), Err(DataError::NotInArchive { .. })));
    }

    proptest! {
        #[test]
        fn no_archive_makes_it_panic(cut in 0usize..200, flip in 0usize..200) {
            let dir = tempfile::tempdir().unwrap();
            let path = archive(dir.path(), &[("train.bin", record(&[1, 7], 5))]);
            let mut bytes = std::fs::read(&path).unwrap();
            let len = bytes.len();
            bytes[flip % len] ^= 0x55;
            bytes.truncate(len - cut % len);
            std::fs::write(&path, bytes).unwrap();
            let _ = load_100(dir.path());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("train.bin"), bytes).unwrap();
            let _ = load_100(dir.path());
        }
    }

    /// The published files, where they are: set WALK_CIFAR10 to the folder with the five files.
    #[test]
    fn cifar10_has_its_known_facts() {
        let Some(dir) = std::env::var_os("WALK_CIFAR10") else {
            crate::test_support::skipped(
                "cifar10_has_its_known_facts needs WALK_CIFAR10=folder with the CIFAR-10 files",
            );
            return;
        };
        let images = load_10(dir.as_ref()).unwrap();
        assert_eq!((images.len(), &images.labels[..10]), (50_000, &[6, 9, 9, 4, 1, 1, 2, 7, 8, 3][..]));
        let known = [(0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616)];
        for (channel, (mean, std)) in known.into_iter().enumerate() {
            let planes = images.pixels.chunks_exact(1024).skip(channel).step_by(3);
            let values = planes.flatten().map(|&byte| f64::from(byte) / 255.0);
            let n = 50_000.0 * 1024.0;
            let found = values.clone().sum::<f64>() / n;
            let spread = (values.map(|x| (x - found).powi(2)).sum::<f64>() / n).sqrt();
            assert!((found - mean).abs() < 5e-5 && (spread - std).abs() < 5e-5, "{found} {spread}");
        }
    }
}
