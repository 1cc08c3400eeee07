#![no_main]
//! Tiny ImageNet's archive.

use walk_data::DataSet;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    walk_fuzz::read(DataSet::TinyImagenet, &[("tiny-imagenet-200.zip", bytes)]);
});
