#![no_main]
//! MNIST's IDX files, plain or gzipped: the first half is the images' file.

use walk_data::DataSet;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (images, labels) = bytes.split_at(bytes.len() / 2);
    walk_fuzz::read(
        DataSet::Mnist,
        &[("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)],
    );
});
