#![no_main]
//! A PNG, JPEG or BMP in a user's folder, beside a copy of itself in another class.

use walk_data::DataSet;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    walk_fuzz::read(DataSet::Folder, &[("a/1.png", bytes), ("b/1.jpg", bytes)]);
});
