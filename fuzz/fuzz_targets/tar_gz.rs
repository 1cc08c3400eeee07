#![no_main]
//! CIFAR-100's archive.

use walk_data::DataSet;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    walk_fuzz::read(DataSet::Cifar100, &[("cifar-100-binary.tar.gz", bytes)]);
});
